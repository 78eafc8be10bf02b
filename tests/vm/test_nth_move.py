# SPDX-License-Identifier: Apache-2.0
"""A host that says no while a guest moves: with the Nth call of a kind failing at one end, the
guest runs here or there, never at both, never at neither; an error says what failed, nothing is
left behind at the sender, and the next move works.  Where memory follows its guest, a line that
broke can be taken up again, whatever failed meanwhile.  The guest counts (counting_guest.py),
each end's console in a file of its own, so that it tells of two that run, and of lost memory.
"""
import contextlib
import hashlib
import os
import random
import time

import pytest

import counting_guest
import faults
import harness
import qmp

# Kinds of calls that each way has, and of these `make check` takes one in so many.
SENDER = {"alloc": 89, "mmap": 7, "eventfd": 3, "timer": 3, "epoll": 3, "dup": 3, "socket": 3,
          "receive": 17, "send": 19, "thread": 3, "open": 5, "stat": 3}
RECEIVER = {"alloc": 197, "mmap": 19, "madvise": 9, "open": 19, "memfd": 2, "eventfd": 13, "timer": 4,
            "epoll": 9, "dup": 4, "space": 4, "accept": 3, "receive": 17, "send": 3, "thread": 3,
            "stat": 7}
BANK = 0x80000000
OVER = ("completed", "failed", "cancelled", "postcopy-paused")


@pytest.fixture(scope="module")
def guest(tmp_path_factory):
    return counting_guest.build(tmp_path_factory.mktemp("counting"))


def resources(vm):
    pid = vm.process.pid
    return {"descriptors": len(os.listdir("/proc/%d/fd" % pid)),
            "threads": len(os.listdir("/proc/%d/task" % pid))}


def wait_for(holds, seconds=60):
    end = time.monotonic() + seconds * harness.PATIENCE
    while not (result := holds()) and time.monotonic() < end:
        time.sleep(0.005)
    return result


class Ends:
    """A guest here, which stays for all tries; and a receiver, another one whenever the last has
    ended."""

    SIZE = 2 << 20

    def __init__(self, memvisor, folder, guest, failing):
        self.memvisor, self.folder, self.failing = memvisor, folder, failing
        self.faults = faults.Faults(memvisor, folder)
        self.receivers, self.there, self.seen = 0, None, []
        filled = folder / "filled"
        filled.write_bytes(random.Random(1).randbytes(self.SIZE))
        self.here = qmp.Vm(
            memvisor, folder, "--serial", "file:%s" % (folder / "here.console"), name="here",
            env=self.faults.env if failing == "here" else None,
            boot=[memvisor.path, "run", "--firmware", guest, "-m",
                  "%dM,file=%s,share=off" % (self.SIZE >> 20, filled)])
        self.client = self.here.qmp()
        self.counts(self.here, "here")

    def __enter__(self):
        return self

    def __exit__(self, *problem):
        self.client.close()
        self.here.__exit__(*problem)
        if self.there is not None:
            self.there.__exit__(*problem)

    # --- both ends

    def text(self, console):
        path = self.folder / (console + ".console")
        return path.read_bytes() if path.exists() else b""

    def counts(self, vm, console):
        """It goes on there."""
        since = len(self.text(console))
        vm.wait_for(lambda: len(self.text(console)) > since + 9)

    def stands(self, console):
        """It says nothing more there, once what it said has been written."""
        def is_same():
            since = len(self.text(console))
            time.sleep(0.02)
            return len(self.text(console)) == since
        return wait_for(is_same, 5)

    @staticmethod
    def ask(vm, name, **arguments):
        with vm.qmp() as client:
            return client.execute(name, **arguments)

    def uri(self):
        return "unix:%s" % (self.folder / ("line%d" % self.receivers))

    def receive(self):
        """One waits, with its name as that of its console."""
        if self.there is not None and self.there.process.poll() is None:
            return
        if self.there is not None:
            self.there.__exit__()
        self.receivers += 1
        name = "there%d" % self.receivers
        self.there = qmp.Vm(
            self.memvisor, self.folder, "--serial", "file:%s" % (self.folder / (name + ".console")),
            name=name, boot=[self.memvisor.path, "receive", self.uri(), "-m", "%dM" % (self.SIZE >> 20)],
            env=self.faults.env if self.failing == "there" else None)

    def say(self, name, **arguments):
        """The answer; None where the connection ended."""
        try:
            return self.client.command(name, **arguments)
        except (AssertionError, OSError):
            return None

    def revive(self):
        if self.say("query-status") is None:
            self.client.close()
            self.client = self.here.qmp()

    def await_event(self):
        """Of a move that answers at once, without a word that would be a call more."""
        with contextlib.suppress(AssertionError, OSError):
            while self.client.event("MIGRATION")["data"]["status"] not in OVER:
                pass

    def settle(self):
        """The sender has nothing under way any more."""
        self.revive()
        assert wait_for(lambda: self.client.execute("query-migrate").get("status", "failed") in OVER), \
            self.client.execute("query-migrate")
        return self.client.execute("query-migrate").get("status")

    def let_receiver_end(self, moved):
        """It comes to its own end, with its calls still counting."""
        if self.failing == "there":
            wait_for(lambda: self.there.process.poll() is not None or
                     not moved or " is here as " in self.there.output(), 1)

    # --- a try

    def send(self, way, kind=None, n=1, times=1):
        """Once: what was said of a failure or None, and whether a call failed."""
        self.receive()
        self.client.events.clear()
        if kind:
            self.faults.arm(kind, n, times)
        arguments = {"postcopy_after": 0} if way == "postcopy" else {}
        answer = self.say("migrate" if way == "migrate" else "x-send", uri=self.uri(), **arguments)
        if way == "migrate" and answer is not None and "return" in answer:
            self.await_event()
        moved = answer is not None and "return" in answer
        self.unheard = answer is None
        self.let_receiver_end(moved)
        fired = self.faults.disarm()
        status = self.settle()
        said = answer["error"]["desc"] if answer and "error" in answer else None
        if said is None:
            said = self.client.execute("query-migrate").get("error-desc")
        self.story = "%s %s %d: %s %s\n%s\n--- here\n%s\n--- there\n%s" % (
            way, kind, n, status, answer, self.faults.where() if kind else "",
            self.here.output()[-1500:], self.there.output()[-1500:])
        return said, fired

    def is_there(self):
        """Whether the receiver has it, once it is sure: else it waits on, or ends."""
        def known():
            if self.there.process.poll() is not None:
                return True
            with contextlib.suppress(AssertionError, OSError):
                self.status = self.ask(self.there, "query-status")["status"]
                return self.status in ("running", "paused") or self.waits()
            return False
        self.status = None
        assert wait_for(known), self.story
        return self.there.process.poll() is None and self.status == "running"

    def waits(self):
        """Nobody is connected to it any more."""
        return self.status == "inmigrate" and self.ask(self.there, "query-migrate")["status"] == "setup"

    def is_broken(self):
        """Whether the receiver has a part of the guest, and waits for the rest; else it ends, or has
        all of it, which it could not say any more."""
        def known():
            if self.there.process.poll() is not None:
                return True
            with contextlib.suppress(AssertionError, OSError):
                status = self.ask(self.there, "query-migrate").get("status")
                return status in ("postcopy-paused", "completed")
            return False
        assert wait_for(known), self.story
        return self.there.process.poll() is None and \
            self.ask(self.there, "query-migrate")["status"] == "postcopy-paused"

    def take_up(self, again=""):
        """Nothing fails any more."""
        uri = self.uri() + again + "again"
        self.ask(self.there, "migrate-recover", uri=uri)
        answer = self.client.command("x-send", uri=uri, resume=True)
        assert "return" in answer, (answer, self.story)

    def check(self, said):
        """The rule; the guest is here again afterwards."""
        if self.client.execute("query-migrate").get("status") == "postcopy-paused" and self.is_broken():
            self.take_up()
        here = self.client.execute("query-status")["status"]
        there = self.is_there()
        self.fate = "there" if there else "here"
        assert here in ("running", "postmigrate"), (here, self.story)
        if here == "running":
            assert not there and (said or self.unheard), self.story
        elif there:
            assert self.stands("here"), self.story
            self.counts(self.there, "there%d" % self.receivers)
            self.check_count()
        else:
            # Permission may have left: a person is asked.
            assert said and "memvisor cont" in said, self.story
            self.fate = "asked"
        self.come_back(here)

    def check_count(self):
        """From this end to the other nothing is lost, nothing comes twice, once it is written."""
        def problem():
            try:
                counting_guest.check(self.text("here")[self.began:] +
                                     self.text("there%d" % self.receivers))
            except AssertionError as wrong:
                return str(wrong)
            return None
        assert wait_for(lambda: not problem(), 5), (problem(), self.story)

    def come_back(self, status):
        """As after a move to a process that is gone; one that waits may be about to hear of a sender
        that has given up, and then ends."""
        if self.there.process.poll() is None:
            self.there.process.kill()
            self.there.process.wait()
        if status == "postmigrate":
            if self.client.execute("query-migrate")["status"] == "postcopy-paused":
                self.client.execute("x-send-give-up")
            self.client.execute("cont")
        self.counts(self.here, "here")
        self.began = len(self.text("here"))

    began = 0


def rests(vm):
    held, before = resources(vm), None
    while held != before:
        time.sleep(0.02)
        held, before = resources(vm), held
    return held


def try_each(ends, way, steps, again):
    """Each Nth call until none fails any more: the last move is whole then."""
    for _ in range(2):
        said, _ = ends.send(way)
        assert said is None, ends.story
        ends.check(said)
    held = rests(ends.here)
    for kind, step in steps.items():
        n, failed = 1, True
        while failed:
            began = time.monotonic()
            said, failed = ends.send(way, kind, n)
            assert said != "" and (failed or said is None), ends.story
            # Nobody waits for what cannot come.
            assert time.monotonic() - began < 40 * harness.PATIENCE, ends.story
            ends.check(said)
            assert wait_for(lambda: resources(ends.here) == held, 20), \
                (held, resources(ends.here), ends.story)
            if again and failed:
                said, _ = ends.send(way)
                assert said is None, ends.story
                ends.check(said)
            n += step


WAYS = [("x-send", "here"), ("migrate", "here"), ("x-send", "there"),
        ("postcopy", "here"), ("postcopy", "there")]


@pytest.mark.parametrize("way, failing", WAYS)
def test_move(memvisor, tmp_path, guest, way, failing):
    with Ends(memvisor, tmp_path, guest, failing) as ends:
        steps = SENDER if failing == "here" else RECEIVER
        if way == "migrate":  # what differs is how it begins and is answered
            steps = {kind: steps[kind] for kind in ("alloc", "timer", "thread")}
        try_each(ends, way, steps, False)


@pytest.mark.long
@pytest.mark.parametrize("way, failing", WAYS)
def test_move_every_call(memvisor, tmp_path, guest, way, failing):
    with Ends(memvisor, tmp_path, guest, failing) as ends:
        try_each(ends, way, {kind: 1 for kind in faults.KINDS}, True)


# --- a line that broke is taken up again


class Broken(Ends):
    """Memory follows slowly; between two tries the line is broken."""

    SIZE = 32 << 20
    LEAST = 4 << 20
    takes = 0
    story = ""

    def begin(self):
        """The guest leaves, and the line breaks."""
        self.receive()
        self.client.send({"execute": "x-send", "arguments": {
            "uri": self.uri(), "postcopy-after": 0, "max-bandwidth": 1 << 16}})
        self.here.wait_for(lambda: self.status_of(self.here) == "postcopy-active")
        self.ask(self.here, "migrate-pause")
        assert "broke, and" in self.client.answer()["error"]["desc"]
        self.is_paused()

    def status_of(self, vm):
        return self.ask(vm, "query-migrate").get("status")

    def is_paused(self):
        """Either end can have it taken up again, and neither lets the guest run."""
        self.revive()
        for vm in self.here, self.there:
            assert wait_for(lambda: self.status_of(vm) == "postcopy-paused"), (vm.name, self.story)
            with vm.qmp() as client:
                answer = client.command("cont")
            assert "receive --resume" in answer["error"]["desc"], (answer, self.story)

    def recover(self):
        """The receiver's answer, None where there was none; and the address."""
        self.takes += 1
        self.before = len(self.text("there%d" % self.receivers)), len(self.there.output())
        uri = "unix:%s" % (self.folder / ("again%d" % self.takes))
        try:
            with self.there.qmp() as client:
                answer = client.command("migrate-recover", uri=uri)
        except (AssertionError, OSError):
            return None, uri
        assert "return" in answer or answer["error"]["desc"], self.story
        return answer, uri

    def resume(self, uri):
        """What came of it at the sender, as far as that was heard."""
        answer = self.say("migrate", uri=uri, resume=True)
        self.client.events.clear()  # those of before
        if answer is not None and "error" in answer:
            assert answer["error"]["desc"], self.story
            return "refused: %s" % answer["error"]["desc"]
        with contextlib.suppress(AssertionError, OSError):
            while (status := self.client.event("MIGRATION")["data"]["status"]) == "postcopy-recover":
                pass
            return status
        return "unheard"

    def follows(self):
        """Whether the guest goes on at the receiver, which says so if it does not."""
        since, said = self.before
        def is_known():
            return goes_on() or "the guest is paused" in self.there.output()[said:]
        def goes_on():
            return len(self.text("there%d" % self.receivers)) > since + 27
        assert wait_for(is_known, 20), self.story
        return goes_on()

    def try_one(self, kind, n):
        """Whether a call failed."""
        self.story = "%s %d" % (kind, n)
        if self.ask(self.here, "query-migrate")["ram"]["remaining"] < self.LEAST:
            self.again()
        self.faults.arm(kind, n)
        answer, uri = self.recover()
        result = self.resume(uri) if answer and "return" in answer else "not tried"
        if result == "postcopy-active":
            self.follows()
        fired = self.faults.disarm()
        self.story = "%s %d: %s %s\n%s\n--- here\n%s\n--- there\n%s" % (
            kind, n, answer, result, self.faults.where() if fired else "",
            self.here.output()[-1000:], self.there.output()[-1000:])
        self.revive()
        if not self.is_taken_up():
            assert fired, self.story
            self.take_up()
        self.cut()
        return fired

    def is_taken_up(self):
        """Once both ends agree."""
        def agree():
            self.seen = {self.status_of(self.here), self.status_of(self.there)}
            return len(self.seen) == 1 and self.seen & {"postcopy-active", "postcopy-paused"}
        assert wait_for(agree), (self.seen, self.story)
        return "postcopy-active" in self.seen

    def cut(self):
        with self.here.qmp() as client:
            client.command("migrate-pause")  # refused where it breaks by itself just then
        self.is_paused()

    def take_up(self):
        """Nothing fails any more: it works."""
        self.is_paused()
        answer, uri = self.recover()
        assert "return" in answer, (answer, self.story)
        assert self.resume(uri) == "postcopy-active" and self.follows(), self.story

    def digest(self, vm):
        """Of what the guest does not write."""
        path = self.folder / vm.name
        self.ask(vm, "pmemsave", val=BANK + (1 << 20), size=self.SIZE - (1 << 20), filename=str(path))
        return hashlib.sha256(path.read_bytes()).digest()

    def arrive(self):
        """All of it comes, and is what it was."""
        self.client.execute("migrate-set-parameters", **{"max-postcopy-bandwidth": 0})
        self.take_up()
        for vm in self.here, self.there:
            vm.wait_for(lambda: self.status_of(vm) == "completed")
        console = "there%d" % self.receivers
        self.counts(self.there, console)
        self.check_count()
        assert self.digest(self.here) == self.digest(self.there)

    def again(self):
        """All of it, from a whole guest on."""
        self.there.process.kill()
        self.there.process.wait()
        self.client.execute("migrate_cancel")
        self.client.execute("cont")
        self.began = len(self.text("here"))
        self.begin()


TAKES_UP = {"here": {"alloc": 29, "eventfd": 1, "timer": 1, "epoll": 1, "dup": 1, "socket": 2,
                     "receive": 3, "send": 3, "thread": 1, "stat": 2},
            "there": {"alloc": 29, "eventfd": 1, "epoll": 1, "dup": 1, "socket": 2, "accept": 1,
                      "receive": 3, "send": 3, "thread": 1, "stat": 2}}


def take_up_each(memvisor, folder, guest, failing, steps):
    with Broken(memvisor, folder, guest, failing) as ends:
        ends.begin()
        for _ in range(2):
            assert not ends.try_one("alloc", faults.FOR_EVER)
        held = rests(ends.here)
        for kind, step in steps.items():
            n = 1
            while ends.try_one(kind, n):
                n += step
                assert wait_for(lambda: resources(ends.here) == held, 20), \
                    (held, resources(ends.here), ends.story)
        ends.arrive()


@pytest.mark.parametrize("failing", ["here", "there"])
def test_take_up(memvisor, tmp_path, guest, failing):
    take_up_each(memvisor, tmp_path, guest, failing, TAKES_UP[failing])


@pytest.mark.long
@pytest.mark.parametrize("failing", ["here", "there"])
def test_take_up_every_call(memvisor, tmp_path, guest, failing):
    take_up_each(memvisor, tmp_path, guest, failing, {kind: 1 for kind in faults.KINDS})
