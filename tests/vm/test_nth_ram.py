# SPDX-License-Identifier: Apache-2.0
"""A host that says no while the bytes of blocks are saved: the file that was there before is
there still, or the new one is, and nothing beside it."""
import errno
import os
import pathlib
import subprocess
import tempfile

import pytest

import faults
import harness

KINDS = faults.FILE_KINDS + ["alloc", "mmap", "open", "memfd", "space", "stat", "thread"]
OLD = b"the old file"


class Saver:
    def __init__(self, memvisor, folder):
        self.faults = faults.Faults(memvisor, folder)
        self.argv = [faults.shim(memvisor).parent / "ram-saver", folder / "files/state"]
        self.path = folder / "files/state"
        self.path.parent.mkdir()
        self.once("write", faults.FOR_EVER)
        self.whole = self.path.read_bytes()

    def once(self, kind, n, error=0):
        """Whether the failure came, and the file is the new one; with one or the other whole."""
        self.path.write_bytes(OLD)
        self.faults.arm(kind, n, error=error)
        made = subprocess.run([str(word) for word in self.argv], stdin=subprocess.DEVNULL,
                              stderr=subprocess.PIPE, text=True, timeout=60 * harness.PATIENCE,
                              env=dict(os.environ, **self.faults.env))
        fired = self.faults.disarm()
        story = "%s %d: exit %d\n%s\n%s" % (kind, n, made.returncode, made.stderr,
                                           self.faults.where() if fired else "")
        assert [path.name for path in self.path.parent.iterdir()] == ["state"], story
        if made.returncode == 0:
            assert made.stderr == "", story
        else:
            assert fired and made.returncode == 1, story
            assert made.stderr.startswith("ram-saver: ") and made.stderr.count("\n") == 1, story
        is_new = self.path.read_bytes() != OLD
        if is_new and n != faults.FOR_EVER:
            assert self.path.read_bytes() == self.whole, story
        # All is done but the last: the name may get lost with the power.
        assert is_new == (made.returncode == 0) or "is written and in its place" in made.stderr, \
            story
        return fired > 0, is_new


@pytest.fixture
def saver(memvisor):
    """In memory: a disk takes its time for each fsync."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        yield Saver(memvisor, pathlib.Path(folder))


def test_what_is_saved(saver):
    assert saver.whole[6 << 20:7 << 20] != saver.whole[7 << 20:8 << 20]
    for at in range(0, 5 << 20, 4096):
        wrote = at % (3 * 4096) == 0 or at % (7 * 4096) == 0
        page = saver.whole[(2 << 20) + at:(2 << 20) + at + 4096]
        assert page == (at.to_bytes(8, "little") if wrote else bytes(8)).ljust(4096, b"\0"), at


@pytest.mark.parametrize("kind", KINDS)
def test_each_call_that_fails(saver, kind):
    # Of the many calls of these kinds one in so many.
    step = {"write": 41, "alloc": 3}.get(kind, 1)
    n, failed = 1, 0
    while True:
        fired, is_new = saver.once(kind, n)
        if not fired:
            break
        failed += not is_new
        n += step
    assert n > 1
    # With fewer threads it goes on.
    assert failed > 0 or kind == "thread"


def test_interrupted_calls(saver):
    for n in range(1, 1000, 97):
        fired, is_new = saver.once("write", n, errno.EINTR)
        assert is_new or n > 500


def test_a_file_system_without_unnamed_files(saver):
    """A temporary file that has a name does as well, and goes where anything fails."""
    tried = [saver.once("open", n, errno.EOPNOTSUPP) for n in range(1, 20)]
    assert (True, True) in tried


def test_a_saver_that_is_killed(saver):
    for n in range(20):
        saver.path.write_bytes(OLD)
        process = subprocess.Popen([str(word) for word in saver.argv], stderr=subprocess.DEVNULL)
        try:
            process.wait(0.004 * n)
        except subprocess.TimeoutExpired:
            pass
        process.kill()
        process.wait()
        assert saver.path.read_bytes() in (OLD, saver.whole)
        left = [path for path in saver.path.parent.iterdir() if path != saver.path]
        # Between the two steps of the end it has a name already, and is whole.
        assert all(pathlib.Path(path).read_bytes() == saver.whole for path in left)
        for path in left:
            path.unlink()
