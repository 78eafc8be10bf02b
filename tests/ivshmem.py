# SPDX-License-Identifier: Apache-2.0
"""A peer and a server of the ivshmem protocol for the tests, written from its
specification (QEMU's docs/specs/ivshmem-spec.rst) and not from src/ivshmem."""
import array
import contextlib
import json
import os
import select
import signal
import socket
import struct
import subprocess
import time

import pytest

import harness

QEMU_TOOLS = harness.GUEST_FILES / "qemu"


def reference_tools():
    """The folder of QEMU's reference server and client, fetched and built once.
    They are Debian's source alone, so without a network there is nothing to
    hold memvisor against."""
    made = harness.run([harness.TOP / "scripts/qemu-reference.sh"], timeout=600)
    if made.code != 0:
        pytest.skip("QEMU's reference programs cannot be had: %s" % made.err)
    return QEMU_TOOLS


class Gone(Exception):
    """The other side ended the connection."""


def receive(sock, timeout=60):
    """One message, as (value, [descriptors])."""
    sock.settimeout(timeout * harness.PATIENCE)
    data, fds = b"", array.array("i")
    while len(data) < 8:
        part, ancillary, _, _ = sock.recvmsg(8 - len(data), socket.CMSG_SPACE(16))
        for level, kind, room in ancillary:
            assert (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS)
            fds.frombytes(room)
        if not part:
            raise Gone()
        data += part
    return struct.unpack("<q", data)[0], list(fds)


class Peer:
    """Connects and keeps the view that the messages give."""

    def __init__(self, path):
        self.log = []  # (value, number of descriptors), as they came
        self.peers = {}
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(path))
        self.memory = self.id = None
        version, fds = self.next()
        assert (version, fds) == (0, [])
        self.id, fds = self.next()
        assert fds == [] and 0 <= self.id < 65536
        value, fds = self.next()
        assert value == -1 and len(fds) == 1
        self.memory = fds[0]

    def next(self, timeout=60):
        value, fds = receive(self.sock, timeout)
        self.log.append((value, len(fds)))
        return value, fds

    def take(self, timeout=60):
        """One message behind the greeting, into the view."""
        value, fds = self.next(timeout)
        if fds:
            self.peers.setdefault(value, []).extend(fds)
        else:
            for fd in self.peers.pop(value):
                os.close(fd)
        return value

    def until(self, condition, seconds=60):
        end = time.monotonic() + seconds * harness.PATIENCE
        while not condition(self):
            left = end - time.monotonic()
            assert left > 0, "view of %s: %s" % (self.id, sorted(self.peers))
            self.take(left / harness.PATIENCE)
        return self

    def knows(self, ids, vectors=1):
        """Takes messages until these are the peers (its own ID among them)."""
        wanted = {one: vectors for one in ids}
        return self.until(
            lambda self: {one: len(fds) for one, fds in self.peers.items()} == wanted)

    def ring(self, peer, vector):
        os.write(self.peers[peer][vector], struct.pack("=Q", 1))

    def rung(self, vector, timeout=60):
        fd = self.peers[self.id][vector]
        poll = select.poll()  # select() knows descriptors up to 1023 alone
        poll.register(fd, select.POLLIN)
        if not poll.poll(timeout * 1000 * harness.PATIENCE):
            return 0
        return struct.unpack("=Q", os.read(fd, 8))[0]

    def close(self):
        self.sock.close()
        for fd in [self.memory] + [fd for fds in self.peers.values() for fd in fds]:
            if fd is not None:
                os.close(fd)
        self.memory, self.peers = None, {}


def listens(path, pid):
    """As harness.listens, for servers of ours, too: the kernel knows their sockets by another
    name, which they had until they listened."""
    early = "%s/.%x-" % (path.parent, pid)
    ours = (name for name in harness.listening() if name.startswith(early))
    return harness.listens(path) or (path.exists() and any(not os.path.exists(n) for n in ours))


@contextlib.contextmanager
def running(argv, path, errors, **more):
    """A server's process, from when its socket listens."""
    with open(errors, "ab") as err:
        process = subprocess.Popen([str(arg) for arg in argv], stdin=subprocess.DEVNULL,
                                   stdout=err, stderr=err, **more)
    try:
        end = time.monotonic() + 10 * harness.PATIENCE
        while not listens(path, process.pid):
            assert process.poll() is None and time.monotonic() < end, errors.read_text()
            time.sleep(0.01)
        process.path = path
        process.errors = errors
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(10 * harness.PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise
        text = errors.read_text()
        assert "Sanitizer" not in text and "runtime error" not in text, text


def our_server(memvisor, folder, *options, name="sock", size="1M", vectors=1, **more):
    """memvisor's server at folder/name; in `with`."""
    path = folder / name
    return running([memvisor.path, "ivshmem-server", path, "--size", size, "--vectors", vectors,
                    *options], path, folder / (name + ".err"), **more)


def reference_server(folder, vectors=1, size="1M", name="reference"):
    """QEMU's own server; in `with`."""
    path = folder / name
    return running([QEMU_TOOLS / "ivshmem-server", "-F", "-S", path, "-l", size, "-n", vectors,
                    "-M", "memvisor-test-%d" % os.getpid()], path, folder / (name + ".err"))


def status(memvisor, path):
    result = memvisor.run("ivshmem-server", path, "--status", "--json")
    assert result.code == 0, result
    return json.loads(result.out)
