# SPDX-License-Identifier: Apache-2.0
"""The working set of a state: the pages that its guests touch first are noted beside it, and
brought in for the next guest; whatever is wrong with that file hinders nobody."""
import contextlib
import json
import os
import pathlib
import shutil
import struct
import tempfile
import time

import pytest

import faults
import harness
import memory_guest

MIB = 1 << 20
PAGE = 4096


class State:
    """Guests that go on from a state in a folder."""

    def __init__(self, memvisor, folder, ram):
        self.memvisor = memvisor
        self.folder = folder
        self.path = folder / "vm.state"
        self.set = folder / "vm.state.ws"
        self.ram = ram
        self.count = 0

    def save(self, guest):
        with guest.qmp() as client:
            client.execute("x-save", file=str(self.path))

    @contextlib.contextmanager
    def guest(self, *options, env=None):
        self.count += 1
        name = "restored-%d" % self.count
        with memory_guest.Guest(self.memvisor, self.folder, *options, name=name,
                                state=self.path, env=env) as guest:
            wait(lambda: (guest.rundir / "qmp.sock").exists())
            yield guest

    def touch(self, *areas, options=()):
        """What a guest says on standard error that reads these areas (offset, pages) and ends."""
        with self.guest(*options) as guest:
            for offset, pages in areas:
                assert guest.do("s", self.ram + offset, pages) == 0x55 * pages
            assert guest.end() == 0
        return guest.errors()

    def pages(self):
        """{page: age} of ram0, by the file's layout in src/migration/working-set.h."""
        data = self.set.read_bytes()
        assert data[:16] == b"memvisor set\n\0\0\0" and data[24:40] == self.path.read_bytes()[24:40]
        assert struct.unpack_from("<IIQ", data, 16)[0:2] == (1, 64)
        assert struct.unpack_from("<Q", data, 40)[0] == len(data)
        magic, kind, name, kinds, zero, version, length = struct.unpack_from("<4sHHHHIQ", data, 64)
        assert (magic, kind, zero, version) == (b"mSEC", 3, 0, 1)
        at = 64 + 24 + name + kinds
        assert data[64 + 24:at] == b"ram0touched"
        ages = {}
        for i in range(at, at + length, 16):
            first, count, age = struct.unpack_from("<QII", data, i)
            ages.update((page, age) for page in range(first, first + count))
        return ages


def pages_of(offset, count):
    return set(range(offset // PAGE, offset // PAGE + count))


@pytest.fixture(scope="module")
def saved(memvisor, tmp_path_factory):
    """The state of a guest with something in its memory, and where that is."""
    folder = tmp_path_factory.mktemp("saved")
    with memory_guest.Guest(memvisor, folder, "-m", "64M@2G") as guest:
        guest.do("f", guest.ram + 16 * MIB, 32 * MIB // PAGE, 0x55)
        with guest.qmp() as client:
            client.execute("x-save", file=str(folder / "state"))
        return folder / "state", guest.ram


@pytest.fixture
def state(memvisor, saved, tmp_path):
    shutil.copy(saved[0], tmp_path / "vm.state")
    return State(memvisor, tmp_path, saved[1])


def between(ages, first, end):
    return {page for page in ages if first // PAGE <= page < end // PAGE}


def test_what_a_guest_touches_is_noted_and_joined(state):
    assert state.touch((20 * MIB, 100)) == ""
    found = state.pages()
    assert between(found, 16 * MIB, 48 * MIB) == pages_of(20 * MIB, 100)
    # Its code and its stack, and nothing to speak of besides.
    assert 2 <= len(found) - 100 <= 64 and set(found.values()) == {0}
    assert state.touch((24 * MIB, 1), (24 * MIB + 2 * PAGE, 1)) == ""
    joined = between(state.pages(), 16 * MIB, 48 * MIB)
    assert joined == pages_of(20 * MIB, 100) | {24 * MIB // PAGE, 24 * MIB // PAGE + 2}
    assert [name for name in os.listdir(state.folder) if name.endswith(".tmp")] == []


def wait(look, seconds=60):
    """What it tells, once that is something."""
    end = time.monotonic() + seconds * harness.PATIENCE
    while not (told := look()):
        assert time.monotonic() < end
        time.sleep(0.02)
    return told


def lines_of(guest):
    """Those of --json, on standard error where the console has standard output."""
    return [json.loads(line) for line in guest.errors().splitlines() if line.startswith("{")]


def figures(guest):
    with guest.qmp() as client:
        return client.execute("x-query-restore")


def resident(guest):
    with guest.qmp() as client:
        return {block["id"]: block["resident"] for block in client.execute("x-query-blocks")}["ram0"]


def test_the_next_guest_finds_it(state):
    """What was brought is mapped before the guest asks for it, so it takes no fault."""
    offset, pages = 20 * MIB, 8 * MIB // PAGE
    state.touch((offset, pages))
    with state.guest("--json", "--paused") as guest:
        told = wait(lambda: lines_of(guest))
        assert len(told) == 1 and told[0]["first-instruction-ns"] is None
        wait(lambda: "complete-ns" in figures(guest).get("working-set", {}))
        brought = figures(guest)["working-set"]
        assert "minor-faults" not in figures(guest)
        assert brought["brought-bytes"] >= brought["bytes"] >= pages * PAGE
        assert resident(guest) >= pages * PAGE
        with guest.qmp() as client:
            client.execute("cont")
        assert guest.do("s", state.ram + offset, pages) == 0x55 * pages
        after = figures(guest)
        assert after["working-set"] == brought and after["minor-faults"] >= 0
        assert guest.end() == 0
        last = lines_of(guest)[-1]
        assert last["ended"] and last["working-set"] == brought and last["name"] == guest.name
        assert last["minor-faults"] >= after["minor-faults"] and last["major-faults"] >= 0


def test_what_is_in_memory_is_not_announced(memvisor, saved):
    """One call for each piece of the set, and none that only tells the kernel of it."""
    pieces = 100
    areas = [(16 * MIB + i * 256 * 1024, 1) for i in range(pieces)]
    with tempfile.TemporaryDirectory(dir="/dev/shm") as name:
        folder = pathlib.Path(name)
        shutil.copy(saved[0], folder / "vm.state")
        state = State(memvisor, folder, saved[1])
        state.touch(*areas)
        host = faults.Faults(memvisor, folder)
        host.arm("madvise", faults.FOR_EVER)
        with state.guest("--paused", env=host.env) as guest:
            wait(lambda: "complete-ns" in figures(guest).get("working-set", {}))
            assert figures(guest)["working-set"]["brought-bytes"] >= pieces * PAGE
            assert resident(guest) >= pieces * PAGE
            calls = host.passed
            with guest.qmp() as client:
                client.execute("quit")
        # Huge pages come with one call for several pieces, and some are others'.
        assert pieces // 8 <= calls < pieces + 60


def test_a_guest_of_a_busy_host_writes_it_while_it_runs(state):
    """After some seconds of its processor time, and what comes later is in no set."""
    with state.guest() as guest:
        guest.do("s", state.ram + 20 * MIB, 10)
        while not state.set.exists():
            guest.do("l", 500, seconds=60)
        guest.do("s", state.ram + 40 * MIB, 10)
        assert guest.end() == 0
    assert between(state.pages(), 16 * MIB, 48 * MIB) == pages_of(20 * MIB, 10)


def test_a_guest_that_never_ran_has_no_set(state):
    with state.guest("--paused") as guest:
        with guest.qmp() as client:
            assert client.execute("x-query-restore") == {"ram": "private"}
            client.execute("quit")
        assert guest.wait() == 0
    assert not state.set.exists()


def cut(data):
    return data[:-8]


def add(data):
    return data + bytes(8)


def flip(at):
    return lambda data: data[:at] + bytes([data[at] ^ 4]) + data[at + 1:]


@pytest.mark.parametrize("damage", [cut, add, flip(20), flip(40), flip(60), flip(64), flip(110), flip(-20),
                                    lambda data: b"", lambda data: data[:63], lambda data: data * 2])
def test_what_is_damaged_is_told_and_made_anew(state, damage):
    state.touch((20 * MIB, 10))
    state.set.write_bytes(damage(state.set.read_bytes()))
    said = state.touch((30 * MIB, 10)).splitlines()
    assert len(said) == 1 and "vm.state.ws' is not used: " in said[0], said
    assert between(state.pages(), 16 * MIB, 48 * MIB) == pages_of(30 * MIB, 10)
    assert state.touch((30 * MIB, 10)) == ""


def test_that_of_another_state_is_made_anew(state):
    state.touch((20 * MIB, 10))
    with state.guest() as guest:
        state.save(guest)
        assert guest.end() == 0
    said = state.touch((30 * MIB, 10)).splitlines()
    assert len(said) == 1 and "vm.state.ws': it is of another state, and is made anew" in said[0]
    assert between(state.pages(), 16 * MIB, 48 * MIB) == pages_of(30 * MIB, 10)


@pytest.mark.parametrize("kind", ["folder", "fifo"])
def test_what_is_no_file_hinders_nobody(state, kind):
    os.mkdir(state.set) if kind == "folder" else os.mkfifo(state.set)
    said = state.touch((20 * MIB, 10)).splitlines()
    assert len(said) == 2 and "vm.state.ws' is not used: it is no file" in said[0]
    assert "the working set is not kept: " in said[1] and "vm.state.ws' is no file" in said[1]


@pytest.mark.parametrize("link", [False, True])
def test_a_file_of_somebody_else_stays(state, link):
    other = state.set.with_name("other") if link else state.set
    other.write_bytes(b"mine\n")
    if link:
        state.set.symlink_to(other)
    said = state.touch((20 * MIB, 10)).splitlines()
    assert len(said) == 1 and "vm.state.ws' is not used: it is no working set" in said[0], said
    assert other.read_bytes() == b"mine\n" and state.set.is_symlink() == link


def test_copied_memory_has_none(state):
    assert state.touch((20 * MIB, 10), options=("--ram", "copy")) == ""
    assert not state.set.exists()


def test_shared_memory_notes_and_finds_it(state, saved):
    """Each guest has a copy of the state of its own, and the set goes along with it."""
    offset, pages = 20 * MIB, 8 * MIB // PAGE
    assert state.touch((offset, pages), options=("--ram", "shared")) == ""
    assert between(state.pages(), 16 * MIB, 48 * MIB) == pages_of(offset, pages)
    shutil.copy(saved[0], state.path)
    with state.guest("--ram", "shared", "--paused") as guest:
        wait(lambda: "complete-ns" in figures(guest).get("working-set", {}))
        assert figures(guest)["working-set"]["brought-bytes"] >= pages * PAGE
        assert resident(guest) >= pages * PAGE
        with guest.qmp() as client:
            client.execute("cont")
        assert guest.do("s", state.ram + offset, pages) == 0x55 * pages
        # What was brought can be written like all other memory.
        guest.do("f", state.ram + offset, pages, 0x66)
        assert guest.do("s", state.ram + offset, pages) == 0x66 * pages
        assert guest.end() == 0


def test_banks_that_are_elsewhere_have_none(state):
    assert state.touch((20 * MIB, 10), options=("-m", "64M@2G,memfd=on")) == ""
    assert not state.set.exists()


def test_many_guests_at_once(state):
    """Each writes the whole file, and none of them a part of it."""
    with contextlib.ExitStack() as stack:
        guests = [stack.enter_context(state.guest()) for _ in range(4)]
        for number, guest in enumerate(guests):
            guest.do("s", state.ram + (20 + number) * MIB, 5)
            guest.send("q")
        assert [guest.wait() for guest in guests] == [0] * 4
        assert [guest.errors() for guest in guests] == [""] * 4
    found = between(state.pages(), 16 * MIB, 48 * MIB)
    assert found and found <= set().union(*(pages_of((20 + i) * MIB, 5) for i in range(4)))
