#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Measures what a guest waits for when it goes on from a state file.

First instruction: from the start of the process to a letter that the guest writes first of
all, with 512 MiB and with 16 GiB that it has hardly touched, against all that 'memvisor
version' takes, in turns.

Working set: a guest goes on and reads 256 MiB of its memory twice, by its own clock.  What
the first time takes more than the second are its page faults, without a working set and with
the one that such a guest left, in turns; with the state file in the page cache, and out of it
(posix_fadvise(2), POSIX_FADV_DONTNEED).  Time in which other processes had the processors
does not count.  One guest reads a word of each of its pages, which are scattered over 1 GiB
in runs of 64 KiB, in an order that nobody foresees; the other every word of its pages, which
lie in a row, so that the kernel reads ahead for it, too, and a disk that is slower than the
guest is what both wait for, with a set and without.
"""
import argparse
import json
import os
import pathlib
import statistics
import struct
import subprocess
import sys
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TOP / "tests"))
import harness # noqa: E402
import memory_guest # noqa: E402
import qmp # noqa: E402

MIB = 1 << 20
PAGE = 4096
RAM_BASE = 0x80000000
READ = 256 * MIB # of four times as much
FREQUENCY = 62500000 # of the guest's clock, in Hz
SMALL, LARGE = 512, 16384 # MiB
# Writes "o" to the console at once, and waits.
FIRST = struct.pack("<5I", 0xd2a02001, 0x52800de2, 0x39000022, 0xd503207f, 0x17ffffff)
AREA = RAM_BASE + 128 * MIB
PATTERNS = {"scattered": b"j %x %x %x" % (AREA, READ >> 16, 256 << 10),
            "in a row": b"k %x %x" % (AREA, READ // PAGE)}
WAYS = ("in the page cache", "out of it")
TIME_MIN = 2.0 # ms
LIMITS = {"first_ms": 10.0, "sizes": 1.3, "faults": 0.5}


def fail(text):
    sys.exit("restore.py: " + text)


# --- the first instruction


def save_idle(memvisor, folder, mib):
    """The state of a guest of so many MiB that stands before its first instruction."""
    image, state = folder / "first.bin", folder / ("first-%d.state" % mib)
    image.write_bytes(FIRST)
    boot = [memvisor, "run", "--firmware", image, "-m", "%dM" % mib]
    with qmp.Vm(harness.Memvisor(memvisor), folder, "--paused", boot=boot, name="first") as vm:
        with vm.qmp() as client:
            client.execute("x-save", file=str(state))
    return state


def until_first_byte(argv, env):
    """Milliseconds."""
    start = time.monotonic()
    process = subprocess.Popen([str(word) for word in argv], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env)
    byte = process.stdout.read(1)
    spent = time.monotonic() - start
    process.kill()
    errors = process.communicate()[1]
    if not byte:
        fail("%s said nothing: %r" % (argv[:3], errors))
    return 1000 * spent


def until_end(argv, env):
    start = time.monotonic()
    subprocess.run([str(word) for word in argv], stdout=subprocess.DEVNULL, env=env, check=True)
    return 1000 * (time.monotonic() - start)


def measure_first(memvisor, folder, env, pairs):
    states = {mib: save_idle(memvisor, folder, mib) for mib in (SMALL, LARGE)}
    times = {"version": [], SMALL: [], LARGE: []}
    for turn in range(pairs + 1):
        one = {mib: until_first_byte([memvisor, "restore", state], env)
               for mib, state in states.items()}
        one["version"] = until_end([memvisor, "version"], env)
        for name in times:
            if turn > 0: # the first warms the host up
                times[name].append(one[name])
    return times


# --- the working set


def save_full(memvisor, folder, binary):
    state = folder / "full.state"
    with memory_guest.Guest(harness.Memvisor(memvisor), folder, "-m", "1280M",
                            binary=binary) as guest:
        guest.do("f", AREA, 4 * READ // PAGE, 0x55, seconds=120)
        with guest.qmp() as client:
            client.execute("x-save", file=str(state))
    return state


def drop(path):
    """The file's pages out of the page cache."""
    with open(path, "rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def keep(path):
    with open(path, "rb") as file:
        while file.read(16 * MIB):
            pass


def waited_ms(pid, tid):
    """For how long a thread could have run, and others had the processors."""
    return int(open("/proc/%d/task/%d/schedstat" % (pid, tid)).read().split()[1]) / 1e6


def read_once(guest, command):
    """Milliseconds of the guest's clock, and the sum."""
    guest.process.stdin.write(b"c\n%s\nc\n" % command)
    guest.process.stdin.flush()
    before, total, after = (guest.answer(600) for _ in range(3))
    return 1000 * (after - before) / FREQUENCY, total


def read_twice(memvisor, state, command, way):
    """Milliseconds that the guest took for each; what --json says at the end."""
    drop(state)
    if way == WAYS[0]:
        keep(state)
    with memory_guest.Guest(harness.Memvisor(memvisor), state.parent, "--json", state=state,
                            name="restored") as guest:
        first, total = read_once(guest, command)
        with guest.qmp() as client:
            tid = client.execute("query-cpus-fast")[0]["thread-id"]
        waits = [0, waited_ms(guest.pid, tid)]
        second, again = read_once(guest, command)
        waits.append(waited_ms(guest.pid, tid))
        if guest.end() != 0 or total != again:
            fail("the guest did not do its work: %s" % guest.errors())
        told = [json.loads(line) for line in guest.errors().splitlines() if line.startswith("{")]
    return [max(first - waits[1], 0.0), max(second - (waits[2] - waits[1]), 0.0)], told[-1]


def measure_set(memvisor, state, command, way, pairs):
    """For each turn what the faults took, in ms, without a set and with one; the last figures."""
    kept = pathlib.Path(str(state) + ".ws")
    saved = kept.with_suffix(".kept")
    kept.unlink(missing_ok=True)
    read_twice(memvisor, state, command, way)
    os.rename(kept, saved)
    turns = []
    for _ in range(pairs):
        times, told = {}, {}
        for name in ("without", "with"):
            kept.unlink(missing_ok=True)
            if name == "with":
                kept.write_bytes(saved.read_bytes())
            both, told[name] = read_twice(memvisor, state, command, way)
            times[name] = max(both[0] - both[1], 0.0)
            told[name]["read_ms"] = both
        turns.append((times["without"], times["with"], told))
    return turns


def show(kept, text, *values):
    print(text % values + (": kept" if kept else ": EXCEEDED"))
    return kept


def report_first(times):
    median = {name: statistics.median(values) for name, values in times.items()}
    more = max(median[SMALL], median[LARGE]) - median["version"]
    ratio = max(median[SMALL], median[LARGE]) / min(median[SMALL], median[LARGE])
    print("first instruction: 512 MiB %.1f ms, 16 GiB %.1f ms, 'memvisor version' %.1f ms; "
          "medians of %d" % (median[SMALL], median[LARGE], median["version"],
                             len(times["version"])))
    kept = show(more <= LIMITS["first_ms"], "  %.1f ms more than 'memvisor version', limit %.0f ms",
                more, LIMITS["first_ms"])
    return show(ratio <= LIMITS["sizes"], "  ratio of the sizes %.2f, limit %.1f", ratio,
                LIMITS["sizes"]) and kept


def report_set(pattern, way, turns):
    without, having = (statistics.median(turn[i] for turn in turns) for i in (0, 1))
    told = turns[-1][2]
    ratio, of = having / max(without, 1e-9), "their time"
    if without < TIME_MIN:
        faults = [statistics.median(turn[2][name]["minor-faults"] + turn[2][name]["major-faults"]
                                    for turn in turns) for name in ("with", "without")]
        ratio, of = faults[0] / max(faults[1], 1), "their number, the time being too short to tell"
    print("256 MiB, %s, file %s: faults %.1f ms without a set, %.1f ms with it; medians of %d" % (
        pattern, way, without, having, len(turns)))
    for name in ("without", "with"):
        figures, there = told[name], told[name]["working-set"]
        print("  %-7s the last: read in %.1f ms, again in %.1f ms, %d + %d faults%s" % (
            name, *figures["read_ms"], figures["minor-faults"], figures["major-faults"],
            "" if there is None else ", %d MiB brought, there after %s ms" % (
                there["brought-bytes"] // MIB,
                "?" if there["complete-ns"] is None else "%.1f" % (there["complete-ns"] / 1e6))))
    return show(ratio <= LIMITS["faults"], "  ratio %.2f of %s, limit %.1f", ratio, of,
                LIMITS["faults"])


def main(argv):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--memvisor", default=str(TOP / "build/memvisor"), metavar="PATH")
    parser.add_argument("--dir", default="/var/tmp", metavar="FOLDER",
                        help="where the states are: on a disk")
    parser.add_argument("--pairs", type=int, help="turns of each (20 and 5)")
    parser.add_argument("--check", action="store_true", help="exit 1 when a limit is exceeded")
    options = parser.parse_args(argv)
    if options.pairs is not None and options.pairs < 1:
        parser.error("--pairs %d: at least 1" % options.pairs)
    memvisor = os.path.abspath(options.memvisor)
    kept = True
    with tempfile.TemporaryDirectory(dir=options.dir) as name:
        folder = pathlib.Path(name)
        env = dict(os.environ, XDG_RUNTIME_DIR=name)
        kept &= report_first(measure_first(memvisor, folder, env, options.pairs or 20))
        state = save_full(memvisor, folder, memory_guest.build(folder))
        for pattern, command in PATTERNS.items():
            for way in WAYS:
                kept &= report_set(pattern, way, measure_set(memvisor, state, command, way,
                                                             options.pairs or 5))
    return 1 if options.check and not kept else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
