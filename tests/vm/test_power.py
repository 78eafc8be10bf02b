# SPDX-License-Identifier: Apache-2.0
"""How a guest ends: power off, reset, panic, signals; and an idle guest's load."""
import os
import re
import signal
import time

import harness

IDLE_SHARE = 0.03


def test_reset_boots_again_in_the_same_process(memvisor, initrd, tmp_path):
    """Twice: the third boot of one process is told by nothing the guest keeps,
    so the test counts kernels and stops it by the third."""
    script = """
echo "clock: $(date +%s)"
if [ $(($(date +%s) - START)) -lt 0 ]; then echo; fi
reboot -f
"""
    child = memvisor.spawn(initrd(script.replace("START", "0")), "-m", "256M")
    with child:
        for _ in range(3):
            child.expect(r"clock: \d+")
        pid = child.pid
        assert child.isalive()
        assert pid == child.pid
        child.kill(signal.SIGTERM)
        child.expect(harness.pexpect.EOF)
    child.close()


def test_no_reboot_exits_3(memvisor, initrd):
    result = memvisor.boot(initrd("reboot -f"), "--no-reboot")
    assert result.code == 3, result
    assert "reset" in result.err


def test_panic_exits_3(memvisor, initrd):
    """panic=-1 resets at once; a panic of init's death is as good as any."""
    result = memvisor.boot(initrd("exit 1", raw=False).__class__(initrd("kill -9 $$; exit 1")),
                           "--no-reboot")
    assert result.code == 3, result
    assert "Kernel panic" in result.out
    assert result.err.strip()


def cpu_seconds(pid):
    with open("/proc/%d/stat" % pid) as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_idle_guest_sleeps(memvisor, shell_initrd):
    with memvisor.spawn(shell_initrd, "-c", "2") as child:
        child.expect("# ")
        time.sleep(3)
        before, start = cpu_seconds(child.pid), time.monotonic()
        time.sleep(5)
        share = (cpu_seconds(child.pid) - before) / (time.monotonic() - start)
        child.sendcontrol("a")
        child.send("x")
        child.expect(harness.pexpect.EOF)
    assert share < IDLE_SHARE * harness.SLOW, "%.1f %% of a core" % (100 * share)


def test_sigterm_ends_in_order(memvisor, shell_initrd):
    with memvisor.spawn(shell_initrd, "-m", "256M") as child:
        child.expect("# ")
        child.kill(signal.SIGTERM)
        child.expect(harness.pexpect.EOF)
        child.wait()
    assert child.exitstatus == 128 + signal.SIGTERM or child.exitstatus == 0
