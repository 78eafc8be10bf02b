# SPDX-License-Identifier: Apache-2.0
"""The memory model: guest/litmus on four processors, and a word that guest and
host increment together."""
import os
import re
import subprocess
import time

import pytest

import guest_tools
import harness

RAM_BASE = 0x80000000


@pytest.fixture(scope="module")
def litmus(tmp_path_factory, kernel):
    return guest_tools.program("litmus", tmp_path_factory.mktemp("litmus"))


def check(memvisor, initrd, litmus, seconds, cpus=4):
    result = memvisor.boot(initrd("/litmus %d\necho \"exit: $?\"\n" % seconds, [(litmus, "litmus")]),
                           "-m", "256M", "-c", str(cpus), timeout=60 + 3 * seconds)
    assert result.code == 0, result
    assert result.value("exit") == "0", result
    assert re.search(r"^litmus: 0 of 40 tests failed", result.said, re.M), result
    # It did something: no test is without rounds.
    rounds = [int(n) for n in re.findall(r"^ok  .*: 0 wrong, (\d+) rounds", result.said, re.M)]
    assert len(rounds) == 40 and min(rounds) > 0, result


def test_litmus(engines, initrd, litmus):
    check(engines, initrd, litmus, 12)


@pytest.mark.long
def test_litmus_long(engines, initrd, litmus):
    check(engines, initrd, litmus, 60)


@pytest.fixture(scope="module")
def host_adder(tmp_path_factory):
    out = tmp_path_factory.mktemp("host") / "host-adder"
    made = subprocess.run(["gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-o", out,
                           harness.TOP / "tests/vm/host-adder.c"], capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    return out


@pytest.mark.parametrize("cpus", [4, 1])
def test_increments_with_the_host(memvisor, initrd, litmus, host_adder, tmp_path, cpus):
    """LSE and exclusives in the guest, an atomic addition in a process of the
    host, all on one word; also with one processor, where nobody in the guest
    would notice a lost one."""
    seconds = 20 if os.environ.get("MEMVISOR_LONG") else 2
    script = initrd("/litmus --share %d\n" % seconds, [(litmus, "litmus")])
    ram = tmp_path / "ram"
    console = open(tmp_path / "console", "w+")
    argv = memvisor.boot_argv(script, "-m", "256M,file=%s,create=on" % ram, "-c", str(cpus))
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=console)

    def text():
        return os.pread(console.fileno(), 1 << 20, 0).decode(errors="replace")

    try:
        end = time.monotonic() + 60 * harness.PATIENCE
        while not re.search(r"shared at 0x[0-9a-f]+\r?\n", text()):
            assert process.poll() is None and time.monotonic() < end, text()
            time.sleep(0.05)
        gpa = int(re.search(r"shared at (0x[0-9a-f]+)", text())[1], 16)
        host = harness.run([host_adder, ram, gpa - RAM_BASE, seconds], timeout=60 + seconds)
        assert host.code == 0, host
        assert process.wait(60 * harness.PATIENCE) == 0, text()
    finally:
        process.kill()
        process.wait()
    by_host = int(re.search(r"host added (\d+)", host.out)[1])
    guest = re.search(r"guest added (\d+), found (\d+)", text())
    assert guest, text()
    by_guest, found = int(guest[1]), int(guest[2])
    assert by_host > 1000 and by_guest > 1000
    assert by_host + by_guest == found, "%d of the host and %d of the guest make %d" % (
        by_host, by_guest, found)
