# SPDX-License-Identifier: Apache-2.0
"""A guest goes to another process while it runs, and whose it is stands at every moment: never two
that run by themselves, never a guest that nobody has.

The guest that checks what it finds is rounds-guest.c; where only the rule counts it is one that
spins.  tests/move_line.py stands between the two processes.
"""
import contextlib
import json
import os
import re
import signal
import subprocess

import pytest

import busy_guest
import harness
from busy_guest import Chain
from move_line import RECEIVERS, SENDERS, Line
from qmp import SPIN, Vm


@pytest.fixture(scope="module")
def busy(tmp_path_factory):
    return busy_guest.build(tmp_path_factory.mktemp("busy"))


# --- a guest that checks all it has


WAYS = {
    "unix": ((), {}),
    "channels": (("--channels", "4"), {}),
    "zstd": (("--channels", "2", "--compress", "zstd"), {}),
}


@pytest.mark.parametrize("cpus,ways", [(1, ("unix", "zstd")), (4, ("channels", "unix"))])
def test_a_busy_guest_moves(memvisor, tmp_path, busy, cpus, ways):
    with Chain(memvisor, tmp_path, busy, cpus) as chain:
        chain.goes_on()
        for number, way in enumerate(ways):
            figures = chain.move("unix:%s" % (tmp_path / ("line%d" % number)), *WAYS[way][0])
            chain.arrived()
            assert figures["passes"] >= 2 and figures["transferred"] > 1 << 20, figures


def test_a_guest_moves_over_tcp(memvisor, tmp_path, busy):
    with Chain(memvisor, tmp_path, busy, 1) as chain:
        chain.move("tcp:127.0.0.1:0", "--channels", "3")
        chain.arrived()


@pytest.mark.long
@pytest.mark.parametrize("cpus", [1, 4])
def test_many_moves(memvisor, tmp_path, busy, cpus):
    with Chain(memvisor, tmp_path, busy, cpus) as chain:
        for number in range(50):
            way = sorted(WAYS)[number % 3]
            chain.move("unix:%s" % (tmp_path / ("line%d" % number)), *WAYS[way][0])
            chain.arrived()


# --- Linux


LINUX = """
edu=$(dirname $(busybox grep -l 0x11e8 /sys/bus/pci/devices/*/device | busybox tail -n 1))
echo 1 > $edu/enable
bar=$(busybox head -n 1 $edu/resource | busybox cut -d' ' -f1)
busybox devmem $((bar + 4)) 32 0x12345678
memory=$(dirname $(busybox grep -l 0x1110 /sys/bus/pci/devices/*/device))
echo 1 > $memory/enable
shared=$(busybox sed -n 3p $memory/resource | busybox cut -d' ' -f1)
for f in /sys/bus/pci/devices/*/config; do busybox md5sum $f; done > /before
(while :; do busybox head -c 100000 /dev/urandom | busybox md5sum; done) > /dev/null &
(while :; do busybox sleep 0.01; done) &
i=0
while [ ! -e /moved ]; do
    i=$((i + 1))
    busybox devmem $shared 32 $i
    read up idle < /proc/uptime
    echo "line $i at $up and $(busybox devmem $shared)"
    busybox usleep 30000
    busybox test $(busybox devmem $((shared + 4096))) = 0x00000000 || echo > /moved
done
for f in /sys/bus/pci/devices/*/config; do busybox md5sum $f; done > /after
busybox cmp /before /after && echo "configuration: same"
echo "edu: $(busybox devmem $((bar + 4)) 32)"
echo "cpus: $(cat /sys/devices/system/cpu/online)"
busybox dmesg | busybox grep -ciE 'stall|BUG|WARNING|lockup|clocksource.*unstable' | busybox sed 's/^/complaints: /'
"""


def test_linux_moves_and_does_not_notice(memvisor, initrd, tmp_path):
    """With memory in a file that others see, too: that stays where it is."""
    shared = tmp_path / "shared"
    shared.write_bytes(bytes(1 << 20))
    words = memvisor.boot_argv(initrd(LINUX), "-m", "96M", "-c", "2", "--device", "edu,addr=1",
                               "--device", "pcie-root-port,id=port,addr=2", "--device",
                               "edu,bus=port", "--ivshmem", "mem=%s,size=1M" % shared, append="quiet")
    consoles = [tmp_path / ("console%d" % number) for number in range(4)]

    def said():
        return b"".join(path.read_bytes() for path in consoles if path.exists())
    with contextlib.ExitStack() as stack:
        vm = stack.enter_context(Vm(memvisor, tmp_path, "--serial", "file:%s" % consoles[0],
                                    name="vm0", boot=words))
        for number in range(1, len(consoles)):
            vm.wait_for(lambda: said().count(b" and ") > 4 * number, 300)
            uri = "unix:%s" % (tmp_path / ("line%d" % number))
            after = stack.enter_context(Vm(memvisor, tmp_path, "--serial", "file:%s" % consoles[number],
                                           name="vm%d" % number, boot=[memvisor.path, "receive", uri]))
            sent = vm.verb("send", vm.name, uri)
            assert sent.code == 0, sent
            assert vm.end() == 0
            vm = after
        with open(shared, "r+b") as file:
            file.seek(4096)
            file.write(b"\1")
        assert vm.process.wait(120 * harness.SLOW) == 0
    text = said().decode()
    lines = re.findall(r"^line (\d+) at ([\d.]+) and 0x([0-9A-F]+)\r?$", text, re.M)
    assert [int(number) for number, _, _ in lines] == list(range(1, len(lines) + 1)), text
    assert all(int(number) == int(word, 16) for number, _, word in lines), text
    times = [float(at) for _, at, _ in lines]
    assert times == sorted(times), text
    for line in ("configuration: same", "edu: 0xEDCBA987", "cpus: 0-1", "complaints: 0"):
        assert line in text, text


# --- whose guest it is


@contextlib.contextmanager
def two(memvisor, folder, at=None, guest=SPIN, options=("-m", "4M"), receive=()):
    """A guest that runs, a receiver, and the line between them."""
    image = folder / "guest.bin"
    image.write_bytes(guest)
    boot = [memvisor.path, "run", "--firmware", image, "-c", "1", *options]
    with Vm(memvisor, folder, name="here", boot=boot) as here:
        with Vm(memvisor, folder, name="there", boot=[
                memvisor.path, "receive", "unix:%s" % (folder / "back"), *receive]) as there:
            with Line(folder / "front", folder / "back", at) as line:
                yield here, there, line


def send(here, folder, *options):
    return here.verb("send", "here", "unix:%s" % (folder / "front"), *options)


def status(vm):
    with vm.qmp() as client:
        return client.execute("query-status")


def runs_here(here):
    here.wait_for(lambda: status(here)["running"])
    assert status(here)["status"] == "running"


def test_the_frames_of_a_move(memvisor, tmp_path):
    with two(memvisor, tmp_path) as (here, there, line):
        assert send(here, tmp_path).code == 0
        assert here.end() == 0
        assert status(there)["running"]
    seen = [kind for number, kind in enumerate(line.seen)
            if number == 0 or kind != line.seen[number - 1]]
    once = [kind for kind in seen if kind not in ("RAM", "PASS")]
    assert once == ["HELLO", "MANIFEST", "READY", "SECTIONS", "END", "LOADED", "RUN", "RUNNING"]


@pytest.mark.parametrize("kind", [kind for kind in SENDERS + RECEIVERS])
def test_a_line_that_is_cut(memvisor, tmp_path, kind):
    """Before each kind of frame: whose guest it is then."""
    with two(memvisor, tmp_path, lambda now, number: now == kind) as (here, there, line):
        sent = send(here, tmp_path)
        assert sent.code == 1, sent
        if kind == "RUNNING":
            there.wait_for(lambda: status(there)["running"])
            assert status(here) == {"running": False, "singlestep": False, "status": "postmigrate"}
            assert "let it go on with 'memvisor cont'" in sent.err, sent
            return
        if kind == "HELLO":
            # Nobody has said that it was a sender: the wait goes on.
            assert here.verb("send", "here", "unix:%s" % (tmp_path / "back")).code == 0
            assert status(there)["running"]
            return
        assert there.end() == 1
        if kind == "RUN":
            assert status(here) == {"running": False, "singlestep": False, "status": "postmigrate"}
            assert "let it go on with 'memvisor cont'" in sent.err, sent
            assert here.verb("cont", "here").code == 0
        runs_here(here)


MOMENTS = [("MANIFEST", 1), ("RAM", 1), ("RAM", 3), ("PASS", 2), ("SECTIONS", 1), ("END", 1),
           ("LOADED", 1), ("RUN", 1), ("RUNNING", 1)]


@pytest.mark.parametrize("kind,number", MOMENTS)
def test_a_receiver_that_is_killed(memvisor, tmp_path, kind, number):
    pids = []
    at = lambda now, count: (now, count) == (kind, number) and os.kill(pids[0], signal.SIGKILL)
    with two(memvisor, tmp_path, at) as (here, there, line):
        pids.append(there.process.pid)
        sent = send(here, tmp_path)
        assert sent.code == (0 if kind == "RUNNING" else 1), sent
        if kind in ("LOADED", "RUN"):
            # The permission was given, and nobody took it.
            assert status(here)["status"] == "postmigrate"
            assert here.verb("cont", "here").code == 0
        if kind != "RUNNING":
            runs_here(here)


@pytest.mark.parametrize("kind,number", MOMENTS)
def test_a_sender_that_is_killed(memvisor, tmp_path, kind, number):
    pids = []
    at = lambda now, count: (now, count) == (kind, number) and os.kill(pids[0], signal.SIGKILL)
    with two(memvisor, tmp_path, at) as (here, there, line):
        pids.append(here.process.pid)
        send(here, tmp_path)
        if kind in ("RUN", "RUNNING"):
            there.wait_for(lambda: status(there)["running"])
        else:
            assert there.end() == 1
            # There may be no machine yet that it could be said of.
            said = there.output()
            assert "the sender gave up, or the line broke" in said or \
                (kind == "MANIFEST" and "the other side has closed the connection" in said), said


@pytest.fixture(scope="module")
def writer(tmp_path_factory):
    """Writes to each page of 4 MiB, all the time."""
    folder = tmp_path_factory.mktemp("writer")
    words = ["-DUART=0x01000000", "-DREGION=0x81000000", "-DSIZE=0x400000", "-DPAGES=10000"]
    for command in (["gcc", "-nostdlib", "-static", "-Wl,-Ttext=0", *words,
                     harness.TOP / "bench/move-guest.S", "-o", folder / "guest.elf"],
                    ["objcopy", "-O", "binary", folder / "guest.elf", folder / "guest.bin"]):
        program = "aarch64-linux-gnu-" + command[0]
        made = subprocess.run([program, *command[1:]], capture_output=True, text=True)
        assert made.returncode == 0, made.stderr
    return (folder / "guest.bin").read_bytes()


def test_a_guest_that_writes_faster_than_is_sent_is_slowed(memvisor, tmp_path, writer):
    """More and more, until another limit is given, which holds at once."""
    with two(memvisor, tmp_path, guest=writer, options=("-m", "64M", "--serial", "none")) as (
            here, there, line), here.qmp() as client:
        here.wait_for(lambda: json.loads(here.verb("mem", "here", "--json").out)[0]["resident"]
                      > 4 << 20)
        client.execute("migrate-set-parameters", max_bandwidth=8 << 20, downtime_limit=20)
        client.execute("migrate", uri="unix:%s" % (tmp_path / "front"))
        slowed = lambda: client.execute("query-migrate").get("cpu-throttle-percentage", 0)
        here.wait_for(slowed)
        first = slowed()
        assert 20 <= first <= 99
        here.wait_for(lambda: slowed() > first or slowed() == 99)
        assert client.execute("query-status")["running"]
        client.execute("migrate-set-parameters", max_bandwidth=0, downtime_limit=60000)
        here.wait_for(lambda: client.execute("query-migrate")["status"] == "completed")
        assert client.execute("query-status")["status"] == "postmigrate"
        assert status(there)["running"]


RELAY = """
import os, socket, sys, threading
line = socket.socket(socket.AF_UNIX)
line.connect(sys.argv[1])
def out():
    while data := line.recv(1 << 16):
        os.write(1, data)
    os.close(1)
threading.Thread(target=out).start()
while data := os.read(0, 1 << 16):
    line.sendall(data)
line.shutdown(socket.SHUT_WR)
"""


def test_a_guest_moves_through_a_command(memvisor, tmp_path):
    """As through ssh: the command ends when all has been said."""
    relay = tmp_path / "relay.py"
    relay.write_text(RELAY)
    with two(memvisor, tmp_path) as (here, there, line):
        sent = here.verb("send", "here", "exec:exec /usr/bin/python3 %s %s; echo never" % (
            relay, tmp_path / "front"))
        assert sent.code == 0, sent
        assert here.end() == 0
        assert status(there)["running"]
        assert here.verb("send", "there", "exec:exit 3").code == 1
        there.wait_for(lambda: status(there)["running"])


def test_several_channels_need_an_address_of_several(memvisor, tmp_path):
    with two(memvisor, tmp_path) as (here, there, line):
        sent = here.verb("send", "here", "exec:cat", "--channels", "2")
        assert sent.code == 1 and "is one connection: several go by tcp: and unix:" in sent.err, sent
        assert status(here)["running"]


# --- cancelled


def test_a_move_that_is_cancelled(memvisor, tmp_path):
    waits, goes = os.pipe()
    at = lambda now, number: now == "READY" and os.read(waits, 1) == b"no"
    with two(memvisor, tmp_path, at) as (here, there, line):
        with here.qmp() as client:
            client.execute("migrate", uri="unix:%s" % (tmp_path / "front"))
            here.wait_for(lambda: "MANIFEST" in line.seen)
            assert client.execute("query-migrate")["status"] == "setup"
            client.execute("migrate_cancel")
            here.wait_for(lambda: client.execute("query-migrate")["status"] == "cancelled")
            runs_here(here)
        os.write(goes, b"x")
        assert there.end() == 1


# --- what is refused


def test_another_machine_is_refused(memvisor, tmp_path):
    with two(memvisor, tmp_path, receive=("-m", "8M")) as (here, there, line):
        sent = send(here, tmp_path)
        assert sent.code == 1
        assert "block ram0: the machine has 8 MiB at 0x80000000, and the state 4 MiB" in sent.err, sent
        assert there.end() == 1
        runs_here(here)


def shared(folder, size=4 << 20):
    path = folder / "ram.img"
    with open(path, "wb") as file:
        file.truncate(size)
    return path


def test_a_shared_file_changes_hands_once(memvisor, tmp_path):
    ram = shared(tmp_path)
    with two(memvisor, tmp_path, options=("-m", "4M,file=%s" % ram)) as (here, there, line):
        assert send(here, tmp_path, "--keep").code == 0
        assert status(there)["running"]
        again = here.verb("cont", "here")
        assert again.code == 1
        assert "has its files there" in again.err and "in use by another memvisor" in again.err, again
        there.verb("quit", "there")
        there.end()
        assert here.verb("cont", "here").code == 0
        runs_here(here)
    assert "RAM" not in line.seen[line.seen.index("READY"):]


def test_a_shared_file_that_somebody_took(memvisor, tmp_path):
    """Between the sender and the receiver: that answers FAILED, and the sender cannot go on."""
    ram = shared(tmp_path)
    thief = []

    def take(now, number):
        if now != "RUN":
            return False
        thief.append(Vm(memvisor, tmp_path, "--paused", name="thief", boot=[
            memvisor.path, "run", "--firmware", tmp_path / "guest.bin", "-m", "4M,file=%s" % ram]))
        return False
    with two(memvisor, tmp_path, take, options=("-m", "4M,file=%s" % ram)) as (here, there, line):
        sent = send(here, tmp_path)
        assert sent.code == 1 and "in use by another memvisor" in sent.err, sent
        assert there.end() == 1
        here.wait_for(lambda: "the guest stays paused" in here.output())
        assert not status(here)["running"]
        thief[0].__exit__()
        assert here.verb("cont", "here").code == 0
        runs_here(here)


@pytest.mark.parametrize("change,says", [
    (lambda path: path.unlink(), "cannot be had"),
    (lambda path: os.truncate(path, 8 << 20), "has 8 MiB, and had 4 MiB"),
    (lambda path: (path.rename(path.with_suffix(".old")), shared(path.parent)), "is another one"),
])
def test_a_shared_file_that_is_another_is_refused(memvisor, tmp_path, change, says):
    ram = shared(tmp_path)
    at = lambda now, number: now == "MANIFEST" and change(ram) and False
    with two(memvisor, tmp_path, at, options=("-m", "4M,file=%s" % ram)) as (here, there, line):
        sent = send(here, tmp_path)
        assert sent.code == 1 and says in sent.err, sent
        assert there.end() == 1
        runs_here(here)


def test_nobody_interferes_with_a_guest_on_its_way(memvisor, tmp_path):
    """While it stands still at the sender, and before it runs at the receiver."""
    answers = []

    def interfere(now, number):
        if now == "LOADED":
            answers.extend([here.verb("cont", "here"), there.verb("cont", "there"),
                            here.verb("qmp", "here", "system_reset")])
        return False
    with two(memvisor, tmp_path, interfere) as (here, there, line):
        assert send(here, tmp_path).code == 0
        assert [answer.code for answer in answers] == [1, 1, 1], answers
        assert "is on its way to" in answers[0].err, answers[0]
        assert status(there)["running"]
