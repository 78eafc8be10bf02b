# SPDX-License-Identifier: Apache-2.0
"""QMP's migrate and its kin: values, refusals and events, beside QEMU's where it has the same."""
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import pytest

import harness
import qmp

PARAMETERS = {"max-bandwidth": 0, "max-postcopy-bandwidth": 0, "downtime-limit": 300, "multifd-channels": 2,
              "multifd-compression": "none", "cpu-throttle-initial": 20,
              "cpu-throttle-increment": 10, "max-cpu-throttle": 99}
# Ours are others than QEMU's, and the manual says why.
OTHERS = {"max-bandwidth"}
CAPABILITIES = {"auto-converge": True, "events": True, "return-path": True, "multifd": False,
                "postcopy-ram": False}


@pytest.fixture
def folder():
    """In memory, and short: a Unix socket's path has 107 bytes."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as path:
        yield pathlib.Path(path)


@pytest.fixture
def vm(memvisor, folder):
    with qmp.Vm(memvisor, folder, guest=qmp.SPIN) as made:
        yield made


@pytest.fixture(scope="module")
def peer(tmp_path_factory):
    """QEMU's answers, as a function."""
    path = tmp_path_factory.mktemp("q") / "s"
    assert shutil.which("qemu-system-aarch64"), "QEMU is missing: run scripts/setup.sh check"
    process = subprocess.Popen(["qemu-system-aarch64", "-M", "none", "-nographic", "-serial", "null",
                                "-monitor", "none", "-qmp", "unix:%s,server=on,wait=off" % path],
                               stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    end = time.monotonic() + 60 * harness.PATIENCE
    while not path.exists():
        assert time.monotonic() < end and process.poll() is None
        time.sleep(0.02)
    client = qmp.Qmp(path)
    yield client
    client.close()
    process.kill()
    process.wait()


def receiver(memvisor, folder, uri, *options, name="there"):
    return qmp.Vm(memvisor, folder, *options, name=name,
                  boot=[memvisor.path, "receive", uri, "--serial", "none"])


def await_status(client, wanted, seconds=60):
    end = time.monotonic() + seconds * harness.PATIENCE
    while True:
        info = client.execute("query-migrate")
        if info.get("status") in wanted:
            return info
        assert time.monotonic() < end, info
        time.sleep(0.02)


def statuses(client, last):
    """The words of MIGRATION events up to this one, and the numbers of passes."""
    words, passes = [], []
    while last not in words:
        line = client.events.pop(0) if client.events else client.read()
        if line.get("event") == "MIGRATION":
            words.append(line["data"]["status"])
        elif line.get("event") == "MIGRATION_PASS":
            passes.append(line["data"]["pass"])
    return words, passes


# --- parameters and capabilities


def test_parameters_and_capabilities_begin_as_qemus(vm, peer):
    with vm.qmp() as client:
        ours = client.execute("query-migrate-parameters")
        assert ours == PARAMETERS
        theirs = peer.execute("query-migrate-parameters")
        assert {key for key in ours if ours[key] != theirs[key]} == OTHERS
        ours = {row["capability"]: row["state"] for row in client.execute("query-migrate-capabilities")}
        assert ours == CAPABILITIES
        assert set(ours) <= {row["capability"] for row in peer.execute("query-migrate-capabilities")}


@pytest.mark.parametrize("values", [
    {"max-bandwidth": 1 << 30}, {"max-bandwidth": 0}, {"downtime-limit": 0},
    {"max-postcopy-bandwidth": 5},
    {"downtime-limit": 2000000}, {"downtime-limit": 2000001}, {"multifd-channels": 0},
    {"multifd-channels": 16}, {"multifd-channels": 256}, {"multifd-compression": "zstd"},
    {"multifd-compression": "lzma"}, {"cpu-throttle-initial": 0}, {"cpu-throttle-initial": 99},
    {"cpu-throttle-initial": 100}, {"cpu-throttle-increment": 0}, {"cpu-throttle-increment": 99},
    {"max-cpu-throttle": 19}, {"max-cpu-throttle": 100}, {"max-cpu-throttle": 30}, {"no-such": 1},
    {"cpu-throttle-initial": 50, "max-cpu-throttle": 60}, {"downtime-limit": "1"}, {}],
    ids=json.dumps)
def test_parameters_are_taken_and_refused_as_by_qemu(vm, peer, values):
    arguments = {key.replace("-", "_"): value for key, value in values.items()}
    before = peer.execute("query-migrate-parameters")
    with vm.qmp() as client:
        answer, theirs = (each.command("migrate-set-parameters", **arguments)
                          for each in (client, peer))
        assert ("return" in answer) == ("return" in theirs), (answer, theirs)
        now = client.execute("query-migrate-parameters")
        assert now == dict(PARAMETERS, **(values if "return" in answer else {}))
        if "error" in answer:
            assert any(key in answer["error"]["desc"] for key in values), answer
    peer.execute("migrate-set-parameters", **{key.replace("-", "_"): before[key]
                                              for key in values if key in before})


def test_one_parameter_that_cannot_be_leaves_all(vm):
    with vm.qmp() as client:
        answer = client.command("migrate-set-parameters", downtime_limit=5, multifd_channels=17)
        assert "'multifd-channels': from 1 to 16" in answer["error"]["desc"]
        assert client.execute("query-migrate-parameters") == PARAMETERS


def test_capabilities_are_set_all_or_none(vm):
    def row(name, state):
        return {"capability": name, "state": state}

    with vm.qmp() as client:
        client.execute("migrate-set-capabilities",
                       capabilities=[row("multifd", True), row("events", False)])
        answer = client.command("migrate-set-capabilities",
                                capabilities=[row("events", True), row("return-path", False)])
        assert "'return-path': it is always on" in answer["error"]["desc"]
        answer = client.command("migrate-set-capabilities", capabilities=[row("xbzrle", True)])
        assert "'xbzrle' is not one of" in answer["error"]["desc"]
        now = {row["capability"]: row["state"] for row in client.execute("query-migrate-capabilities")}
        assert now == dict(CAPABILITIES, multifd=True, events=False)


# --- a guest that is awaited


def test_nothing_is_under_way(vm, peer):
    with vm.qmp() as client:
        for each in (client, peer):
            assert each.execute("query-migrate") == {}
            assert each.execute("migrate_cancel") == {}
            assert "error" in each.command("migrate-incoming", uri="tcp:127.0.0.1:0")
        assert "memvisor receive defer" in client.command("migrate-incoming", uri="x")["error"]["desc"]


def test_machine_that_awaits_its_guest(memvisor, folder):
    with receiver(memvisor, folder, "defer") as vm, vm.qmp() as client:
        assert client.execute("query-status") == {
            "running": False, "singlestep": False, "status": "inmigrate"}
        assert client.execute("query-migrate") == {}
        for name in ("stop", "cont", "system_reset", "query-cpus-fast", "x-query-blocks", "x-fork",
                     "query-memory-size-summary", "query-pci"):
            assert "inmigrate" in client.command(name)["error"]["desc"], name
        assert "inmigrate" in client.command("migrate", uri="unix:/x")["error"]["desc"]
        assert "defer" in vm.output() or "migrate-incoming" in vm.output()
        rows = json.loads(vm.verb("ps", "--json").out)
        assert [(row["name"], row["status"], row["cpus"]) for row in rows] == \
            [("there", "inmigrate", None)]
        for uri in ("", "foo", "tcp:127.0.0.1", "tcp:0.0.0.0:0"):
            assert "error" in client.command("migrate-incoming", uri=uri), uri
        assert client.execute("query-migrate") == {}
        client.execute("migrate-incoming", uri="tcp:127.0.0.1:0")
        info = client.execute("query-migrate")
        assert info["status"] == "setup" and info["socket-address"][0]["type"] == "inet"
        port = int(info["socket-address"][0]["port"])
        assert port > 0 and "awaited at tcp:127.0.0.1:%d" % port in vm.output()
        assert "already" in client.command("migrate-incoming", uri="unix:x")["error"]["desc"]
        assert statuses(client, "setup") == (["setup"], [])
        assert client.execute("query-status")["status"] == "inmigrate"
        client.execute("quit")
        assert vm.end() == 0 and "ended by the command quit" in vm.output()


@pytest.mark.parametrize("uri", ["defer", "unix:socket"])
def test_signal_ends_the_wait(memvisor, folder, uri):
    uri = uri.replace("unix:", "unix:%s/" % folder)
    with receiver(memvisor, folder, uri) as vm:
        with vm.qmp() as client:
            assert client.execute("query-status")["status"] == "inmigrate"
        vm.process.send_signal(signal.SIGINT)
        assert vm.end() == 130 and "SIGINT" in vm.output()
        assert not (folder / "socket").exists() and not vm.rundir.exists()


# --- moves


def test_move_from_machine_to_machine(memvisor, folder, vm):
    uri = "unix:%s/move" % folder
    with receiver(memvisor, folder, uri) as there, vm.qmp() as client, there.qmp() as other:
        assert client.execute("migrate", uri=uri, detach=True) == {}
        words, passes = statuses(client, "completed")
        assert words == ["setup", "active", "device", "completed"]
        assert passes == list(range(1, len(passes) + 1)) and passes
        # That it awaits its guest it said before anybody could be there.
        assert statuses(other, "completed")[0] == ["active", "device", "completed"]
        assert client.execute("query-status") == {
            "running": False, "singlestep": False, "status": "postmigrate"}
        assert other.execute("query-status")["status"] == "running"

        info = client.execute("query-migrate")
        assert info["status"] == "completed" and info["total-time"] >= info["downtime"] >= 0
        assert info["setup-time"] >= 0 and "expected-downtime" not in info
        ram = info["ram"]
        assert ram["total"] >= 16 << 20 and ram["remaining"] == 0 and ram["page-size"] == 4096
        assert ram["dirty-sync-count"] == len(passes) and ram["transferred"] > 0
        assert ram["normal-bytes"] == 4096 * ram["normal"]

        answer = client.command("migrate", uri=uri)
        assert "was moved to '%s'" % uri in answer["error"]["desc"]
        other.execute("quit")
        assert there.end() == 0
        # What was moved and is no more can be had here.
        client.execute("cont")
        assert client.execute("query-status")["status"] == "running"


def test_no_events_where_none_are_wanted(memvisor, folder, vm):
    uri = "unix:%s/move" % folder
    with receiver(memvisor, folder, uri), vm.qmp() as client:
        client.execute("migrate-set-capabilities",
                       capabilities=[{"capability": "events", "state": False}])
        client.execute("migrate", uri=uri)
        await_status(client, {"completed"})
        client.execute("query-status")
        names = {event["event"] for event in client.events}
        assert "STOP" in names and not names & {"MIGRATION", "MIGRATION_PASS"}


def test_several_channels_and_compression(memvisor, folder, vm):
    uri = "unix:%s/move" % folder
    with receiver(memvisor, folder, uri) as there, vm.qmp() as client:
        client.execute("migrate-set-parameters", multifd_channels=4, multifd_compression="zstd")
        client.execute("migrate-set-capabilities",
                       capabilities=[{"capability": "multifd", "state": True}])
        client.execute("migrate", uri=uri)
        info = await_status(client, {"completed", "failed"})
        assert info["status"] == "completed" and info["ram"]["multifd-bytes"] > 0, info
        with there.qmp() as other:
            assert other.execute("query-status")["status"] == "running"


@pytest.mark.parametrize("uri, part", [
    ("foo", "foo"), ("", "''"), ("tcp:127.0.0.1", "tcp:"), ("file:", "file"),
    ("file:/no/such/folder/file", "/no/such/folder")])
def test_address_that_is_none(vm, uri, part):
    with vm.qmp() as client:
        answer = client.command("migrate", uri=uri)
        assert part in answer["error"]["desc"], answer
        assert client.execute("query-status")["status"] == "running"


def test_other_ways_that_cannot_be(vm):
    with vm.qmp() as client:
        for name, says in (("blk", "'blk'"), ("inc", "'inc'"), ("resume", "no guest was sent")):
            answer = client.command("migrate", uri="unix:/x", **{name: True})
            assert says in answer["error"]["desc"]
        answer = client.command("migrate", uri="file:/x", x_tls="psk=x")
        assert "'x-tls'" in answer["error"]["desc"]
        assert client.execute("query-migrate") == {}


def test_nobody_is_there(vm, folder):
    with vm.qmp() as client:
        client.execute("migrate", uri="unix:%s/nobody" % folder)
        assert statuses(client, "failed")[0] == ["setup", "failed"]
        info = client.execute("query-migrate")
        assert info["status"] == "failed" and "nobody" in info["error-desc"]
        assert client.execute("query-status")["status"] == "running"


class Silent:
    """A receiver that takes the line and never says a word."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(str(path))
        self.socket.listen()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()


def test_one_thing_at_a_time_and_cancel(vm, folder):
    with Silent(folder / "silent"), vm.qmp() as client:
        uri = "unix:%s/silent" % folder
        client.execute("migrate", uri=uri)
        for name, arguments in (("migrate", {"uri": uri}), ("x-send", {"uri": uri}),
                                ("x-save", {"file": str(folder / "state")}),
                                ("migrate-set-capabilities", {"capabilities": []})):
            answer = client.command(name, **arguments)
            assert "migrate_cancel" in answer["error"]["desc"], (name, answer)
        assert client.execute("migrate_cancel") == {}
        assert statuses(client, "cancelled")[0] == ["setup", "cancelling", "cancelled"]
        info = await_status(client, {"cancelled"})
        assert "error-desc" not in info
        assert client.execute("query-status")["status"] == "running"
        client.execute("x-save", file=str(folder / "state"))


def test_machine_ends_while_its_guest_is_sent(vm, folder):
    with Silent(folder / "silent"), vm.qmp() as client:
        client.execute("migrate", uri="unix:%s/silent" % folder)
        client.execute("quit")
        assert vm.end() == 0


def test_migrate_to_a_file_is_a_save(memvisor, folder, vm):
    path = folder / "state"
    with vm.qmp() as client:
        client.execute("migrate", uri="file:%s" % path)
        words, _ = statuses(client, "completed")
        assert words[0] == "setup" and words[-1] == "completed" and path.exists()
        assert client.execute("query-status")["status"] == "postmigrate"
        info = client.execute("query-migrate")
        assert info["status"] == "completed" and info["ram"]["total"] >= 16 << 20
        client.execute("x-save", file=str(folder / "again"))
        client.execute("cont")
        assert client.execute("query-status")["status"] == "running"
    result = vm.verb("info", path, "--diff", folder / "again", "--json")
    assert result.code in (0, 1), result
    with qmp.Vm(memvisor, folder, name="restored",
                boot=[memvisor.path, "restore", path, "--serial", "none"]) as restored:
        with restored.qmp() as client:
            assert client.execute("query-status")["status"] == "running"


# --- descriptors that clients hand over


def hand(client, fd, name):
    """The command's whole answer."""
    text = json.dumps({"execute": "getfd", "arguments": {"fdname": name}}).encode()
    if fd is None:
        client.socket.sendall(text)
    else:
        socket.send_fds(client.socket, [text], [fd])
    return client.answer()


def descriptors(vm):
    return len(os.listdir("/proc/%d/fd" % vm.process.pid))


def test_descriptors_are_kept_used_and_closed(memvisor, folder, vm, peer):
    with vm.qmp() as client:
        before = descriptors(vm)
        for each in (client, peer):
            assert "error" in hand(each, None, "a")
            assert "error" in each.command("closefd", fdname="a")
            with open("/dev/null", "rb") as null:
                assert "error" in hand(each, null.fileno(), "1a")
                assert hand(each, null.fileno(), "a")["return"] == {}
                assert hand(each, null.fileno(), "a")["return"] == {}
            each.execute("closefd", fdname="a")
            assert "error" in each.command("closefd", fdname="a")
        assert descriptors(vm) == before

        # No socket: refused by name, and it is used up.
        with open("/dev/null", "rb") as null:
            hand(client, null.fileno(), "a")
        client.command("migrate", uri="fd:a")
        info = await_status(client, {"failed"})
        assert "error-desc" in info and client.execute("query-status")["status"] == "running"
        assert "'getfd'" in client.command("migrate", uri="fd:a")["error"]["desc"]
        assert descriptors(vm) == before


def test_move_over_descriptors(memvisor, folder, vm):
    """To a receiver that is told by QMP, too."""
    ours, theirs = socket.socketpair()
    with receiver(memvisor, folder, "defer") as there, vm.qmp() as client, there.qmp() as other:
        before = descriptors(vm)
        with ours, theirs:
            hand(client, ours.fileno(), "line")
            hand(other, theirs.fileno(), "line")
        other.execute("migrate-incoming", uri="fd:line")
        client.execute("migrate", uri="fd:line")
        assert statuses(other, "completed")[0][-1] == "completed"
        assert await_status(client, {"completed"})
        assert descriptors(vm) == before
        assert other.execute("query-status")["status"] == "running"
