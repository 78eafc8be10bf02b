# SPDX-License-Identifier: Apache-2.0
"""Debian's arm64 kernel boots, and sees the banks and processors asked for."""
import re

# What a guest says of its machine.
LOOK = """
echo cpus: $(cat /sys/devices/system/cpu/online)
grep 'System RAM' /proc/iomem
"""


def ram_ranges(result):
    """The guest's System RAM, as (first, last) byte addresses."""
    found = re.findall(r"^([0-9a-f]+)-([0-9a-f]+) : System RAM", result.out, re.M)
    return [(int(first, 16), int(last, 16)) for first, last in found]


def test_two_banks_and_two_cpus(memvisor, initrd):
    result = memvisor.boot(initrd(LOOK), "-m", "256M@2G", "-m", "256M@8G", "-c", "2")
    assert result.code == 0, result
    assert ram_ranges(result) == [(0x80000000, 0x8FFFFFFF), (0x200000000, 0x20FFFFFFF)], result
    assert result.value("cpus") == "0-1"
