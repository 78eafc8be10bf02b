# SPDX-License-Identifier: Apache-2.0
"""A running Linux goes on in another machine, to which the state tables and its memory are
all that is carried over: again and again, and it does not notice.

What does the carrying is tests/interop/state/mover.c.
"""
import pathlib
import re

import harness

# It takes some three seconds of guest time, which are more than ten moves on any host.  Both
# processors are busy, the timers and the console interrupt, and a PCI device behind a
# root port keeps what was written to it.
GUEST = """
for f in /sys/bus/pci/devices/*/config; do busybox md5sum $f; done > /before
edu=$(dirname $(busybox grep -l 0x11e8 /sys/bus/pci/devices/*/device | busybox tail -n 1))
echo 1 > $edu/enable
bar=$(busybox head -n 1 $edu/resource | busybox cut -d' ' -f1)
busybox devmem $((bar + 4)) 32 0x12345678
for f in /sys/bus/pci/devices/*/config; do busybox md5sum $f; done > /before
(while :; do busybox head -c 100000 /dev/urandom | busybox md5sum; done) > /dev/null &
(while :; do busybox sleep 0.01; done) &
i=0
while [ $i -lt 40 ]; do
    i=$((i + 1))
    read up idle < /proc/uptime
    echo "line $i at $up"
    busybox usleep 60000
done
for f in /sys/bus/pci/devices/*/config; do busybox md5sum $f; done > /after
busybox cmp /before /after && echo "configuration: same"
echo "edu: $(busybox devmem $((bar + 4)) 32)"
echo "cpus: $(cat /sys/devices/system/cpu/online)"
busybox dmesg | busybox grep -ciE 'stall|BUG|WARNING|lockup|clocksource.*unstable' | busybox sed 's/^/complaints: /'
"""


# It counts its boots in memory that a reset leaves as it is.
REBOOTING = """
memory=$(dirname $(busybox grep -l 0x1110 /sys/bus/pci/devices/*/device))
echo 1 > $memory/enable
bar=$(busybox sed -n 3p $memory/resource | busybox cut -d' ' -f1)
boots=$(($(busybox devmem $bar 32) + 1))
busybox devmem $bar 32 $boots
echo "boot $boots of $(busybox wc -c < /kept) bytes"
i=0
while [ $i -lt 10 ]; do
    i=$((i + 1))
    echo "line $boots.$i"
    busybox usleep 60000
done
[ $boots = 2 ] || busybox reboot -f
"""


def run_mover(memvisor, every_ms, words):
    mover = pathlib.Path(memvisor.path).resolve().parent / "tests/interop/state-mover"
    return harness.run([str(mover), str(every_ms)] + words[words.index("run") + 1:])


def moves(result):
    return int(re.search(r"moved (\d+) times", result.err).group(1))


def test_a_moved_guest_resets_itself(memvisor, initrd, tmp_path):
    """The kernel and the initrd that it boots again came with the state."""
    kept = tmp_path / "kept"
    kept.write_bytes(b"x" * 300000)
    words = memvisor.boot_argv(initrd(REBOOTING, files=[(kept, "kept")]), "-m", "96M",
                               "--ivshmem", f"mem={tmp_path}/a,,b,size=1M,create=on", append="quiet")
    result = run_mover(memvisor, 200, words)
    assert result.code == 0, result
    assert re.findall(r"^boot (\d) of 300000 bytes\r?$", result.out, re.M) == ["1", "2"], result
    assert re.findall(r"^line ([\d.]+)\r?$", result.out, re.M) == \
        [f"{boot}.{i}" for boot in (1, 2) for i in range(1, 11)], result
    assert moves(result) >= 4, result


def test_a_guest_is_moved_and_does_not_notice(memvisor, initrd):
    words = memvisor.boot_argv(initrd(GUEST), "-m", "96M", "-c", "2", "--device", "edu,addr=1",
                               "--device", "pcie-root-port,id=port,addr=2", "--device", "edu,bus=port")
    result = run_mover(memvisor, 200, words)
    assert result.code == 0, result
    lines = re.findall(r"^line (\d+) at ([\d.]+)\r?$", result.out, re.M)
    assert [int(number) for number, _ in lines] == list(range(1, 41)), result
    times = [float(at) for _, at in lines]
    assert times == sorted(times) and times[-1] - times[0] < 100, result
    assert result.value("configuration") == "same"
    assert result.value("edu") == "0xEDCBA987"
    assert result.value("cpus") == "0-1"
    assert result.value("complaints") == "0", result
    assert moves(result) >= 10, result
