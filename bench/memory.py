#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Measures what guest memory costs: start-up by the size of a bank, allocating it
beforehand, and the dirty log that nobody reads.

Start-up: user and system time of a bare-metal program that writes the last page
of its bank and powers off, with 64 GiB against 512 MiB, in turns.

Prealloc: start to end of a VM with a bank of 2 GiB, prealloc=on and thp=off,
against a program (bench/touch.c) that does nothing but touch as many bytes in
as many threads, in turns; the ratio is of their times.

Dirty log: a loop that reads and writes 128 pages, in a guest that nobody listens
to and in one that somebody has listened to before, in turns.
"""
import argparse
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TOP / "tests"))
import harness # noqa: E402
import memory_guest # noqa: E402

GIB = 1 << 30
RAM_BASE = 0x80000000
# 90 % of the speed of a plain touch is 1.11 of its time.
LIMITS = {"start-up, 64 GiB against 512 MiB": 1.25, "prealloc against a plain touch": 1 / 0.9,
          "dirty log without a listener": 1.05}


def start_up(memvisor, binary, size):
    """Seconds of user and system time."""
    last = RAM_BASE + size - 4096
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [memvisor, "run", "--firmware", binary, "-m", "%dM" % (size >> 20)],
        input=b"w %x 1\nq\n" % last, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0 or b"ok" not in done.stdout:
        sys.exit("memory.py: the guest did not do its work: %r %r" % (done.stdout, done.stderr))
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def measure_start_up(memvisor, binary, pairs):
    start_up(memvisor, binary, GIB >> 1)
    ratios = []
    for _ in range(pairs):
        small, large = (start_up(memvisor, binary, size) for size in (GIB >> 1, 64 * GIB))
        ratios.append(large / small)
    return ratios


def seconds_of(argv, input=None):
    start = time.monotonic()
    done = subprocess.run([str(word) for word in argv], input=input, capture_output=True,
                          timeout=120)
    if done.returncode != 0:
        sys.exit("memory.py: %s failed: %r" % (argv[0], done.stderr))
    return time.monotonic() - start


def measure_prealloc(memvisor, binary, pairs, folder, mib=2048):
    touch = pathlib.Path(folder) / "touch"
    subprocess.run(["gcc", "-O2", "-pthread", "-o", touch, TOP / "bench/touch.c"], check=True)
    ratios = []
    for turn in range(pairs + 1):
        plain = seconds_of([touch, mib, os.cpu_count()])
        ours = seconds_of([memvisor, "run", "--firmware", binary, "-m",
                           "%dM,prealloc=on,thp=off" % mib], b"q\n")
        if turn > 0: # the first warms the host up
            ratios.append(ours / plain)
    return ratios


def loop_time(guest, rounds):
    start = time.monotonic()
    guest.do("l", rounds, seconds=60)
    return time.monotonic() - start


def measure_dirty_log(machine, binary, pairs, folder):
    ratios = []
    options = dict(binary=binary)
    with memory_guest.Guest(machine, folder, "-m", "64M", name="never", **options) as never, \
            memory_guest.Guest(machine, folder, "-m", "64M", name="once", **options) as once:
        for guest in (never, once):
            guest.do("m")
            loop_time(guest, 2000)
        with once.qmp() as qmp:
            qmp.execute("x-dirty-map", milliseconds=20)
        for turn in range(pairs):
            order = (never, once) if turn % 2 == 0 else (once, never)
            times = {guest.name: loop_time(guest, 6000) for guest in order}
            ratios.append(times["once"] / times["never"])
    return ratios


def main(argv):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--memvisor", default=str(TOP / "build/memvisor"), metavar="PATH")
    parser.add_argument("--pairs", type=int, help="pairs of each (15, 5 and 20)")
    parser.add_argument("--check", action="store_true", help="exit 1 when a limit is exceeded")
    options = parser.parse_args(argv)
    if options.pairs is not None and options.pairs < 1:
        parser.error("--pairs %d: at least 1" % options.pairs)
    memvisor = os.path.abspath(options.memvisor)
    with tempfile.TemporaryDirectory() as folder:
        binary = memory_guest.build(folder)
        ratios = dict(zip(LIMITS, (
            measure_start_up(memvisor, binary, options.pairs or 15),
            measure_prealloc(memvisor, binary, options.pairs or 5, folder),
            measure_dirty_log(harness.Memvisor(memvisor), binary, options.pairs or 20, folder))))
    kept = True
    for name, values in ratios.items():
        median = statistics.median(values)
        kept &= median <= LIMITS[name]
        print("%-34s median ratio %.3f of %d pairs (%.3f to %.3f), limit %.2f: %s" % (
            name, median, len(values), min(values), max(values), LIMITS[name],
            "kept" if median <= LIMITS[name] else "EXCEEDED"))
    return 1 if options.check and not kept else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
