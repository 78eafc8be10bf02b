# SPDX-License-Identifier: Apache-2.0
"""What is loaded into a guest: kernels, initrds and firmware that are wrong are
refused in one line, and right ones may come from pipes or be gone by a reset."""
import lzma
import os
import pathlib
import re
import shutil
import subprocess
import threading

import pytest

import harness


def refused(result, *words):
    assert result.code == 1, result
    assert result.out == ""
    lines = result.err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("memvisor: "), result
    for word in words:
        assert word in lines[0], result


def elf(kernel):
    return harness.BUSYBOX.read_bytes()


def host_elf(kernel):
    return pathlib.Path(shutil.which("true")).resolve().read_bytes()


def half(kernel):
    return kernel.read_bytes()[:kernel.stat().st_size // 2]


def bzimage(kernel):
    head = bytearray(1024)
    head[0x1fe:0x200] = b"\x55\xaa"
    head[0x202:0x206] = b"HdrS"
    return bytes(head)


KERNELS = {
    "xz": (lambda kernel: lzma.compress(kernel.read_bytes()[:10000]), ["xz"]),
    "elf-arm64": (elf, ["ELF", "arm64"]),
    "elf-host": (host_elf, ["ELF"]),
    "bzimage": (bzimage, ["bzImage"]),
    "empty": (lambda kernel: b"", ["empty"]),
    "cut-in-the-header": (lambda kernel: kernel.read_bytes()[:40], ["truncated", "40"]),
    "half": (half, ["truncated"]),
    "text": (lambda kernel: b"some words\n" * 100, ["arm64 Image", "--firmware"]),
}


@pytest.mark.parametrize("kind", KERNELS)
def test_no_kernel(memvisor, kernel, tmp_path, kind):
    make, words = KERNELS[kind]
    path = tmp_path / "kernel"
    path.write_bytes(make(kernel))
    refused(memvisor.run("run", "-k", path), str(path), *words)


def test_files_that_cannot_be_read(memvisor, kernel, tmp_path):
    refused(memvisor.run("run", "-k", tmp_path), str(tmp_path), "directory")
    refused(memvisor.run("run", "-k", tmp_path / "none"), "No such file")
    refused(memvisor.run("run", "-k", kernel, "-i", tmp_path), "initrd", "directory")
    refused(memvisor.run("run", "-k", kernel, "-i", "/proc/self/mem"), "initrd")
    refused(memvisor.run("run", "--firmware", tmp_path / "none"), "firmware", "No such file")
    locked = tmp_path / "locked"
    locked.write_bytes(kernel.read_bytes()[:4096])
    locked.chmod(0)
    # Root reads it all the same, and finds it truncated.
    words = ["truncated"] if os.geteuid() == 0 else ["Permission denied"]
    refused(memvisor.run("run", "-k", locked), *words)


def test_initrd_larger_than_ram(memvisor, kernel, tmp_path):
    initrd = tmp_path / "initrd"
    with open(initrd, "wb") as file:
        file.truncate(2 << 30)
    refused(memvisor.run("run", "-k", kernel, "-i", initrd, "-m", "256M"),
            "initrd (2 GiB)", "256 MiB", "0x80000000", "-m")
    refused(memvisor.run("run", "-k", kernel, "-i", "/dev/zero", "-m", "64M"),
            "initrd '/dev/zero'", "64 MiB")


def test_ram_too_small(memvisor, kernel):
    refused(memvisor.run("run", "-k", kernel, "-m", "16M"), "kernel (27 MiB)", "ram0", "16 MiB")
    # Enough in all, but with a hole in the middle.
    refused(memvisor.run("run", "-k", kernel, "-m", "16M@2G", "-m", "16M@4G"),
            "ram1 0x100000000-0x100ffffff (16 MiB)")


def test_initrd_from_a_pipe(memvisor, initrd, tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    data = initrd("echo up: yes").read_bytes()
    writer = threading.Thread(target=fifo.write_bytes, args=(data,))
    writer.start()
    result = memvisor.boot(fifo, "-m", "256M")
    writer.join()
    assert (result.code, result.value("up")) == (0, "yes")


def test_reset_without_the_files(memvisor, kernel, initrd, tmp_path):
    """A package's upgrade replaces them; the guest that runs keeps its own."""
    copies = [tmp_path / "kernel", tmp_path / "initrd"]
    shutil.copy(kernel, copies[0])
    shutil.copy(initrd("echo up: yes\nsleep 1\nreboot -f"), copies[1])
    with memvisor.spawn(copies[1], "-m", "256M", kernel=copies[0]) as child:
        child.expect("up: yes")
        for copy in copies:
            copy.unlink()
        child.expect("up: yes")


TREES = {
    "plain": [],
    "cpus": ["-c", "64"],
    "banks": [word for i in range(500) for word in ("-m", "1M@%dG" % (4 + i))] + ["-m", "64M"],
    "initrd": ["-i", str(harness.INITRD), "-a", "console=ttyS0"],
    "low": ["-m", "64M@0x10000000", "-m", "4K@1T"],
}


@pytest.mark.parametrize("name", TREES)
def test_device_tree_compiler_takes_the_tree(memvisor, kernel, tmp_path, name):
    dtb = tmp_path / "dtb"
    result = memvisor.run("run", "-k", kernel, "--dump-dtb", dtb, *TREES[name])
    assert (result.code, result.out, result.err) == (0, "", "")
    made = subprocess.run(["dtc", "-I", "dtb", "-O", "dts", dtb], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True)
    assert (made.returncode, made.stderr) == (0, "")
    banks = TREES[name].count("-m") or 1
    assert made.stdout.count("memory@") == banks
    assert made.stdout.count('device_type = "cpu"') == (64 if name == "cpus" else 1)


def test_ram_that_is_too_little_is_said(memvisor, initrd):
    """The kernel fits and would panic, silently where its console comes late; what to type is said,
    and is enough."""
    image = initrd("echo up")
    little = memvisor.boot(image, "-m", "32M", "--no-reboot")
    assert little.code == 3 and "up\n" not in little.out.replace("\r", ""), little
    warning = little.err.splitlines()[0]
    assert re.match("memvisor: warning: RAM of 32 MiB is little for this kernel", warning), little
    assert "itself (27 MiB)" in warning
    enough = memvisor.boot(image, *re.search(r": give (-m \S+)$", warning).group(1).split())
    assert (enough.code, enough.err) == (0, "") and "up" in enough.out
