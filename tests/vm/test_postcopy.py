# SPDX-License-Identifier: Apache-2.0
"""Memory that follows its guest: it runs at the other side at once, what it touches comes first,
and a line that breaks stops it until that is taken up again, with nothing lost.

The guest that checks what it finds is rounds-guest.c, by busy_guest.Chain.
"""
import contextlib
import json
import random
import signal
import subprocess

import pytest

import busy_guest
import harness
from busy_guest import Chain
from qmp import SPIN, Vm

MIB = 1 << 20


@pytest.fixture(scope="module")
def busy(tmp_path_factory):
    return busy_guest.build(tmp_path_factory.mktemp("busy"))


WAYS = {
    "at once": ("--postcopy",),
    "after a pass": ("--postcopy", "--after", "1"),
    "channels": ("--postcopy", "--channels", "3", "--compress", "zstd"),
}


@pytest.mark.parametrize("cpus,ways", [(1, ("at once", "after a pass")), (4, ("channels", "at once"))])
def test_memory_follows_a_busy_guest(memvisor, tmp_path, busy, cpus, ways):
    with Chain(memvisor, tmp_path, busy, cpus) as chain:
        chain.goes_on()
        for number, way in enumerate(ways):
            figures = chain.move("unix:%s" % (tmp_path / ("line%d" % number)), *WAYS[way])
            chain.arrived()
            least = 0 if way == "after a pass" else MIB // 2
            assert least < figures["postcopy-bytes"] <= figures["transferred"], figures


@pytest.mark.long
@pytest.mark.parametrize("cpus", [1, 4])
def test_many_moves(memvisor, tmp_path, busy, cpus):
    with Chain(memvisor, tmp_path, busy, cpus) as chain:
        for number in range(50):
            way = sorted(WAYS)[number % 3]
            chain.move("unix:%s" % (tmp_path / ("line%d" % number)), *WAYS[way])
            chain.arrived()


# --- a line that breaks


def info(vm):
    with vm.qmp() as client:
        return client.execute("query-migrate")


def status(vm):
    with vm.qmp() as client:
        return client.execute("query-status")["status"]


def refused(vm, command, **arguments):
    with vm.qmp() as client:
        return client.command(command, **arguments)["error"]["desc"]


def send(vm, uri, *options):
    return subprocess.Popen([vm.memvisor.path, "send", vm.name, uri, *options], text=True, env=vm.env,
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def ended(process):
    out, err = process.communicate(timeout=60 * harness.PATIENCE)
    return process.returncode, out, err


class Broken:
    """A busy guest on its way, slowly, with its memory behind it; .old had it, chain.vm has it,
    and it stands still there: once it runs it asks for all of it within no time."""

    def __init__(self, chain, folder):
        self.chain, self.folder, self.lines = chain, folder, 0
        self.old, began = chain.vm, chain.began
        chain.client.close()
        uri = self.uri()
        chain.start([chain.memvisor.path, "receive", uri], "--json", "--paused")
        chain.began = began
        self.sending = send(self.old, uri, "--postcopy", "--max-bandwidth", "1M", "--json")
        self.old.wait_for(lambda: info(self.old).get("status") == "postcopy-active")

    def uri(self):
        self.lines += 1
        return "unix:%s" % (self.folder / ("line%d" % self.lines))

    def breaks(self):
        with self.old.qmp() as old:
            old.execute("migrate-pause")
        self.is_stopped()

    def breaks_while_it_runs(self):
        """False where it was faster, and has all of its memory."""
        with self.old.qmp() as old, self.chain.vm.qmp() as new:
            new.execute("cont")
            if "error" in old.command("migrate-pause"):
                return False
        self.is_stopped()
        return True

    def is_stopped(self):
        code, _, says = ended(self.sending)
        assert code == 1 and "broke, and" in says and "receive --resume" in says, says
        self.chain.vm.wait_for(lambda: info(self.chain.vm)["status"] == "postcopy-paused")
        assert status(self.chain.vm) in ("paused", "prelaunch") # it may never have run here

    def take_up(self, *options):
        new, uri = self.chain.vm, self.uri()
        told = new.verb("receive", "--resume", uri, "-n", new.name)
        assert told.code == 0 and "waits for the rest of its memory at %s" % uri in told.err, told
        self.sending = send(self.old, uri, "--resume", "--json", *options)
        return uri

    def arrives(self):
        code, out, says = ended(self.sending)
        assert code == 0, says
        assert self.old.end() == 0, self.old.output()
        chain = self.chain
        text = (chain.folder / ("console-%d" % (chain.count - 2))).read_bytes()
        chain.text.check(text, chain.at)
        chain.end, chain.exact = chain.at + len(text), True
        chain.arrived()
        return json.loads(out.splitlines()[-1])


def broken_while_it_runs(memvisor, folder, busy, stack):
    """The guest's speed is its own, so this may take some tries."""
    for number in range(20):
        place = folder / str(number)
        place.mkdir()
        chain = Chain(memvisor, place, busy, 4)
        stack.push(chain.__exit__)
        chain.goes_on()
        broken = Broken(chain, place)
        stack.push(broken.old.__exit__)
        if broken.breaks_while_it_runs():
            return broken
        ended(broken.sending)
        chain.vm.verb("quit", chain.vm.name)
    raise AssertionError("it had all of its memory each time")


def test_a_broken_line_is_taken_up(memvisor, tmp_path, busy):
    """It goes on by itself then, and all of it is there in the end."""
    with contextlib.ExitStack() as stack:
        broken = broken_while_it_runs(memvisor, tmp_path, busy, stack)
        chain = broken.chain
        for vm in (broken.old, chain.vm):
            assert "receive --resume" in refused(vm, "cont")
        assert status(broken.old) == "postmigrate"
        lost = send(broken.old, "unix:%s" % (tmp_path / "nobody"), "--resume")
        assert ended(lost)[0] == 1
        assert info(broken.old)["status"] == "postcopy-paused"
        wrong = "unix:%s" % (tmp_path / "wrong")
        assert chain.vm.verb("receive", "--resume", wrong, "-n", chain.vm.name).code == 0
        assert (tmp_path / "wrong").exists()
        broken.take_up("--max-bandwidth", "1M")
        assert not (tmp_path / "wrong").exists()
        figures = broken.arrives()
        assert figures["postcopy-bytes"] > 0
        assert info(chain.vm)["x-postcopy-waits"]["count"] > 0


def test_a_guest_that_was_paused_stays_so(memvisor, tmp_path, busy):
    """Broken at either side, twice."""
    with Chain(memvisor, tmp_path, busy, 1) as chain:
        chain.goes_on()
        broken = Broken(chain, tmp_path)
        assert "cannot be cancelled any more" in refused(broken.old, "migrate_cancel")
        broken.breaks()
        broken.take_up("--max-bandwidth", "1M")
        chain.vm.wait_for(lambda: info(chain.vm)["status"] == "postcopy-active")
        with chain.vm.qmp() as client:
            client.execute("migrate-pause")
        broken.is_stopped()
        broken.take_up("--max-bandwidth", "1000M")
        code, _, says = ended(broken.sending)
        assert code == 0, says
        chain.vm.wait_for(lambda: info(chain.vm)["status"] == "completed")
        assert status(chain.vm) in ("paused", "prelaunch")
        assert chain.vm.verb("cont", chain.vm.name).code == 0
        broken.old.end()
        chain.goes_on()


def test_sender_dies(memvisor, tmp_path, busy):
    """The guest stands still, and says what it lacks."""
    with Chain(memvisor, tmp_path, busy, 1) as chain:
        chain.goes_on()
        broken = Broken(chain, tmp_path)
        broken.old.process.send_signal(signal.SIGKILL)
        ended(broken.sending)
        new = chain.vm
        new.wait_for(lambda: info(new)["status"] == "postcopy-paused")
        assert status(new) == "prelaunch" and "of the guest's memory are still there" in new.output()
        assert "and the line there broke" in refused(new, "cont")
        assert new.verb("quit", new.name).code == 0


def test_receiver_dies(memvisor, tmp_path, busy):
    """The sender has it as it was when it left, once what it did since is given up."""
    with Chain(memvisor, tmp_path, busy, 1) as chain:
        chain.goes_on()
        broken = Broken(chain, tmp_path)
        old, new = broken.old, chain.vm
        new.process.send_signal(signal.SIGKILL)
        code, _, says = ended(broken.sending)
        assert code == 1 and "x-send-give-up" in says, says
        assert "x-send-give-up gives it up" in refused(old, "cont")
        assert old.verb("qmp", old.name, "x-send-give-up").code == 0
        assert info(old)["status"] == "failed"
        assert old.verb("cont", old.name).code == 0
        new.__exit__()
        chain.vm, chain.client, chain.count = old, old.qmp(), 1
        chain.console = tmp_path / "console-0"
        chain.goes_on()
        chain.text.check(chain.written(), 0)


def test_guest_ends_before_all_is_there(memvisor, tmp_path, busy):
    """Nobody wants the rest any more, and its sender ends as after a whole move."""
    with Chain(memvisor, tmp_path, busy, 1) as chain:
        chain.goes_on()
        broken = Broken(chain, tmp_path)
        assert chain.vm.verb("quit", chain.vm.name).code == 0
        assert ended(broken.sending)[0] == 0
        assert broken.old.end() == 0


# --- QMP, as QEMU's clients speak it


@contextlib.contextmanager
def two(memvisor, folder, **capabilities):
    image = folder / "guest.bin"
    image.write_bytes(SPIN)
    filled = folder / "filled"
    filled.write_bytes(random.Random(1).randbytes(MIB) * 64)
    uri = "unix:%s" % (folder / "line")
    with Vm(memvisor, folder, name="here", boot=[
            memvisor.path, "run", "--firmware", image, "-m", "64M,file=%s,share=off" % filled]) as here, \
            Vm(memvisor, folder, name="there", boot=[memvisor.path, "receive", uri,
                                                     "-m", "64M"]) as there, here.qmp() as client:
        client.execute("migrate-set-capabilities", capabilities=[
            {"capability": name, "state": state} for name, state in capabilities.items()])
        yield client, here, there, uri


def test_migrate_start_postcopy(memvisor, tmp_path):
    """It is begun in the middle of the first pass, and the events come in QEMU's order."""
    with two(memvisor, tmp_path, **{"postcopy-ram": True}) as (client, here, there, uri):
        assert "not on its way" in refused(here, "migrate-start-postcopy")
        client.execute("migrate-set-parameters", **{"max-bandwidth": 4 * MIB})
        client.execute("migrate", uri=uri)
        here.wait_for(lambda: info(here)["status"] == "active")
        client.execute("migrate-start-postcopy")
        seen = [client.event("MIGRATION")["data"]["status"] for _ in range(5)]
        assert seen == ["setup", "active", "device", "postcopy-active", "completed"]
        ram = info(here)["ram"]
        assert ram["postcopy-bytes"] > 8 * MIB, ram
        assert status(there) == "running" and status(here) == "postmigrate"
        assert "no memory follows" in refused(here, "migrate-pause")
        assert "has broken" in refused(here, "migrate", uri=uri, resume=True)
        assert "has broken" in refused(there, "migrate-recover", uri=uri)


def test_without_the_capability(memvisor, tmp_path):
    with two(memvisor, tmp_path, **{"postcopy-ram": False}) as (client, here, there, uri):
        client.execute("migrate-set-parameters", **{"max-bandwidth": 4 * MIB})
        client.execute("migrate", uri=uri)
        here.wait_for(lambda: info(here)["status"] == "active")
        assert "not wished" in refused(here, "migrate-start-postcopy")
        client.execute("migrate_cancel")


def test_bad_words(memvisor, tmp_path):
    with two(memvisor, tmp_path, **{"postcopy-ram": False}) as (_, here, there, uri):
        for words, says in (
                (("send", "here", uri, "--after", "2"), "--postcopy"),
                (("send", "here", uri, "--postcopy", "--after", "x"), "--after x"),
                (("send", "here", uri, "--resume", "--postcopy"), "leave --postcopy out"),
                (("send", "here", uri, "--resume"), "no guest was sent"),
                (("receive", "--resume", uri), "-n NAME"),
                (("receive", "--resume", uri, "-n", "nobody"), "nobody"),
                (("receive", "--resume", uri, "-n", "here"), "no guest came here"),
                (("receive", "--resume", "fd:5", "-n", "here"), "migrate-recover")):
            result = here.verb(*words)
            assert result.code != 0 and says in result.err and result.err.count("\n") <= 2, result
