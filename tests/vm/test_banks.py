# SPDX-License-Identifier: Apache-2.0
"""RAM banks as a Linux guest sees them, and the banks that are refused."""
import re

import pytest

MIB = 1 << 20
GIB = 1 << 30

# Every memory node of the device tree, and what the kernel took as RAM.
SCRIPT = """
for node in /proc/device-tree/memory@*; do
    echo "node: ${node##*@} $(od -An -v -tx1 $node/reg | tr -d ' \\n')"
done
grep 'System RAM' /proc/iomem | while read line; do echo "iomem: $line"; done
echo "total: $(grep MemTotal /proc/meminfo)"
echo done: yes
"""


def nodes(result):
    """(gpa, size) of each memory node, in address order."""
    found = []
    for name, reg in re.findall(r"^node: (\w+) (\w+)", result.out, re.M):
        assert len(reg) == 32, "one range a node"
        gpa, size = int(reg[:16], 16), int(reg[16:], 16)
        assert gpa == int(name, 16)
        found.append((gpa, size))
    return sorted(found)


def system_ram(result):
    """(first, last) of each System RAM range, adjacent ones joined."""
    ranges = []
    for first, last in re.findall(r"^iomem: (\w+)-(\w+) : System RAM", result.out, re.M):
        first, last = int(first, 16), int(last, 16)
        if ranges and ranges[-1][1] + 1 == first:
            first = ranges.pop()[0]
        ranges.append((first, last))
    return ranges


def boot(memvisor, initrd, banks, *options, timeout=120):
    arguments = [word for bank in banks for word in ("-m", bank)]
    result = memvisor.boot(initrd(SCRIPT), *arguments, *options, timeout=timeout)
    assert result.code == 0, result
    assert result.value("done") == "yes"
    return result


@pytest.mark.parametrize("banks, expected", [
    (["256M@2G", "256M@8G"], [(2 * GIB, 256 * MIB), (8 * GIB, 256 * MIB)]),
    (["256M@8G", "256M@2G"], [(2 * GIB, 256 * MIB), (8 * GIB, 256 * MIB)]),
    (["192M@2G", "64M@4G", "128M@0x200000000"],
     [(2 * GIB, 192 * MIB), (4 * GIB, 64 * MIB), (8 * GIB, 128 * MIB)]),
    (["64M@0x10000000", "256M"], [(0x10000000, 64 * MIB), (2 * GIB, 256 * MIB)]),
    (["8G"], [(2 * GIB, 8 * GIB)]),
    (["200", "100"], [(2 * GIB, 200 * MIB), (2 * GIB + 200 * MIB, 100 * MIB)]),
], ids=["two", "wrong-order", "three-holes", "low", "8G", "adjacent"])
def test_banks_reach_the_guest(memvisor, initrd, banks, expected):
    result = boot(memvisor, initrd, banks, "-c", "2")
    assert nodes(result) == expected
    ram = system_ram(result)
    joined = []
    for gpa, size in expected:
        if joined and joined[-1][1] + 1 == gpa:
            gpa = joined.pop()[0]
        joined.append((gpa, gpa + size - 1))
    joined[-1] = (joined[-1][0], sum(expected[-1]) - 1)
    assert ram == joined


def test_sixty_four_banks(memvisor, initrd):
    """Adjacent ones: the kernel is larger than any of them."""
    result = boot(memvisor, initrd, ["16M"] * 64)
    assert nodes(result) == [(2 * GIB + i * 16 * MIB, 16 * MIB) for i in range(64)]
    assert system_ram(result) == [(2 * GIB, 3 * GIB - 1)]


def test_huge_bank_costs_nothing(memvisor, initrd):
    """32 GiB on a smaller host: nothing is reserved until it is touched."""
    result = boot(memvisor, initrd, ["512M", "32G@1T"])
    total = int(re.search(r"MemTotal: +(\d+) kB", result.value("total")).group(1))
    assert total > 31 * MIB


@pytest.mark.parametrize("bank, words", [
    ("256M@0x50000000", ["PCI", "0x50000000", "256 MiB"]),
    ("1G@0x7fff0000", ["PCI", "0x7fff0000"]),
    ("16M@0x3fff0000", ["GIC"]),
    ("1M@0", ["0x0"]),
    ("256M@0x80000001", ["0x80000001", "4 KiB"]),
    ("0@2G", ["0x80000000"]),
    ("512T", ["too large", "48 bits", "262142 GiB"]),
    ("1G@0xfffffffff000", ["48 bits", "0xfffffffff000"]),
    ("1G@0xfffffffffffff000", []),
], ids=lambda value: value if isinstance(value, str) else "")
def test_refused(memvisor, kernel, bank, words):
    result = memvisor.run("run", "-k", kernel, "-m", bank)
    assert result.code in (1, 2), result
    assert result.out == ""
    assert len(result.err.strip().splitlines()) == 1, result
    assert result.err.startswith("memvisor: ")
    for word in words:
        assert word in result.err, result


def test_overlap_names_both(memvisor, kernel):
    result = memvisor.run("run", "-k", kernel, "-m", "256M@2G", "-m", "256M@0x88000000")
    assert result.code == 1
    for word in ("overlap", "0x80000000", "0x88000000", "256 MiB", "ram0", "ram1"):
        assert word in result.err, result


def test_bare_decimal_address(memvisor, kernel):
    result = memvisor.run("run", "-k", kernel, "-m", "256M@4096")
    assert result.code == 2
    assert "ambiguous" in result.err
    assert "4096" in result.err
