# SPDX-License-Identifier: Apache-2.0
"""A guest that is busy with all it has goes from one process to the next, through state files,
and finds nothing that is not as it left it; and what it was is, bit for bit, what it is.

The guest is rounds-guest.c, which checks memory, registers, clock and interrupts.
"""
import hashlib
import itertools
import os
import re
import subprocess
import time

import pytest

import busy_guest
import harness
from busy_guest import BANKS, RANGES, STATUS, STATUS_AT, Chain, in_order
from gdb_remote import Remote
from qmp import Qmp, Vm
from statefile import State


@pytest.fixture(scope="module")
def binary(tmp_path_factory):
    return busy_guest.build(tmp_path_factory.mktemp("rounds"))


# --- rounds


def save_and_go_on(chain, state, mode):
    """The guest is at later lines than its state when it is killed."""
    chain.client.execute("x-save", file=str(state), mode=mode)
    lines = chain.status().lines
    chain.vm.wait_for(lambda: chain.status().lines > lines + 3, 120)
    return False


def save_paused(chain, state, mode):
    chain.client.execute("stop")
    chain.client.execute("x-save", file=str(state), mode=mode)
    return True


def save_and_pause(chain, state, mode):
    """It is paused while it is saved, as far as the test is quick enough."""
    with chain.vm.qmp() as other:
        chain.client.send({"execute": "x-save", "arguments": {"file": str(state), "mode": mode}})
        other.execute("stop")
        answer = chain.client.answer()
        assert "return" in answer, answer
        chain.client.execute("query-status")
        return not [e for e in chain.client.events + other.events if e["event"] == "RESUME"]


WAYS = (save_and_go_on, save_paused, save_and_pause)
MODES = ("live", "stop")
RAMS = ("private", "copy", "shared")
OTHER_WORDS = ((), in_order(*reversed(BANKS)))


def go_through(memvisor, folder, binary, cpus, rounds):
    """Every two of the ways meet each other in 18 rounds."""
    with Chain(memvisor, folder, binary, cpus) as chain:
        chain.goes_on()
        for number in range(rounds):
            way, mode, ram = WAYS[number % 3], MODES[number % 2], RAMS[number // 2 % 3]
            # A file that is the guest's memory is not written; others are replaced.
            state = folder / ("state-%d" % (number // 2 % 2))
            chain.client.events.clear()
            chain.leave(way(chain, state, mode))
            chain.restore(state, "--ram", ram, *OTHER_WORDS[number // 3 % 2])
            chain.arrived()
        assert chain.status().lines > rounds


@pytest.mark.parametrize("cpus", [1, 4])
def test_a_few_rounds(memvisor, tmp_path, binary, cpus):
    go_through(memvisor, tmp_path, binary, cpus, 6)


@pytest.mark.long
@pytest.mark.parametrize("cpus", [1, 4])
def test_many_rounds(memvisor, tmp_path, binary, cpus):
    go_through(memvisor, tmp_path, binary, cpus, 54)


# --- bit for bit


def registers(remote, cpus):
    """All that a debugger can read, of each CPU."""
    found = []
    for cpu in range(cpus):
        assert remote.ask(b"Hg%x" % (cpu + 1)) == b"OK"
        found.append(remote.ask(b"g"))
        for number in itertools.count():
            value = remote.ask(b"p%x" % number)
            if value.startswith(b"E"):
                break
            found.append(value)
        assert number > 100
    return found


def memory(chain):
    sums = {}
    for bank, (at, size) in RANGES.items():
        path = chain.folder / "bytes"
        chain.client.execute("pmemsave", val=at, size=size, filename=str(path))
        sums[bank] = hashlib.sha256(path.read_bytes()).hexdigest()
    return sums


def what_it_is(chain, remote, cpus):
    assert not chain.client.execute("query-status")["running"]
    return memory(chain), registers(remote, cpus)


@pytest.mark.parametrize("ram", RAMS)
@pytest.mark.parametrize("cpus", [1, 4])
def test_bit_for_bit(memvisor, tmp_path, binary, cpus, ram):
    first, second = tmp_path / "first", tmp_path / "second"
    with Chain(memvisor, tmp_path, binary, cpus, "--gdb", tmp_path / "gdb0") as chain:
        chain.goes_on()
        chain.client.execute("stop")
        with Remote(tmp_path / "gdb0") as remote:
            before = what_it_is(chain, remote, cpus)
            chain.client.execute("x-save", file=str(first))
            assert what_it_is(chain, remote, cpus) == before
            chain.leave(True)
        chain.restore(first, "--ram", ram, "--paused", "--gdb", tmp_path / "gdb1")
        with Remote(tmp_path / "gdb1") as remote:
            assert what_it_is(chain, remote, cpus) == before
            chain.client.execute("x-save", file=str(second))
            assert what_it_is(chain, remote, cpus) == before
        one, two = State(first), State(second)
        assert one.sums == two.sums and one.sums.keys() >= RANGES.keys()
        assert one.objects.keys() == two.objects.keys() >= {"vcpu/%d" % i for i in range(cpus)}
        # Each restored guest is a generation of its own; nothing else is another.
        assert {path for path in one.objects if one.objects[path] != two.objects[path]} == {"vmgenid"}
        chain.client.execute("cont")
        chain.arrived()


# --- a console that nobody reads


def test_console_that_nobody_reads(memvisor, tmp_path, binary):
    """What the guest has said, and the console has not taken, is said once."""
    state, text = tmp_path / "state", busy_guest.Text()
    argv = [memvisor.path, "run", "--firmware", binary, *in_order(*BANKS)]
    pieces = []
    for number in range(3):
        with Piped(memvisor, tmp_path, argv, "piped%d" % number) as vm:
            vm.wait_until_held_up()
            with vm.qmp() as client:
                client.execute("stop")
                client.execute("x-save", file=str(state))
                client.send({"execute": "quit"})
                pieces.append(vm.process.stdout.read())
            assert vm.process.wait() == 0
        argv = [memvisor.path, "restore", state]
    at = 0
    for piece in pieces:
        text.check(piece, at)
        at += len(piece)


class Piped:
    def __init__(self, memvisor, folder, argv, name):
        self.socket = folder / "memvisor" / name / "qmp.sock"
        self.folder = folder
        self.process = subprocess.Popen(
            [str(word) for word in (*argv, "-n", name)], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, env=dict(os.environ, XDG_RUNTIME_DIR=str(folder)))

    def qmp(self):
        return Qmp(self.socket)

    def lines(self, client):
        path = self.folder / "status"
        client.execute("pmemsave", val=STATUS_AT, size=STATUS.size, filename=str(path))
        return STATUS.unpack(path.read_bytes())[7]

    def wait_until_held_up(self):
        """It writes no line for a while, as it was going to."""
        while not self.socket.exists():
            assert self.process.poll() is None
            time.sleep(0.02)
        with self.qmp() as client:
            before, since = -1, time.monotonic()
            while before == 0 or time.monotonic() - since < harness.SLOW:
                now = self.lines(client)
                if now != before:
                    before, since = now, time.monotonic()
                time.sleep(0.05)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


# --- Linux, with more of a board

LINUX = """
(while :; do busybox head -c 100000 /dev/urandom | busybox md5sum; done) > /dev/null &
(while :; do busybox sleep 0.01; done) &
busybox dd if=/dev/urandom of=/kept bs=64k count=64 2> /dev/null
busybox md5sum /kept > /sum
i=0
while [ ! -e /enough ]; do
    i=$((i + 1))
    read up idle < /proc/uptime
    busybox md5sum -c /sum > /dev/null || echo "the file is another"
    echo "line $i at $up"
    read -t 0.05 word && touch /enough
done
echo "cpus: $(cat /sys/devices/system/cpu/online)"
echo "complaints: $(busybox dmesg | busybox grep -ciE 'stall|BUG|WARNING|lockup|clocksource.*unstable')"
"""


def save_as_it_stops(vm, state, mode):
    with vm.qmp() as client, vm.qmp() as other:
        client.send({"execute": "x-save", "arguments": {"file": str(state), "mode": mode}})
        other.execute("stop")
        assert "return" in client.answer()
        client.execute("query-status")
        if "RESUME" in [event["event"] for event in client.events + other.events]:
            client.execute("x-save", file=str(state)) # it went on before it was stopped


def linux_goes_through(memvisor, folder, initrd, cpus, rounds):
    text, out = "", folder / "out"
    argv = memvisor.boot_argv(initrd(LINUX), "-m", "96M@2G", "-m", "32M@8G", "-c", cpus, "--device",
                              "pcie-root-port,id=port", "--device", "edu,bus=port", append="quiet")
    for number in range(rounds):
        state = folder / ("state-%d" % (number % 2))
        with Vm(memvisor, folder, "--serial", "file:%s" % out, name="linux%d" % number,
                boot=argv) as vm:
            vm.wait_for(lambda: out.exists() and out.read_bytes().count(b"line ") >= 2, 240)
            save_as_it_stops(vm, state, MODES[number % 2])
        text += out.read_bytes().decode()
        out.unlink()
        argv = [memvisor.path, "restore", state, "--ram", RAMS[number % 3]]
    last = harness.run(argv, stdin="enough\n", timeout=240)
    assert last.code == 0, last
    text += last.out
    found = re.findall(r"^line (\d+) at ([\d.]+)\r$", text, re.M)
    assert [int(number) for number, _ in found] == list(range(1, len(found) + 1)), text
    times = [float(at) for _, at in found]
    assert times == sorted(times) and len(times) > rounds, text
    assert "another" not in text and re.search(r"^complaints: 0\r$", text, re.M), text
    assert re.search(r"^cpus: 0%s\r$" % ("-%d" % (cpus - 1) if cpus > 1 else ""), text, re.M), text


def test_linux_goes_through_a_few_rounds(memvisor, tmp_path, initrd):
    linux_goes_through(memvisor, tmp_path, initrd, 2, 3)


@pytest.mark.long
@pytest.mark.parametrize("cpus", [1, 4])
def test_linux_goes_through_many_rounds(memvisor, tmp_path, initrd, cpus):
    linux_goes_through(memvisor, tmp_path, initrd, cpus, 50)
