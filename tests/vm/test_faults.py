# SPDX-License-Identifier: Apache-2.0
"""Guest memory that the host loses under a running guest: a file that is
shrunk, a disk that fills up.  The guest stops where it is, is told of, and
goes on once the bytes are back, as if nothing had been."""
import os
import pathlib
import shutil
import struct
import subprocess

import pytest

import memory_guest

PAGE = 4096
RAM = 16 << 20

# What the guest does in a page of its own, and what it must answer and leave there,
# where each doubleword is WORD at first.
WORD = 0x1122334455667788
MOV_X0_42_RET = struct.unpack("<Q", struct.pack("<II", 0xd2800540, 0xd65f03c0))[0]
MASK = (1 << 64) - 1
KINDS = {
    "load": (("r",), WORD, [WORD]),
    "store": (("w", 5), None, [5]),
    "load pair": (("o",), 2 * WORD & MASK, [WORD, WORD]),
    "store pair": (("p", 6, 7), None, [6, 7]),
    "text": (("t", "ABCDEFGH"), None, [int.from_bytes(b"ABCDEFGH", "little")]),
    "atomic": (("a", 3), None, [WORD + 3]),
    "exclusives": (("e", 4), None, [WORD + 4]),
    "pages": (("f", 1, 9), None, [9]),
    "sum": (("s", 1), WORD, [WORD]),
    "vectors": (("v",), None, [0x5a5a5a5a5a5a5a5a] * 8),
}
NORMAL_KINDS = {
    "zeros": (("z",), None, [0] * 8 + [WORD]), # 64 bytes
    "code": (("x",), 42, [MOV_X0_42_RET]),
}


def image(tmp_path, name="ram.img"):
    path = tmp_path / name
    with open(path, "wb") as file:
        file.truncate(RAM)
    return path


def expect_fault(qmp, path, reason, offset=None, ran=True):
    event = qmp.event("X_BLOCK_ERROR")["data"]
    if ran:
        qmp.event("STOP")
    assert event["id"] == "ram0" and event["reason"] == reason
    if path is not None:
        assert event["file"] == str(path) and str(path) in event["message"]
    if offset is not None:
        assert event["offset"] == offset and "0x%x" % offset in event["message"]
    assert qmp.execute("query-status")["status"] == "io-error"
    return event


@pytest.mark.parametrize("mmu", [False, True], ids=["device memory", "normal memory"])
def test_every_access_waits_for_its_bytes(engines, tmp_path, mmu):
    path = image(tmp_path)
    kinds = dict(KINDS, **(NORMAL_KINDS if mmu else {}))
    if "tsan" in str(engines.path):
        print("ThreadSanitizer locks around an atomic, so one that faults locks up: left out")
        del kinds["atomic"], kinds["exclusives"]
    with memory_guest.Guest(engines, tmp_path, "-m", "16M,file=%s" % path) as guest, \
            guest.qmp() as qmp, open(path, "r+b") as file:
        if mmu:
            guest.do("m")
        start = guest.free - guest.ram + 16 * PAGE
        for i, (name, (command, answer, left)) in enumerate(kinds.items()):
            offset = start + 2 * i * PAGE
            word = MOV_X0_42_RET if name == "code" else WORD
            page = struct.pack("<Q", word) * (PAGE // 8)
            # The guest knows the page already in one round, not in the other.
            for touch in (False, True):
                os.pwrite(file.fileno(), page, offset)
                if touch and name != "code":
                    guest.do("r", guest.ram + offset)
                elif touch:
                    assert guest.do("x", guest.ram + offset) == 42
                    continue # it is decoded by now, and needs its bytes no more
                saved = os.pread(file.fileno(), RAM, 0)
                file.truncate(offset)
                guest.send(command[0], guest.ram + offset, *command[1:])
                expect_fault(qmp, path, "shrunk", offset)
                # To go on in vain leads back here.
                qmp.execute("cont")
                qmp.event("RESUME")
                expect_fault(qmp, path, "shrunk", offset)
                os.pwrite(file.fileno(), saved[offset:], offset)
                qmp.execute("cont")
                qmp.event("RESUME")
                assert guest.answer() == answer, name
                after = struct.unpack("<%dQ" % len(left), os.pread(file.fileno(), 8 * len(left), offset))
                assert list(after) == left, name
        assert guest.end() == 0
        words = guest.errors()
    assert "block ram0 has no byte 0x%x: file %s was shrunk to" % (start, path) in words
    assert "truncate -s 16M %s" % path in words
    assert "memvisor cont vm" in words


def test_a_loop_waits_for_its_bytes(engines, tmp_path):
    """What it keeps in registers, and has not stored anywhere, is there when it goes on."""
    path, pages, words = image(tmp_path), 4, 4 * PAGE // 8
    threes, expected = [3 * i for i in range(1, words + 1)], 0
    for three in threes:
        expected = three ^ (expected >> 7 | expected << 57 & MASK)
    expected ^= threes[-1] # the vector's
    with memory_guest.Guest(engines, tmp_path, "-m", "16M,file=%s" % path) as guest, \
            guest.qmp() as qmp, open(path, "r+b") as file:
        guest.do("m")
        offset = guest.free - guest.ram + 16 * PAGE
        for _ in range(2): # the second time it is hot from its start
            assert guest.do("u", guest.ram + offset, words) == expected
            os.pwrite(file.fileno(), bytes(pages * PAGE), offset)
            rest = os.pread(file.fileno(), RAM, offset + PAGE)
            file.truncate(offset + PAGE)
            guest.send("u", guest.ram + offset, words)
            for page in range(1, pages):
                expect_fault(qmp, path, "shrunk", offset + page * PAGE)
                file.truncate(offset + (page + 1) * PAGE)
                if page == pages - 1:
                    os.pwrite(file.fileno(), rest[page * PAGE:], offset + pages * PAGE)
                qmp.execute("cont")
                qmp.event("RESUME")
            assert guest.answer() == expected
            left = os.pread(file.fileno(), pages * PAGE, offset)
            assert list(struct.unpack("<%dQ" % words, left)) == threes
        assert guest.end() == 0


def test_loader_copies_and_reset(engines, tmp_path):
    path = image(tmp_path)
    with memory_guest.Guest(engines, tmp_path, "-m", "16M,file=%s" % path) as guest, \
            guest.qmp() as qmp:
        # A copy of the control socket's: it fails, and the guest stops for it, too.
        os.truncate(path, RAM - PAGE)
        failed = qmp.command("pmemsave", val=guest.ram + RAM - PAGE, size=16,
                             filename=str(tmp_path / "saved"))
        assert "0x%x" % (guest.ram + RAM - PAGE) in failed["error"]["desc"]
        expect_fault(qmp, path, "shrunk", RAM - PAGE)
        # A reset that finds no memory is done when there is some again.
        os.truncate(path, 0)
        qmp.execute("system_reset")
        expect_fault(qmp, path, "shrunk", ran=False)
        os.truncate(path, RAM)
        qmp.execute("cont")
        qmp.event("RESET")
        qmp.event("RESUME")
        assert guest.line().startswith("ram %x" % guest.ram)
        assert guest.do("r", guest.free) == 0
        assert qmp.execute("query-status")["status"] == "running"
        # It can be ended while it waits.
        os.truncate(path, RAM - PAGE)
        guest.send("r", guest.ram + RAM - PAGE)
        expect_fault(qmp, path, "shrunk", RAM - PAGE)
        qmp.execute("quit")
        assert guest.wait() == 0


def test_several_vcpus_and_a_private_file(engines, tmp_path):
    """A private mapping's page that was written is the guest's own and stays."""
    path = image(tmp_path)
    with memory_guest.Guest(engines, tmp_path, "-m", "16M,file=%s,share=off" % path,
                            "-c", "4") as guest, guest.qmp() as qmp:
        mine, lost = guest.ram + RAM - 2 * PAGE, guest.ram + RAM - PAGE
        guest.do("w", mine, 7)
        os.truncate(path, RAM - 4 * PAGE)
        assert len(qmp.execute("query-cpus-fast")) == 4
        guest.send("r", lost)
        expect_fault(qmp, path, "shrunk", lost - guest.ram)
        os.truncate(path, RAM)
        qmp.execute("cont")
        assert guest.answer() == 0
        assert guest.end() == 0


def mount(tmp_path, size):
    """A tmpfs; the namespace that the test runs in is the host's, so it is unmounted."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    folder = tmp_path / "disk"
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=%d" % size, "memvisor-test", folder],
                          capture_output=True, text=True)
    if made.returncode != 0:
        pytest.skip("mount: " + made.stderr.strip())
    return folder


def test_disk_that_fills_up(engines, tmp_path):
    """There is room when the guest starts, and then somebody else takes it."""
    folder = mount(tmp_path, 32 << 20)
    try:
        path = image(folder)
        with memory_guest.Guest(engines, tmp_path, "-m", "16M,file=%s" % path) as guest, \
                guest.qmp() as qmp:
            with open(folder / "fill", "wb") as file, pytest.raises(OSError):
                while True:
                    os.write(file.fileno(), bytes(PAGE))
            pages = (RAM - (guest.free - guest.ram)) // PAGE
            guest.send("f", guest.free, pages, 3)
            expect_fault(qmp, path, "no-space", guest.free - guest.ram)
            assert "the file system of %s is full" % path in guest.errors()
            (folder / "fill").unlink()
            qmp.execute("cont")
            assert guest.answer() is None
            assert guest.do("s", guest.free, pages) == 3 * pages
            assert guest.end() == 0
    finally:
        subprocess.run(["umount", "-l", folder], check=True)
