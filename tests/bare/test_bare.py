# SPDX-License-Identifier: Apache-2.0
"""Our bare-metal programs print the same under memvisor and under QEMU.

Where QEMU does not do what the Arm manual says, a line of memvisor's output may
differ if it is what MANUAL has for that program.
"""
import itertools
import re
import shutil
import subprocess

import pytest

import harness

SOURCES = harness.TOP / "tests/bare"
PROGRAMS = sorted(path.stem for path in SOURCES.glob("*.c"))
CPUS = 4

# What memvisor prints where QEMU prints something else, by the Arm Architecture
# Reference Manual (DDI 0487), and its section.  Each of them must be needed.
MANUAL = {
    "align": [
        (r"device \+[1-7] (ldr[h wx]*|str[h x]*|(ld|st)p [wx]): ec 25 iss [26]1 far \+[1-7]",
         "B2.8.2: an access to Device memory that is not aligned takes an Alignment fault"),
        (r"sp unaligned: vector 8 ec 26 iss 0",
         "SCTLR_EL1.SA0: SP alignment fault at EL0"),
        (r"first page after stores that abort: unchanged",
         "B2.2: whether bytes of a store that aborts were written is UNKNOWN"),
    ],
    "debug": [
        (r" os lock.*: passed",
         "D2.4, OSLSR_EL1.OSLK: while the OS Lock is locked, BRK alone is a debug exception"),
        (r" context alone, el0: vector 8 esr c2000022 elr \+0",
         "DBGBCR_EL1.BT 0b0010: a match of the context alone"),
        (r" both (ldadd|cas) \+40: vector 4 esr d6000022 far 40",
         "ESR_EL1, ISS of a Watchpoint: WnR is 0 where the atomic's read would have done"),
        (r"  ldr \+44: passed", "D2.9.3: of the doubleword only the bytes that BAS picks"),
    ],
    "device": [
        (r"off ld[rp] .*: vector 4 ec 25 iss 21",
         "SCTLR_EL1.M is 0: data accesses are to Device-nGnRnE memory, and B2.8.2"),
        (r"(off dc zva|zva, device): vector 4 ec 25 iss 61",
         "DC ZVA: on any type of Device memory it takes an Alignment fault"),
        (r"after it kept", "as it took the fault"),
    ],
    "el0": [
        (r"wfe: vector 8 ec 1 iss 1e00001", "SCTLR_EL1.nTWE: WFE at EL0 is trapped"),
        (r" msr daifset: vector 8 ec 18 iss cd3e2",
         "ESR_EL1, ISS of an MSR or MRS: Op2 is bits 19:17, Op1 bits 16:14"),
        (r"ic ivau unmapped: vector 8 ec 24 iss 147",
         "IC IVAU: may take a Translation fault on an address that is not mapped"),
    ],
    "granules": [
        (r"(4|16)k, [0-9]+ bits, level 0 to 0: load:25/4",
         "D8.3.1: no blocks at level 0 where addresses have 48 bits"),
        (r"(16|64)k, [0-9]+ bits, level [01] to 1: load:25/5",
         "D8.3.1: at level 1 granules of 4 KiB alone have blocks"),
    ],
    "syndromes": [
        (r"32400 cases, 0 not as the manual has it",
         "D1.3.5, D17.2.37: the program has the manual's rules, and QEMU differs from them"),
    ],
    "timers": [
        (r"not pending though the count says so: 0",
         "D11.2.4: the output follows the count, not somebody's looking at it"),
    ],
    "translate": [
        (r" e[01][rw]: attr (0|44) sh 2 page right",
         "PAR_EL1.SH: 0b10 for Device memory and for Normal Non-cacheable memory"),
    ],
}


@pytest.fixture(scope="session")
def programs(tmp_path_factory):
    """The folder of the programs, built."""
    if not shutil.which("aarch64-linux-gnu-gcc"):
        pytest.fail("aarch64-linux-gnu-gcc is missing: run scripts/setup.sh check", pytrace=False)
    folder = tmp_path_factory.mktemp("bare")
    result = subprocess.run(["make", "-C", SOURCES, "OUT=%s" % folder], text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert result.returncode == 0, result.stdout
    return folder


@pytest.mark.parametrize("program", PROGRAMS)
def test_same_as_under_qemu(engines, qemu, programs, program):
    binary = programs / (program + ".bin")
    result = engines.run("run", "--firmware", binary, "-c", str(CPUS), "-m", "256M",
                          timeout=240)
    assert result.code == 0, result
    got = result.out.splitlines()
    assert got[-1:] == ["END"], result
    reference = qemu.run_firmware(binary, CPUS, timeout=240)
    # A program that knows the manual's rules marks what it finds against them.
    expected = [line for line in reference.out.splitlines() if not line.startswith("! ")]

    known = MANUAL.get(program, [])
    needed = set()
    wrong = []
    for line, want in itertools.zip_longest(got, expected):
        if line == want:
            continue
        fits = {i for i, (pattern, _) in enumerate(known) if re.fullmatch(pattern, line or "")}
        needed |= fits
        if not fits:
            wrong.append("memvisor: %s\n    QEMU: %s" % (line, want))
    assert not wrong, "%d lines differ:\n%s" % (len(wrong), "\n".join(wrong[:20]))
    assert needed == set(range(len(known))), "an exception is no longer needed"
