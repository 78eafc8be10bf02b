# SPDX-License-Identifier: Apache-2.0
"""A bare-metal guest that touches memory as it is told (vm/memory-guest.c),
and what the host's kernel says of the memvisor that runs it."""
import contextlib
import fcntl
import os
import pathlib
import re
import select
import shutil
import subprocess
import time

import pytest

import harness
import qmp

SOURCE = harness.TOP / "tests/vm/memory-guest.c"
LIB = harness.TOP / "tests/bare/lib"
CFLAGS = ("-std=gnu11 -O2 -Wall -Wextra -Werror -march=armv8-a+lse -mgeneral-regs-only "
          "-mstrict-align -ffreestanding -fno-builtin -fpie -fvisibility=hidden "
          "-fno-stack-protector -fno-asynchronous-unwind-tables -mno-outline-atomics").split()
LDFLAGS = ("-nostdlib -pie -Wl,--no-dynamic-linker -Wl,-T,%s/bare.ld -Wl,-z,norelro "
           "-Wl,--no-warn-rwx-segments -Wl,--build-id=none -Wl,-z,max-page-size=4096" % LIB).split()


def build(folder, source=SOURCE):
    """The path of the flat binary, made in folder."""
    elf = pathlib.Path(folder) / (pathlib.Path(source).stem + ".elf")
    binary = elf.with_suffix(".bin")
    if binary.exists():
        return binary
    assert shutil.which("aarch64-linux-gnu-gcc"), \
        "aarch64-linux-gnu-gcc is missing: run scripts/setup.sh check"
    files = [LIB / name for name in ("start.S", "bare.c", "mmu.c", "gic.c")]
    for command in (["aarch64-linux-gnu-gcc", *CFLAGS, "-I", LIB.parent, *LDFLAGS, source, *files,
                     "-o", elf],
                    ["aarch64-linux-gnu-objcopy", "-O", "binary", elf, binary]):
        made = subprocess.run(command, capture_output=True, text=True)
        assert made.returncode == 0, made.stderr
    return binary


def smaps(pid, name):
    """What smaps counts for mappings whose name has `name` in it: bytes by
    field, and the flags that all of them have."""
    totals, flags, inside = {}, None, False
    for line in open("/proc/%d/smaps" % pid):
        head = re.match(r"[0-9a-f]+-[0-9a-f]+ (\S+) \S+ \S+ \S+ *(.*)", line)
        if head:
            inside = name in head.group(2) and head.group(1) != "---p"
        elif inside and line.startswith("VmFlags:"):
            words = set(line.split()[1:])
            flags = words if flags is None else flags & words
        elif inside:
            field, value = line.split()[:2]
            if line.rstrip().endswith("kB"):
                totals[field[:-1]] = totals.get(field[:-1], 0) + int(value) * 1024
    assert flags is not None, "no mapping named %s" % name
    totals["flags"] = flags
    return totals


class Pool:
    """The host's pool of huge pages of one size."""

    def __init__(self, folder):
        self.folder = folder

    def number(self, name):
        return int((self.folder / name).read_text())

    def count(self):
        return self.number("nr_hugepages")

    def left(self):
        """Pages that are free and promised to nobody, or would be made for who asks."""
        return (max(self.number("free_hugepages") - self.number("resv_hugepages"), 0) +
                max(self.number("nr_overcommit_hugepages") - self.number("surplus_hugepages"), 0))


@contextlib.contextmanager
def huge_pages(page, count=0):
    """The pool of huge pages of `page` bytes, with `count` left in it (0: as many as there are).
    Only one test of a host has it at a time, which may change it meanwhile."""
    pool = Pool(pathlib.Path("/sys/kernel/mm/hugepages/hugepages-%dkB" % (page // 1024)))
    if not pool.folder.is_dir():
        pytest.skip("the host has no huge pages of this size: %s is missing" % pool.folder)
    alone = os.open(pool.folder, os.O_RDONLY | os.O_DIRECTORY)
    file = pool.folder / "nr_hugepages"
    try:
        fcntl.flock(alone, fcntl.LOCK_EX)
        before = pool.count()
        if pool.left() < count and os.geteuid() != 0:
            pytest.skip("filling the pool of huge pages needs root")
        if pool.left() < count:
            file.write_text("%d\n" % (before + count - pool.left()))
        if pool.left() < count:
            pytest.skip("the host has no %d huge pages of %d MiB to give" % (count, page >> 20))
        yield pool
    finally:
        if os.geteuid() == 0:
            file.write_text("%d\n" % before)
        os.close(alone)


class Guest:
    """The guest under memvisor, on pipes, its run-time folder below `folder`.  With `state` it
    goes on from there, and says nothing of itself."""

    def __init__(self, memvisor, folder, *options, name="vm", pass_fds=(), wrap=(), env=None,
                 binary=None, state=None):
        self.folder = pathlib.Path(folder)
        self.name = name
        self.env = dict(os.environ, XDG_RUNTIME_DIR=str(folder), **(env or {}))
        self.memvisor = memvisor
        self.rundir = self.folder / "memvisor" / name
        self.err = open(self.folder / (name + ".err"), "w+")
        verb = ["restore", state] if state else ["run", "--firmware", binary or build(folder)]
        argv = [*wrap, memvisor.path, *verb, "-n", name, *options]
        self.process = subprocess.Popen(
            [str(word) for word in argv], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=self.err, env=self.env, pass_fds=pass_fds)
        self.pending = b""
        if state:
            return
        try:
            words = self.line(60).split()
            self.ram, self.ram_size, self.free = (int(words[i], 16) for i in (1, 2, 4))
        except BaseException:
            self.process.kill()
            self.process.wait()
            raise

    @property
    def pid(self):
        return self.process.pid

    def errors(self):
        return pathlib.Path(self.err.name).read_text(errors="replace")

    def line(self, seconds=20):
        """The next line of the guest's."""
        end = time.monotonic() + seconds * harness.PATIENCE
        while b"\n" not in self.pending:
            left = end - time.monotonic()
            ready = select.select([self.process.stdout], [], [], max(left, 0))[0]
            data = os.read(self.process.stdout.fileno(), 4096) if ready else b""
            assert data, "%s: %r %s" % ("no answer" if not ready else "the end", self.pending,
                                        self.errors())
            self.pending += data
        line, self.pending = self.pending.split(b"\n", 1)
        return line.decode().strip()

    def send(self, command, *numbers):
        text = " ".join([command] + ["%x" % n if isinstance(n, int) else n for n in numbers])
        self.process.stdin.write(text.encode() + b"\n")
        self.process.stdin.flush()

    def do(self, command, *numbers, seconds=20):
        """Send a command; its value, or None."""
        self.send(command, *numbers)
        return self.answer(seconds)

    def answer(self, seconds=20):
        line = self.line(seconds)
        if line == "ok":
            return None
        assert line.startswith("= "), line
        return int(line[2:], 16)

    def qmp(self):
        return qmp.Qmp(self.rundir / "qmp.sock")

    def smaps(self, name):
        return smaps(self.pid, name)

    def end(self):
        """Power off; memvisor's exit status."""
        self.send("q")
        return self.wait()

    def wait(self):
        status = self.process.wait(30 * harness.PATIENCE)
        assert "Sanitizer" not in self.errors(), self.errors()
        return status

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()
        self.err.close()
