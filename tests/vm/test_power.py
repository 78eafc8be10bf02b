# SPDX-License-Identifier: Apache-2.0
"""How a guest ends: power off, reset, panic, signals, the power button; and
what an idle guest costs."""
import os
import signal
import time

import pexpect
import pytest

import harness

IDLE_SHARE = 0.03


def quit_by_keys(child):
    child.sendcontrol("a")
    child.send("x")
    child.expect(pexpect.EOF)
    child.close()
    return child.exitstatus


def test_power_off_exits_0(memvisor, initrd):
    result = memvisor.boot(initrd("echo up: yes"), "-m", "256M")
    assert result.code == 0, result
    assert result.value("up") == "yes"
    assert result.err == ""


def test_reset_boots_again_in_the_same_process(memvisor, initrd):
    with memvisor.spawn(initrd("echo up: yes\nreboot -f"), "-m", "256M", "-c", "2") as child:
        for _ in range(3):
            child.expect("Booting Linux on physical CPU")
            child.expect("up: yes")
        assert child.isalive()
        assert quit_by_keys(child) == 0


def test_no_reboot_exits_3(memvisor, initrd):
    result = memvisor.boot(initrd("reboot -f"), "-m", "256M", "--no-reboot")
    assert result.code == 3, result
    assert "reset" in result.err


def test_panic_exits_3(memvisor, initrd):
    """panic=-1 on the command line: the kernel resets at once."""
    result = memvisor.boot(initrd("echo c > /proc/sysrq-trigger"), "-m", "256M", "--no-reboot")
    assert result.code == 3, result
    assert "Kernel panic" in result.out
    assert len(result.err.splitlines()) == 1, result


def cpu_seconds(pid):
    with open("/proc/%d/stat" % pid) as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_idle_guest_sleeps(memvisor, shell_initrd):
    with memvisor.spawn(shell_initrd, "-c", "2") as child:
        child.expect("# ")
        time.sleep(2)
        before, start = cpu_seconds(child.pid), time.monotonic()
        time.sleep(5)
        share = (cpu_seconds(child.pid) - before) / (time.monotonic() - start)
        assert quit_by_keys(child) == 0
    assert share < IDLE_SHARE * harness.SLOW, "%.1f %% of a core" % (100 * share)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_in_order(memvisor, shell_initrd, number):
    with memvisor.spawn(shell_initrd, "-m", "256M") as child:
        child.expect("# ")
        child.kill(number)
        child.expect("ended by %s" % signal.Signals(number).name)
        child.expect(pexpect.EOF)
        child.close()
    assert child.exitstatus == 128 + number


# Line 3 of the GPIO, as any program of the guest sees it: by its interrupts, since a program that
# gets little of the host's time may be too late to see a level of a tenth of a second.
BUTTON = """
chip=$(grep -l pl061 /sys/class/gpio/gpiochip*/device/of_node/compatible /dev/null | head -n 1)
base=$(cat ${chip%%/device*}/base)
echo $((base + 3)) > /sys/class/gpio/export
line=/sys/class/gpio/gpio$((base + 3))
echo both > $line/edge
echo "level: $(cat $line/value)"
echo ready: yes
until grep -q ': *[1-9][0-9]* .*gpiolib' /proc/interrupts; do :; done
echo pressed: yes
while [ "$(cat $line/value)" = 1 ]; do :; done
echo released: yes
grep -i gpio /proc/interrupts
"""


def test_power_button_reaches_the_guest(memvisor, initrd):
    with memvisor.spawn(initrd(BUTTON), "-m", "256M") as child:
        child.expect("level: 0")
        child.expect("ready: yes")
        child.sendcontrol("a")
        child.send("p")
        child.expect("pressed: yes")
        child.expect("released: yes")
        child.expect(r"\d+: +[12] .*gpiolib") # both edges are one, where it was not served between them
        child.expect(pexpect.EOF)
        child.close()
    assert child.exitstatus == 0
