#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Measures how fast ivshmem-server takes in peers: 250 against QEMU's reference
server, 1,000 against bare sendmsg and recvmsg of as many descriptors.

The sides take turns, and a ratio is the median of the pairs' ratios.  For the
reference, the time is the server's alone: from the first connect until all that
the peers are to be told waits in their sockets, which hold as much.  memvisor
sends with up to 4 CPUs, which shows only where others leave it more than one.
"""
import argparse
import contextlib
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parent.parent
GUEST_FILES = pathlib.Path(os.environ.get("MEMVISOR_GUEST_FILES") or TOP / "guest-files")
REFERENCE = GUEST_FILES / "qemu/ivshmem-server"
# The most of the other side's time that memvisor may take.
MOST = {"reference": 0.6, "bare": 1.5}


@contextlib.contextmanager
def server(argv, path):
    process = subprocess.Popen([str(word) for word in argv], stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 10
        while not path.exists():
            if process.poll() is not None or time.monotonic() > end:
                sys.exit("ivshmem.py: %s does not start" % argv[0])
            time.sleep(0.01)
        yield path
    finally:
        process.terminate()
        process.wait()
        path.unlink(missing_ok=True)


def herd(program, mode, path, peers):
    done = subprocess.run([program, mode, str(path), str(peers)], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit("ivshmem.py: %s with %d peers: %s" % (mode, peers, done.stderr.strip()))
    return float(done.stdout)


def ours(memvisor, folder, program, mode, peers):
    path = folder / "ours"
    with server([memvisor, "ivshmem-server", path, "--size", "1M", "--control", "none"], path):
        return herd(program, mode, path, peers)


def reference(folder, program, peers):
    path = folder / "reference"
    with server([REFERENCE, "-F", "-S", path, "-l", "1M", "-n", "1", "-M",
                 "memvisor-bench-%d" % os.getpid()], path):
        return herd(program, "queue", path, peers)


def busy_seconds():
    """Of all CPUs since they are up, ours and all children's since we are."""
    user, nice, system = pathlib.Path("/proc/stat").read_text().split()[1:4]
    ours = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return ((int(user) + int(nice) + int(system)) / os.sysconf("SC_CLK_TCK"),
            sum(one.ru_utime + one.ru_stime for one in ours))


def measure(args, folder, program):
    pairs = {}
    if subprocess.run([TOP / "scripts/qemu-reference.sh"], stdout=subprocess.DEVNULL).returncode:
        print("QEMU's reference server cannot be had: no comparison with it")
    else:
        pairs["reference"] = [(ours(args.memvisor, folder, program, "queue", args.peers),
                               reference(folder, program, args.peers))
                              for _ in range(args.rounds)]
    pairs["bare"] = [(ours(args.memvisor, folder, program, "join", args.many),
                      herd(program, "bare", "-", args.many)) for _ in range(args.rounds)]
    return pairs


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--memvisor", default=TOP / "build/memvisor", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--peers", type=int, default=250, help="against the reference server")
    parser.add_argument("--many", type=int, default=1000, help="against bare sendmsg and recvmsg")
    parser.add_argument("--json", metavar="FILE", help="figures as JSON; - for standard output")
    parser.add_argument("--check", action="store_true", help="exit 1 when a limit is exceeded")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        program = folder / "herd"
        subprocess.run(["cc", "-O2", TOP / "bench/ivshmem-herd.c", "-o", program], check=True)
        start, before = time.monotonic(), busy_seconds()
        pairs = measure(args, folder, program)
        after, seconds = busy_seconds(), time.monotonic() - start
    others = max(0, after[0] - before[0] - (after[1] - before[1])) / seconds
    if others > 0.2:
        print("note: other programs took %.1f of %d CPUs meanwhile" % (others, os.cpu_count()),
              file=sys.stderr)
    figures, bad = {}, False
    for side, times in pairs.items():
        ratio = statistics.median(a / b for a, b in times)
        bad = bad or ratio > MOST[side]
        figures[side] = {"ratio": ratio, "most": MOST[side], "pairs": times}
        if args.json != "-":
            print("%4d peers against %-9s  %.2f of its time (at most %.1f)%s"
                  % (args.peers if side == "reference" else args.many, side, ratio, MOST[side],
                     ": kept" if ratio <= MOST[side] else ": EXCEEDED"))
    if args.json == "-":
        json.dump(figures, sys.stdout, indent=2)
    elif args.json:
        pathlib.Path(args.json).write_text(json.dumps(figures, indent=2))
    return 1 if args.check and bad else 0


if __name__ == "__main__":
    sys.exit(main())
