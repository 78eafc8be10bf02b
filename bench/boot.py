#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Measures memvisor's emulator against QEMU's (TCG), both in the same run.

Time: the same Debian kernel boots with an initramfs that powers off at once,
from start to exit of the process, in turns, so that a host that slows down
slows both.  The ratio is the median of the pairs' ratios.  On a busy host the
processor time of the same boots says more.

Memory: a guest has booted to the shell; what the process has resident minus
what is resident of the guest's RAM.

Idle: the same guest waits at its shell; the processor time that the process
uses in ten seconds.

The crypto self-tests, two thirds of a boot, are off (cryptomgr.notests).
"""
import argparse
import json
import os
import pathlib
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parent.parent
GUEST_FILES = pathlib.Path(os.environ.get("MEMVISOR_GUEST_FILES") or TOP / "guest-files")
MIB = 1 << 20
CMDLINE = "cryptomgr.notests panic=-1 console="
POWEROFF = "#!/bin/busybox sh\nexec busybox poweroff -f\n"
PROMPT = b"/root # "
# What the project promises: for the engine in this tree, so a later engine lowers it.
LIMITS = {"ratio": 8.0, "overhead_mib": 24.0, "idle_percent": 3.0}


class Failure(Exception):
    pass


def memvisor_argv(options, initrd):
    return [options.memvisor, "run", "-k", GUEST_FILES / "vmlinuz", "-i", initrd,
            "-m", "%dM" % options.memory, "-c", str(options.cpus), "--engine", options.engine,
            "--no-reboot",
            "-a", CMDLINE + "ttyS0"]


def qemu_argv(options, initrd):
    return [options.qemu, "-M", "virt,gic-version=3", "-cpu", options.qemu_cpu, "-accel", "tcg",
            "-m", str(options.memory), "-smp", str(options.cpus), "-nic", "none", "-nographic",
            "-no-reboot",
            "-kernel", GUEST_FILES / "vmlinuz", "-initrd", initrd, "-append", CMDLINE + "ttyAMA0"]


SIDES = {"memvisor": memvisor_argv, "qemu": qemu_argv}


class Guest:
    """A running guest; its console goes to a file, its input stays open."""

    def __init__(self, side, options, initrd):
        self.argv = [str(word) for word in SIDES[side](options, initrd)]
        self.limit = options.timeout
        self.console = tempfile.TemporaryFile()
        self.start = time.monotonic()
        try:
            self.process = subprocess.Popen(self.argv, stdin=subprocess.PIPE,
                                            stdout=self.console, stderr=subprocess.STDOUT)
        except OSError as error:
            raise Failure("cannot run %s: %s" % (self.argv[0], error.strerror))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.console.close()

    def text(self):
        return os.pread(self.console.fileno(), 1 << 24, 0)

    def fail(self, what):
        tail = self.text()[-800:].decode(errors="replace")
        raise Failure("%s %s; its console ended with\n%s" % (self.argv[0], what, tail))

    def wait_for_exit(self):
        """Seconds from start to exit after a power-off, and of processor time."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        try:
            code = self.process.wait(self.limit)
        except subprocess.TimeoutExpired:
            self.fail("did not power off within %d s" % self.limit)
        seconds = time.monotonic() - self.start
        if code != 0 or b"Power down" not in self.text():
            self.fail("did not boot and power off (exit %d)" % code)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return seconds, (after.ru_utime - before.ru_utime) + (after.ru_stime - before.ru_stime)

    def wait_for_prompt(self):
        while PROMPT not in self.text():
            if self.process.poll() is not None:
                self.fail("ended before the shell's prompt")
            if time.monotonic() - self.start > self.limit:
                self.fail("gave no prompt within %d s" % self.limit)
            time.sleep(0.05)

    def processor_seconds(self):
        # Behind the command's closing bracket: utime and stime are fields 14 and 15.
        stat = pathlib.Path("/proc/%d/stat" % self.process.pid).read_text()
        fields = stat.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident(self, ram_bytes):
        """(bytes resident, bytes of them guest RAM).  RAM is a mapping that memvisor
        named so, or one as large as the guest's RAM where names are not kept."""
        total = size = named = large = 0
        name = ""
        for line in open("/proc/%d/smaps" % self.process.pid):
            head = re.match(r"([0-9a-f]+)-([0-9a-f]+) \S+ \S+ \S+ \S+ *(.*)", line)
            if head:
                size = int(head.group(2), 16) - int(head.group(1), 16)
                name = head.group(3)
            elif line.startswith("Rss:"):
                rss = int(line.split()[1]) * 1024
                total += rss
                if re.search(r"memvisor:ram\d", name):
                    named += rss
                elif size >= ram_bytes:
                    large += rss
        if named + large == 0:
            self.fail("has no mapping as large as the guest's RAM")
        return total, named or large


def build_initrd(folder):
    init = folder / "init"
    init.write_text(POWEROFF)
    made = subprocess.run([TOP / "scripts/initramfs.sh", folder / "poweroff.cpio", init],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if made.returncode != 0:
        raise Failure(made.stdout.strip())
    return folder / "poweroff.cpio"


def time_boots(sides, options, initrd):
    """{side: [(seconds, processor seconds) a round]}"""
    times = {side: [] for side in sides}
    for turn in range(options.rounds):
        # Whoever is first in one round is second in the next.
        for side in sides if turn % 2 == 0 else sides[::-1]:
            with Guest(side, options, initrd) as guest:
                times[side].append(guest.wait_for_exit())
            print("  round %d: %-8s %6.2f s" % (turn + 1, side, times[side][-1][0]),
                  file=sys.stderr)
    return times


def ratio(times, which):
    """The median of memvisor's time over QEMU's, round by round."""
    return statistics.median(
        ours[which] / theirs[which] for ours, theirs in zip(times["memvisor"], times["qemu"]))


def measure_idle(side, options):
    """(MiB beyond the guest's RAM, MiB of it, percent of one processor)"""
    with Guest(side, options, GUEST_FILES / "initrd.cpio") as guest:
        guest.wait_for_prompt()
        # The boot's last work (freed memory, timers) is done after this.
        time.sleep(options.settle)
        total, ram = guest.resident(options.memory * MIB)
        used, start = guest.processor_seconds(), time.monotonic()
        time.sleep(options.idle)
        if guest.process.poll() is not None:
            guest.fail("ended while idle")
        percent = 100 * (guest.processor_seconds() - used) / (time.monotonic() - start)
    return (total - ram) / MIB, ram / MIB, percent


def measure(sides, options):
    results = {side: {} for side in sides}
    with tempfile.TemporaryDirectory() as folder:
        print("== boot to power-off, %d rounds" % options.rounds, file=sys.stderr)
        times = time_boots(sides, options, build_initrd(pathlib.Path(folder)))
    print("== memory and idle load at the shell", file=sys.stderr)
    for side in sides:
        overhead, ram, idle = measure_idle(side, options)
        results[side] = {
            "boot_seconds": statistics.median(wall for wall, _ in times[side]),
            "boot_cpu_seconds": statistics.median(cpu for _, cpu in times[side]),
            "boot_seconds_all": [wall for wall, _ in times[side]],
            "overhead_mib": overhead,
            "guest_resident_mib": ram,
            "idle_percent": idle,
        }
    if len(sides) == 2:
        results["ratio"] = ratio(times, 0)
        results["cpu_ratio"] = ratio(times, 1)
    return results


def within(results):
    """{name of a limit: whether memvisor keeps it}, of what was measured."""
    got = dict(results.get("memvisor", {}), ratio=results.get("ratio"))
    return {name: got[name] <= most for name, most in LIMITS.items() if got.get(name) is not None}


ROWS = [
    ("boot to power-off, median", "boot_seconds", "%.2f s"),
    ("its processor time, median", "boot_cpu_seconds", "%.2f s"),
    ("resident beyond guest RAM", "overhead_mib", "%.1f MiB"),
    ("resident guest RAM", "guest_resident_mib", "%.1f MiB"),
    ("idle at the shell, of a core", "idle_percent", "%.1f %%"),
]


def print_table(sides, results):
    print("%-30s" % "" + "".join("%12s" % side for side in sides))
    for title, key, form in ROWS:
        print("%-30s" % title + "".join("%12s" % (form % results[side][key]) for side in sides))
    if "ratio" in results:
        print("%-30s%12.2f" % ("ratio of boot times", results["ratio"]))
        print("%-30s%12.2f" % ("ratio of processor times", results["cpu_ratio"]))
    for name, kept in within(results).items():
        print("limit on memvisor's %s, %g: %s" % (name, LIMITS[name], "kept" if kept else "EXCEEDED"))


def parse(argv):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--memvisor", default=str(TOP / "build/memvisor"), metavar="PATH")
    parser.add_argument("--qemu", default="qemu-system-aarch64", metavar="PATH")
    parser.add_argument("--only", choices=SIDES, help="measure this side alone")
    parser.add_argument("--rounds", type=int, default=3, help="pairs of boots (3)")
    parser.add_argument("--memory", type=int, default=512, metavar="MIB", help="guest RAM (512)")
    parser.add_argument("--settle", type=float, default=3, metavar="SECONDS",
                        help="from prompt to the idle measurement (3)")
    parser.add_argument("--idle", type=float, default=10, metavar="SECONDS",
                        help="how long the idle guest is watched (10)")
    parser.add_argument("--timeout", type=int, default=300, metavar="SECONDS",
                        help="most that a boot may take (300)")
    parser.add_argument("--json", metavar="FILE", help="also write the figures here (- for stdout)")
    parser.add_argument("--check", action="store_true", help="exit 1 when a limit is exceeded")
    parser.add_argument("--engine", default="emulator", help="memvisor's (emulator)")
    options = parser.parse_args(argv)
    if options.rounds < 1:
        parser.error("--rounds %d: at least 1" % options.rounds)
    options.cpus, options.qemu_cpu = 1, "cortex-a57"
    return options


def main(argv):
    options = parse(argv)
    sides = [options.only] if options.only else list(SIDES)
    try:
        results = measure(sides, options)
    except Failure as failure:
        print("boot.py: %s" % failure, file=sys.stderr)
        return 1
    if options.json != "-":
        print_table(sides, results)
    if options.json:
        text = json.dumps(dict(results, limits=LIMITS), indent=2) + "\n"
        if options.json == "-":
            sys.stdout.write(text)
        else:
            pathlib.Path(options.json).write_text(text)
    return 1 if options.check and not all(within(results).values()) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
