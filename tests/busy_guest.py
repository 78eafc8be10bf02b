# SPDX-License-Identifier: Apache-2.0
"""A guest that is busy with all it has and checks all of it (vm/rounds-guest.c), and goes from
one process to the next by state files; its console's text is one."""
import collections
import json
import re
import struct
import time

import harness
import memory_guest
from qmp import Vm

MIB = 1 << 20
SOURCE = harness.TOP / "tests/vm/rounds-guest.c"
BANKS = ("8M@2G,id=low", "2M@8G,id=high,thp=off", "2M@9G,id=seen,memfd=on")
RANGES = {"low": (2 << 30, 8 * MIB), "high": (8 << 30, 2 * MIB), "seen": (9 << 30, 2 * MIB)}
STATUS = struct.Struct("<8Q4Q4Q2Q")
STATUS_AT = (2 << 30) + 0x480000
Status = collections.namedtuple("Status", "cpus wrong clock hz token first second lines pages ticks rings")


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
    """The guest, in whichever process has it; the console's text is checked as one.
    on(number, argv): the command that runs argv where the process of this number is to be."""

    def __init__(self, memvisor, folder, binary, cpus, *options, env=None, on=lambda number, argv: argv):
        self.memvisor = memvisor
        self.env = env
        self.on = on
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
        self.vm = Vm(self.memvisor, self.folder, "--serial", "file:%s" % self.listen(), *options,
                     name="vm%d" % self.count, boot=self.on(self.count, boot), env=self.env)
        self.client = self.vm.qmp()
        self.count += 1

    def listen(self):
        """The file that the next process writes to."""
        return self.console

    def written(self):
        return self.console.read_bytes()

    def written_by(self, number):
        """All of it, the process having ended."""
        return (self.folder / ("console-%d" % number)).read_bytes()

    def status(self):
        path = self.folder / "status"
        self.client.execute("pmemsave", val=STATUS_AT, size=STATUS.size, filename=str(path))
        words = STATUS.unpack(path.read_bytes())
        status = Status(*words[:8], words[8:12], words[12:16], words[16:])
        assert status.wrong == 0, self.written()[-3000:]
        return status

    def goes_on(self):
        """Until every CPU, its timer, the token and the console have."""
        before = self.status()

        def has():
            now = self.status()
            each = list(zip(before.pages + before.ticks, now.pages + now.ticks))
            return (all(new > old for old, new in each[:now.cpus] + each[4:4 + now.cpus])
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

    def move(self, uri, *options, receive=()):
        """To another process, which waits at `uri` (tcp with port 0: at one that is free), with these
        options; what the sender says at the end.  The console's text goes on where it was."""
        old, client = self.vm, self.client
        began = self.began
        self.start([self.memvisor.path, "receive", uri], "--json", *receive)
        self.began = began
        if uri.startswith("tcp:"):
            at, = self.client.execute("query-migrate")["socket-address"]
            uri = "tcp:%s:%s" % (at["host"], at["port"])
        sent = old.verb("send", old.name, uri, "--json", *options)
        assert sent.code == 0, (sent, old.output(), self.vm.output())
        client.close()
        assert old.end() == 0, old.output()
        old.out.close()
        text = self.written_by(self.count - 2)
        self.text.check(text, self.at)
        self.end, self.exact = self.at + len(text), True
        return json.loads(sent.out.splitlines()[-1])

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


def build(folder):
    """The path of the flat binary, made in folder."""
    return memory_guest.build(folder, SOURCE)
