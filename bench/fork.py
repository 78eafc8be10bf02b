#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Measures memvisor fork: a Linux that has much memory in use, and sleeps, is forked, first
into one clone, some times, and then into many at once.

Pause: how long the guest stood still, as x-fork tells, the median of the forks into one
clone.  Before the first of them small pages are brought together, which is told beside.

Clones: from the command to the moment when each of many has answered query-status.

Memory: what a clone has to itself beside the guest's memory (smaps), the most of all.

Again: ten of the clones are forked once more.
"""
import argparse
import os
import pathlib
import re
import statistics
import sys
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TOP / "tests"))
import harness # noqa: E402
import qmp # noqa: E402

USE = """
busybox mkdir -p /mnt
busybox mount -t tmpfs -o size=100%% tmpfs /mnt
busybox dd if=/dev/zero of=/mnt/file bs=1M count=%d 2>/dev/null
echo used
busybox sleep 1000000
"""
LIMITS = {"pause, ms": 10, "clones that answer, s": 3, "a clone's own memory, MiB": 3}


def fork(client, *names):
    """The answer, with the seconds that it took."""
    start = time.monotonic()
    answer = client.execute("x-fork", names=list(names), serial="none")
    failed = [clone for clone in answer["clones"] if "error" in clone]
    if failed:
        sys.exit("fork.py: a clone does not run: %r" % failed[0])
    return dict(answer, seconds=time.monotonic() - start)


def own_mib(pid, ram):
    """Private pages of mappings that are no guest's memory."""
    total, counts = 0, True
    for line in pathlib.Path("/proc/%d/smaps" % pid).read_text().splitlines():
        if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
            start, end = (int(word, 16) for word in line.split()[0].split("-"))
            counts = end - start < ram
        elif counts and line.startswith("Private_"):
            total += int(line.split()[1])
    return total / 1024


def boot(memvisor, folder, mib):
    """A Linux that has used so much memory, and sleeps."""
    initrd = harness.build_initrd(USE % mib, folder)
    vm = qmp.Vm(memvisor, folder, name="p",
                boot=memvisor.boot_argv(initrd, "-m", "%dM" % (mib + 192), append="quiet"))
    vm.wait_for(lambda: "used" in vm.output(), seconds=300)
    return vm


def measure(options, folder):
    figures, pauses, times = {}, [], []
    with boot(harness.Memvisor(os.path.abspath(options.memvisor)), folder,
              options.memory) as vm, vm.qmp() as client:
        sockets = vm.rundir.parent
        resident = client.execute("x-query-blocks")[0]["resident"]
        assert resident >= options.memory << 20, "the guest has used %d bytes alone" % resident
        for turn in range(options.rounds):
            answer = fork(client, "one")
            pauses.append(answer["pause-microseconds"] / 1000)
            times.append(answer["seconds"])
            with qmp.Qmp(sockets / "one/qmp.sock") as clone:
                clone.execute("quit")
            while (sockets / "one").exists():
                time.sleep(0.01)
        names = ["p-%d" % i for i in range(options.clones)]
        start = time.monotonic()
        answer = fork(client, *names)
        clients = [qmp.Qmp(sockets / name / "qmp.sock") for name in names]
        assert all(clone.execute("query-status")["running"] for clone in clients)
        figures["clones that answer, s"] = time.monotonic() - start
        again = [fork(clone, "again-%d" % i) for i, clone in enumerate(clients[:10])]
        figures["a clone's own memory, MiB"] = max(
            own_mib(clone["pid"], options.memory << 20)
            for made in (answer, *again) for clone in made["clones"])
        clients += [qmp.Qmp(sockets / ("again-%d" % i) / "qmp.sock") for i in range(len(again))]
        for clone in clients:
            clone.execute("quit")
            clone.close()
    figures["pause, ms"] = statistics.median(pauses)
    print("%d MiB in use; the first fork took %.2f s, the others %.3f s; it stood still for %s ms, "
          "and %.1f ms before %d clones" % (
              options.memory, times[0], statistics.median(times[1:]),
              ", ".join("%.1f" % pause for pause in pauses), answer["pause-microseconds"] / 1000,
              options.clones))
    return figures


def main(argv):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--memvisor", default=str(TOP / "build/memvisor"), metavar="PATH")
    parser.add_argument("--memory", type=int, default=1024, help="MiB that the guest has used")
    parser.add_argument("--clones", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5, help="forks into one clone, at least 2")
    parser.add_argument("--check", action="store_true", help="exit 1 when a limit is exceeded")
    options = parser.parse_args(argv)
    if options.rounds < 2 or options.clones < 1 or options.memory < 1:
        parser.error("--rounds is at least 2, --clones and --memory at least 1")
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(options, folder)
    kept = True
    for name, limit in LIMITS.items():
        kept &= figures[name] <= limit
        print("%-28s %7.2f, limit %d: %s" % (name, figures[name], limit,
                                             "kept" if figures[name] <= limit else "EXCEEDED"))
    return 1 if options.check and not kept else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
