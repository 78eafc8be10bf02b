# SPDX-License-Identifier: Apache-2.0
"""A guest that stands still, whatever stopped it, does not age: its counter and
timers go on where they were, while the clock on its wall shows the host's time."""
import contextlib
import os
import re
import socket
import time

import pytest

import harness
import memory_guest
from qmp import Qmp

HZ = 62500000
PAUSE = 6 # seconds
RAM = 16 << 20


@contextlib.contextmanager
def paused_by_qmp(guest, qmp, tmp_path):
    qmp.execute("stop")
    yield
    qmp.execute("cont")


@contextlib.contextmanager
def paused_by_debugger(guest, qmp, tmp_path):
    """It stops the guest when it comes, and lets it go when it leaves."""
    with socket.socket(socket.AF_UNIX) as debugger:
        debugger.settimeout(20 * harness.PATIENCE)
        debugger.connect(str(tmp_path / "debugger.gdb"))
        debugger.sendall(b"+$?#3f")
        answer = b""
        while not re.search(rb"\$[ST]05.*#..", answer):
            answer += debugger.recv(4096)
        yield
        debugger.sendall(b"+$D#44")
        while b"$OK#9a" not in answer:
            answer += debugger.recv(4096)


@contextlib.contextmanager
def paused_by_fault(guest, qmp, tmp_path):
    """The guest asks for a byte that its file has lost."""
    path = tmp_path / "fault.img"
    os.truncate(path, RAM - 4096)
    guest.send("r", guest.ram + RAM - 8)
    qmp.event("X_BLOCK_ERROR")
    yield
    os.truncate(path, RAM)
    qmp.execute("cont")
    assert guest.answer() == 0


WAYS = {"qmp": paused_by_qmp, "debugger": paused_by_debugger, "fault": paused_by_fault}


def test_counter_and_timers_stand_still(memvisor, tmp_path):
    with contextlib.ExitStack() as stack:
        guests = {}
        for way in WAYS:
            path = tmp_path / (way + ".img")
            path.write_bytes(b"")
            os.truncate(path, RAM)
            guest = stack.enter_context(memory_guest.Guest(
                memvisor, tmp_path, "-m", "16M,file=%s" % path, "--gdb",
                tmp_path / (way + ".gdb"), name=way))
            guests[way] = guest, stack.enter_context(guest.qmp())
        before, armed = {}, {}
        with contextlib.ExitStack() as pauses:
            for way, (guest, qmp) in guests.items():
                armed[way] = guest.do("c")
                guest.do("n", (PAUSE - 1) * HZ)
                before[way] = guest.do("c")
                pauses.enter_context(WAYS[way](guest, qmp, tmp_path))
            time.sleep(PAUSE)
        for way, (guest, qmp) in guests.items():
            assert 0 < (guest.do("c") - before[way]) / HZ < PAUSE - 1, way
            assert guest.do("i") == 3, way
        for way, (guest, qmp) in guests.items():
            while guest.do("i") != 7:
                time.sleep(0.05)
            assert (guest.do("c") - armed[way]) / HZ >= PAUSE - 1, way
            assert guest.end() == 0


@pytest.mark.long
def test_linux_does_not_notice(memvisor, initrd, tmp_path):
    """Neither soft lockups nor stalls are reported, and the uptime goes on where it was."""
    script = """
    echo 1 > /proc/sys/kernel/printk
    (while :; do md5sum /bin/busybox >/dev/null; done) & (while :; do :; done) &
    while :; do
        echo "up: $(cut -d' ' -f1 /proc/uptime) $(dmesg | grep -ciE 'lockup|stall|hung')."
        sleep 1
    done
    """
    socket_path = tmp_path / "ctl.sock"
    with memvisor.spawn(initrd(script), "-m", "256M", "-c", "2", "--qmp", socket_path) as child:
        child.expect(r"up: ([\d.]+) 0\.\r")
        before = float(child.match.group(1))
        with Qmp(socket_path) as qmp:
            qmp.execute("stop")
            time.sleep(75)
            qmp.execute("cont")
            for _ in range(10):
                child.expect(r"up: ([\d.]+) (\d+)\.\r")
                assert child.match.group(2) == "0"
            assert float(child.match.group(1)) - before < 60
            qmp.execute("quit")
