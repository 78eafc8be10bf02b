# SPDX-License-Identifier: Apache-2.0
"""Lines and links that fail as a test wants it: tests/fault/stream-relay.c between two
sockets, tests/fault/link-relay.c between two hosts.  Their heads say what the words mean."""
import pathlib
import queue
import socket
import subprocess
import threading

import pytest

import harness


class Relay:
    """A program of tests/fault that is steered by lines; ends with the block."""

    def __init__(self, memvisor, name, *words):
        self.argv = [str(pathlib.Path(memvisor.path).parent / "tests/fault" / name), *words]
        self.process = subprocess.Popen(self.argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True, bufsize=1)
        self.lines = queue.Queue()
        self.told = []
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(line.split())
        self.lines.put(None)

    def say(self, *words):
        for word in words:
            self.process.stdin.write(word + "\n")
        self.process.stdin.flush()

    def wait(self, word, timeout=60):
        """What stands behind the word in the next line that begins with it."""
        while True:
            line = self.lines.get(timeout=timeout * harness.SLOW)
            if line is None:
                raise RuntimeError("%s: %s" % (self.argv, self.process.stderr.read()))
            self.told.append(line)
            if line[0] == word:
                return line[1:]

    def numbers(self, word, timeout=60):
        return [int(number) for number in self.wait(word, timeout)]

    def count(self):
        """Of a stream: bytes up and down; of a link: packets sent, lost, dropped."""
        self.say("count")
        return self.numbers("count")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        try:
            self.process.wait(10 * harness.SLOW)
        finally:
            self.process.kill()
        self.reader.join()
        self.process.stdout.close()
        self.process.stderr.close()


def words_of(limits):
    return ["%s=%d" % (name.replace("_", "-"), value) for name, value in limits.items()]


class StreamRelay(Relay):
    """StreamRelay(memvisor, "tcp:127.0.0.1:0", "unix:/path", cut_up=640): who connects to
    .address is connected to the target."""

    def __init__(self, memvisor, listen, target, **limits):
        super().__init__(memvisor, "stream-relay", listen, target, *words_of(limits))
        self.address = self.wait("listening")[0]

    def cut(self):
        """Bytes that had gone up and down."""
        self.say("cut")
        return self.numbers("cut")


class Link(Relay):
    """Link(memvisor, rate=10**9, delay=20000, loss=10000): link.on(0, argv) is the command on
    the one host, link.on(1, argv) on the other; link.addresses are theirs."""

    addresses = ("10.99.0.1", "10.99.0.2")

    def __init__(self, memvisor, **limits):
        super().__init__(memvisor, "link-relay", *words_of(limits))
        self.hosts = []
        try:
            self.hosts = [self.wait("host")[0] for _ in self.addresses]
            self.wait("up")
        except RuntimeError as error:
            # What the host's kernel and its owner do not grant cannot be installed.
            if "/dev/net/tun: " in str(error) or "no network namespace: " in str(error):
                pytest.skip("this host lets nobody make a network: %s" % error)
            raise
        mine, theirs = ("/proc/%s/ns/user" % name for name in ("self", self.hosts[0]))
        self.user = [] if pathlib.Path(mine).readlink() == pathlib.Path(theirs).readlink() else \
            ["--user", "--preserve-credentials"]

    def on(self, host, argv):
        return ["nsenter", "--target", self.hosts[host], "--net", *self.user, "--",
                *[str(word) for word in argv]]


def connect(address):
    """A Python socket to unix:PATH or tcp:ADDRESS:PORT."""
    kind, _, rest = address.partition(":")
    if kind == "unix":
        made = socket.socket(socket.AF_UNIX)
        made.connect(rest)
        return made
    host, _, port = rest.rpartition(":")
    return socket.create_connection((host, int(port)))
