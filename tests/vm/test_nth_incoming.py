# SPDX-License-Identifier: Apache-2.0
"""A host that says no to a receiver that is told by QMP where its guest comes from, and to who
hands descriptors over: a command is done or is an error, and what came of an error is nothing.
"""
import contextlib
import json
import socket

import pytest

import faults
import qmp
from test_nth_move import resources, rests, wait_for


class Waiting:
    """memvisor receive defer, which nobody has told where yet; another one when that was."""

    def __init__(self, memvisor, folder):
        self.memvisor, self.folder = memvisor, folder
        self.faults = faults.Faults(memvisor, folder)
        self.vm = self.client = None
        self.count = 0

    def __enter__(self):
        self.begin()
        return self

    def __exit__(self, *problem):
        self.client.close()
        self.vm.__exit__(*problem)

    def begin(self):
        if self.vm is not None:
            self.__exit__()
        self.count += 1
        self.vm = qmp.Vm(self.memvisor, self.folder, "--serial", "none", name="vm%d" % self.count,
                         env=self.faults.env, boot=[self.memvisor.path, "receive", "defer"])
        self.client = self.vm.qmp()
        self.client.command("closefd", fdname="a")
        self.held = rests(self.vm)

    def say(self, name, fd=None, **arguments):
        """The answer; None where the connection ended, and then there is another."""
        text = json.dumps({"execute": name, "arguments": arguments}).encode()
        answer = None
        with contextlib.suppress(AssertionError, OSError):
            socket.send_fds(self.client.socket, [text], [fd] if fd is not None else [])
            answer = self.client.answer()
            assert "return" in answer or answer["error"]["desc"]
        return answer

    def say_failing(self, kind, n, name, **words):
        self.faults.arm(kind, n)
        answer = self.say(name, **words)
        fired = self.faults.disarm()
        self.story = "%s %s %d: %s\n%s\n%s" % (
            name, kind, n, answer, self.faults.where() if fired else "", self.vm.output()[-1000:])
        if self.say("query-status") is None:
            self.client.close()
            with contextlib.suppress(OSError):
                self.client = self.vm.qmp()
        assert fired or (answer and "return" in answer), self.story
        return answer, fired

    def holds_nothing(self):
        assert wait_for(lambda: resources(self.vm) == self.held, 20), \
            (self.held, resources(self.vm), self.story)


FD_KINDS = {"alloc": 11, "receive": 1, "send": 1, "epoll": 1, "dup": 1}
INCOMING_KINDS = {"alloc": 29, "receive": 1, "send": 1, "epoll": 1, "dup": 1, "eventfd": 1, "socket": 1,
                  "thread": 1, "timer": 1, "open": 1, "stat": 1}


def try_descriptors(memvisor, folder, steps):
    with Waiting(memvisor, folder) as waiting, open("/dev/null", "rb") as null:
        for kind, step in steps.items():
            n, fired = 1, True
            while fired:
                answer, fired = waiting.say_failing(kind, n, "getfd", fd=null.fileno(), fdname="a")
                kept = "return" in waiting.say("closefd", fdname="a")
                assert answer is None or kept == ("return" in answer), waiting.story
                # One that came with a command that failed stays the connection's until the next.
                waiting.say("getfd", fd=null.fileno(), fdname="a")
                answer, failed = waiting.say_failing(kind, n, "closefd", fdname="a")
                kept = "return" in waiting.say("closefd", fdname="a")
                assert answer is None or kept == ("error" in answer), waiting.story
                waiting.holds_nothing()
                fired |= failed
                n += step


def try_incoming(memvisor, folder, steps, uri):
    ours, theirs = socket.socketpair()
    with Waiting(memvisor, folder) as waiting, ours, theirs:
        for kind, step in steps.items():
            n, fired = 1, True
            while fired:
                if uri == "fd:a":
                    waiting.say("getfd", fd=theirs.fileno(), fdname="a")
                answer, fired = waiting.say_failing(kind, n, "migrate-incoming", uri=uri)
                info = waiting.say("query-migrate")
                listens = info is None or info["return"].get("status") == "setup"
                assert answer is None or listens == ("return" in answer), waiting.story
                if listens:  # or it ends, since it cannot wait
                    waiting.say("quit")
                    assert waiting.vm.end() <= fired, waiting.story
                    waiting.begin()
                else:
                    waiting.say("closefd", fdname="a")  # where it was not used up
                assert not (folder / "line").exists(), waiting.story
                waiting.holds_nothing()
                n += step


def test_descriptors(memvisor, tmp_path):
    try_descriptors(memvisor, tmp_path, FD_KINDS)


@pytest.mark.parametrize("uri", ["unix:line", "fd:a"])
def test_migrate_incoming(memvisor, tmp_path, uri):
    try_incoming(memvisor, tmp_path, INCOMING_KINDS, uri.replace(":line", ":%s/line" % tmp_path))


@pytest.mark.long
@pytest.mark.parametrize("uri", ["unix:line", "fd:a"])
def test_incoming_every_call(memvisor, tmp_path, uri):
    steps = {kind: 1 for kind in faults.KINDS}
    try_descriptors(memvisor, tmp_path, steps)
    try_incoming(memvisor, tmp_path, steps, uri.replace(":line", ":%s/line" % tmp_path))
