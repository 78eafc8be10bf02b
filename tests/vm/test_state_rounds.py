# SPDX-License-Identifier: Apache-2.0
"""A guest that is busy with all it has goes from one process to the next, through state files,
and finds nothing that is not as it left it; and what it was is, bit for bit, what it is.

The guest is rounds-guest.c, which checks memory, registers, clock and interrupts.
"""
import collections
import hashlib
import itertools
import re
import struct
import time

import pytest

import harness
import memory_guest
from gdb_remote import Remote
from qmp import Vm
from statefile import State

MIB = 1 << 20
SOURCE = harness.TOP / "tests/vm/rounds-guest.c"
BANKS = ("8M@2G,id=low", "2M@8G,id=high,thp=off", "2M@9G,id=seen,memfd=on")
RANGES = {"low": (2 << 30, 8 * MIB), "high": (8 << 30, 2 * MIB), "seen": (9 << 30, 2 * MIB)}
STATUS = struct.Struct("<8Q4Q4Q")
STATUS_AT = (2 << 30) + 0x480000
Status = collections.namedtuple("Status", "cpus wrong clock hz token first second lines pages ticks")


def in_order(*banks):
    return [word for bank in banks for word in ("-m", bank)]


# --- the console's text, which is always the same


def word_of(at, of):
    mask = (1 << 64) - 1
    x = (at + of * 0x9e3779b97f4a7c15) * 0xd6e8feb86659fd93 & mask
    return x ^ x >> 32


def line(number):
    return b"%d: the quick brown fox jumps over the lazy dog, %x\n" % (number, word_of(number, 7))


class Text:
    """What the guest writes, as far as it has been asked for."""

    def __init__(self):
        self.bytes = bytearray()
        self.starts = []

    def reach(self, size=0, lines=0):
        while len(self.bytes) < size or len(self.starts) <= lines:
            self.starts.append(len(self.bytes))
            self.bytes += line(len(self.starts) - 1)

    def place(self, piece):
        """Where a piece with a whole line's beginning in it belongs; it is checked whole."""
        found = re.search(rb"\n(\d+):", piece)
        assert found, "no line: %r" % piece[:300]
        number = int(found.group(1))
        self.reach(lines=number)
        at = self.starts[number] - (found.start() + 1)
        self.check(piece, at)
        return at

    def check(self, piece, at):
        self.reach(size=at + len(piece))
        want = self.bytes[at:at + len(piece)]
        if piece != want:
            where = next(i for i, (a, b) in enumerate(zip(piece, want)) if a != b)
            raise AssertionError("the console goes on otherwise at byte %d: %r, not %r" % (
                where, piece[max(where - 80, 0):where + 300], bytes(want[max(where - 80, 0):where + 80])))


# --- one guest in many processes


class Chain:
    """The guest, in whichever process has it; the console's text is checked as one."""

    def __init__(self, memvisor, folder, binary, cpus, *options):
        self.memvisor = memvisor
        self.folder = folder
        self.count = 0
        self.text = Text()
        self.alive = 0.0
        self.vm = self.client = None
        self.start([memvisor.path, "run", "--firmware", binary, "-c", str(cpus), *in_order(*BANKS)],
                   *options)
        self.at = 0
        self.vm.wait_for(lambda: self.status().cpus == cpus)
        self.first = self.status().clock

    def start(self, boot, *options):
        self.console = self.folder / ("console-%d" % self.count)
        self.began = time.monotonic()
        self.vm = Vm(self.memvisor, self.folder, "--serial", "file:%s" % self.console, *options,
                     name="vm%d" % self.count, boot=boot)
        self.client = self.vm.qmp()
        self.count += 1

    def written(self):
        return self.console.read_bytes()

    def status(self):
        path = self.folder / "status"
        self.client.execute("pmemsave", val=STATUS_AT, size=STATUS.size, filename=str(path))
        words = STATUS.unpack(path.read_bytes())
        status = Status(*words[:8], words[8:12], words[12:])
        assert status.wrong == 0, self.written()[-3000:]
        return status

    def goes_on(self):
        """Until every CPU, its timer, the token and the console have."""
        before = self.status()

        def has():
            now = self.status()
            each = zip(before.pages + before.ticks, now.pages + now.ticks)
            return (all(new > old for old, new in list(each)[:now.cpus] + list(each)[4:4 + now.cpus])
                    and now.token >= before.token + now.cpus and now.lines >= before.lines + 3)
        self.vm.wait_for(has, 120)

    def leave(self, exact):
        """The process ends.  exact: the state is what it is now, and not of before."""
        self.client.close()
        self.vm.__exit__()
        self.alive += time.monotonic() - self.began
        text = self.written()
        self.text.check(text, self.at)
        self.end = self.at + len(text)
        self.exact = exact

    def restore(self, state, *options):
        self.start([self.memvisor.path, "restore", state], *options)

    def arrived(self):
        """It goes on, from where it was in its text."""
        self.vm.wait_for(lambda: self.written().count(b"\n") > 2, 120)
        at = self.text.place(self.written())
        assert at == self.end if self.exact else at <= self.end, (at, self.end)
        self.at = at
        self.goes_on()
        status = self.status()
        alive = self.alive + time.monotonic() - self.began
        assert (status.clock - self.first) / status.hz <= alive, "guest time goes on without guest"

    def __enter__(self):
        return self

    def __exit__(self, *problem):
        self.vm.__exit__(*problem)


@pytest.fixture(scope="module")
def binary(tmp_path_factory):
    return memory_guest.build(tmp_path_factory.mktemp("rounds"), SOURCE)


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
