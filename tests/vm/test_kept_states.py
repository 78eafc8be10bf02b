# SPDX-License-Identifier: Apache-2.0
"""States that earlier versions wrote: each later one loads them, or says why it cannot.

tests/states has them, named after the version that wrote them and compressed.  They are of
tests/vm/memory-guest.c, which waits for a command, in a machine with

    -m 4M -m 2M@8G,thp=off -c 2 -a 'words of a command line' -i INITRD --no-reboot
    --device edu --device pcie-root-port,id=port0 --ivshmem mem-id=ram1

where 0x200001000 has 0x1111 and 0x200100000 has 0x2222; VERSION-later.state builds on that:
it has 0x3333, and 0x4444 at 0x200002000.  A version that changes what is written adds its
own and leaves the others as they are.
"""
import json
import lzma
import os
import subprocess

import pytest

import harness

KEPT = sorted((harness.TOP / "tests/states").glob("*.state.xz"))
HIGH = 0x200000000
WORDS = {"": [0x1111, 0, 0x2222], "-later": [0x3333, 0x4444, 0x2222]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("kept")
    for kept in KEPT:
        unpacked = path / kept.name[:-len(".xz")]
        unpacked.write_bytes(lzma.decompress(kept.read_bytes()))
    return path


def kind(path):
    return "-later" if "-later" in path.name else ""


def test_there_are_some(memvisor):
    assert len(KEPT) >= 2
    version = memvisor.run("version").out.split()[1]
    assert any(path.name.startswith(version + ".state") for path in KEPT), \
        "this version's own state is missing: see the head of this file"


@pytest.mark.parametrize("kept", KEPT, ids=lambda path: path.name)
def test_info(memvisor, folder, kept):
    path = folder / kept.name[:-len(".xz")]
    result = memvisor.run("info", path, "--verify")
    assert (result.code, result.err) == (0, ""), result
    told = json.loads(memvisor.run("info", path, "--json").out)
    assert {block["id"] for block in told["blocks"]} == \
        {"ram0", "ram1", "boot/kernel", "boot/initrd", "boot/cmdline"}
    assert len(told.get("chain", [])) == (kind(kept) == "-later")
    cmdline = folder / "cmdline"
    assert memvisor.run("info", path, "--extract", "boot/cmdline", "-o", cmdline).code == 0
    assert cmdline.read_text() == "words of a command line"


@pytest.mark.parametrize("ram", ["private", "copy"])
@pytest.mark.parametrize("kept", KEPT, ids=lambda path: path.name)
def test_restore(memvisor, folder, tmp_path, kept, ram):
    path = folder / kept.name[:-len(".xz")]
    guest = subprocess.Popen([memvisor.path, "restore", path, "--ram", ram],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             text=True, env=dict(os.environ, XDG_RUNTIME_DIR=str(tmp_path)))
    commands = "".join("r %x\n" % (HIGH + at) for at in (0x1000, 0x2000, 0x100000))
    out, err = guest.communicate(commands + "q\n", timeout=60 * harness.PATIENCE)
    assert (guest.returncode, err) == (0, ""), (out, err)
    assert [int(line[2:], 16) for line in out.splitlines() if line.startswith("= ")] == \
        WORDS[kind(kept)]
