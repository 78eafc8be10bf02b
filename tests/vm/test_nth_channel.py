# SPDX-License-Identifier: Apache-2.0
"""A host that says no while two processes talk: each side ends, says why, and leaves nothing."""
import os
import pathlib
import subprocess
import time

import pytest

import faults
import harness

KINDS = ["alloc", "eventfd", "dup", "open", "socket", "accept", "receive", "thread"]


class User:
    """tests/fault/channel-user, which goes on after each failure."""

    def __init__(self, memvisor, folder):
        self.faults = faults.Faults(memvisor, folder)
        self.process = subprocess.Popen(
            [faults.shim(memvisor).parent / "channel-user"], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True, bufsize=1, env=dict(os.environ, **self.faults.env))

    def use(self, words):
        """What was said."""
        self.process.stdin.write(words + "\n")
        said = []
        while (line := self.process.stdout.readline()) != "done\n":
            assert line, "it ended with %s, after %s\n%s" % (self.process.wait(), said,
                                                            self.faults.where())
            said.append(line.rstrip("\n"))
        return said

    def has(self):
        """What the process has: descriptors, children, threads, allocations."""
        proc = pathlib.Path("/proc/%d" % self.process.pid)
        children = (proc / "task" / str(self.process.pid) / "children").read_text()
        threads = len(os.listdir(proc / "task"))
        return sorted(os.listdir(proc / "fd")), children, threads, self.faults.blocks


@pytest.fixture
def user(memvisor, tmp_path):
    made = User(memvisor, tmp_path)
    yield made
    made.process.stdin.close()
    made.process.wait(60)


def wait_for(holds):
    """A thread that looked up a name lets go of what it has a little later."""
    until = time.monotonic() + 5 * harness.PATIENCE
    while not holds() and time.monotonic() < until:
        time.sleep(0.01)
    return holds()


def try_all(user, words, kinds, compared=4):
    for _ in range(3): # the first has GnuTLS loaded, names' configuration read
        assert user.use(words) == []
        assert wait_for(lambda: user.has()[:3] == (["0", "1", "2"], "", 1)), user.has()
    has = user.has()
    for kind in kinds:
        n = 1
        while True:
            fired, said, story = once(user, words, kind, n)
            if not wait_for(lambda: user.has()[:compared] == has[:compared]):
                has = keeps_no_more(user, words, kind, n, has, story)
            assert all(said), story
            if not fired:
                assert said == [], story
                break
            n += 1


def once(user, words, kind, n):
    user.faults.arm(kind, n)
    said = user.use(words)
    fired = user.faults.disarm()
    return fired, said, "%s: %s %d: %s\n%s" % (words, kind, n, said,
                                              user.faults.where() if fired else "")


def keeps_no_more(user, words, kind, n, before, story):
    """Two threads that looked up names at the same time leave a stack more than ever before, but
    once: what is lost is lost again."""
    has = user.has()
    assert has[:3] == before[:3], (story, has, before)
    for _ in range(2):
        once(user, words, kind, n)
        assert wait_for(lambda: user.has() == has), (story, user.has(), has, before)
    return has


def test_plain(user, tmp_path):
    for uri in "tcp:127.0.0.1:0", "unix:%s" % (tmp_path / "socket"):
        try_all(user, uri, KINDS)


def test_a_name(user):
    """But allocations, without which the C library leaves files open itself."""
    try_all(user, "tcp:localhost:0", [kind for kind in KINDS if kind not in ("alloc", "open")])


def test_a_command(user):
    try_all(user, "exec:cat", KINDS)


def test_tls(user, tmp_path):
    """But allocations: the arithmetic below GnuTLS ends the process without memory; and it keeps
    some more or less of it, of which AddressSanitizer knows in the unit tests."""
    key = tmp_path / "psk"
    key.write_text("alice:000102030405060708090a0b0c0d0e0f\n")
    key.chmod(0o600)
    try_all(user, "tcp:127.0.0.1:0 psk=%s" % key, [kind for kind in KINDS if kind != "alloc"],
            compared=3)
