# SPDX-License-Identifier: Apache-2.0
"""A host that says no while a VM is steered: with the Nth call of a kind failing, each
QMP command is done or is an error, and an error leaves the machine, its descriptors,
mappings, allocations and files as they were.  Then the same command succeeds.
"""
import contextlib
import os
import pathlib
import signal
import time

import pytest

import faults
import harness
import ivshmem as ivshmem_tools
import qmp

MIB = 1 << 20
BANK = 0x80000000

NOTHING = {"query-version", "query-commands", "query-qmp-schema", "query-status",
           "query-cpus-fast", "query-memory-size-summary", "query-memory-devices",
           "query-memdev", "query-dirty-rate", "query-pci", "query-vm-generation-id",
           "x-query-space", "x-query-ivshmem", "x-query-jit", "system_powerdown", "system_reset", "stop", "cont",
           "query-migrate", "query-migrate-parameters", "query-migrate-capabilities",
           "migrate_cancel", "x-block-sync"}
ARGUMENTS = dict(
    {name: {} for name in NOTHING},
    **{"calc-dirty-rate": {"calc_time": 1}, "x-dirty-map": {"milliseconds": 1, "parts": 4},
       "migrate-set-parameters": {"downtime_limit": 300},
       "migrate-set-capabilities": {"capabilities": [{"capability": "multifd", "state": False}]},
       "x-query-blocks": {"parts": 4}, "device_del": {"id": "made"},
       "pmemsave": {"val": BANK, "size": MIB}, "device_add": {}, "x-save": {},
       "x-fork": {"names": ["clone"], "share": "keep", "serial": "none", "paused": True}})
DEVICES = {
    "edu": {"driver": "edu"},
    "plain": {"driver": "ivshmem-plain", "size": "1M"},
    "doorbell": {"driver": "ivshmem-doorbell", "vectors": 2},
}
# Tests of their own, below and elsewhere.
ELSEWHERE = {"qmp_capabilities", "quit", "x-save-cancel", "x-restore-info", "x-query-restore",
             "migrate", "x-send", "migrate-incoming", "getfd", "closefd",
             "migrate-start-postcopy", "migrate-pause", "migrate-recover", "x-send-give-up"}
# (command, device)
CASES = ([(name, None) for name in sorted(ARGUMENTS) if name != "device_add"] +
         [("device_add", device) for device in DEVICES])


class Host:
    """A VM under the shim, a client of it, and what is looked at."""

    def __init__(self, memvisor, folder):
        self.folder = folder
        self.faults = faults.Faults(memvisor, folder)
        self.path = folder / "shared"
        self.path.write_bytes(bytes(MIB))
        (folder / "bank").write_bytes(bytes(MIB))
        self.server = ivshmem_tools.our_server(memvisor, folder, vectors=2)
        self.peers = self.server.__enter__()
        self.vm = qmp.Vm(memvisor, folder, "--device", "pcie-root-port,id=port", "--paused",
                         "-m", "2M", "-m", "1M,file=%s" % (folder / "bank"), env=self.faults.env,
                         guest=qmp.SPIN)
        self.client = self.vm.qmp()

    def close(self):
        self.client.close()
        self.vm.__exit__()
        self.server.__exit__(None, None, None)

    # --- what is looked at

    def resources(self):
        pid = self.vm.process.pid
        with open("/proc/%d/maps" % pid) as maps:
            named = sorted(line.split(None, 5)[5].strip() for line in maps
                           if len(line.split(None, 5)) > 5 and "[" not in line)
        return {"descriptors": len(os.listdir("/proc/%d/fd" % pid)), "mappings": named,
                "threads": len(os.listdir("/proc/%d/task" % pid)),
                "allocations": self.faults.blocks}

    def state(self):
        """Of the machine and of its run-time folder."""
        blocks = self.client.execute("x-query-blocks")
        for block in blocks:
            del block["resident"], block["huge"], block["generation"]
        links = sorted(os.path.join(path, name) for path, folders, names
                       in os.walk(self.vm.rundir) for name in folders + names)
        return [blocks, links, sorted(os.listdir(self.folder))] + [
            self.client.execute(name) for name in (
                "query-status", "query-pci", "x-query-space", "query-cpus-fast")] + [
            [dict(device, server=None) for device in self.client.execute("x-query-ivshmem")],
            self.client.execute("query-dirty-rate")["status"] == "measuring"]

    def clones(self):
        """Processes with the VM's words, but for itself."""
        def words(pid):
            try:
                return pathlib.Path("/proc/%d/cmdline" % pid).read_bytes()
            except OSError:
                return b""
        mine = words(self.vm.process.pid)
        return sorted(int(name) for name in os.listdir("/proc") if name.isdigit() and
                      int(name) != self.vm.process.pid and words(int(name)) == mine)

    def rests(self):
        """What is held once nothing goes on any more."""
        held, before = self.resources(), None
        while held != before:
            time.sleep(0.1)
            held, before = self.resources(), held
        return held

    def settles(self, resources):
        """What a command leaves goes a moment after its answer."""
        end = time.monotonic() + 20 * harness.PATIENCE
        while self.resources() != resources:
            if time.monotonic() > end:
                now = self.resources()
                return {key: (resources[key], now[key]) for key in now
                        if now[key] != resources[key]}
            time.sleep(0.002)
        return None

    # --- commands

    def say(self, name, **arguments):
        """The answer; None where the connection ended."""
        try:
            return self.client.command(name, **arguments)
        except (AssertionError, OSError):
            return None

    def revive(self):
        """A client that is there, be it another."""
        if self.say("query-status") is None:
            self.client.close()
            self.client = self.vm.qmp()

    def measured(self):
        end = time.monotonic() + 20 * harness.PATIENCE
        while (time.monotonic() < end and
               self.client.execute("query-dirty-rate")["status"] == "measuring"):
            time.sleep(0.005)  # where it lasts for ever, state() shows it


class Command:
    """One command with valid arguments, what has to be so before it, and what undoes it."""

    def __init__(self, host, name, device):
        self.host, self.name = host, name
        self.arguments = dict(ARGUMENTS[name])
        self.saved = host.folder / "saved"
        if device is not None:
            self.arguments.update(DEVICES[device], id="made", bus="port")
            self.arguments.update({"plain": {"mem": str(host.path)},
                                   "doorbell": {"socket": str(host.peers.path)}}.get(device, {}))
        if name == "pmemsave":
            self.arguments["filename"] = str(self.saved)
        if name == "x-save":
            self.arguments["file"] = str(self.saved)

    def prepare(self):
        client = self.host.client
        if self.name == "stop":
            client.execute("cont")
        if self.name == "device_del":
            client.execute("device_add", driver="ivshmem-plain", id="made", bus="port",
                           mem=str(self.host.path), size="1M")

    def is_done(self, answer):
        """Whether it took effect; an answer says so, and without one we look."""
        client = self.host.client
        if self.name in ("stop", "cont"):
            running = client.execute("query-status")["running"]
            return running == (self.name == "cont")
        if self.name.startswith("device_"):
            there = any(device["qdev_id"] == "made" for bus in client.execute("query-pci")
                        for port in bus["devices"] if "pci_bridge" in port
                        for device in port["pci_bridge"].get("devices", []))
            ids = [device["device"] for device in client.execute("x-query-ivshmem")]
            there |= any("/00.0" in path for path in ids)
            if self.arguments.get("driver") == "edu":  # behind a bridge without a number
                answer = client.command("device_del", id="made")
                there = "return" in answer
                if there:
                    client.execute("device_add", **self.arguments)
            return there == (self.name == "device_add")
        if self.name == "pmemsave":
            return self.saved.exists()
        return answer is not None and "return" in answer

    def undo(self, done, answer):
        """Back to where prepare began."""
        if self.name == "x-fork":
            told = [clone["pid"] for clone in answer["return"]["clones"] if "pid" in clone] if done else []
            if answer is None or "'memvisor ps' lists those that run" in str(answer):
                told = None
            end = time.monotonic() + 20 * harness.PATIENCE
            while told is not None and self.host.clones() != told:  # one that failed ends
                assert time.monotonic() < end, answer
                time.sleep(0.01)
            for pid in self.host.clones():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        client = self.host.client
        if self.name in ("stop", "cont"):
            client.execute("stop")
        if (self.name == "device_add" and done) or (self.name == "device_del" and not done):
            client.execute("device_del", id="made")
        if self.name == "calc-dirty-rate":
            self.host.measured()
        if self.name == "x-save" and answer is None:  # it goes on without its client
            end = time.monotonic() + 20 * harness.PATIENCE
            while "return" in client.command("x-save-cancel"):
                assert time.monotonic() < end
                time.sleep(0.01)
        if self.name in ("pmemsave", "x-save") and self.saved.exists():
            self.saved.unlink()
        if self.name == "x-save":
            client.execute("system_reset")  # the state is stale then, and forgotten

    def run(self, before=lambda: None):
        """Once: its answer, and how often a call failed meanwhile."""
        self.prepare()
        before()
        answer = self.host.say(self.name, **self.arguments)
        fired = self.host.faults.disarm()
        self.host.revive()
        done = self.is_done(answer)
        assert answer is None or done == ("return" in answer), answer
        self.undo(done, answer)
        return answer, fired


def count(command, kind):
    """How many calls of a kind it makes."""
    command.run(lambda: command.host.faults.arm(kind, faults.FOR_EVER))
    return command.host.faults.passed


def try_one(command, kind, n, begin):
    """Returns whether it was refused."""
    host = command.host
    answer, fired = command.run(lambda: host.faults.arm(kind, n))
    story = "%s %s %d: %s\n%s\n%s" % (command.name, kind, n, answer, host.faults.where(),
                                     host.vm.output()[-1000:])
    assert host.vm.process.poll() is None, story
    refused = answer is None or "error" in answer
    assert fired or not refused, story
    left = host.settles(begin["resources"])
    assert left is None, "%s\n%s" % (story, left)
    assert host.state() == begin["state"], story
    return refused


def try_each(host, command, most, kinds=faults.KINDS):
    """Each call of each kind fails, or of many calls so many; the case is where it
    began in between."""
    # What is made once and kept; of states that were saved, the last 8.
    for _ in range(9 if command.name == "x-save" else 3):
        answer, _ = command.run()
        assert "return" in answer, answer
    begin = {"state": host.state(), "resources": host.rests()}
    refused = 0
    for kind in kinds:
        calls = count(command, kind)
        step = max(1, calls // most)
        refused += sum(try_one(command, kind, n, begin) for n in range(1, calls + 1, step))
    # Even a command that does nothing has to be read.
    assert refused > 0
    answer, _ = command.run()
    assert "return" in answer, answer


@pytest.fixture(scope="module")
def host(memvisor, tmp_path_factory):
    made = Host(memvisor, tmp_path_factory.mktemp("nth"))
    yield made
    made.close()


def test_all_commands_are_tried(host):
    names = {row["name"] for row in host.client.execute("query-commands")}
    assert names == set(ARGUMENTS) | ELSEWHERE


# A measurement takes a second, and so does each that is not refused.  A fork forks.
KINDS = {"calc-dirty-rate": ["alloc", "thread"], "x-fork": faults.KINDS + faults.FORK_KINDS}


@pytest.mark.parametrize("name, device", CASES, ids=lambda word: word or "-")
def test_command(host, name, device):
    try_each(host, Command(host, name, device), 12, KINDS.get(name, faults.KINDS))


@pytest.mark.long
@pytest.mark.parametrize("name, device", CASES, ids=lambda word: word or "-")
def test_command_every_call(host, name, device):
    try_each(host, Command(host, name, device), faults.FOR_EVER)


@pytest.mark.parametrize("kind", faults.KINDS)
def test_send_to_nobody(host, kind):
    """An error in any case, and the guest is as it was."""
    host.revive()
    uri = "unix:%s" % (host.folder / "nobody")
    for _ in range(3):  # what the last one leaves is there, too
        assert "error" in host.say("x-send", uri=uri)
    begin = {"state": host.state(), "resources": host.rests()}
    for n in range(1, 200):
        host.faults.arm(kind, n)
        answer = host.say("x-send", uri=uri)
        fired = host.faults.disarm()
        host.revive()
        assert answer is None or "error" in answer, answer
        assert host.say("x-send", uri=uri)["error"]["desc"] != ""
        assert host.settles(begin["resources"]) is None, host.faults.where()
        assert host.state() == begin["state"]
        if not fired:
            return
    assert False, "that is no end"


@pytest.mark.parametrize("kind", faults.KINDS)
def test_client_that_comes(host, kind):
    """It is greeted and negotiates, or the connection ends; the next one comes in."""
    host.revive()
    begin = host.rests()
    for n in range(1, 200):
        host.faults.arm(kind, n)
        try:
            with host.vm.qmp():
                pass
        except (AssertionError, OSError):
            assert host.faults.fired
        fired = host.faults.disarm()
        with host.vm.qmp() as client:
            assert client.execute("query-status")["status"] in ("prelaunch", "paused")
        assert host.settles(begin) is None, host.faults.where()
        if not fired:
            return
    assert False, "that is no end"


@pytest.mark.parametrize("kind", ["alloc", "send", "receive", "epoll", "eventfd"])
def test_quit(memvisor, tmp_path, kind):
    """It ends the VM, or is refused; then it ends it the next time."""
    fault = faults.Faults(memvisor, tmp_path)
    for n in range(1, 200):
        with qmp.Vm(memvisor, tmp_path, "--paused", env=fault.env) as vm:
            with vm.qmp() as client:
                fault.arm(kind, n)
                try:
                    refused = "error" in client.command("quit")
                except (AssertionError, OSError):
                    refused = vm.process.poll() is None and "dropped" in vm.output()
            fired = fault.disarm()
            if refused and vm.process.poll() is None:
                try:
                    with vm.qmp() as client:
                        client.command("quit")
                except (AssertionError, OSError):
                    pass  # the first one was heard
            assert vm.end() == 0, vm.output()
        if not fired:
            return
