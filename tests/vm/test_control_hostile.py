# SPDX-License-Identifier: Apache-2.0
"""Clients that mean harm, all at once: others are served in time, the guest runs
on, and what the VM keeps for them stays small."""
import contextlib
import multiprocessing
import os
import socket
import threading
import time

import pytest

import harness
from memory_guest import Guest


@pytest.fixture
def guest(memvisor, tmp_path):
    with Guest(memvisor, tmp_path, "-m", "32M") as guest:
        yield guest


def deep(sock, stop):
    while not stop.is_set():
        sock.sendall(b'{"a":[' * 2000)


def huge(sock, stop):
    sock.sendall(b'{"execute":"')
    while not stop.is_set():
        sock.sendall(b"x" * 65536)


def slow(sock, stop):
    for byte in b'{"execute":"query-status"}' * 1000:
        if stop.wait(0.05):
            break
        sock.sendall(bytes([byte]))


def greedy(sock, stop):
    """Asks for the longest answer and reads none."""
    while not stop.is_set():
        sock.sendall(b'{"execute":"query-qmp-schema"}' * 100)


def noise(sock, stop):
    number = 1
    while not stop.is_set():
        number = number * 1103515245 + 12345 & 0xffffffff
        sock.sendall(bytes((number >> i) & 0xff for i in range(0, 24, 3)) * 512)


def busy(sock, stop):
    """Has the dirty logs come and go."""
    while not stop.is_set():
        sock.sendall(b'{"execute":"x-dirty-map","arguments":{"milliseconds":1,"parts":4096}}')
        sock.recv(1 << 20)


HOSTILE = [deep, huge, slow, greedy, noise, busy]


def resident(pid):
    """Bytes of the process's own that are in memory, without files it maps."""
    with open("/proc/%d/status" % pid) as status:
        fields = dict(line.split(":", 1) for line in status)
    return int(fields["RssAnon"].split()[0]) << 10


def harm(guest, how, stop):
    while not stop.is_set():
        try:
            with socket.socket(socket.AF_UNIX) as sock:
                sock.settimeout(0.5)
                sock.connect(str(guest.rundir / "qmp.sock"))
                if how is not noise:
                    sock.sendall(b'{"execute":"qmp_capabilities"}')
                how(sock, stop)
        except OSError:  # dropped, or it waits for us to read: once more
            pass


@contextlib.contextmanager
def hostile(guest):
    """All of them, in a process that leaves the processors to others: what is measured is how
    memvisor shares its time, and not how the host does."""
    fork = multiprocessing.get_context("fork")
    stop = fork.Event()

    def run():
        os.nice(19)
        threads = [threading.Thread(target=harm, args=(guest, how, stop)) for how in HOSTILE]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    crowd = fork.Process(target=run, daemon=True)
    crowd.start()
    try:
        yield
    finally:
        stop.set()
        crowd.join(20 * harness.PATIENCE)
        crowd.kill()


def test_harms_nobody_else(guest):
    before = resident(guest.pid)
    with hostile(guest):
        begin, answers = time.monotonic(), 0
        with guest.qmp() as qmp:
            while time.monotonic() < begin + 4 or answers < 10:
                start = time.monotonic()
                assert qmp.execute("query-status")["running"]
                guest.do("w", guest.free, answers)
                assert guest.do("r", guest.free) == answers
                assert time.monotonic() - start < 10 * harness.SLOW
                answers += 1
        # A client may have 4 MiB waiting; six of them and their kin stay far below this.
        assert resident(guest.pid) - before < (200 << 20) * harness.SLOW
    with guest.qmp() as qmp:
        assert qmp.execute("query-status")["running"]
    assert guest.end() == 0


def test_turns_of_who_leaves_many_commands_behind(guest):
    """One that is gone reads no answers, which would hold its commands back; the last of them
    tells when all were served, and others have their answers in the meantime."""
    with guest.qmp() as qmp, socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(20 * harness.PATIENCE)
        sock.connect(str(guest.rundir / "qmp.sock"))
        sock.sendall(b'{"execute":"qmp_capabilities"}' + b'{"execute":"query-qmp-schema"}' * 1500 +
                     b'{"execute":"stop"}')
        sock.close()
        answers = 0
        while qmp.execute("query-status")["running"]:
            answers += 1
        assert answers >= 10
        qmp.execute("cont")
    assert guest.end() == 0
