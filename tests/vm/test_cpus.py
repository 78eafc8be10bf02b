# SPDX-License-Identifier: Apache-2.0
"""Guests of many vCPUs: all come online, and interrupts sent from one vCPU to
another (SGIs) reach each of them."""
import re

import pytest

# A task on each CPU in turn needs a rescheduling interrupt to get there.
SCRIPT = """
echo "online: $(cat /sys/devices/system/cpu/online)"
for i in $(seq 0 $(($(nproc) - 1))); do
    taskset -c $i sh -c 'echo "ran: $(cut -d" " -f39 /proc/self/stat)"'
done
grep -E '^ *IPI[01]:' /proc/interrupts
grep -E 'arch_timer' /proc/interrupts
echo done: yes
"""


def interrupts(result, name):
    """The counts of one line of /proc/interrupts, a CPU each."""
    line = re.search(r"^ *%s:((?: +\d+)+)" % name, result.out, re.M)
    assert line, result
    return [int(word) for word in line.group(1).split()]


def check(memvisor, initrd, count, timeout):
    result = memvisor.boot(initrd(SCRIPT), "-c", count, "-m", "1G", timeout=timeout)
    assert result.code == 0, result
    assert result.value("online") == ("0-%d" % (count - 1) if count > 1 else "0")
    assert re.findall(r"^ran: (\d+)", result.out, re.M) == [str(i) for i in range(count)]
    for name in ("IPI0", "IPI1"):
        assert len(interrupts(result, name)) == count
    sgis = [sum(pair) for pair in zip(interrupts(result, "IPI0"), interrupts(result, "IPI1"))]
    assert min(sgis) > 0, result


@pytest.mark.parametrize("count", [2, 4, 16])
def test_online(memvisor, initrd, count):
    check(memvisor, initrd, count, timeout=120)


def test_online_64(memvisor, initrd):
    check(memvisor, initrd, 64, timeout=300)


# Processes that come and go have mappings that others must forget (TLBI, DSB).
HOTPLUG = """
for i in 1 2 3; do while :; do busybox true; done & done
i=0
while [ $i -lt 20 ]; do
    echo 0 > /sys/devices/system/cpu/cpu3/online && echo 1 > /sys/devices/system/cpu/cpu3/online || break
    i=$((i + 1))
done
echo "rounds: $i"
echo "online: $(cat /sys/devices/system/cpu/online)"
"""


def test_off_and_on_under_load(memvisor, initrd):
    result = memvisor.boot(initrd(HOTPLUG), "-c", "4", "-m", "256M", timeout=120)
    assert result.code == 0, result
    assert result.value("rounds") == "20", result
    assert result.value("online") == "0-3", result


@pytest.mark.parametrize("count", ["0", "65", "x", ""])
def test_refused(memvisor, kernel, count):
    result = memvisor.run("run", "-k", kernel, "-c", count)
    assert result.code == 2
    assert "64" in result.err, result


def test_caches_and_hypervisor_are_seen(memvisor, initrd):
    """What lscpu -C and systemd-detect-virt read: caches of a CPU's own, one that all
    share, and that this is a virtual machine."""
    result = memvisor.boot(initrd("""
        for index in /sys/devices/system/cpu/cpu1/cache/index*; do
            echo cache: $(cd $index; cat level type size coherency_line_size shared_cpu_list)
        done
        echo "hypervisor: $(cat /proc/device-tree/hypervisor/compatible)"
    """), "-c", "3", "-m", "256M")
    assert result.code == 0, result
    assert re.findall(r"^cache: (.*?)\r?$", result.out, re.M) == [
        "1 Data 32K 64 1", "1 Instruction 32K 64 1", "2 Unified 1024K 64 0-2"]
    assert result.value("hypervisor").strip("\0") == "memvisor"
