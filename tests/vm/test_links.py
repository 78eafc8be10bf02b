# SPDX-License-Identifier: Apache-2.0
"""ram/ in the run-time folder: links to the blocks that others can map, and the
programs of docs/sharing-memory.md, which use them."""
import mmap
import os
import re
import subprocess
import sys

import pytest

import harness
from memory_guest import Guest

MIB = 1 << 20
DOCS = (harness.TOP / "docs/sharing-memory.md").read_text()


def links(guest):
    top = guest.rundir / "ram"
    return {str(path.relative_to(top)) for path in top.rglob("*") if path.is_symlink()}


def test_links(memvisor, tmp_path, binary):
    with open(tmp_path / "fd", "w+b") as parent:
        parent.truncate(4 * MIB)
        with Guest(memvisor, tmp_path, "-m", "16M", "-m", "4M@4G,memfd=on",
                   "-m", "4M@5G,id=named,file=%s,create=on" % (tmp_path / "image"),
                   "-m", "4M@6G,id=private,file=%s,share=off,create=on" % (tmp_path / "image2"),
                   "-m", "4M@8G,id=given,fd=%d" % parent.fileno(), pass_fds=[parent.fileno()],
                   binary=binary) as guest:
            assert links(guest) == {"ram1", "named", "given"}
            assert os.readlink(guest.rundir / "ram/named") == str(tmp_path / "image")
            for name, gpa in (("ram1", 4 << 30), ("named", 5 << 30), ("given", 8 << 30)):
                guest.do("t", gpa + 100, "by the guest")
                fd = os.open(guest.rundir / "ram" / name, os.O_RDWR)
                with mmap.mmap(fd, 4 * MIB) as ram:
                    assert ram[100:112] == b"by the guest"
                    ram[4096:4104] = (77).to_bytes(8, "little")
                    assert guest.do("r", gpa + 4096) == 77
                os.close(fd)
            assert guest.end() == 0
            assert not guest.rundir.exists()
    assert (tmp_path / "image").read_bytes()[100:112] == b"by the guest"


def test_the_programs_of_the_docs(memvisor, tmp_path, binary):
    c_text, = re.findall(r"```c\n(.*?)```", DOCS, re.S)
    python_text, = re.findall(r"```python\n(.*?)```", DOCS, re.S)
    assert len(c_text.splitlines()) <= 12 and len(python_text.splitlines()) <= 10
    (tmp_path / "look.c").write_text(c_text)
    made = subprocess.run(["gcc", "-Wall", "-Wextra", "-Werror", "-o", tmp_path / "look",
                           tmp_path / "look.c"], capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    (tmp_path / "look.py").write_text(python_text)
    with Guest(memvisor, tmp_path, "-m", "16M", "-m", "4M@4G,memfd=on", binary=binary) as guest:
        guest.do("w", 4 << 30, 0xabcd)
        guest.do("w", (4 << 30) + 4096, 0x1122334455667788)
        link = guest.rundir / "ram/ram1"
        assert harness.run([tmp_path / "look", link]).out == "cd ab\n"
        assert harness.run([sys.executable, tmp_path / "look.py", link]).out == "8877665544332211\n"
        assert guest.end() == 0
