# SPDX-License-Identifier: Apache-2.0
"""A host that says no to an ivshmem server: with the Nth call of a kind failing it
starts as it should or ends with one line, and once it serves it goes on, keeps the
peers that it has, and lets the next one in.
"""
import os
import pathlib
import signal
import subprocess
import time

import pytest

import faults
import harness
import ivshmem as ivshmem_tools

VECTORS = 3


class Server:
    """memvisor's, under the shim."""

    def __init__(self, memvisor, folder):
        self.folder, self.path = folder, folder / "sock"
        self.faults = faults.Faults(memvisor, folder)
        self.argv = [str(memvisor.path), "ivshmem-server", str(self.path), "--size", "1M",
                     "--vectors", str(VECTORS)]
        self.process = None

    def start(self):
        self.err = open(self.folder / "err", "w+")
        self.process = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stderr=self.err,
                                        env=dict(os.environ, **self.faults.env))
        return self

    def wait(self):
        """Whether it listens; else it has ended."""
        end = time.monotonic() + 60 * harness.PATIENCE
        while self.process.poll() is None and time.monotonic() < end:
            if self.path.exists():
                return True
            time.sleep(0.002)
        return False

    def said(self):
        return pathlib.Path(self.err.name).read_text()

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(60 * harness.PATIENCE)
        finally:
            self.process.kill()
            self.process.wait()
            self.err.close()

    def story(self, kind, n):
        return "%s %d: %s\n%s" % (kind, n, self.faults.where(), self.said())

    def resources(self):
        return (len(os.listdir("/proc/%d/fd" % self.process.pid)), self.faults.blocks)

    def rests(self):
        held, before = self.resources(), None
        while held != before:
            time.sleep(0.05)
            held, before = self.resources(), held
        return held

    def left(self):
        return sorted(name for name in os.listdir(self.folder) if name not in ("faults", "err"))


def join(server, seconds=60):
    """A peer that got all of its own vectors; None where it was turned away."""
    try:
        peer = ivshmem_tools.Peer(server.path)
    except (ivshmem_tools.Gone, ConnectionError, FileNotFoundError):
        return None
    try:
        while len(peer.peers.get(peer.id, [])) < VECTORS:
            peer.take(seconds)
    except (ivshmem_tools.Gone, ConnectionError):
        peer.close()
        return None
    return peer


@pytest.mark.parametrize("kind", faults.KINDS)
def test_start(memvisor, tmp_path, kind):
    server = Server(memvisor, tmp_path)
    for n in range(1, 400):
        server.faults.arm(kind, n)
        server.start()
        listens = server.wait()
        peer = join(server) if listens else None
        if listens and peer is None:
            peer = join(server)  # the first may have been turned away, the next comes in
        story = server.story(kind, n)
        if peer is not None:
            peer.close()
        code = server.stop()
        story = "%d %s" % (code, server.story(kind, n))
        assert not server.left(), (server.left(), story)
        if peer is not None:
            assert code == 0, story
        else:
            assert code == 1, story
            assert len([line for line in story.splitlines()
                        if line.startswith("memvisor: ivshmem-server: ")
                        and " MiB in " not in line]) == 1, story
        if not server.faults.fired:
            return
    assert False, "that is no end"


@pytest.mark.parametrize("kind", faults.KINDS)
def test_peer_that_comes(memvisor, tmp_path, kind):
    server = Server(memvisor, tmp_path).start()
    try:
        assert server.wait()
        first = join(server)
        for _ in range(2):
            join(server).close()
        begin = server.rests()
        for n in range(1, 400):
            server.faults.arm(kind, n)
            second = join(server)
            server.faults.disarm()
            story = server.story(kind, n)
            assert server.process.poll() is None, story
            third = join(server)
            assert third is not None, story
            # All that are there know of one another.
            there = [first, third] + ([second] if second is not None else [])
            for peer in there:
                peer.knows(sorted(other.id for other in there), VECTORS)
            for peer in there[1:]:
                peer.close()
            first.knows([first.id], VECTORS)
            end = time.monotonic() + 20 * harness.PATIENCE
            while server.resources() != begin:
                assert time.monotonic() < end, (begin, server.resources(), story)
                time.sleep(0.002)
            if not server.faults.fired:
                break
        first.close()
    finally:
        code = server.stop()
    assert code == 0
