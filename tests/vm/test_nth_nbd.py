# SPDX-License-Identifier: Apache-2.0
"""A host that says no to a VM whose bank is an NBD export: it starts or says why not; a page that
the guest needs comes, or the guest is paused and has it when it is told to go on; and what it
wrote goes back to the export, or that is refused, and goes the next time.
"""
import random
import select

import pytest

import faults
import harness
import memory_guest
import nbd
from test_nth_move import wait_for
from test_nth_start import Start, try_each

MIB = 1 << 20
BASE = 0x200000000
SIZE = 1024
# Of each kind's calls, one in so many.  What every VM has is tried by test_nth_start.py.
START = {"alloc": 211, "socket": 1, "receive": 9, "send": 5, "thread": 3}
READ = ["alloc", "receive", "send", "socket"]
WRITE = {"alloc": 13, "receive": 7, "send": 7}


class StartWithExport(Start):
    """memvisor run with a bank in an export, beside what every VM has."""

    BLOCKS = 7

    def __init__(self, memvisor, folder, uri):
        super().__init__(memvisor, folder)
        self.argv += ["-m", "4M@8G,nbd=" + uri]


@pytest.fixture
def export(tmp_path):
    """A number at the beginning of each MiB."""
    image = tmp_path / "image"
    with open(image, "wb") as file:
        file.truncate(SIZE * MIB)
        for number in range(SIZE):
            file.seek(number * MIB)
            file.write((number + 7).to_bytes(8, "little"))
    with nbd.Server(image, tmp_path / "export") as server:
        yield server


def start(memvisor, folder, steps):
    image = folder / "image"
    image.write_bytes(bytes(4 * MIB))
    (folder / "vm").mkdir()
    with nbd.Server(image, folder / "export") as server:
        vm = StartWithExport(memvisor, folder / "vm", server.uri)
        for kind, step in steps.items():
            try_each(vm, kind, step)


def test_start(memvisor, tmp_path):
    start(memvisor, tmp_path, START)


@pytest.mark.long
def test_start_every_call(memvisor, tmp_path):
    start(memvisor, tmp_path, {kind: 1 for kind in ("mmap", "eventfd", *START)})


class Reader:
    """A guest that touches pages that nobody has touched, each time."""

    def __init__(self, memvisor, folder, export):
        self.export = export
        self.export.revive()
        self.faults = faults.Faults(memvisor, folder)
        self.vm = memory_guest.Guest(
            memvisor, folder, "-m", "16M", "-m", "%dM@8G,share=on,nbd=%s" % (SIZE, export.uri),
            binary=memory_guest.build(folder), env=self.faults.env)
        self.order = random.Random(1).sample(range(SIZE), SIZE)
        self.client = self.vm.qmp()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.client.close()
        self.vm.__exit__()

    def try_one(self, kind, n):
        """Whether a call failed."""
        number, said = self.order.pop(), len(self.vm.errors())
        self.faults.arm(kind, n)
        self.vm.send("r", BASE + number * MIB)
        answers = wait_for(lambda: self.answers() or "paused" in self.vm.errors()[said:])
        fired = self.faults.disarm()
        story = "%s %d: %s\n%s" % (kind, n, self.faults.where() if fired else "",
                                  self.vm.errors()[said:])
        assert answers, story
        if not self.answers():
            assert fired and "block ram1 has no byte" in story, story
            self.client.event("STOP")
            self.export.revive()
            self.client.execute("cont")
        assert self.vm.answer() == number + 7, story
        return fired

    def answers(self):
        return self.vm.pending or select.select([self.vm.process.stdout], [], [], 0)[0]

    def sync(self):
        """The answer; empty where the connection ended, and then there is another."""
        self.export.revive()
        try:
            return self.client.command("x-block-sync")
        except (AssertionError, OSError):
            self.client.close()
            self.client = self.vm.qmp()
            return {}

    def write_back(self, kind, n):
        """The same for pages that were written."""
        numbers = [self.order.pop() for _ in range(24)]
        for number in numbers:
            self.vm.do("w", BASE + number * MIB, number + n + 1000)
        self.faults.arm(kind, n)
        answer = self.sync()
        fired = self.faults.disarm()
        story = "%s %d: %s\n%s" % (kind, n, answer, self.faults.where() if fired else "")
        assert fired or "return" in answer, story
        if fired:
            assert wait_for(lambda: "return" in self.sync(), 20), story
        with open(self.export.file, "rb") as file:
            for number in numbers:
                file.seek(number * MIB)
                assert int.from_bytes(file.read(8), "little") == number + n + 1000, story
        return fired


def try_all(memvisor, folder, export, steps, once):
    """Each kind with one guest, but allocations: what has been allocated once is kept."""
    for kind, step in steps.items():
        n, fired, reader = 1, True, None
        while fired:
            reader = reader or Reader(memvisor, folder, export)
            fired = once(reader, kind, n)
            n += step
            if kind == "alloc" or not fired or len(reader.order) < 64:
                assert reader.vm.end() == 0, reader.vm.errors()
                reader.__exit__()
                reader = None


def test_pages(memvisor, tmp_path, export):
    try_all(memvisor, tmp_path, export, {kind: 1 for kind in READ},
            lambda reader, kind, n: reader.try_one(kind, n))


def write(reader, kind, n):
    return reader.write_back(kind, n)


def test_writing_back(memvisor, tmp_path, export):
    try_all(memvisor, tmp_path, export, WRITE, write)


@pytest.mark.long
def test_writing_back_every_call(memvisor, tmp_path, export):
    try_all(memvisor, tmp_path, export, {kind: 1 for kind in READ}, write)
