# SPDX-License-Identifier: Apache-2.0
"""Hosts that say no: the Nth call of a kind fails in a memvisor that a test runs,
by tests/fault/fault-shim.c, which has the same page of memory."""
import mmap
import pathlib
import shutil
import struct
import subprocess

import pytest

import harness

SIZE = 4096
KIND, ARMED, ERROR, LEFT, TIMES, FIRED, DEPTH, BLOCKS, BASE, STACK = (
    0, 16, 20, 24, 32, 40, 44, 48, 56, 64)
FOR_EVER = 1 << 40

# Every kind that the shim knows.
KINDS = ["alloc", "mmap", "madvise", "mlock", "open", "memfd", "eventfd", "timer", "epoll", "dup",
         "space", "folder", "stat", "socket", "accept", "receive", "send", "thread"]
# And those of who writes a file that takes another's place.
FILE_KINDS = ["write", "sync", "link"]
# Of who reads one; and reads and writes that do half of what they should.
READ_KINDS = ["read", "short"]
# And of who makes processes.
FORK_KINDS = ["fork"]


def shim(memvisor):
    """The shim that was built with the memvisor under test."""
    path = pathlib.Path(memvisor.path).parent / "tests/fault/fault-shim.so"
    if not path.exists():
        if harness.SLOW > 1:
            pytest.skip("a sanitizer has the allocator and the calls for itself: no shim")
        pytest.fail("%s is missing: run make" % path, pytrace=False)
    return path


class Faults:
    """The page.  Give env to the process."""

    def __init__(self, memvisor, folder):
        self.path = pathlib.Path(folder) / "faults"
        self.path.write_bytes(bytes(SIZE))
        with open(self.path, "r+b") as file:
            self.page = mmap.mmap(file.fileno(), SIZE)
        self.memvisor = memvisor
        self.env = {"LD_PRELOAD": str(shim(memvisor)), "MEMVISOR_FAULTS": str(self.path)}

    def _put(self, kind, offset, value):
        struct.pack_into(kind, self.page, offset, value)

    def _get(self, kind, offset):
        return struct.unpack_from(kind, self.page, offset)[0]

    def arm(self, kind, n, times=1, error=0):
        """The nth call from now on fails, with the errno or as is usual, and so do times - 1
        after it."""
        assert kind in KINDS + FILE_KINDS + READ_KINDS + FORK_KINDS
        self.disarm()
        self.page[KIND:KIND + 16] = kind.encode().ljust(16, b"\0")
        self._put("q", LEFT, n - 1)
        self._put("q", TIMES, times)
        self._put("i", ERROR, error)
        self._put("I", FIRED, 0)
        self._put("I", DEPTH, 0)
        self._put("I", ARMED, 1)

    def disarm(self):
        """No call fails any more.  Returns how many did."""
        self._put("I", ARMED, 0)
        return self.fired

    @property
    def fired(self):
        return self._get("I", FIRED)

    @property
    def passed(self):
        """How many calls have passed, of FOR_EVER."""
        return FOR_EVER - 1 - self._get("q", LEFT)

    @property
    def blocks(self):
        """How many allocations there are."""
        return self._get("q", BLOCKS)

    def where(self):
        """The calls that led to the first failure, for a message."""
        depth, base = self._get("I", DEPTH), self._get("Q", BASE)
        stack = struct.unpack_from("%dQ" % depth, self.page, STACK)
        # Where it will return to is behind the call.
        words = ["%#x" % (address - base - 1) for address in stack if address > base]
        if not words or not shutil.which("addr2line"):
            return "?"
        told = subprocess.run(["addr2line", "-fsp", "-e", self.memvisor.path, *words],
                              stdout=subprocess.PIPE, text=True, check=False).stdout
        return " < ".join(line.replace(" at ", " ") for line in told.splitlines()
                          if "??" not in line)

