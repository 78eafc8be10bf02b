# SPDX-License-Identifier: Apache-2.0
"""Programs made at random, of every class of instruction, interpreted, translated
where this host's code is, and under QEMU: registers, memory, flags and FPSR must come out the same.

A program is 32 instructions that a64/peer.c's state runs into: integer, floating
point, vectors and cryptography, loads and stores through x24 to x27, atomics,
and branches forward.  Where one differs, it is cut down to the first instruction
that makes the difference, and that is shown with the registers before it.

MEMVISOR_SEED=N makes other programs than the usual ones.
"""
import os
import random
import struct
import subprocess

import pytest

import harness
import test_a64
from test_a64 import CPU_MAX, ENGINES, Form, Peer, SOURCES, built, disassemble, tool

SEED = int(os.environ.get("MEMVISOR_SEED", "1"), 0)
WORDS = 32
COUNT = 7000        # programs: 224,000 instructions
LONG_COUNT = 320000 # 10,240,000
BATCH = 3500
PROGRAM = 3 # enum case_kind
NOP = 0xd503201f
BASES, ALIGNED_BASES, INDEX = (24, 25), (26, 27), 28

# How often each group of the decode table is taken.  The rest of "system" is in
# tests/bare and boots; exclusives are in guest/litmus: between a load and a
# store of theirs there may be no other access.
WEIGHTS = {"integer": 30, "memory": 14, "atomic": 5, "structure": 5, "branch": 8,
           "scalar floating point": 14, "vector": 16, "vector-immediate": 5,
           "vector floating point": 10, "crypto": 3, "system": 2}
# Reading and writing flags, reading FPSR and FPCR.
SYSTEM_WORDS = (0xd53b4200, 0xd51b4200, 0xd53b4420, 0xd53b4400)
BRANCH_FIELDS = {"b": (0, 26), "bl": (0, 26), "b.cond": (5, 19), "cbz, cbnz": (5, 19),
                 "tbz": (5, 14), "tbnz": (5, 14)}


@pytest.fixture(scope="module")
def native(tmp_path_factory):
    program = tmp_path_factory.mktemp("programs") / "native"
    made = subprocess.run(
        [tool("aarch64-linux-gnu-gcc"), "-O2", "-Wall", "-Wextra", "-Werror", "-static",
         "-DCASE_WORDS=%d" % WORDS, "-o", program, SOURCES / "peer.c", SOURCES / "peer-native.c"],
        capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    return Peer(tool("qemu-aarch64-static"), "-cpu", CPU_MAX, program)


@pytest.fixture(scope="module", params=ENGINES)
def emulated(memvisor, request):
    return Peer(built(memvisor, "a64-programs" + ("-jit" if request.param == "jit" else "")))


class Maker:
    """Makes instruction words that a program may hold."""

    def __init__(self, memvisor, folder, seed):
        self.rng = random.Random(seed)
        self.program = built(memvisor, "a64-forms")
        self.folder = folder
        table = subprocess.run([self.program], capture_output=True, text=True, check=True).stdout
        self.groups = {}
        for form in map(Form, table.splitlines()):
            if form.group == "branch" and form.name not in BRANCH_FIELDS:
                continue
            if form.group == "atomic" and "xr," in form.name or "xp," in form.name:
                continue
            self.groups.setdefault(form.group, []).append(form)
        self.kinds = [group for group in WEIGHTS if group in self.groups]

    def free_register(self):
        """Any but those that hold addresses."""
        number = self.rng.randrange(28)
        return number if number < 24 else (29, 30, 31, 31)[number - 24]

    def memory_word(self, form):
        rng = self.rng
        word = form.value | rng.getrandbits(32) & ~form.mask
        aligned = form.group == "atomic"
        # The manual leaves loads open whose registers coincide.
        registers = iter(rng.sample([*range(24), 29, 30, 31], 3))
        for letter in form.fields:
            if form.fields[letter][1] != 5:
                continue
            if letter == "n":
                word = form.put(word, letter, rng.choice(ALIGNED_BASES if aligned else BASES))
            elif letter == "m":
                word = form.put(word, letter, INDEX)
            elif letter in "tTs":
                word = form.put(word, letter, next(registers))
        if form.fields.get("i", (0, 0))[1] == 12:
            word = form.put(word, "i", rng.randrange(32))
        # A base that moves is soon out of the buffer: by little, or not at all.
        if "post-index" in form.name and form.group == "structure":
            word = form.put(word, "m", 31)
        return word

    def word(self):
        rng = self.rng
        group = rng.choices(self.kinds, [WEIGHTS[kind] for kind in self.kinds])[0]
        if group == "system":
            return rng.choice(SYSTEM_WORDS) | self.free_register()
        form = rng.choice(self.groups[group])
        if group in test_a64.KINDS:
            return self.memory_word(form)
        word = form.value | rng.getrandbits(32) & ~form.mask
        for letter in "dt":
            if form.fields.get(letter, (0, 0))[1] == 5:
                word = form.put(word, letter, self.free_register())
        return word

    def pool(self, count):
        """Words that are instructions: what decodes to nothing is left out."""
        words = [self.word() for _ in range(count)]
        path = self.folder / "pool"
        path.write_bytes(struct.pack("<%dI" % count, *words))
        names = subprocess.run([self.program, path], capture_output=True, text=True,
                               check=True).stdout.splitlines()
        return [(word, name) for word, name in zip(words, names) if name != "-"]

    def place(self, word, name, slot, index):
        """The word with its offsets set for where it stands: literals lie in the
        buffer, branches go forward to within the program."""
        if name == "ldr (literal)":
            pc = test_a64.case_pc(index, WORDS) + 4 * slot
            target = test_a64.BUFFER_MIDDLE + 4 * self.rng.randrange(-128, 128)
            return word & ~(0x7ffff << 5) | ((target - pc) // 4 & 0x7ffff) << 5
        if name in BRANCH_FIELDS:
            low, width = BRANCH_FIELDS[name]
            if name == "b, bl":
                word &= 0x7fffffff # BL writes the link register: as good as any
            forward = self.rng.randrange(1, min(5, WORDS - slot) + 1)
            return word & ~(((1 << width) - 1) << low) | forward << low
        return word

    def programs(self, count):
        pool = self.pool(count * WORDS * 3 // 2)
        while len(pool) < count * WORDS:
            pool += self.pool(count * WORDS)
        made = []
        for index in range(count):
            part = pool[index * WORDS:(index + 1) * WORDS]
            made.append([self.place(word, name, slot, index)
                         for slot, (word, name) in enumerate(part)])
        return made


def write(path, programs):
    path.write_bytes(b"".join(struct.pack("<%dI" % (WORDS + 1), *program, PROGRAM)
                              for program in programs))
    return path


def first_difference(native, emulated, seed, folder, program, index):
    """The number of the instruction from which on the two differ, as text."""
    # Its place counts: literals and the state's seed go by it.
    def differs(length):
        cut = program[:length] + [NOP] * (WORDS - length)
        path = write(folder / "cut", [[NOP] * WORDS] * index + [cut])
        return native.show(seed, path, index) != emulated.show(seed, path, index)

    length = next((n for n in range(1, WORDS + 1) if differs(n)), WORDS)
    before = program[:length - 1] + [NOP] * (WORDS - length + 1)
    path = write(folder / "cut", [[NOP] * WORDS] * index + [before])
    state = [line for line in emulated.show(seed, path, index) if line.startswith("after")]
    path = write(folder / "cut", [[NOP] * WORDS] * index
                 + [program[:length] + [NOP] * (WORDS - length)])
    ours, theirs = emulated.show(seed, path, index), native.show(seed, path, index)
    word = program[length - 1]
    lines = ["%08x %s, instruction %d of program %d" % (word, disassemble(word), length - 1, index)]
    lines += ["  memvisor: " + line for line in ours if line not in theirs][:8]
    lines += ["  expected: " + line for line in theirs if line not in ours][:8]
    lines += ["  before:   " + line[6:] for line in state if " x" in line or " v" in line or "r " in line]
    return "\n".join(lines[:90])


def run(memvisor, native, emulated, folder, seed, count):
    maker = Maker(memvisor, folder, seed)
    done = faults = 0
    wrong = []
    for start in range(0, count, BATCH):
        programs = maker.programs(min(BATCH, count - start))
        path = write(folder / "programs", programs)
        expected, got = native.outcomes(seed + start, path), emulated.outcomes(seed + start, path)
        assert len(expected) == len(got) == len(programs)
        for index, (want, is_) in enumerate(zip(expected, got)):
            done += want[0] == test_a64.DONE
            faults += want[0] != test_a64.DONE
            if want != is_ and len(wrong) < 5:
                wrong.append(first_difference(native, emulated, seed + start, folder,
                                              programs[index], index))
    print("%d instructions in %d programs, %d of which ended early" % (
        count * WORDS, count, faults))
    assert not wrong, "seed %d:\n%s" % (seed, "\n\n".join(wrong))
    # Programs that fault are compared by that alone: most must run to their end.
    assert done > 0.8 * count, "%d of %d ran to their end" % (done, count)


def test_programs(memvisor, native, emulated, tmp_path):
    run(memvisor, native, emulated, tmp_path, SEED, COUNT)


@pytest.mark.long
@pytest.mark.parametrize("part", range(4))
def test_programs_long(memvisor, native, emulated, tmp_path, part):
    run(memvisor, native, emulated, tmp_path, 1000 + part, LONG_COUNT // 4)
