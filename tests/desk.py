# SPDX-License-Identifier: Apache-2.0
"""Somebody outside who puts questions to a busy guest through memory that they share
(vm/rounds-guest.c): a page of words, which the guest checks, and a page of words comes back.

With a server each side rings the other once, when it has written.  There is nothing that asks
again after a while: what is lost on the way of a move would never be answered.
"""
import mmap
import select
import struct
import threading

from busy_guest import MIB, word_of
import harness

SIZE = 4 * MIB
GPA = 0x50400000
DESK, QUESTION, ANSWER = 2 * MIB, 2 * MIB + 0x1000, 2 * MIB + 0x2000
NUMBER, PEER, ANSWERED, POSITION = range(4)
PAUSE = 0.005 # seconds between questions, in which the guest gets to other work


def page(at, number):
    return struct.pack("<512Q", *(word_of(GPA + at + 8 * word, number) for word in range(512)))


class Desk:
    """peer: an ivshmem.Peer, or None for memory of a file without a server.  Asks from start() to
    the end of the block."""

    def __init__(self, fd, peer=None):
        self.memory = mmap.mmap(fd, SIZE)
        self.words = memoryview(self.memory)[DESK:DESK + 32].cast("Q")
        self.peer = peer
        self.asked, self.error = 0, None
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self._run)
        if peer is not None:
            self.words[PEER] = peer.id

    def start(self):
        self.thread.start()

    def goes_on(self, vm):
        """Questions that were put now are answered."""
        before = self.asked
        vm.wait_for(lambda: self.error or self.asked > before + 2)
        if self.error:
            raise self.error

    def _run(self):
        try:
            while not self.ending.wait(PAUSE):
                self._ask(self.asked + 1)
        except Exception as error: # it is the test's thread that fails
            self.error = error

    def _ask(self, number):
        self.memory[QUESTION:QUESTION + 4096] = page(QUESTION, number)
        self.words[NUMBER] = number
        self._ring()
        while self.words[ANSWERED] != number:
            if self.ending.is_set():
                return
            self._wait()
        assert self.memory[ANSWER:ANSWER + 4096] == page(ANSWER, number), number
        self.asked = number

    def _ring(self):
        if self.peer is not None and self.words[POSITION] in self.peer.peers:
            self.peer.ring(self.words[POSITION], 0)

    def _wait(self):
        """Until the guest rings, or is another peer than it was; for a moment without a server."""
        if self.peer is None:
            self.ending.wait(PAUSE / 5)
            return
        poll = select.poll()
        poll.register(self.peer.sock, select.POLLIN)
        if self.peer.id in self.peer.peers:
            poll.register(self.peer.peers[self.peer.id][0], select.POLLIN)
        ready = [fd for fd, _ in poll.poll(100)]
        if self.peer.sock.fileno() in ready:
            self.peer.take()
            self._ring()
        elif ready:
            self.peer.rung(0)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.ending.set()
        if self.thread.ident is not None:
            self.thread.join(60 * harness.PATIENCE)
        self.words.release()
        self.memory.close()
