#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Measures what saving a guest costs, in turns with QEMU's emulator and with plain copying.

A guest of 2 GiB that waits, into half of whose memory random data is written from outside
(/proc/PID/mem), is saved to a file in memory: memvisor by x-save, live and with --stop,
QEMU by `migrate exec:cat>FILE` without a limit of its rate.  Plain copying is a loop that
copies as many bytes as there are random ones to a buffer, piece by piece, and writes them.
Figures are MiB of random data a second.

Untouched memory: the time of `memvisor save` of a guest of 16 GiB against one of 512 MiB, both
of which have touched next to nothing, and by how much the larger one's resident memory grows.
The first round of each warms the host up, which may have to find memory first.

--reflink FOLDER, one of a file system that has reflinks: in place of all that, the time that
it takes to save there a guest whose memory is in a file there, which is taken over, against
one whose memory is a memfd, which is copied; with that file on the disk already, and just
written anew.
"""
import argparse
import contextlib
import json
import mmap
import os
import pathlib
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TOP / "tests"))
import harness # noqa: E402
import qmp # noqa: E402

MIB = 1 << 20
GIB = 1 << 30
NO_LIMIT = 1 << 50 # bytes a second


def maps_of(pid, size):
    """Where the process has guest memory of `size` bytes."""
    for line in open("/proc/%d/maps" % pid):
        start, end = (int(word, 16) for word in re.match(r"(\w+)-(\w+) rw", line).groups()) \
            if re.match(r"\w+-\w+ rw", line) else (0, 0)
        if end - start == size:
            return start
    sys.exit("save.py: process %d has no mapping of %d MiB" % (pid, size // MIB))


def fill(pid, size, amount):
    """The upper part, where the guest's program is not, with pieces that are not the same."""
    start = maps_of(pid, size) + size - amount
    with open("/proc/%d/mem" % pid, "r+b", buffering=0) as memory:
        for at in range(0, amount, 4 * MIB):
            memory.seek(start + at)
            memory.write(os.urandom(4 * MIB))


@contextlib.contextmanager
def ours(memvisor, folder, mib, name, keys=""):
    image = folder / (name + ".bin")
    image.write_bytes(qmp.IDLE)
    with qmp.Vm(harness.Memvisor(memvisor), folder, name=name,
                boot=[memvisor, "run", "--firmware", image, "-m", "%dM%s" % (mib, keys)]) as vm, \
            vm.qmp() as client:
        yield vm, client


@contextlib.contextmanager
def theirs(qemu, folder, mib):
    image, path = folder / "qemu.bin", folder / "qemu.sock"
    image.write_bytes(qmp.IDLE)
    process = subprocess.Popen(
        [qemu, "-M", "virt", "-cpu", "cortex-a57", "-m", "%dM" % mib, "-nodefaults", "-display",
         "none", "-kernel", image, "-qmp", "unix:%s,server,nowait" % path],
        stdin=subprocess.DEVNULL)
    try:
        while not path.exists() and process.poll() is None:
            time.sleep(0.01)
        with qmp.Qmp(path) as client:
            client.execute("migrate-set-parameters", max_bandwidth=NO_LIMIT)
            yield process.pid, client
    finally:
        process.kill()
        process.wait()


def save_ours(client, path, mode):
    start = time.monotonic()
    client.execute("x-save", file=str(path), mode=mode)
    seconds = time.monotonic() - start
    path.unlink()
    return seconds


def save_by_verb(vm, path):
    start = time.monotonic()
    saved = vm.verb("save", vm.name, path)
    seconds = time.monotonic() - start
    if saved.code != 0:
        sys.exit("save.py: %s" % saved)
    path.unlink()
    return seconds


def save_theirs(client, path):
    start = time.monotonic()
    client.execute("migrate", uri="exec:cat>%s" % path)
    while (status := client.execute("query-migrate")["status"]) != "completed":
        if status in ("failed", "cancelled"):
            sys.exit("save.py: QEMU's migration has %s" % status)
        time.sleep(0.002)
    seconds = time.monotonic() - start
    path.unlink()
    while "error" in client.command("cont"): # it is not finalized yet
        time.sleep(0.01)
    return seconds


def copy_plainly(source, path):
    buffer = bytearray(MIB)
    start = time.monotonic()
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for at in range(0, len(source), MIB):
        buffer[:] = source[at:at + MIB]
        os.write(file, buffer)
    os.close(file)
    seconds = time.monotonic() - start
    path.unlink()
    return seconds


def measure_rates(options, folder, target):
    """MiB/s of each way, a list each."""
    mib, amount = options.mib, options.mib * MIB // 2
    rates = {"live": [], "stop": [], "plain": [], "qemu": []}
    plain = mmap.mmap(-1, amount)
    for at in range(0, amount, 4 * MIB):
        plain[at:at + 4 * MIB] = os.urandom(4 * MIB)
    source = memoryview(plain)
    with contextlib.ExitStack() as stack:
        vm, client = stack.enter_context(ours(options.memvisor, folder, mib, "full"))
        fill(vm.process.pid, mib * MIB, amount)
        ways = {"live": lambda: save_ours(client, target / "live", "live"),
                "stop": lambda: save_ours(client, target / "stop", "stop"),
                "plain": lambda: copy_plainly(source, target / "plain")}
        if options.qemu:
            other, their_client = stack.enter_context(theirs(options.qemu, folder, mib))
            fill(other, mib * MIB, amount)
            ways["qemu"] = lambda: save_theirs(their_client, target / "qemu")
        names = list(ways)
        for turn in range(options.rounds + 1):
            # None always finds the memory that the same other one has left.
            for name in random.sample(names, len(names)):
                seconds = ways[name]()
                if turn > 0:
                    rates[name].append(amount / MIB / seconds)
    source.release()
    plain.close()
    return rates


def resident(pid):
    return int(re.search(r"VmRSS:\s*(\d+)", open("/proc/%d/status" % pid).read()).group(1)) * 1024


def measure_untouched(options, folder, target):
    times, growth = {"small": [], "large": []}, 0
    with ours(options.memvisor, folder, 512, "small") as (small, _), \
            ours(options.memvisor, folder, 16384, "large") as (large, _):
        before = resident(large.process.pid)
        for turn in range(8 * options.rounds + 1):
            for vm in (small, large):
                seconds = save_by_verb(vm, target / vm.name)
                if turn > 0:
                    times[vm.name].append(seconds)
                growth = max(growth, resident(large.process.pid) - before)
    return times, growth


def measure_reflinks(options, folder, target):
    """Seconds of each way, with the file as it is by then: a list each."""
    mib, times = options.mib, {}
    with ours(options.memvisor, folder, mib, "file",
              ",file=%s,create=on,save=on" % (target / "ram")) as own, \
            ours(options.memvisor, folder, mib, "memfd", ",memfd=on") as other:
        for turn in range(options.rounds + 1):
            for kind in ("written anew", "on the disk"):
                for way, (vm, client) in (("reflink", own), ("copy", other)):
                    if kind == "written anew":
                        fill(vm.process.pid, mib * MIB, mib * MIB // 2)
                    else:
                        os.sync()
                    told = client.execute("x-save", file=str(target / way), mode="stop")
                    if (told["shared"] > 0) != (way == "reflink"):
                        sys.exit("save.py: %s has no reflinks: name a folder of XFS or Btrfs"
                                 % options.reflink)
                    if turn > 0:
                        times.setdefault((way, kind), []).append(told["microseconds"] / 1e6)
    return times


def report_reflinks(times):
    for kind in ("on the disk", "written anew"):
        shared, copied = (statistics.median(times[way, kind]) for way in ("reflink", "copy"))
        print("file %-12s taken over in %.2f s, copied in %.2f s: %.2f of its time"
              % (kind + ":", shared, copied, shared / copied))


def main(argv):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--memvisor", default=str(TOP / "build/memvisor"), metavar="PATH")
    parser.add_argument("--qemu", default="qemu-system-aarch64", metavar="PATH",
                        help="'' to leave it out")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--mib", type=int, default=2048, help="the guest's memory (2048)")
    parser.add_argument("--folder", default="/dev/shm", help="where the files go (/dev/shm)")
    parser.add_argument("--reflink", metavar="FOLDER", help="measure reflinks there, alone")
    parser.add_argument("--json", metavar="FILE", help="figures as JSON; - is standard output")
    parser.add_argument("--check", action="store_true", help="exit 1 when a limit is exceeded")
    options = parser.parse_args(argv)
    if options.rounds < 1 or options.mib < 16 or options.mib % 8 != 0:
        parser.error("at least one round, and a multiple of 8 MiB from 16 on")
    options.memvisor = os.path.abspath(options.memvisor)
    with tempfile.TemporaryDirectory() as folder, \
            tempfile.TemporaryDirectory(dir=options.reflink or options.folder) as target:
        folder, target = pathlib.Path(folder), pathlib.Path(target)
        if options.reflink:
            report_reflinks(measure_reflinks(options, folder, target))
            return 0
        rates = measure_rates(options, folder, target)
        times, growth = measure_untouched(options, folder, target)
    median = {name: statistics.median(values) for name, values in rates.items() if values}
    for name, value in median.items():
        print("%-6s %6.0f MiB/s (%s)" % (name, value, " ".join("%.0f" % rate for rate in rates[name])))
    ratio = min(times["large"]) / min(times["small"]) # some milliseconds: the best of many
    # Each figure, its limit, and which way it may differ.
    figures = [("live saves against plain copying", median["live"] / median["plain"], 0.6, 1),
               ("time of 16 GiB untouched against 512 MiB", ratio, 1.3, -1),
               ("MiB that 16 GiB grow by when saved", growth / MIB, 1, -1)]
    if "qemu" in median:
        figures.insert(0, ("live saves against QEMU's", median["live"] / median["qemu"], 2.5, 1))
    kept = True
    for name, value, limit, way in figures:
        good = value * way >= limit * way
        kept &= good
        print("%-42s %.2f, limit %.2f: %s" % (name, value, limit, "kept" if good else "EXCEEDED"))
    if options.json:
        text = json.dumps({"rates": rates, "untouched": times, "growth": growth})
        print(text) if options.json == "-" else pathlib.Path(options.json).write_text(text + "\n")
    return 1 if options.check and not kept else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
