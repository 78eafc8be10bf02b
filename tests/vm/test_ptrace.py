# SPDX-License-Identifier: Apache-2.0
"""Linux uses the processor's breakpoints, watchpoints and steps for ptrace(2):
the same stops in a guest of memvisor and one of QEMU."""
import re
import subprocess

import pytest

import harness


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    out = tmp_path_factory.mktemp("ptrace") / "ptrace-guest"
    made = subprocess.run(
        ["aarch64-linux-gnu-gcc", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-static",
         "-o", out, harness.TOP / "tests/vm/ptrace-guest.c"], capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    return out


EXPECTED = """breakpoint slots: 6
breakpoint: signal 5 code 4 at target+16
breakpoint slots: 6
brk: signal 5 code 1
watchpoint slots: 4
watch a store: signal 5 code 4 variable+16
watchpoint slots: 4
watch a load: signal 5 code 4 variable+32
watchpoint slots: 4
nobody stores there: signal 5 code 1
watchpoint slots: 4
breakpoint slots: 6
the first instruction: signal 5 code 4 at target+0
breakpoint slots: 6
step: signal 5 code 2 at target+4
step: signal 5 code 2 at target+8
step: signal 5 code 2 at target+12
step: signal 5 code 2 at target+8
step: signal 5 code 2 at target+12
step: signal 5 code 2 at target+8
step: signal 5 code 2 at target+12
step: signal 5 code 2 at target+16
step: signal 5 code 2 at target+20
step: signal 5 code 2
done
""".splitlines()


@pytest.mark.parametrize("cpus", [1, 2])
def test_ptrace(engines, initrd, program, cpus):
    script = initrd("/ptrace-guest\n", [(program, "ptrace-guest")])
    result = engines.boot(script, "-m", "256M", "-c", str(cpus))
    assert result.code == 0, result
    got = [line.rstrip() for line in result.out.splitlines()]
    assert "breakpoint slots: 6" in got, result
    start = got.index("breakpoint slots: 6")
    assert got[start:start + len(EXPECTED)] == EXPECTED, result


def test_qemu_agrees(qemu, initrd, program):
    """What is expected above is what the kernel makes of QEMU's processor."""
    result = qemu.boot(initrd("/ptrace-guest\n", [(program, "ptrace-guest")]), "-m", "256")
    assert result.code == 0, result
    text = re.sub(r"\r", "", result.out)
    assert "\n".join(EXPECTED) in text, result
