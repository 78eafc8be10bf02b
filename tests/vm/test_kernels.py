# SPDX-License-Identifier: Apache-2.0
"""Kernels in packed files: Images compressed as a whole and EFI zboot images boot,
and what is cut off, broken, too large or packed otherwise is refused in one line."""
import gzip
import lzma
import re
import shutil
import struct
import subprocess

import pytest

import harness


def zstd(data, *options):
    if not shutil.which("zstd"):
        pytest.fail("zstd is missing: run scripts/setup.sh check", pytrace=False)
    return subprocess.run(["zstd", "-q", "-c", "-1", *options], input=data, check=True,
                          stdout=subprocess.PIPE).stdout


def zboot(payload, method, size=None, at=0x5000, behind=b""):
    """As Linux's drivers/firmware/efi/libstub/zboot-header.S has it: the payload
    and its size, the compression's name, a PE header's place."""
    head = struct.pack("<4s4sIIII32sII", b"MZ\0\0", b"zimg", at,
                       len(payload) if size is None else size, 0, 0, method.encode(), 0x818223cd,
                       0x40)
    assert len(head) == 0x40
    head += b"PE\0\0" + struct.pack("<HH", 0xaa64, 0)
    return head.ljust(at, b"\0") + payload + behind


def unpacked_size(data):
    """What the kernel's build appends to payloads that do not tell themselves."""
    return struct.pack("<I", len(data))


PACKED = {
    "gzip": lambda data: gzip.compress(data, 1),
    "zstd": zstd,
    # A file of several members, and padding as of a device's last block.
    "gzip-members": lambda data: gzip.compress(data[:9999999], 1) + gzip.compress(data[9999999:], 1)
    + bytes(3000),
    "zboot-gzip": lambda data: zboot(gzip.compress(data, 1), "gzip", behind=b"signature"),
    "zboot-zstd22": lambda data: zboot(zstd(data, "--no-check"), "zstd22",
                                       behind=unpacked_size(data)),
}


@pytest.mark.parametrize("kind", PACKED)
def test_packed_kernel_boots(memvisor, kernel, initrd, tmp_path, kind):
    path = tmp_path / "kernel"
    path.write_bytes(PACKED[kind](kernel.read_bytes()))
    result = memvisor.boot(initrd("echo up: yes"), "-m", "128M", kernel=path)
    assert (result.code, result.value("up")) == (0, "yes")


def test_newer_kernel_boots(memvisor, initrd):
    newer = harness.GUEST_FILES / "newer/vmlinuz"
    assert newer.exists(), "run scripts/guest-files.sh newer"
    result = memvisor.boot(initrd("echo release: $(uname -r)"), "-c", "2", "-m", "256M", kernel=newer)
    assert (result.code, result.value("release").split(".")[0]) == (0, "6")
    assert int(result.value("release").split(".")[1]) >= 10  # it reads the VM's generation ID


def image(kernel):
    """An Image's head, and so little behind it that it is soon packed."""
    return kernel.read_bytes()[:300000]


def cut(data):
    return data[:len(data) * 2 // 3]


def broken(data):
    middle = len(data) // 2
    return data[:middle] + bytes(byte ^ 0x5a for byte in data[middle:middle + 64]) + data[middle + 64:]


def zeros_by_gzip(size):
    """Zeros without end, as one member after the other."""
    return gzip.compress(bytes(64 << 20), 9) * (size >> 26)


REFUSED = {
    "gzip-cut": (lambda image: cut(gzip.compress(image)), ["gzip stream is truncated"]),
    "gzip-head-alone": (lambda image: gzip.compress(image)[:2], ["gzip stream is truncated"]),
    "gzip-no-trailer": (lambda image: gzip.compress(image)[:-1], ["gzip stream is truncated"]),
    "gzip-broken": (lambda image: broken(gzip.compress(image)), ["gzip stream fails"]),
    "gzip-checksum": (lambda image: gzip.compress(image)[:-8] + bytes(8),
                      ["gzip stream fails", "incorrect data check"]),
    "gzip-and-more": (lambda image: gzip.compress(image) + b"more", ["something else is behind"]),
    "gzip-second-cut": (lambda image: gzip.compress(image) + b"\x1f\x8b", ["truncated"]),
    "gzip-nothing": (lambda image: gzip.compress(b""), ["gzip stream is empty"]),
    "gzip-image-cut": (gzip.compress, ["unpacked from gzip", "truncated", "300000"]),
    "gzip-text": (lambda image: gzip.compress(b"words " * 999), ["unpacked from gzip", "arm64 Image"]),
    "gzip-twice": (lambda image: gzip.compress(gzip.compress(image)),
                   ["unpacked from gzip", "gzip-compressed", "gunzip"]),
    "gzip-bomb": (lambda image: zeros_by_gzip(4 << 30),
                  ["more than 128 MiB", "all of the guest's RAM", "-m"]),
    "zstd-cut": (lambda image: cut(zstd(image)), ["zstd stream is truncated"]),
    "zstd-broken": (lambda image: broken(zstd(image)), ["zstd stream fails"]),
    "zstd-and-more": (lambda image: zstd(image) + b"more", ["something else is behind"]),
    "zstd-window": (lambda image: b"\x28\xb5\x2f\xfd\0\xa8" + bytes(99), ["zstd stream fails"]),
    "zboot-in-gzip": (lambda image: gzip.compress(zboot(gzip.compress(image), "gzip")),
                      ["unpacked from gzip", "zboot"]),
    "zboot-cut": (lambda image: cut(zboot(gzip.compress(image), "gzip")), ["is truncated"]),
    "zboot-broken": (lambda image: broken(zboot(gzip.compress(image), "gzip")),
                     ["gzip stream fails"]),
    "zboot-size-short": (lambda image: zboot(gzip.compress(image), "gzip", size=5000),
                         ["gzip stream is truncated"]),
    "zboot-size-beyond": (lambda image: zboot(gzip.compress(image), "gzip", size=0xfffffff0),
                          ["is truncated", str(0xfffffff0 + 0x5000)]),
    "zboot-size-none": (lambda image: zboot(gzip.compress(image), "gzip", size=0),
                        ["broken header", "0x5000"]),
    "zboot-over-its-head": (lambda image: struct.pack("<4s4sIIII32sII", b"MZ\0\0", b"zimg", 8, 20,
                                                      0, 0, b"gzip", 0, 0), ["broken header", "0x8"]),
    "zboot-not-gzip": (lambda image: zboot(zstd(image), "gzip"), ["gzip stream fails"]),
    "zboot-raw": (lambda image: zboot(image, "\x1b[2J"), ["zboot", "('')", "Image"]),
    "zboot-lz4": (lambda image: zboot(bytes(99), "lz4"), ["zboot", "lz4", "unlz4"]),
    "zboot-cut-in-the-header": (lambda image: zboot(image, "gzip")[:40], ["truncated", "40"]),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_packed_kernel_is_refused(memvisor, kernel, tmp_path, kind):
    make, words = REFUSED[kind]
    path = tmp_path / "kernel"
    path.write_bytes(make(image(kernel)))
    result = memvisor.run("run", "-k", path, "-m", "128M")
    assert (result.code, result.out) == (1, ""), result
    lines = result.err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("memvisor: "), result
    for word in [str(path), *words]:
        assert word in lines[0], result


def test_bomb_for_a_large_guest(memvisor, tmp_path):
    """RAM costs nothing until it is used, so it is no measure of what the host has."""
    path = tmp_path / "kernel"
    path.write_bytes(zstd(bytes(64 << 20)) * 48)
    result = memvisor.run("run", "-k", path, "-m", "64G")
    assert result.code == 1 and "more than 2 GiB, which no kernel has" in result.err, result


@pytest.mark.parametrize("method, pack", [
    ("xzkern", lzma.compress),
    ("lzma", lambda data: lzma.compress(data, format=lzma.FORMAT_ALONE)),
])
def test_remedy_for_other_compressions(memvisor, kernel, tmp_path, method, pack):
    """The command that the refusal tells makes the Image."""
    path = tmp_path / "kernel"
    path.write_bytes(zboot(pack(image(kernel)), method, behind=b"tail"))
    result = memvisor.run("run", "-k", path)
    assert result.code == 1 and method in result.err, result
    command = re.search(r"tail -c .*>Image", result.err).group(0)
    subprocess.run(command, shell=True, check=True, cwd=tmp_path)
    assert (tmp_path / "Image").read_bytes() == image(kernel)
