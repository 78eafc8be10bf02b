# SPDX-License-Identifier: Apache-2.0
"""Which of all words are instructions: the emulated and QEMU's Cortex-A57,
which is of v8.0 with CRC32, AES, SHA and PMULL, on words made at random.

What memvisor has beyond that, LSE, is held against QEMU's processor that has
everything.  Branches and system instructions, which cannot run in a slot, are
compared with what objdump finds in words that are a few bits away from them.
The test prints the forms of v8.0 that are still undefined here: none.

MEMVISOR_SEED=N takes other words than the usual ones; a failure prints the seed.
"""
import os
import random
import re
import struct
import subprocess

import pytest

import test_a64
from test_a64 import forms, emulated, native, native_program, native_v8_0  # noqa: F401

SEED = int(os.environ.get("MEMVISOR_SEED", "1"), 0)
COUNT = 300_000
LONG_COUNT = 20_000_000

# Bits 28-25 (Arm ARM C4.1): how often words of each class are taken.  Reserved
# and SVE's space is all undefined; branches and system are below.
WEIGHTS = {0b0000: 1, 0b0001: 1, 0b0010: 1, 0b0011: 1, 0b1000: 4, 0b1001: 4, 0b0101: 8, 0b1101: 8,
           0b0111: 24, 0b1111: 16, 0b0100: 12, 0b0110: 16, 0b1100: 12, 0b1110: 8}

# Branches, exceptions and system instructions of v8.0 as objdump writes them, but
# those that this processor does not have: SMC without EL3, HLT and DCPS without
# an external debugger, DRPS outside the debug state.
BRANCHES = set("""b bl cbz cbnz tbz tbnz br blr ret eret svc hvc brk clrex dsb dmb isb ssbb pssbb
               """.split())
# Hints that got a name after v8.0 do nothing there.
HINTS = set("""nop yield wfe wfi sev sevl hint xpaclri pacia1716 pacib1716 autia1716 autib1716
            paciaz paciasp pacibz pacibsp autiaz autiasp autibz autibsp esb psb tsb csdb bti dgh
            clearbhb""".split())
PSTATE_FIELDS = ("spsel", "daifset", "daifclr")

# What Arm's manual has and QEMU's Cortex-A57 does not, or the reverse: mask,
# value, whether it is undefined, and where that stands.
MANUAL = []


def random_words(rng, count):
    classes = rng.choices(list(WEIGHTS), list(WEIGHTS.values()), k=count)
    return [rng.getrandbits(32) & ~0x1e000000 | which << 25 for which in classes]


def undefined(peer, folder, words):
    """For each word, whether the peer finds it undefined."""
    answers = []
    for start in range(0, len(words), test_a64.BATCH):
        path = test_a64.write_cases(
            folder / "words", [(word, test_a64.DATA) for word in words[start:start + test_a64.BATCH]])
        answers += [outcome == test_a64.UNDEF for outcome, _ in peer.outcomes(SEED, path)]
    assert len(answers) == len(words)
    return answers


def by_mnemonic(words):
    """Words by what objdump calls them, as lines of text."""
    names = {}
    for word in words:
        text = test_a64.disassemble(word)
        names.setdefault(text.split()[0] if text else "?", []).append("%08x %s" % (word, text))
    return ["%s: %d, such as %s" % (name, len(all_of), "; ".join(all_of[:3]))
            for name, all_of in sorted(names.items())]


def check(native, native_v8_0, emulated, forms, folder, seed, count):
    words = random_words(random.Random(seed), count)
    expected = undefined(native_v8_0, folder, words)
    got = undefined(emulated, folder, words)
    for i, word in enumerate(words):
        for mask, value, answer, _ in MANUAL:
            if word & mask == value:
                expected[i] = answer
    missing = [word for i, word in enumerate(words) if got[i] and not expected[i]]
    extra = [word for i, word in enumerate(words) if expected[i] and not got[i]]
    lse = [form for form in forms if form.group == "atomic"]
    is_lse = {word for word in extra if any(word & f.mask == f.value for f in lse)}
    known = undefined(native, folder, sorted(is_lse)) if is_lse else []
    wrong = [word for word in extra if word not in is_lse]
    wrong += [word for word, nowhere in zip(sorted(is_lse), known) if nowhere]
    print("%d words: %d instructions, %d of them LSE's" % (count, got.count(False), len(is_lse)))
    print("forms of A64 v8.0 that are undefined here: %s"
          % ("\n  ".join([""] + by_mnemonic(missing[:2000])) if missing else "none"))
    assert not missing, "seed %d: undefined here alone:\n%s" % (
        seed, "\n".join(by_mnemonic(missing[:2000])))
    assert not wrong, "seed %d: defined here alone:\n%s" % (
        seed, "\n".join(by_mnemonic(wrong[:2000])))


def test_random_words(native, native_v8_0, emulated, forms, tmp_path):  # noqa: F811
    check(native, native_v8_0, emulated, forms, tmp_path, SEED, COUNT)


@pytest.mark.long
@pytest.mark.parametrize("seed", [21, 22])
def test_random_words_long(native, native_v8_0, emulated, forms, tmp_path, seed):  # noqa: F811
    check(native, native_v8_0, emulated, forms, tmp_path, seed, LONG_COUNT // 2)


def disassemble_all(folder, words):
    """What objdump makes of each word."""
    path = folder / "words.bin"
    path.write_bytes(struct.pack("<%dI" % len(words), *words))
    out = subprocess.run([test_a64.tool("aarch64-linux-gnu-objdump"), "-D", "-z", "-b", "binary",
                          "-m", "aarch64", path], capture_output=True, text=True, check=True).stdout
    texts = re.findall(r"^\s*[0-9a-f]+:\t[0-9a-f]{8} \t(.*)$", out, re.M)
    assert len(texts) == len(words)
    return texts


def is_v8_0(text):
    """Whether a branch or system instruction, as objdump writes it, is one here."""
    name, _, rest = text.partition("\t")
    if name == "msr": # SPSel takes bit 0 of its operand; objdump wants the others to be 0
        return rest.split(",")[0] in PSTATE_FIELDS or re.match(r"s0_0_c4_c\d+_5, xzr", rest)
    if name == "dsb": # nXS came with v8.7
        return not rest.endswith("nxs")
    return name in BRANCHES or name in HINTS or name.startswith("b.")


def near_branches(rng, rows, count):
    """Words of the forms of branches and system instructions, some bits flipped."""
    words = []
    while len(words) < count:
        form = rng.choice(rows)
        word = form.value | rng.getrandbits(32) & ~form.mask
        for _ in range(rng.randrange(4)):
            word ^= 1 << rng.randrange(32)
        # The tables of system registers are compared in tests/bare.
        is_register = word & 0xffc00000 == 0xd5000000 and word & 0x00180000 != 0
        if word >> 26 & 7 == 5 and not is_register:
            words.append(word)
    return words


def test_branches_and_system(memvisor, tmp_path):
    program = test_a64.built(memvisor, "a64-forms")
    table = subprocess.run([program], capture_output=True, text=True, check=True).stdout
    rows = [form for form in map(test_a64.Form, table.splitlines())
            if form.group in test_a64.LEFT_OUT]
    words = near_branches(random.Random(SEED), rows, COUNT)
    texts = disassemble_all(tmp_path, words)
    names = subprocess.run([program, tmp_path / "words.bin"], capture_output=True, text=True,
                           check=True).stdout.splitlines()
    wrong = ["%08x %s: memvisor %s" % (word, text, "undefined" if name == "-" else name)
             for word, text, name in zip(words, texts, names) if (name != "-") != bool(is_v8_0(text))]
    assert not wrong, "seed %d: %d differ\n%s" % (SEED, len(wrong), "\n".join(wrong[:40]))
