# SPDX-License-Identifier: Apache-2.0
"""Whose guest it is when a line is cut after any byte, or an end is killed or the move cancelled
at any moment: the guest itself is the witness.  It counts on its console
(tests/counting_guest.py), and each end writes what it hears to a file of its own: two that run
would say a number twice, one that lost something would leave one out, and one that nobody has
says nothing more.

At each moment one of these comes out: the sender lets it run on by itself, the receiver has it,
or the sender has it paused and whole and says that the other may run it.
"""
import contextlib
import random
import signal
import socket
import subprocess
import time

import pytest

import counting_guest
import harness
from qmp import Vm
from relay import StreamRelay

# In make check.
POSITIONS = 16
MOMENTS = 20
MANY_MOMENTS = 200


@pytest.fixture(scope="module")
def guest(tmp_path_factory):
    return counting_guest.build(tmp_path_factory.mktemp("counting"))


class Pair:
    """A guest that counts, and a receiver for it."""

    def __init__(self, memvisor, folder, guest):
        folder.mkdir()
        self.folder, self.vms = folder, {}
        self.code = self.says = None # of `memvisor send`
        self.consoles = {name: folder / (name + ".console") for name in ("here", "there")}
        boots = {"here": [memvisor.path, "run", "--firmware", guest, "-m", counting_guest.MEMORY],
                 "there": [memvisor.path, "receive", "unix:%s" % (folder / "back")]}
        with contextlib.ExitStack() as stack:
            for name, boot in boots.items():
                self.vms[name] = stack.enter_context(Vm(
                    memvisor, folder, "--serial", "file:%s" % self.consoles[name], name=name, boot=boot))
            self.here, self.there = self.vms["here"], self.vms["there"]
            self.here.wait_for(lambda: self.count("here"))
            self.stack = stack.pop_all()

    def __enter__(self):
        return self

    def __exit__(self, *problem):
        self.stack.__exit__(*problem)

    def text(self, name):
        return self.consoles[name].read_bytes() if self.consoles[name].exists() else b""

    def count(self, name):
        return counting_guest.check(self.text(name))

    def status(self):
        with self.here.qmp() as client:
            return client.execute("query-status")["status"]

    def start_send(self, uri):
        return subprocess.Popen([self.here.memvisor.path, "send", "here", uri], text=True, env=self.here.env,
                                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def finish_send(self, sending):
        _, self.says = sending.communicate(timeout=60 * harness.PATIENCE)
        self.code = sending.returncode

    def goes_on(self, name):
        """It counts there, by itself."""
        since = self.count(name) or 0
        self.vms[name].wait_for(lambda: (self.count(name) or 0) > since + 2)

    def poke(self):
        """Connect to the receiver, as nobody."""
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as other:
            other.settimeout(10)
            other.connect(str(self.folder / "back"))
            other.sendall(b"?" * 64)
            other.recv(1)

    def fate_of_receiver(self):
        """Once nobody sends to it any more; one that waits drops those who are nobody."""
        while True:
            ended = self.there.process.poll()
            if self.text("there"):
                return "runs" if ended is None else "ran"
            if ended is not None:
                return "gave up"
            if "a connection was dropped" in self.there.output():
                return "waits"
            self.poke()
            time.sleep(0.01)


def check_sender(pair, fate):
    """It has the guest still."""
    pair.here.wait_for(lambda: pair.status() in ("running", "postmigrate"))
    if pair.status() == "running":
        assert fate in ("gave up", "waits"), fate
    else:
        assert "let it go on with 'memvisor cont'" in pair.says, pair.says
        if fate in ("runs", "ran"):
            assert counting_guest.check(pair.text("here") + pair.text("there"), 1)
            return
        assert pair.here.verb("cont", "here").code == 0
    pair.goes_on("here")
    assert counting_guest.check(pair.text("here"), 1)


def check(pair, killed=None):
    """The rule; gives what became of the receiver."""
    fate = pair.fate_of_receiver()
    if fate == "runs":
        pair.goes_on("there")
    elif fate == "gave up":
        assert pair.there.end() == (-signal.SIGKILL if killed == "there" else 1), pair.there.output()
    if killed == "here":
        # What it wrote last may be lost; its last whole line is before the receiver's first.
        assert not pair.text("there") or counting_guest.first(pair.text("there")) > pair.count("here")
    elif pair.code == 0:
        assert fate in ("runs", "ran") or killed == "there", fate
        assert pair.here.end() == 0
        assert counting_guest.check(pair.text("here") + pair.text("there"), 1)
    else:
        check_sender(pair, fate)
    return fate


# --- lines that are cut


def cut(memvisor, folder, guest, **limits):
    front = "unix:%s" % (folder / "front")
    with Pair(memvisor, folder, guest) as pair, \
            StreamRelay(memvisor, front, "unix:%s" % (folder / "back"), **limits) as relay:
        pair.finish_send(pair.start_send(front))
        return check(pair), relay.count()[0]


@pytest.fixture(scope="module")
def length(memvisor, guest, tmp_path_factory):
    """Of what a sender says; it may be a few pages more."""
    fate, up = cut(memvisor, tmp_path_factory.mktemp("length") / "pair", guest)
    assert fate == "runs"
    return up


def test_a_line_that_is_cut_at_some_bytes(memvisor, tmp_path, guest, length):
    fates = [cut(memvisor, tmp_path / str(at), guest, cut_up=at)[0]
             for at in range(length // 64 // POSITIONS * 64, length, length // 64 // POSITIONS * 64)]
    assert "gave up" in fates


def test_a_line_that_is_cut_between_answers(memvisor, tmp_path, guest):
    """READY, LOADED and RUNNING have 40 bytes each."""
    fates = [cut(memvisor, tmp_path / str(at), guest, cut_down=at)[0] for at in (1, 40, 41, 80, 81, 119)]
    assert fates[:3] == ["gave up"] * 3 and fates[4:] == ["runs"] * 2, fates


@pytest.mark.long
def test_a_line_that_is_cut_at_every_64th_byte(memvisor, tmp_path, guest, length):
    for at in range(64, length + 64, 64):
        cut(memvisor, tmp_path / str(at), guest, cut_up=at)


# --- moves that end at any moment


def end_process(pair, victim):
    process = pair.vms[victim].process
    process.kill()
    process.wait()


def end_move(pair, _):
    """Where the sender is there still, and has a move to cancel."""
    with contextlib.suppress(OSError, EOFError), pair.here.qmp() as client:
        client.execute("migrate_cancel")


def end(memvisor, folder, guest, how, victim, seconds):
    with Pair(memvisor, folder, guest) as pair:
        sending = pair.start_send("unix:%s" % (folder / "back"))
        with contextlib.suppress(subprocess.TimeoutExpired):
            sending.wait(seconds)
        how(pair, victim)
        pair.finish_send(sending)
        check(pair, victim)


def end_at_moments(memvisor, folder, guest, count, how, *victims):
    """Spread over the time that a whole move takes."""
    chance = random.Random(count)
    with Pair(memvisor, folder / "whole", guest) as pair:
        began = time.monotonic()
        pair.finish_send(pair.start_send("unix:%s" % (folder / "whole/back")))
        whole = time.monotonic() - began
    for number in range(count):
        end(memvisor, folder / str(number), guest, how, victims[number % len(victims)],
            chance.uniform(0, whole))


def test_ends_that_are_killed(memvisor, tmp_path, guest):
    end_at_moments(memvisor, tmp_path, guest, MOMENTS, end_process, "here", "there")


def test_moves_that_are_cancelled(memvisor, tmp_path, guest):
    end_at_moments(memvisor, tmp_path, guest, MOMENTS // 2, end_move, None)


@pytest.mark.long
def test_ends_that_are_killed_at_many_moments(memvisor, tmp_path, guest):
    end_at_moments(memvisor, tmp_path, guest, MANY_MOMENTS, end_process, "here", "there")


@pytest.mark.long
def test_moves_that_are_cancelled_at_many_moments(memvisor, tmp_path, guest):
    end_at_moments(memvisor, tmp_path, guest, MANY_MOMENTS, end_move, None)
