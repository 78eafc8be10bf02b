#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Measures how fast guests compute under memvisor against QEMU's emulator (TCG).

The works are those of guest/compute, each timed by the guest's own clock, which is the
host's, and Debian's busybox, openssl, sqlite3, python3, perl and tcc as they are.  Guests
have one processor (QEMU's is -cpu cortex-a57), those for atomic instructions two
(neoverse-n1).  The two sides take turns; a work's figure is the median of the pairs' ratios:
how many times as fast as QEMU memvisor is.  A group's is the geometric mean of its works'.
"""
import argparse
import json
import math
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile

import boot

SOURCES = boot.TOP / "guest/compute"
USERLAND = boot.GUEST_FILES / "userland"

# What the project promises of a translated guest: least of a group's works, and of their mean.
PROMISED = {
    "integer": (1.5, 2), "branches": (1.5, 2), "calls": (1.5, 2), "programs": (1.5, 2),
    "copies": (1, 1), "strings": (2, 2), "chase": (1.3, 1.3), "double": (4, 4),
    "neon-float": (6, 6), "neon-integer": (2.5, 2.5), "crypto": (2.5, 2.5), "exclusives": (2, 2),
    "lse": (2, 2), "two": (1, 1), "system": (1, 1), "faults": (3, 3), "forks": (2, 2),
    "code": (1, 1),
}

# group "programs": as a user would run them, for a second or more.
BUSYBOX = {
    "busybox-sha256sum": "busybox sha256sum /tmp/data > /dev/null",
    "busybox-gzip": "busybox gzip -c /tmp/some > /dev/null",
    "busybox-sort": "busybox sort /tmp/text > /dev/null",
    "busybox-shell": "i=0; while [ $i -lt 60000 ]; do i=$((i + 1)); done",
}
DEBIAN = {
    "openssl-sha512": "openssl dgst -sha512 /tmp/data > /dev/null",
    "openssl-aes": "openssl enc -aes-128-ctr -K 00112233445566778899aabbccddeeff -iv 0 "
                   "-in /tmp/data -out /dev/null",
    "sqlite3": "sqlite3 :memory: 'create table t(a, b); with recursive c(x) as (select 1 union all "
               "select x + 1 from c where x < 60000) insert into t select x, x * 7919 % 60001 from c; "
               "create index i on t(b); select sum(a * b % 7) from t where b > 30000 order by a;' "
               "> /dev/null",
    "python3": "python3 -S -c 'd = {}\nfor i in range(400000): d[i * 7919 % 5003] = str(i)[::-1]\n"
               "print(sum(map(len, d.values())))' > /dev/null",
    "perl": "perl -e 'my %h; for my $i (1 .. 400000) { $h{$i % 1009} .= chr(65 + $i % 26) } "
            "print length join \"\", values %h' > /dev/null",
    "tcc": "tcc -c -o /tmp/out.o /tmp/large.c",
}
PREPARE = """
busybox dd if=/dev/zero bs=1M count=16 2>/dev/null | busybox tr '\\000' 'm' > /tmp/data
busybox dd if=/bin/busybox bs=1M count=2 of=/tmp/some 2>/dev/null
busybox strings /bin/busybox > /tmp/text
"""
HEAD = """#!/bin/busybox sh
export PATH=/bin:/usr/bin:/sbin:/usr/sbin
busybox mount -t proc proc /proc
busybox mount -t devtmpfs devtmpfs /dev
busybox mount -t tmpfs -o size=256M tmpfs /tmp
timed() { read begin idle < /proc/uptime; eval "$2"; code=$?; read end idle < /proc/uptime
    echo "timed $1 $code $begin $end"; }
"""


def large_source():
    """C of some ten thousand lines, for a compiler."""
    lines = ["int f0(int x) { return x; }"]
    for i in range(1, 2500):
        lines.append("int f%d(int x)\n{\n    int i, sum = %d;\n    for (i = 0; i < x; i++)\n"
                     "        sum += i %% 3 ? f%d(i - 1) * %d : sum >> 2;\n    return sum;\n}"
                     % (i, i, i - 1, i * 7 % 101))
    return "\n".join(lines) + "\n"


def run_tool(*words, **keys):
    made = subprocess.run([str(word) for word in words], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, **keys)
    if made.returncode != 0:
        raise boot.Failure("%s: %s" % (words[0], made.stdout.strip()))


def build_compute(folder):
    compiler = "aarch64-linux-gnu-gcc"
    if not shutil.which(compiler):
        raise boot.Failure("%s is missing: run scripts/setup.sh bench" % compiler)
    run_tool(compiler, "-std=gnu11", "-O2", "-static", "-pthread", *sorted(SOURCES.glob("*.c")),
             "-o", folder / "compute", "-lm")
    return folder / "compute"


def build_initrd(folder, script, files=(), userland=False):
    init, out = folder / "init", folder / ("%d.cpio" % len(list(folder.iterdir())))
    init.write_text(HEAD + script + "exec busybox poweroff -f\n")
    run_tool(boot.TOP / "scripts/initramfs.sh", out, init,
             *("%s:%s" % (file, path) for file, path in files))
    if userland:
        with open(out, "ab") as archive:
            subprocess.run("find . -mindepth 1 | cpio --quiet -o -H newc -R 0:0", shell=True,
                           cwd=USERLAND, stdout=archive, check=True)
    return out


class Boot:
    """A guest's works: their initramfs, its processors, and how its console is read."""

    def __init__(self, title, initrd, cpus=1, qemu_cpu="cortex-a57", memory=512):
        self.title, self.initrd, self.cpus = title, initrd, cpus
        self.qemu_cpu, self.memory = qemu_cpu, memory

    def times(self, side, options):
        """{(group, work): seconds or nanoseconds}"""
        mine = argparse.Namespace(**dict(vars(options), cpus=self.cpus, qemu_cpu=self.qemu_cpu,
                                         memory=self.memory))
        with boot.Guest(side, mine, self.initrd) as guest:
            guest.wait_for_exit()
            text = guest.text().decode(errors="replace")
        found = {(group, name): float(time) for group, name, time in
                 re.findall(r"^([\w-]+) ([\w-]+) ([0-9.]+)\r?$", text, re.M) if group in PROMISED}
        for name, code, begin, end in re.findall(
                r"^timed ([\w-]+) (\d+) ([\d.]+) ([\d.]+)", text, re.M):
            if code != "0":
                raise boot.Failure("%s failed under %s:\n%s" % (name, side, text[-2000:]))
            found["programs", name] = max(float(end) - float(begin), 0.01)
        return found


def make_boots(options, folder):
    compute = [(build_compute(folder), "/bin/compute")]
    one = [group for group in PROMISED if group not in ("lse", "two", "programs")]
    wanted = options.only or list(PROMISED)
    boots = []
    for title, groups, cpus, cpu in (("one processor", one, 1, "cortex-a57"),
                                     ("two processors", ["lse", "two"], 2, "neoverse-n1")):
        groups = [group for group in groups if group in wanted]
        if groups:
            script = "compute %g %s\n" % (options.seconds, " ".join(groups))
            boots.append(Boot(title, build_initrd(folder, script, compute), cpus, cpu))
    if "programs" not in wanted:
        return boots
    source = folder / "large.c"
    source.write_text(large_source())
    has_userland = (USERLAND / "usr/bin/python3").exists()
    if not has_userland:
        print("compute.py: Debian's programs are not here: scripts/guest-userland.sh fetches them",
              file=sys.stderr)
    works = dict(BUSYBOX, **(DEBIAN if has_userland else {}))
    script = PREPARE + "busybox cp /large.c /tmp/large.c\n" + "".join(
        "timed %s '%s'\n" % (name, work.replace("'", "'\\''")) for name, work in works.items())
    boots.append(Boot("programs", build_initrd(folder, script, [(source, "/large.c")], has_userland),
                      memory=1024))
    return boots


def measure(options):
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        for one in make_boots(options, pathlib.Path(folder)):
            times = {side: [] for side in boot.SIDES}
            for turn in range(options.rounds):
                order = list(boot.SIDES) if turn % 2 == 0 else list(boot.SIDES)[::-1]
                for side in order:
                    times[side].append(one.times(side, options))
                    print("  %s, round %d: %s, %d works" % (one.title, turn + 1, side,
                                                            len(times[side][-1])), file=sys.stderr)
            for key in times["qemu"][0]:
                if any(key not in found for found in times["memvisor"] + times["qemu"]):
                    raise boot.Failure("%s %s was not measured each time" % key)
                pairs = [(ours[key], theirs[key])
                         for ours, theirs in zip(times["memvisor"], times["qemu"])]
                results["%s/%s" % key] = {
                    "group": key[0], "memvisor": statistics.median(ours for ours, _ in pairs),
                    "qemu": statistics.median(theirs for _, theirs in pairs),
                    "speedup": statistics.median(theirs / ours for ours, theirs in pairs)}
    return results


def group_means(results):
    groups = {}
    for row in results.values():
        groups.setdefault(row["group"], []).append(row["speedup"])
    return {group: (min(each), math.exp(sum(map(math.log, each)) / len(each)))
            for group, each in groups.items()}


def print_table(results):
    print("%-34s%14s%14s%10s" % ("", "memvisor", "qemu", "times"))
    for name, row in results.items():
        unit = "s" if row["group"] == "programs" else "ns"
        print("%-34s%11.2f %-2s%11.2f %-2s%10.2f" % (name, row["memvisor"], unit, row["qemu"], unit,
                                                    row["speedup"]))
    print()
    print("%-34s%14s%14s   %s" % ("group", "least", "mean", "promised, translated"))
    for group, (least, mean) in group_means(results).items():
        each, whole = PROMISED[group]
        print("%-34s%14.2f%14.2f   %g, %g: %s" % (
            group, least, mean, each, whole,
            "kept" if least >= each and mean >= whole else "MISSED"))


def main(argv):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--memvisor", default=str(boot.TOP / "build/memvisor"), metavar="PATH")
    parser.add_argument("--qemu", default="qemu-system-aarch64", metavar="PATH")
    parser.add_argument("--engine", default="emulator,jit=on", help="memvisor's (emulator,jit=on)")
    parser.add_argument("--rounds", type=int, default=3, help="pairs of boots (3)")
    parser.add_argument("--seconds", type=float, default=0.1, help="of each work (0.1)")
    parser.add_argument("--only", nargs="+", choices=list(PROMISED), metavar="GROUP",
                        help="of " + ", ".join(PROMISED))
    parser.add_argument("--timeout", type=int, default=600, metavar="SECONDS",
                        help="most that a boot may take (600)")
    parser.add_argument("--json", metavar="FILE", help="also write the figures here")
    parser.add_argument("--check", action="store_true", help="exit 1 when a promise is missed")
    options = parser.parse_args(argv)
    if options.rounds < 1:
        parser.error("--rounds %d: at least 1" % options.rounds)
    if options.seconds <= 0:
        parser.error("--seconds %g: more than 0" % options.seconds)
    try:
        results = measure(options)
    except boot.Failure as failure:
        print("compute.py: %s" % failure, file=sys.stderr)
        return 1
    print_table(results)
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(results, indent=2) + "\n")
    kept = all(least >= PROMISED[group][0] and mean >= PROMISED[group][1]
               for group, (least, mean) in group_means(results).items())
    return 1 if options.check and not kept else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
