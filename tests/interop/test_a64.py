# SPDX-License-Identifier: Apache-2.0
"""The emulator against QEMU, instruction by instruction: tests/interop/a64/.  Each is interpreted,
and translated where this host's code is.

Each case is one instruction word, made at random from a form of the decode
table, on a state that both sides make from the same seed: all registers,
flags, FPCR and FPSR, and memory.  Both must end with the same, or both find the
word undefined, or both fault.

MEMVISOR_SEED=N runs other cases than the usual ones; a failure prints the seed.
"""
import os
import platform
import random
import re
import shutil
import struct
import subprocess

import pytest

import harness

SOURCES = harness.TOP / "tests/interop/a64"
SEED = int(os.environ.get("MEMVISOR_SEED", "1"), 0)
# Cases for each form; some groups have forms of many instructions.
COUNT = 300
LONG_COUNT = 5000
COARSE = {"integer": 4, "memory": 10, "atomic": 4, "scalar floating point": 3, "structure": 8}
# How many a peer takes at once, and how peer.h has its memory.
BATCH = 40000
CODE_BASE, BUFFER_MIDDLE = 0x40000000, 0x40082000
# What a failing case shows.
SHOWN = 5

ENGINES = ["interpreter", "jit"] if platform.machine() == "x86_64" else ["interpreter"]

DONE, UNDEF, FAULT = range(3)
OUTCOMES = ["done", "undefined", "fault"]
DATA, MEMORY, ALIGNED = range(3)
KINDS = {"memory": MEMORY, "structure": MEMORY, "atomic": ALIGNED}
# They leave the slot, or the processor; boots and tests/bare/ see to them.
LEFT_OUT = {"branch", "system"}
# v8.0 with what memvisor has, and everything that QEMU has.
CPU_V8_0, CPU_MAX = "cortex-a57", "max"


def case_pc(index, words=1):
    """Where the first instruction of a case stands: case_pc() of peer.h."""
    size = 4 * (words + 2)
    slots = 4096 // size
    return CODE_BASE + index // slots * 4096 + index % slots * size + 4


class Form:
    """A row of the decode table."""

    def __init__(self, line):
        self.group, pattern, self.name = line.split("\t")
        self.pattern = pattern.replace(" ", "")
        self.kind = KINDS.get(self.group, DATA)
        self.mask = int("".join("1" if c in "01" else "0" for c in self.pattern), 2)
        self.value = int("".join(c if c in "01" else "0" for c in self.pattern), 2)
        self.fields = {}
        for match in re.finditer(r"([a-zA-Z])\1*", self.pattern):
            self.fields.setdefault(match[1], (32 - match.end(), len(match[0])))

    def random_word(self, rng, index):
        word = self.value | rng.getrandbits(32) & ~self.mask
        if self.kind == DATA:
            return word
        # The manual leaves loads and stores open whose registers coincide.
        registers = [letter for letter in "tTnms" if self.fields.get(letter, (0, 0))[1] == 5]
        for letter, number in zip(registers, rng.sample(range(32), len(registers))):
            word = self.put(word, letter, number)
        offset, width = self.fields.get("i", (0, 0))
        if width == 12:
            word = self.put(word, "i", rng.randrange(64))
        elif width == 19:
            pc = case_pc(index)
            word = self.put(word, "i", (BUFFER_MIDDLE + 4 * rng.randrange(-32, 32) - pc) // 4)
        return word

    def put(self, word, letter, value):
        offset, width = self.fields[letter]
        mask = (1 << width) - 1
        return word & ~(mask << offset) | (value & mask) << offset


class Peer:
    """One that executes cases: a command."""

    def __init__(self, *command):
        self.command = command

    def run(self, *args):
        result = subprocess.run([*map(str, self.command), *map(str, args)], timeout=900,
                                capture_output=True)
        assert result.returncode == 0 and not result.stderr, result.stderr.decode()
        return result.stdout

    def outcomes(self, seed, path):
        """(outcome, hash) of each case of the file."""
        return list(struct.iter_unpack("<QQ", self.run("hash", seed, path)))

    def show(self, seed, path, index):
        return self.run("show", seed, path, index).decode().splitlines()


def tool(name):
    path = shutil.which(name)
    if not path:
        pytest.fail("%s is missing: run scripts/setup.sh check" % name, pytrace=False)
    return path


def built(memvisor, name):
    path = memvisor.path.parent / "tests/interop" / name
    if not os.access(path, os.X_OK):
        pytest.fail("%s is missing: run make check" % path, pytrace=False)
    return path


@pytest.fixture(scope="module")
def native_program(tmp_path_factory):
    program = tmp_path_factory.mktemp("a64") / "peer-native"
    result = subprocess.run(
        [tool("aarch64-linux-gnu-gcc"), "-O2", "-Wall", "-Wextra", "-Werror", "-static", "-o",
         program, SOURCES / "peer.c", SOURCES / "peer-native.c"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert result.returncode == 0, result.stdout
    return program


@pytest.fixture(scope="module")
def native(native_program):
    """The instructions themselves, executed by QEMU with all it has."""
    return Peer(tool("qemu-aarch64-static"), "-cpu", CPU_MAX, native_program)


@pytest.fixture(scope="module")
def native_v8_0(native_program):
    """The same with a processor of v8.0."""
    return Peer(tool("qemu-aarch64-static"), "-cpu", CPU_V8_0, native_program)


@pytest.fixture(scope="module", params=ENGINES)
def emulated(memvisor, request):
    return Peer(built(memvisor, "a64-" + request.param))


@pytest.fixture(scope="module")
def forms(memvisor):
    lines = subprocess.run([built(memvisor, "a64-forms")], capture_output=True, text=True,
                           check=True).stdout.splitlines()
    return [form for form in map(Form, lines) if form.group not in LEFT_OUT]


def write_cases(path, cases):
    path.write_bytes(b"".join(struct.pack("<II", word, kind) for word, kind in cases))
    return path


def disassemble(word):
    """As objdump writes it, where there is one."""
    objdump = shutil.which("aarch64-linux-gnu-objdump")
    if not objdump:
        return ""
    import tempfile
    with tempfile.NamedTemporaryFile() as file:
        file.write(struct.pack("<I", word))
        file.flush()
        out = subprocess.run([objdump, "-D", "-b", "binary", "-m", "aarch64", file.name],
                             capture_output=True, text=True).stdout
    return " ".join(out.splitlines()[-1].split()[2:])


def explain(native, emulated, seed, path, index):
    """The lines in which the two differ."""
    expected = native.show(seed, path, index)
    got = emulated.show(seed, path, index)
    lines = ["memvisor: " + line for line in got if line not in expected]
    lines += ["expected: " + line for line in expected if line not in got]
    return "".join("\n      " + line for line in lines[:12])


def compare(native, native_v8_0, emulated, seed, path, cases, names):
    """What differs: texts for each name."""
    write_cases(path, cases)
    expected = native.outcomes(seed, path)
    got = emulated.outcomes(seed, path)
    assert len(expected) == len(got) == len(cases)
    later = [i for i in range(len(cases)) if expected[i] != got[i] and got[i][0] == UNDEF]
    # What is undefined here on purpose is undefined in v8.0.
    only_later = write_cases(path.with_suffix(".later"), [cases[i] for i in later])
    v8_0 = dict(zip(later, native_v8_0.outcomes(seed, only_later)))
    report = {}
    for i, (word, _) in enumerate(cases):
        if expected[i] == got[i] or v8_0.get(i, (None,))[0] == UNDEF:
            continue
        wrong = report.setdefault(names[i], [])
        if len(wrong) < SHOWN:
            wrong.append("  %08x %s: memvisor %s, expected %s (case %d)%s" % (
                word, disassemble(word), OUTCOMES[got[i][0]], OUTCOMES[expected[i][0]], i,
                explain(native, emulated, seed, path, i)))
        else:
            wrong.append("")
    return report


def check_forms(native, native_v8_0, emulated, forms, seed, count, folder):
    rng = random.Random(seed)
    report = {}
    todo = [form for form in forms for _ in range(count * COARSE.get(form.group, 1))]
    for start in range(0, len(todo), BATCH):
        batch = todo[start:start + BATCH]
        cases = [(form.random_word(rng, i), form.kind) for i, form in enumerate(batch)]
        names = ["%s: %s" % (form.group, form.name) for form in batch]
        for name, lines in compare(native, native_v8_0, emulated, seed, folder / "cases", cases,
                                   names).items():
            report.setdefault(name, []).extend(lines)
    text = "\n".join("%s: %d differ\n%s" % (name, len(wrong), "\n".join(wrong[:SHOWN]))
                     for name, wrong in report.items())
    assert not report, "seed %d\n%s" % (seed, text)


def test_forms(native, native_v8_0, emulated, forms, tmp_path):
    check_forms(native, native_v8_0, emulated, forms, SEED, COUNT, tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("seed", [11, 12, 13])
def test_forms_long(native, native_v8_0, emulated, forms, tmp_path, seed):
    check_forms(native, native_v8_0, emulated, forms, seed, LONG_COUNT, tmp_path)
