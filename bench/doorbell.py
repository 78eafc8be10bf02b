#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Measures memvisor's ivshmem device against QEMU's (TCG, arm64), both in the same
run, on memvisor's server.

Doorbell: a guest writes a number into the shared memory, rings a client on the
host and watches the memory for its answer; the time of a round trip.  The guest
and the client have a processor each, since where the kernel happens to put them
is half of the time or twice as much; and the client's is kept from sleeping, by
a program that runs when nothing else does, since waking it up takes longer than
all the rest, and now more, now less.

Guest to guest: the same between two guests, each of which waits for its
interrupt.

The sides take turns, and a ratio is the median of the pairs' ratios of their
medians.

Bandwidth, of memvisor alone: copying into BAR2 against copying into the guest's
own RAM, in turns, with BAR2 mapped as RAM is, as write-combining and as Device
memory; each ratio is the median of 15 pairs.
"""
import argparse
import contextlib
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TOP / "tests"))
import guest_tools  # noqa: E402
import harness  # noqa: E402

# The most of QEMU's time that memvisor may take, and the least bandwidth.
LIMITS = {"doorbell": 1.0, "guest to guest": 3.0, "bandwidth": 0.95}
VECTORS = 2
MAPS = ["cached", "combining", "device"] # how BAR2 is mapped, as guest/ivshmem calls it

INIT = r"""#!/bin/busybox sh
busybox mount -t proc proc /proc
busybox mount -t sysfs sysfs /sys
busybox mount -t devtmpfs devtmpfs /dev
busybox insmod /uio.ko
busybox insmod /uio_ivshmem.ko
for word in $(busybox cat /proc/cmdline); do
    case $word in bench.*) eval "${word#bench.}" ;; esac
done
case $do in
doorbell) /bin/ivshmem ping 0 0 -n 200 --poll -t 60
          /bin/ivshmem ping 0 0 -n $count --poll -t 60 ;;
answer) /bin/ivshmem answer 1 0 -n $((count + 200)) -t 60 ;;
ask) /bin/ivshmem ping 0 0 -n 200 -t 60
     /bin/ivshmem ping 0 0 -n $count -t 60 ;;
bandwidth) for map in MAPS; do echo $map: $(/bin/ivshmem bandwidth --map $map); done ;;
esac
busybox poweroff -f
"""


class Failure(Exception):
    pass


def memvisor_argv(options, sock, words):
    return [options.memvisor, "run", "-k", harness.KERNEL, "-i", options.initrd, "-m", "256M",
            "-a", "quiet cryptomgr.notests panic=-1 console=ttyS0 " + words,
            "--ivshmem", "%s,vectors=%d" % (sock, VECTORS)]


def qemu_argv(options, sock, words):
    return [options.qemu, "-M", "virt,gic-version=3", "-cpu", "cortex-a57", "-accel", "tcg",
            "-m", "256", "-nic", "none", "-nographic", "-no-reboot", "-kernel", harness.KERNEL,
            "-initrd", options.initrd,
            "-append", "quiet cryptomgr.notests panic=-1 console=ttyAMA0 " + words,
            "-chardev", "socket,path=%s,id=shm" % sock,
            "-device", "ivshmem-doorbell,vectors=%d,chardev=shm" % VECTORS]


SIDES = {"memvisor": memvisor_argv, "qemu": qemu_argv}


@contextlib.contextmanager
def running(argv, cpu=None, **keywords):
    """On one processor, where it is given."""
    pin = None if cpu is None else lambda: os.sched_setaffinity(0, {cpu})
    process = subprocess.Popen([str(word) for word in argv], stdin=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL, preexec_fn=pin, **keywords)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def server(options, folder):
    sock = folder / "shm.sock"
    with running([options.memvisor, "ivshmem-server", sock, "--size", "16M", "--control", "none",
                  "--vectors", str(VECTORS)], stdout=subprocess.DEVNULL):
        end = time.monotonic() + 10
        while not sock.exists():
            if time.monotonic() > end:
                raise Failure("the server does not start")
            time.sleep(0.01)
        yield sock
    sock.unlink(missing_ok=True)


@contextlib.contextmanager
def awake(cpu):
    def idle():
        os.sched_setaffinity(0, {cpu})
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))

    process = subprocess.Popen([sys.executable, "-c", "while True: pass"], preexec_fn=idle)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def output_of(guest, options):
    try:
        return guest.communicate(timeout=options.timeout)[0].decode(errors="replace")
    except subprocess.TimeoutExpired:
        raise Failure("a guest did not end within %d s" % options.timeout) from None


def median_of(text):
    """Microseconds of the last measurement that a guest printed."""
    found = re.findall(r"round trips: median ([\d.]+) us", text)
    if len(found) != 2:
        raise Failure("a guest did not measure:\n%s" % text[-1500:])
    return float(found[-1])


def doorbell(options, side, folder):
    cpus = sorted(os.sched_getaffinity(0))
    with server(options, folder) as sock, awake(cpus[-1]), \
            running([options.answer, sock], cpus[-1], stdout=subprocess.PIPE) as client:
        if client.stdout.readline() != b"answering\n":
            raise Failure("the client on the host does not join")
        words = "bench.do=doorbell bench.count=%d" % options.count
        with running(SIDES[side](options, sock, words), cpus[0],
                     stdout=subprocess.PIPE) as guest:
            return median_of(output_of(guest, options))


def guest_to_guest(options, side, folder):
    with server(options, folder) as sock:
        words = "bench.count=%d bench.do=" % options.count
        with running(SIDES[side](options, sock, words + "answer"), stdout=subprocess.PIPE) as first:
            text = b""
            while b"answering on vector" not in text:
                line = first.stdout.readline()
                if not line:
                    raise Failure("a guest ended early:\n%s" % text.decode(errors="replace")[-1500:])
                text += line
            with running(SIDES[side](options, sock, words + "ask"),
                         stdout=subprocess.PIPE) as second:
                return median_of(output_of(second, options))


def bandwidth(options, folder):
    """A row for each way to map BAR2."""
    with server(options, folder) as sock, \
            running(memvisor_argv(options, sock, "bench.do=bandwidth"),
                    stdout=subprocess.PIPE) as guest:
        text = output_of(guest, options)
    found = re.findall(r"(\w+): shared ([\d.]+) MiB/s, own ([\d.]+) MiB/s, ratio ([\d.]+)", text)
    if [row[0] for row in found] != MAPS:
        raise Failure("a guest did not measure:\n%s" % text[-1500:])
    return {"BAR2, " + row[0]: {
        "shared_mib_per_second": float(row[1]), "own_mib_per_second": float(row[2]),
        "ratio": float(row[3]), "limit": LIMITS["bandwidth"], "least": True} for row in found}


def compare(options, name, measure, folder):
    times = {side: [] for side in SIDES}
    for turn in range(options.rounds):
        for side in list(SIDES) if turn % 2 == 0 else list(SIDES)[::-1]:
            times[side].append(measure(options, side, folder))
            print("  %s, round %d: %-8s %8.2f us" % (name, turn + 1, side, times[side][-1]),
                  file=sys.stderr)
    return {"memvisor_us": statistics.median(times["memvisor"]),
            "qemu_us": statistics.median(times["qemu"]),
            "ratio": statistics.median(a / b for a, b in zip(times["memvisor"], times["qemu"])),
            "limit": LIMITS[name], "least": False}


def kept(row):
    return row["ratio"] >= row["limit"] if row["least"] else row["ratio"] <= row["limit"]


def print_table(results):
    for name, row in results.items():
        if row["least"]:
            figures = "BAR2 %8.1f MiB/s   RAM %8.1f MiB/s" % (row["shared_mib_per_second"],
                                                               row["own_mib_per_second"])
        else:
            figures = "memvisor %8.2f us   qemu %8.2f us" % (row["memvisor_us"], row["qemu_us"])
        print("%-16s%s   ratio %.3f, limit %g: %s" % (
            name, figures, row["ratio"], row["limit"], "kept" if kept(row) else "EXCEEDED"))


def prepare(options, folder):
    files = [(guest_tools.program("ivshmem", folder), "bin/ivshmem"),
             (guest_tools.module("uio_ivshmem", folder), "uio_ivshmem.ko"),
             (harness.GUEST_FILES / "modules/uio.ko", "uio.ko")]
    options.initrd = harness.build_initrd(INIT.replace("MAPS", " ".join(MAPS)), folder, files, raw=True)
    options.answer = folder / "answer"
    build = pathlib.Path(options.memvisor).resolve().parent
    library = next(iter(build.rglob("libmemvisor-ivshmem.a")), None)
    if library is None:
        raise Failure("%s has no libmemvisor-ivshmem.a: run make" % build)
    subprocess.run(["cc", "-O2", "-I", TOP / "src/ivshmem", TOP / "bench/ivshmem-answer.c", library,
                    "-o", options.answer], check=True)


def main(argv):
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--memvisor", default=str(TOP / "build/memvisor"), metavar="PATH")
    parser.add_argument("--qemu", default="qemu-system-aarch64", metavar="PATH")
    parser.add_argument("--rounds", type=int, default=5, help="pairs of each (5)")
    parser.add_argument("--count", type=int, default=3000, help="round trips a guest makes (3000)")
    parser.add_argument("--timeout", type=int, default=180, metavar="SECONDS",
                        help="most that a guest may take (180)")
    parser.add_argument("--json", metavar="FILE", help="also write the figures here")
    parser.add_argument("--check", action="store_true", help="exit 1 when a limit is exceeded")
    options = parser.parse_args(argv)
    if options.rounds < 1 or options.count < 1:
        parser.error("--rounds and --count: at least 1")
    try:
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            prepare(options, folder)
            results = {"doorbell": compare(options, "doorbell", doorbell, folder),
                       "guest to guest": compare(options, "guest to guest", guest_to_guest, folder),
                       **bandwidth(options, folder)}
    except (Failure, AssertionError, subprocess.CalledProcessError) as failure:
        print("doorbell.py: %s" % failure, file=sys.stderr)
        return 1
    print_table(results)
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(results, indent=2) + "\n")
    return 1 if options.check and not all(kept(row) for row in results.values()) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
