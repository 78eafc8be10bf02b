# SPDX-License-Identifier: Apache-2.0
"""Guests whose code is translated (--engine emulator,jit=on): what is theirs alone.  That they do
what interpreted ones do is seen by tests of either engine (the fixture `engines`)."""
import mmap
import pathlib
import platform
import re
import resource
import signal
import struct
import subprocess
import time

import pytest

from qmp import Vm

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64",
                                reason="code is translated for x86-64 alone")

# Files, processes, pages that are copied, and a program that is read again and again.
LINUX = """
i=0
while [ $i -lt 20 ]; do
    i=$((i + 1))
    busybox dd if=/dev/urandom of=/f bs=4k count=16 2> /dev/null
    a=$(busybox sha256sum < /f); busybox cp /f /g; b=$(busybox sha256sum < /g)
    [ "$a" = "$b" ] || echo "they differ: $a $b"
done
echo "rounds: $i"
echo "complaints: $(busybox dmesg | busybox grep -ciE 'stall|BUG|WARNING|Oops|segfault')"
"""


@pytest.mark.parametrize("keys, cpus", [
    ("jit-after=1", 1),
    ("jit-after=60,jit-cache=64K", 1), # it is full again and again
    ("jit-after=20,jit-cache=512K", 2),
    ("jit-after=200", 2),
])
def test_linux(memvisor, initrd, keys, cpus):
    result = memvisor.boot(initrd(LINUX), "-m", "128M", "-c", cpus, "--engine",
                           "emulator,jit=on,%s" % keys)
    assert result.code == 0 and "differ" not in result.out, result
    assert (result.value("rounds"), result.value("complaints")) == ("20", "0")


# From the kernel's first instruction, and as far as that comes.
@pytest.mark.parametrize("keys, checked", [
    pytest.param("jit-after=1,jit-cache=256K", 2 * 10**7),
    pytest.param("jit-after=4", 10**9, marks=pytest.mark.long),
])
def test_interpreter_beside(memvisor, initrd, tmp_path, keys, checked):
    argv = memvisor.boot_argv(initrd("while :; do\n%s\ndone\n" % LINUX), "-m", "128M", "--engine",
                              "emulator,jit=on,jit-check=on,%s" % keys)
    with Vm(memvisor, tmp_path, boot=argv) as vm, vm.qmp() as qmp:
        vm.wait_for(lambda: qmp.execute("x-query-jit")["checked"] > checked, 60 + checked / 10**6)
        told = qmp.execute("x-query-jit")
        assert not re.search(r"they differ|complaints: [1-9]", vm.output()), vm.output()
    assert told["unchecked"] * 20 < told["entries"], told


# A loop that loads one word again and again: ldr w1, data; b to it.
LOADS = struct.pack("<II", 0x18000000 | 0x1000 >> 2 << 5 | 1, 0x17ffffff)
LOADED_AT = 512 << 10 # in the lowest bank


def test_a_difference_ends_it(memvisor, tmp_path):
    """What others write meanwhile is none of translated code's, and looks like it."""
    firmware, bank = tmp_path / "loads.bin", tmp_path / "bank"
    firmware.write_bytes(LOADS)
    bank.write_bytes(bytes(16 << 20))
    argv = [memvisor.path, "run", "--firmware", firmware, "-m", "16M", "--back", "ram0=%s" % bank,
            "--serial", "none", "--engine", "emulator,jit=on,jit-check=on,jit-after=2"]
    process = subprocess.Popen(argv, stderr=subprocess.PIPE, text=True, preexec_fn=lambda: (
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))))
    until = time.monotonic() + 60
    with open(bank, "r+b") as file, mmap.mmap(file.fileno(), 0) as memory:
        value = 0
        while process.poll() is None and time.monotonic() < until:
            value = (value + 1) & 255
            memory[LOADED_AT + 0x1000] = value
    process.kill()
    told = process.communicate()[1]
    assert process.returncode == -signal.SIGABRT, told
    assert "translated code differs from the interpreter" in told, told
    assert re.search(r"ldr32_lit\n.* b_page\n.*x\[1\]: 0x", told), told


def test_accesses_that_go_astray(memvisor, initrd, tmp_path):
    """What looks up words by their hashes goes to any page, and is found."""
    script = "echo up\nbusybox gzip -c /bin/busybox > /dev/null\necho packed\nread line\n"
    argv = memvisor.boot_argv(initrd(script), "-m", "64M", "--engine", "emulator,jit=on")
    with Vm(memvisor, tmp_path, boot=argv) as vm, vm.qmp() as qmp:
        vm.wait_for(lambda: re.search(r"^packed\r?$", vm.output(), re.M))
        told = qmp.execute("x-query-jit")
    assert 0 < told["strays"] < told["units"], told


@pytest.mark.parametrize("engine, cpus, remedy", [
    ("emulator,jit-check=on", 1, "say jit=on as well"),
    ("emulator,jit=on,jit-check=on", 2, "say -c 1"),
])
def test_what_cannot_be_checked(memvisor, initrd, engine, cpus, remedy):
    result = memvisor.boot(initrd("echo up\n"), "-c", cpus, "--engine", engine)
    assert result.code == 1 and remedy in result.err, result


def test_no_page_is_written_and_run(memvisor, initrd, tmp_path):
    argv = memvisor.boot_argv(initrd("echo up\nread line\n"), "-m", "64M", "--engine",
                              "emulator,jit=on,jit-cache=4M")
    with Vm(memvisor, tmp_path, boot=argv) as vm:
        vm.wait_for(lambda: re.search(r"^up\r?$", vm.output(), re.M))
        maps = open("/proc/%d/maps" % vm.process.pid).read().splitlines()
    code = [line.split()[1] for line in maps if "memvisor-jit" in line]
    assert sorted(code) == ["r-xs", "rw-s"], "\n".join(maps)
    assert not [line for line in maps if "wx" in line.split()[1]]


def booted(memvisor, initrd, tmp_path, monkeypatch, *options):
    """What a guest that has come to its script left of perf's files, and where its code stood."""
    monkeypatch.chdir(tmp_path)
    argv = memvisor.boot_argv(initrd("echo up\nread line\n"), "-m", "64M", "--engine",
                              "emulator,jit=on", *options)
    with Vm(memvisor, tmp_path, boot=argv) as vm:
        vm.wait_for(lambda: re.search(r"^up\r?$", vm.output(), re.M))
        maps = open("/proc/%d/maps" % vm.process.pid).read().splitlines()
    code = [line for line in maps if "memvisor-jit" in line and line.split()[1] == "r-xs"]
    begin, end = (int(word, 16) for word in code[0].split()[0].split("-"))
    return vm.process.pid, begin, end, maps


def test_perf_map(memvisor, initrd, tmp_path, monkeypatch):
    pid, begin, end, _ = booted(memvisor, initrd, tmp_path, monkeypatch, "--perf", "map")
    path = pathlib.Path("/tmp/perf-%d.map" % pid)
    try:
        lines = path.read_text().splitlines()
    finally:
        path.unlink()
    assert len(lines) > 1000
    for line in lines:
        at, size, name = re.fullmatch(r"([0-9a-f]+) ([0-9a-f]+) guest_([0-9a-f]+)", line).groups()
        assert begin <= int(at, 16) < int(at, 16) + int(size, 16) <= end, line
        assert int(name, 16) % 4 == 0, line


def test_perf_dump(memvisor, initrd, tmp_path, monkeypatch):
    """Each record by Linux's tools/perf/Documentation/jitdump-specification.txt."""
    pid, begin, end, maps = booted(memvisor, initrd, tmp_path, monkeypatch, "--perf", "jitdump")
    path = tmp_path / ("jit-%d.dump" % pid)
    assert [line for line in maps if line.endswith(path.name) and line.split()[1] == "r-xp"]
    data = path.read_bytes()
    magic, version, size, machine, _, told_pid, started, flags = struct.unpack_from("<6I2Q", data)
    assert (magic, version, size, machine, told_pid, flags) == (0x4a695444, 1, 40, 62, pid, 0)
    offset, count, last = size, 0, started
    while offset < len(data):
        kind, total, time_, its_pid, _, vma, at, length, index = struct.unpack_from("<2IQ2I4Q", data,
                                                                                   offset)
        name, code = data[offset + 56:offset + total].split(b"\0", 1)
        assert (kind, its_pid, index) == (0, pid, count) and last <= time_
        assert begin <= vma == at < at + length <= end and len(code) == length
        assert re.fullmatch(rb"guest_[0-9a-f]+", name)
        offset, count, last = offset + total, count + 1, time_
    assert offset == len(data) and count > 1000


@pytest.mark.parametrize("options, told", [
    (["--perf", "map"], "say --engine emulator,jit=on"),
    (["--perf", "trace", "--engine", "emulator,jit=on"], "choose map or jitdump"),
])
def test_perf_refused(memvisor, initrd, options, told):
    result = memvisor.boot(initrd("echo up\n"), *options)
    assert result.code != 0 and told in result.err, result


def test_perf_file_in_the_way(memvisor, initrd, tmp_path, monkeypatch):
    """The dump's folder cannot be written: it says so, and which file."""
    monkeypatch.chdir("/proc")
    result = memvisor.boot(initrd("echo up\n"), "--engine", "emulator,jit=on", "--perf", "jitdump")
    assert result.code == 1 and re.search(r"cannot write jit-\d+\.dump for perf", result.err), result


def test_it_tells_of_itself(memvisor, initrd, tmp_path):
    argv = memvisor.boot_argv(initrd("echo up\nread line\n"), "-m", "64M", "-c", "2")
    with Vm(memvisor, tmp_path, boot=argv, name="plain") as vm, vm.qmp() as qmp:
        assert qmp.execute("x-query-jit") == {"on": False}
    argv += ["--engine", "emulator,jit=on,jit-cache=512K,jit-after=8"]
    with Vm(memvisor, tmp_path, boot=argv) as vm, vm.qmp() as qmp:
        vm.wait_for(lambda: re.search(r"^up\r?$", vm.output(), re.M))
        told = qmp.execute("x-query-jit")
    assert told["on"] and told["size"] == 512 << 10 and 0 < told["used"] <= told["size"], told
    assert told["units"] > 1000 and told["evictions"] > 0 and told["refused"] == 0, told
    assert told["entries"] >= sum(told["exits"].values()) > 10000, told
