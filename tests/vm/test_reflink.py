# SPDX-License-Identifier: Apache-2.0
"""States of guests whose memory is in files of a file system that has reflinks: they have the
data in common with those files, take no room for it, and are like any other state.  What a
host needs for a file system of its own is root and loop devices; tests/unit/test-ram-reflink.c
needs neither.
"""
import json
import os
import pathlib
import shutil
import subprocess

import pytest

import harness
import memory_guest
import qmp

MIB = 1 << 20
PAGE = 4096


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A file system with reflinks, of its own."""
    mkfs = shutil.which("mkfs.xfs", path=os.environ["PATH"] + ":/usr/sbin:/sbin")
    assert mkfs, "mkfs.xfs is missing: run scripts/setup.sh check"
    top = tmp_path_factory.mktemp("reflink")
    path = top / "files"
    path.mkdir()
    if os.geteuid() != 0:
        pytest.skip("mounting a file system needs root")
    with open(top / "image", "wb") as image:
        image.truncate(512 * MIB)
    subprocess.run([mkfs, "-q", "-m", "reflink=1", top / "image"], check=True)
    made = subprocess.run(["mount", "-o", "loop", top / "image", path], capture_output=True,
                          text=True)
    if made.returncode != 0:
        pytest.skip("XFS in a file cannot be mounted here: " + made.stderr.strip())
    yield path
    subprocess.run(["umount", "-l", path], check=True)
    (top / "image").unlink()


def used(path):
    os.sync()
    stat = os.statvfs(path)
    return (stat.f_blocks - stat.f_bfree) * stat.f_frsize


def check(memvisor, path):
    """Its sums and sections are right."""
    checked = harness.run([memvisor.path, "info", path, "--verify"])
    assert checked.code == 0, checked
    checker = memvisor.path.parent / "tests/interop/state-checker"
    state = harness.run([checker, path])
    assert state.code == 0, state
    return json.loads(state.out)


def save(guest, path, **arguments):
    with guest.qmp() as client:
        return client.execute("x-save", file=str(path), **arguments)


@pytest.mark.parametrize("mode", ["live", "stop"])
def test_a_file_of_its_own(memvisor, folder, mode):
    bank = "64M@2G,file=%s,create=on,save=on" % (folder / ("ram-" + mode))
    path = folder / ("state-" + mode)
    with memory_guest.Guest(memvisor, folder, "-m", bank, name=mode) as guest:
        guest.do("f", guest.ram + 16 * MIB, 32 * MIB // PAGE, 0x55)
        before = used(folder)
        guest.send("l", 300) # it goes on writing meanwhile
        figures = save(guest, path, mode=mode)
        assert guest.answer(60) is None
        assert 32 * MIB <= figures["shared"] <= 48 * MIB and not figures["stays-paused"]
        assert figures["bytes"] <= 2 * MIB
        assert used(folder) - before < 16 * MIB
        again = save(guest, path.with_suffix(".2"), mode=mode)
        assert 32 * MIB <= again["shared"] <= 48 * MIB
        assert used(folder) - before < 16 * MIB
        check(memvisor, path)
        # It goes on, and none of the states changes with it.
        guest.do("f", guest.ram + 16 * MIB, 32 * MIB // PAGE, 0x66)
        ram = guest.ram
        guest.end()
    check(memvisor, path.with_suffix(".2"))
    for way in ("private", "copy"):
        with memory_guest.Guest(memvisor, folder, "-m", "64M@2G", "--ram", way, state=path,
                                name="again-" + way) as guest:
            # It was saved somewhere in the command before, whose end is not to be this one's.
            guest.send("")
            guest.send("s", ram + 16 * MIB, 32 * MIB // PAGE)
            while not (line := guest.line(60)).startswith("= "):
                pass
            assert int(line[2:], 16) == 0x55 * (32 * MIB // PAGE)
            guest.end()


def test_private_memory_is_copied(memvisor, folder):
    """What the guest changed is in no file."""
    file, path = folder / "image", folder / "state"
    file.write_bytes(b"\1" * 64 * MIB)
    with memory_guest.Guest(memvisor, folder, "-m", "64M@2G,file=%s,share=off" % file) as guest:
        guest.do("f", guest.ram + 16 * MIB, 100, 0x77)
        figures = save(guest, path)
        assert figures["shared"] == 0 and figures["bytes"] > 60 * MIB
        ram = guest.ram
        guest.end()
    check(memvisor, path)
    with memory_guest.Guest(memvisor, folder, state=path, name="again") as guest:
        assert guest.do("s", ram + 16 * MIB, 100) == 0x77 * 100
        guest.end()


def test_memory_in_a_state(memvisor, folder):
    """Under --ram shared the guest's memory is in the state that it came from."""
    first, second = folder / "first", folder / "second"
    with memory_guest.Guest(memvisor, folder, "-m", "64M@2G") as guest:
        guest.do("f", guest.ram + 16 * MIB, 32 * MIB // PAGE, 0x55)
        assert save(guest, first)["shared"] == 0
        ram = guest.ram
        guest.end()
    with memory_guest.Guest(memvisor, folder, "--ram", "shared", state=first, name="next") as guest:
        guest.do("f", ram + 16 * MIB, 10, 0x66)
        figures = save(guest, second)
        assert figures["shared"] >= 32 * MIB
        said = harness.run([memvisor.path, "save", "next", second], env=guest.env)
        assert said.code == 0 and said.out.splitlines()[1].endswith(
            " of it were not copied: %s has them in common with the guest's own files" % second), said
        guest.end()
    check(memvisor, second)
    with memory_guest.Guest(memvisor, folder, state=second, name="last") as guest:
        assert guest.do("s", ram + 16 * MIB, 20) == 0x66 * 10 + 0x55 * 10
        guest.end()


def test_a_state_that_builds_on_another(memvisor, folder):
    """What other processes can write is whole in each, and takes no room in any."""
    bank = "64M@2G,file=%s,create=on,save=on" % (folder / "ram-base")
    first, second = folder / "base", folder / "later"
    with memory_guest.Guest(memvisor, folder, "-m", bank) as guest:
        guest.do("f", guest.ram + 16 * MIB, 8 * MIB // PAGE, 0x55)
        save(guest, first)
        guest.do("f", guest.ram + 16 * MIB, 10, 0x66)
        assert save(guest, second, base=str(first))["shared"] >= 8 * MIB
        ram = guest.ram
        guest.end()
    with memory_guest.Guest(memvisor, folder, "-m", "64M@2G", state=second, name="last") as guest:
        assert guest.do("s", ram + 16 * MIB, 20) == 0x66 * 10 + 0x55 * 10
        guest.end()


def test_measuring(memvisor, folder):
    measured = harness.run([harness.TOP / "bench/save.py", "--memvisor", memvisor.path, "--reflink",
                            folder, "--mib", "32", "--rounds", "1"], timeout=120)
    assert measured.code == 0 and measured.out.count("of its time\n") == 2, measured
