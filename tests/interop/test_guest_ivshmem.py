# SPDX-License-Identifier: Apache-2.0
"""The guest's tool and driver for ivshmem (guest/ivshmem, guest/uio-ivshmem), on
QEMU's own devices and on memvisor's."""
import pytest

import guest_tools
import harness

MIB = 1 << 20


@pytest.fixture(scope="module")
def files(tmp_path_factory, kernel):
    """What goes into the guests' initramfs."""
    folder = tmp_path_factory.mktemp("guest")
    return [(guest_tools.program("ivshmem", folder), "bin/ivshmem"),
            (guest_tools.module("uio_ivshmem", folder), "uio_ivshmem.ko"),
            (harness.GUEST_FILES / "modules/uio.ko", "uio.ko"),
            (harness.GUEST_FILES / "modules/uio_pci_generic.ko", "uio_pci_generic.ko")]


def plain(number, path, size):
    """QEMU's options for an ivshmem device without interrupts."""
    return ["-object", "memory-backend-file,id=m%d,share=on,mem-path=%s,size=%d"
            % (number, path, size),
            "-device", "ivshmem-plain,memdev=m%d,addr=%#x" % (number, 4 + number)]


def ours(number, path, size):
    """memvisor's options for the same."""
    return ["--ivshmem", "mem=%s,size=%dM,addr=%02x.0" % (path, size // MIB, 4 + number)]


def test_device_that_shows_a_bank(memvisor, initrd, files, tmp_path):
    """mem-id=: two devices and a bank are one memory, which the kernel leaves alone."""
    result = memvisor.boot(initrd("""
insmod /uio.ko
insmod /uio_ivshmem.ko
ivshmem write 4096 "by one device" -d 00:04.0
echo "other: $(ivshmem read 4096 13 -d 00:05.0 --map cached)"
devmem=$(busybox devmem 0x200001000 32)
echo "bank: $devmem"
""", files), "-m", "256M", "-m", "16M@8G,id=extra,file=%s,create=on" % (tmp_path / "bank"),
        "--ivshmem", "mem-id=extra,addr=4", "--ivshmem", "mem-id=extra,addr=5",
        append="mem=256M")
    assert result.value("other") == "by one device", result
    assert result.value("bank") == "0x6F207962", result  # "by o"
    assert (tmp_path / "bank").read_bytes()[4096:].startswith(b"by one device")


@pytest.mark.parametrize("name,option", [("qemu", plain), ("memvisor", ours)])
def test_plain_devices(request, initrd, files, tmp_path, name, option):
    """Two devices, whose small BARs share a page; bytes both ways, by each way
    to map the memory."""
    for number, text in ((0, b"from the host"), (1, b"another one")):
        with open(tmp_path / ("m%d" % number), "wb") as file:
            file.truncate((number + 1) * MIB)
            file.seek(5)
            file.write(text)
    machine = request.getfixturevalue(name)
    result = machine.boot(initrd("""
ivshmem list
ivshmem ring 0 0
echo "exit: $?"
echo "0: $(ivshmem read 5 13 -d 00:04.0)"
echo "1: $(ivshmem read 5 11 -d 0000:00:05.0)"
ivshmem write 100 combining -d 00:04.0 --map combining
ivshmem write 201 device -d 00:04.0 --map device
echo no driver: $(ivshmem write 0 x -d 00:04.0 --map cached 2>&1)
insmod /uio.ko
insmod /uio_ivshmem.ko
echo names: $(cat /sys/class/uio/*/name)
ivshmem list
ivshmem write 303 cached -d 00:04.0 --map cached
printf 'from a pipe' | ivshmem write 404 - -d 00:05.0
echo "far: $(ivshmem read 1048570 7 -d 00:04.0 2>&1)"
echo "wait: $(ivshmem wait -t 1 -d 00:04.0 -v 3 2>&1)"
for way in cached combining device; do
    ivshmem add -n 1000 -o 512 -d 00:05.0 --map $way
    echo "$way: $(ivshmem bandwidth -s 65536 -o 65536 -d 00:05.0 --map $way)"
done
""", files), "-m", "512M", *option(0, tmp_path / "m0", MIB),
        *option(1, tmp_path / "m1", 2 * MIB))
    lines = [line.split() for line in result.out.splitlines() if line.startswith("0000:00:")]
    assert lines == [["0000:00:04.0", "1", str(MIB), "0", "-"],
                     ["0000:00:05.0", "1", str(2 * MIB), "0", "-"],
                     ["0000:00:04.0", "1", str(MIB), "0", "-"],
                     ["0000:00:05.0", "1", str(2 * MIB), "0", "-"]], result
    assert "ivshmem: there are 2 ivshmem devices: choose one by --device SLOT" in result.out + \
        result.err, result
    assert result.value("exit") == "1", result
    assert result.value("0") == "from the host", result
    assert result.value("1") == "another one", result
    assert "needs the driver uio_ivshmem bound to 0000:00:04.0" in result.value("no driver")
    assert result.value("names") == "ivshmem ivshmem", result
    assert "7 bytes at offset 1048570 reach beyond" in result.value("far"), result
    assert "no interrupt for vector 3 of 0000:00:04.0: it has memory alone" in result.value("wait"), result
    memory = (tmp_path / "m0").read_bytes()
    assert (memory[100:109], memory[201:207], memory[303:309]) == \
        (b"combining", b"device", b"cached")
    other = (tmp_path / "m1").read_bytes()
    assert other[404:415] == b"from a pipe"
    assert int.from_bytes(other[512:520], "little") == 3000
    for way in ("cached", "combining", "device"):
        assert "ratio" in result.value(way), result
