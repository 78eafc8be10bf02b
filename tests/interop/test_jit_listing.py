# SPDX-License-Identifier: Apache-2.0
"""What the JIT makes of each opcode that it has an emitter for, as objdump reads it: jit/listing.txt.

It changes only when that is meant: MEMVISOR_UPDATE=1 writes it anew, for a look at the difference.
"""
import os
import platform
import re
import shutil
import struct
import subprocess

import pytest

import harness
from test_a64 import built

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64",
                                reason="code is translated for x86-64 alone")

LISTING = harness.TOP / "tests/interop/jit/listing.txt"
THUNKS = re.search(r"enum mv_jit_thunk \{(.*?)\};",
                   (harness.TOP / "src/engine/emulator/jit/jit.h").read_text(), re.S)[1]


def thunk_names():
    text = re.sub(r"/\*.*?\*/", "", THUNKS, flags=re.S)
    return [name.lower() for name in re.findall(r"MV_THUNK_(\w+)", text)][:-1]


def run_objdump(*words):
    return subprocess.run(["objdump", "-D", "-b", "binary", *map(str, words)], capture_output=True,
                          text=True, check=True).stdout


def host_code(folder, units):
    """Of each unit where it stands in the file that is disassembled, and its lines: (place there,
    text)."""
    image = folder / "code"
    image.write_bytes(b"".join(code for _, code in units))
    out = run_objdump("-m", "i386:x86-64", "-M", "intel", "--no-show-raw-insn", "-z", image)
    lines = {int(at, 16): re.sub(r"\s+", " ", text)
             for at, text in re.findall(r"^ *([0-9a-f]+):\s+(.*\S)\s*$", out, re.M)}
    begin = 0
    for _, code in units:
        yield begin, [(at, lines[at]) for at in range(begin, begin + len(code)) if at in lines]
        begin += len(code)


def arm_code(folder, words):
    """As the cross objdump writes it, where there is one."""
    if not shutil.which("aarch64-linux-gnu-objdump"):
        return [""] * len(words)
    image = folder / "words"
    image.write_bytes(struct.pack("<%dI" % len(words), *words))
    out = subprocess.run(["aarch64-linux-gnu-objdump", "-D", "-b", "binary", "-m", "aarch64", image],
                         capture_output=True, text=True, check=True).stdout
    texts = re.findall(r"^ *[0-9a-f]+:\s+[0-9a-f]{8}\s+(.*\S)\s*$", out, re.M)
    assert len(texts) == len(words)
    return [re.sub(r"\s+", " ", text) for text in texts]


class Names:
    """What the code of a unit refers to by number: parts of struct mv_cpu, thunks, handlers."""

    def __init__(self):
        self.thunks, self.members = {}, []

    def member(self, match):
        disp = int(match[2], 16) * (-1 if match[1] == "-" else 1)
        for name, start, size, each in self.members:
            if start <= disp < start + size:
                index, rest = divmod(disp - start, each)
                return "[%s%s%s]" % (name, index if size > each else "", "+%d" % rest if rest else "")
        raise AssertionError(match[0])

    def readable(self, start, begin, lines):
        """start: in the code memory; begin: in the file."""
        for at, text in lines:
            jump = re.fullmatch(r"(j\w+|call) 0x([0-9a-f]+)", text)
            if jump:
                target = (int(jump[2], 16) - begin + (1 << 63)) % (1 << 64) - (1 << 63)
                text = "%s %s" % (jump[1], self.thunks.get(target + start) or "%x" % target)
            text = re.sub(r"\[r15([+-])0x([0-9a-f]+)\]", self.member, text)
            yield "  %3x  %s" % (at - begin, re.sub(r"^(movabs r8),0x.*", r"\1,handler", text))


def test_listing(memvisor, tmp_path):
    assert shutil.which("objdump"), "objdump is missing: run scripts/setup.sh check"
    out = subprocess.run([str(built(memvisor, "jit-listing"))], capture_output=True, text=True, check=True)
    numbers, names, ops = thunk_names(), Names(), []
    for words in map(str.split, out.stdout.splitlines()):
        assert words[0] != "missing", words
        if words[0] == "thunk":
            names.thunks[int(words[1], 16)] = numbers[int(words[2], 16)]
        elif words[0] == "member":
            names.members.append((words[1], *map(int, words[2:])))
        else:
            ops.append((words[1], int(words[2], 16), int(words[3], 16), bytes.fromhex(words[4])))
    assert len(ops) > 300
    code = host_code(tmp_path, [(start, bytes_) for _, _, start, bytes_ in ops])
    text = ""
    words = [word for _, word, _, _ in ops]
    for (name, word, start, _), (begin, lines), arm in zip(ops, code, arm_code(tmp_path, words)):
        assert lines[0][0] == begin and not any("(bad)" in line for _, line in lines), (name, lines)
        text += "%s: %08x %s\n%s\n" % (name, word, arm,
                                       "\n".join(names.readable(start, begin, lines)))
    if os.environ.get("MEMVISOR_UPDATE"):
        LISTING.write_text(text)
    assert text == LISTING.read_text(), "run it with MEMVISOR_UPDATE=1 and look at the difference"
