#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Measures how a guest moves between two processes of this host, in turns with QEMU's emulator.

A guest of 2 GiB, into half of whose memory random data is written from outside, goes over
loopback's TCP to a second process of the same program: memvisor by `migrate` over one channel,
QEMU by its own without a limit of the rate; both slow down a guest that writes too fast, and wish
for QEMU's 300 ms of downtime.  The guest
writes a byte to its console each millisecond, and a number of pages of the upper half.  For each
rate of that: the time that the whole takes, what the sender says of the downtime, and the longest
gap between bytes of the console, looked at over both processes; and for comparison the longest in
half a second without a move, which is the host's doing.  Figures are medians; ratios are those of
the two moves of a turn.

At the end memvisor's memory follows its guest (postcopy), which writes at the same rates: how long
the guest waited for a page, as a rule and at most, and the longest gap on the console.
"""
import argparse
import contextlib
import json
import os
import pathlib
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

TOP = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TOP / "tests"))
import harness # noqa: E402
import qmp # noqa: E402

MIB = 1 << 20
NO_LIMIT = 1 << 50
RATES = (0, 200, 500)   # MiB/s
QUIET = 0.5 # seconds that are looked at without a move
LIMITS = {"time": 0.7, "gap": 0.5, "idle gap, ms": 20}
WAIT_LIMITS = {"median wait, us": 150, "longest wait, us": 1000}
FIELDS = ("seconds", "downtime_ms", "gap_ms", "quiet_gap_ms", "passes")
UARTS = {"memvisor": 0x01000000, "qemu": 0x09000000}
BASES = {"memvisor": 2 << 30, "qemu": 1 << 30}


def build(folder, program, mib, rate):
    binary = folder / ("guest-%s-%d.bin" % (program, rate))
    if binary.exists():
        return binary
    region = BASES[program] + mib * MIB // 2
    words = ["-DUART=%#x" % UARTS[program], "-DREGION=%#x" % region,
             "-DSIZE=%#x" % (mib * MIB // 2), "-DPAGES=%d" % (rate * MIB // 4096 // 1000)]
    for command in (["aarch64-linux-gnu-gcc", "-nostdlib", "-static", "-Wl,-Ttext=0", *words,
                     TOP / "bench/move-guest.S", "-o", folder / "guest.elf"],
                    ["aarch64-linux-gnu-objcopy", "-O", "binary", folder / "guest.elf", binary]):
        subprocess.run([str(word) for word in command], check=True)
    return binary


class Console:
    """When bytes of a guest's console came, from whichever process."""

    def __init__(self):
        self.times, self.ends = [], []

    def listen(self, path):
        """Connects once somebody listens there."""
        def read():
            end = time.monotonic() + 30
            while True:
                connection = socket.socket(socket.AF_UNIX)
                try:
                    connection.connect(str(path))
                    break
                except OSError:
                    connection.close()
                    if time.monotonic() > end:
                        return
                    time.sleep(0.001)
            with connection, contextlib.suppress(OSError):
                while connection.recv(1 << 16):
                    self.times.append(time.monotonic())
        threading.Thread(target=read, daemon=True).start()

    def gap(self, since, until=float("inf")):
        times = sorted(at for at in self.times if since <= at <= until)
        return max((later - at for at, later in zip(times, times[1:])), default=0)


def fill(pid, size):
    """The upper half, with pieces that are not the same."""
    for line in open("/proc/%d/maps" % pid):
        found = re.match(r"(\w+)-(\w+) rw", line)
        if found and int(found.group(2), 16) - int(found.group(1), 16) == size:
            start = int(found.group(1), 16) + size // 2
            break
    else:
        sys.exit("move.py: process %d has no mapping of %d MiB" % (pid, size // MIB))
    with open("/proc/%d/mem" % pid, "r+b", buffering=0) as memory:
        for at in range(0, size // 2, 4 * MIB):
            memory.seek(start + at)
            memory.write(os.urandom(4 * MIB))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def ours(options, folder, rate, name, incoming=None):
    console = folder / (name + ".console")
    boot = [options.memvisor, "receive", incoming] if incoming else [
        options.memvisor, "run", "--firmware", build(folder, "memvisor", options.mib, rate), "-m",
        "%dM" % options.mib]
    with qmp.Vm(harness.Memvisor(options.memvisor), folder, "--serial", "unix:%s" % console,
                name=name, boot=boot) as vm, vm.qmp() as client:
        yield vm.process.pid, client, console


@contextlib.contextmanager
def theirs(options, folder, rate, name, incoming=None):
    console, path = folder / (name + ".console"), folder / (name + ".qmp")
    more = ["-incoming", incoming] if incoming else []
    process = subprocess.Popen(
        [options.qemu, "-M", "virt", "-cpu", "cortex-a57", "-m", "%dM" % options.mib, "-nodefaults",
         "-display", "none", "-kernel", build(folder, "qemu", options.mib, rate), "-serial",
         "unix:%s,server,nowait" % console, "-qmp", "unix:%s,server,nowait" % path, *more],
        stdin=subprocess.DEVNULL)
    try:
        while not path.exists() and process.poll() is None:
            time.sleep(0.01)
        with qmp.Qmp(path) as client:
            client.execute("migrate-set-parameters", max_bandwidth=NO_LIMIT)
            client.execute("migrate-set-capabilities",
                           capabilities=[{"capability": "auto-converge", "state": True}])
            yield process.pid, client, console
    finally:
        process.kill()
        process.wait()


def move(program, options, folder, rate, follows=False):
    """The figures of FIELDS; None where it was given up.  follows: its memory does, and what the
    guest waited for that is told in "waits"."""
    start = {"memvisor": ours, "qemu": theirs}[program]
    uri = "tcp:127.0.0.1:%d" % free_port()
    with start(options, folder, rate, "source") as (pid, client, first), \
            start(options, folder, rate, "target", uri) as (_, other, second):
        fill(pid, options.mib * MIB)
        console = Console()
        console.listen(first)
        console.listen(second)
        while not console.times:
            time.sleep(0.01)
        quiet = time.monotonic()
        time.sleep(QUIET)
        if follows:
            client.execute("migrate-set-capabilities",
                           capabilities=[{"capability": "postcopy-ram", "state": True}])
        began = time.monotonic()
        client.execute("migrate", uri=uri)
        if follows:
            client.execute("migrate-start-postcopy")
        while (told := client.execute("query-migrate"))["status"] != "completed":
            if told["status"] in ("failed", "cancelled") or time.monotonic() > began + options.limit:
                return None
            time.sleep(0.02) # who asks more often is what the guest waits for
        seconds = time.monotonic() - began
        while not other.execute("query-status")["running"]:
            time.sleep(0.01)
        time.sleep(0.3)
        figures = dict(zip(FIELDS, (seconds, told["downtime"], console.gap(began) * 1000,
                                    console.gap(quiet, began) * 1000, told["ram"]["dirty-sync-count"])))
        if follows:
            figures["waits"] = other.execute("query-migrate").get("x-postcopy-waits")
        return figures


def measure(options, rate):
    """Moves of each program, a turn of all after the other."""
    programs = ["memvisor"] + ["qemu"] * bool(options.qemu)
    found = {program: [] for program in programs}
    for turn in range(options.rounds):
        for program in programs[::1 if turn % 2 else -1]:
            with tempfile.TemporaryDirectory() as folder:
                found[program].append(move(program, options, pathlib.Path(folder), rate))
    return found


def show(program, rate, moves, limit):
    ended = [one for one in moves if one is not None]
    if not ended:
        print("%-9s %3d MiB/s: not within %d s" % (program, rate, limit))
        return None
    median = {name: statistics.median(one[name] for one in ended) for name in FIELDS}
    print("%-9s %3d MiB/s: %6.2f s in all, %6.1f ms down, %6.1f ms without a byte on the console "
          "(%.1f ms without a move), %d passes (%d of %d moves)" % (
              program, rate, *(median[name] for name in FIELDS), len(ended), len(moves)))
    return median


def ratios(found, limit):
    """Of times and gaps, in each turn.  Who is given up has taken the limit, at least."""
    times, gaps = [], []
    for mine, other in zip(found["memvisor"], found["qemu"]):
        if mine is not None:
            times.append(mine["seconds"] / (limit if other is None else other["seconds"]))
        if mine is not None and other is not None:
            gaps.append(mine["gap_ms"] / other["gap_ms"])
    return times, gaps


def judge(rate, found, median, limit):
    """Whether the limits are kept."""
    kept = median is not None
    times, gaps = ratios(found, limit) if "qemu" in found else ([], [])
    figures = [("time", times), ("gap", gaps)]
    if rate == 0 and median is not None:
        figures.append(("idle gap, ms", [median["gap_ms"]]))
    for name, values in figures:
        if not values:
            continue
        value = statistics.median(values)
        good = value <= LIMITS[name]
        kept &= good
        print("  %-12s %6.2f, limit %g: %s" % (name, value, LIMITS[name], "kept" if good else "EXCEEDED"))
    return kept


def measure_postcopy(options, rate):
    found = []
    for _ in range(options.rounds):
        with tempfile.TemporaryDirectory() as folder:
            found.append(move("memvisor", options, pathlib.Path(folder), rate, follows=True))
    return found


def judge_postcopy(rate, moves):
    """Whether the limits are kept."""
    ended = [one for one in moves if one is not None]
    waits = [one["waits"] for one in ended if one["waits"]]
    if not ended:
        print("postcopy %3d MiB/s: not within the limit" % rate)
        return False
    print("postcopy  %3d MiB/s: %6.2f s in all, %6.1f ms down, %6.1f ms without a byte on the console, "
          "%d waits (%d of %d moves)" % (
              rate, *(statistics.median(one[name] for one in ended)
                      for name in ("seconds", "downtime_ms", "gap_ms")),
              statistics.median(one["count"] for one in waits) if waits else 0, len(ended), len(moves)))
    kept = True
    for name, key in (("median wait, us", "median"), ("longest wait, us", "longest")):
        if not waits:
            break
        value = statistics.median(one[key] for one in waits)
        good = value <= WAIT_LIMITS[name]
        kept &= good
        print("  %-16s %6d, limit %g: %s" % (name, value, WAIT_LIMITS[name],
                                             "kept" if good else "EXCEEDED"))
    return kept


def main(argv):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--memvisor", default=str(TOP / "build/memvisor"), metavar="PATH")
    parser.add_argument("--qemu", default="qemu-system-aarch64", metavar="PATH",
                        help="'' to leave it out")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--mib", type=int, default=2048, help="the guest's memory (2048)")
    parser.add_argument("--limit", type=int, default=60, help="seconds, then it is given up (60)")
    parser.add_argument("--json", metavar="FILE", help="figures as JSON; - is standard output")
    parser.add_argument("--rates", default=",".join(map(str, RATES)), metavar="MIB,MIB...",
                        help="that the guest writes a second (%(default)s)")
    parser.add_argument("--check", action="store_true", help="exit 1 when a limit is exceeded")
    options = parser.parse_args(argv)
    if options.rounds < 1 or options.mib < 16 or options.mib % 8 != 0:
        parser.error("at least one round, and a multiple of 8 MiB from 16 on")
    options.memvisor = os.path.abspath(options.memvisor)
    rates = [int(rate) for rate in options.rates.split(",")]
    figures, kept = {}, True
    for rate in rates:
        found = figures[rate] = measure(options, rate)
        medians = {program: show(program, rate, moves, options.limit) for program, moves in found.items()}
        kept &= judge(rate, found, medians["memvisor"], options.limit)
    figures["postcopy"] = {rate: measure_postcopy(options, rate) for rate in rates}
    for rate, moves in figures["postcopy"].items():
        kept &= judge_postcopy(rate, moves)
    if options.json:
        (sys.stdout if options.json == "-" else open(options.json, "w")).write(
            json.dumps(figures) + "\n")
    return 1 if options.check and not kept else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
