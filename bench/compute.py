#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Measures how fast guests compute under memvisor against QEMU's emulator (TCG).

Each workload is a shell script in a guest of one processor, timed by the
guest's own clock, which is the host's; the two sides take turns, and the ratio
is the median of the pairs' ratios.
"""
import argparse
import json
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile

import boot

# name: the script to time, and the most that memvisor may take of QEMU's time.
WORKLOADS = {
    "sha256sum of 16 MiB": ("busybox sha256sum /tmp/data >/dev/null", 12.0),
    "gzip of 2 MiB": ("busybox gzip -c /tmp/some >/dev/null", None),
    "shell loop": ("i=0; while [ $i -lt 30000 ]; do i=$((i + 1)); done", None),
}

HEAD = """#!/bin/busybox sh
busybox mount -t proc proc /proc
busybox mount -t devtmpfs devtmpfs /dev
busybox mount -t tmpfs tmpfs /tmp
busybox dd if=/dev/zero bs=1M count=16 2>/dev/null | busybox tr '\\000' 'm' >/tmp/data
busybox dd if=/bin/busybox bs=1M count=2 of=/tmp/some 2>/dev/null
[ $(busybox wc -c </tmp/data) = 16777216 ] && [ $(busybox wc -c </tmp/some) -gt 1800000 ] || exit 1
now() { read up idle </proc/uptime; echo "$1 $up"; }
"""


def build_initrd(folder):
    init = folder / "init"
    init.write_text(HEAD + "".join("now start%d\n%s\nnow end%d\n" % (i, script, i)
                                   for i, (script, _) in enumerate(WORKLOADS.values()))
                    + "exec busybox poweroff -f\n")
    made = subprocess.run([boot.TOP / "scripts/initramfs.sh", folder / "compute.cpio", init],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if made.returncode != 0:
        raise boot.Failure(made.stdout.strip())
    return folder / "compute.cpio"


def time_workloads(side, options, initrd):
    """Seconds of each workload, in one boot."""
    with boot.Guest(side, options, initrd) as guest:
        guest.wait_for_exit()
        marks = dict(re.findall(r"^(start\d+|end\d+) ([\d.]+)", guest.text().decode(), re.M))
        if len(marks) != 2 * len(WORKLOADS):
            guest.fail("did not run the workloads")
    return [float(marks["end%d" % i]) - float(marks["start%d" % i]) for i in range(len(WORKLOADS))]


def measure(options):
    times = {side: [] for side in boot.SIDES}
    with tempfile.TemporaryDirectory() as folder:
        initrd = build_initrd(pathlib.Path(folder))
        for turn in range(options.rounds):
            order = list(boot.SIDES) if turn % 2 == 0 else list(boot.SIDES)[::-1]
            for side in order:
                times[side].append(time_workloads(side, options, initrd))
                print("  round %d: %-8s %s" % (
                    turn + 1, side, " ".join("%6.2f s" % s for s in times[side][-1])),
                    file=sys.stderr)
    results = {}
    for i, (name, (_, limit)) in enumerate(WORKLOADS.items()):
        pairs = [(ours[i], theirs[i]) for ours, theirs in zip(times["memvisor"], times["qemu"])]
        # The guest's clock shows hundredths.
        results[name] = {
            "memvisor_seconds": statistics.median(ours for ours, _ in pairs),
            "qemu_seconds": statistics.median(theirs for _, theirs in pairs),
            "ratio": statistics.median(ours / max(theirs, 0.01) for ours, theirs in pairs),
            "limit": limit}
    return results


def print_table(results):
    print("%-24s%12s%12s%10s" % ("", "memvisor", "qemu", "ratio"))
    for name, row in results.items():
        print("%-24s%10.2f s%10.2f s%10.2f" % (
            name, row["memvisor_seconds"], row["qemu_seconds"], row["ratio"]))
    for name, row in results.items():
        if row["limit"]:
            print("limit on the ratio of %s, %g: %s" % (
                name, row["limit"], "kept" if row["ratio"] <= row["limit"] else "EXCEEDED"))


def main(argv):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--memvisor", default=str(boot.TOP / "build/memvisor"), metavar="PATH")
    parser.add_argument("--qemu", default="qemu-system-aarch64", metavar="PATH")
    parser.add_argument("--rounds", type=int, default=5, help="pairs of boots (5)")
    parser.add_argument("--memory", type=int, default=512, metavar="MIB", help="guest RAM (512)")
    parser.add_argument("--timeout", type=int, default=300, metavar="SECONDS",
                        help="most that a boot may take (300)")
    parser.add_argument("--json", metavar="FILE", help="also write the figures here")
    parser.add_argument("--check", action="store_true", help="exit 1 when a limit is exceeded")
    options = parser.parse_args(argv)
    if options.rounds < 1:
        parser.error("--rounds %d: at least 1" % options.rounds)
    try:
        results = measure(options)
    except boot.Failure as failure:
        print("compute.py: %s" % failure, file=sys.stderr)
        return 1
    print_table(results)
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(results, indent=2) + "\n")
    kept = all(row["limit"] is None or row["ratio"] <= row["limit"] for row in results.values())
    return 1 if options.check and not kept else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
