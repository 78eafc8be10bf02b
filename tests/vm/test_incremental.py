# SPDX-License-Identifier: Apache-2.0
"""memvisor save --base: a state has only what changed since the one before it, and with that it
is what a state of all would be."""
import contextlib
import json
import os
import pathlib
import random
import shutil
import struct
import subprocess
import tempfile

import pytest

import harness
import memory_guest
import qmp

MIB = 1 << 20
PAGE = 4096
LOW, HIGH, SHARED = 0x80000000, 0x200000000, 0x400000000
# Adds to a word of each page from 0x81000000 to 0x82000000, one page after the other, for ever.
WRITER = struct.pack("<10I", 0xd2b02001, 0xd2b04002, 0xd2800003, 0x91000463, 0xaa0103e4,
                     0xf9000083, 0x91400484, 0xeb02009f, 0x54ffffa3, 0x17fffffa)


@pytest.fixture
def folder():
    with tempfile.TemporaryDirectory(dir="/dev/shm") as path:
        yield pathlib.Path(path)


@pytest.fixture
def vm(memvisor, binary, folder):
    """Several banks, one of which other processes can write, and a device."""
    with memory_guest.Guest(memvisor, folder, "-m", "16M", "-m", "7M@8G", "-m", "4M@16G,memfd=on",
                            "--device", "edu", binary=binary) as guest:
        yield guest


def save(guest, name, base=None, **more):
    if base is not None:
        more["base"] = str(guest.folder / base)
    with guest.qmp() as connection:
        return connection.execute("x-save", file=str(guest.folder / name), **more)


def refused(guest, name, base):
    with guest.qmp() as connection:
        return connection.command("x-save", file=str(guest.folder / name), base=str(base))["error"]["desc"]


def info(memvisor, path, *words):
    result = memvisor.run("info", path, *words, "--json")
    assert (result.code, result.err) == (0, ""), result
    return json.loads(result.out)


def same_memory(memvisor, path, other):
    told = info(memvisor, path, "--diff", other)
    assert told["blocks"] == [] and not [v for v in told["values"] if v["of"] == "block"], told


def pages(memvisor, path):
    return {block["id"]: block.get("pages") for block in info(memvisor, path)["blocks"]}


def test_a_chain_is_what_a_whole_state_is(vm, memvisor, folder):
    source = random.Random(1)
    save(vm, "0")
    for i in range(1, 6):
        for _ in range(20):
            bank, size = source.choice([(HIGH, 7 * MIB), (SHARED, 4 * MIB), (LOW + 8 * MIB, 4 * MIB)])
            vm.do("w", bank + source.randrange(size // 8) * 8, source.choice([0, i, i << 40]))
        if i == 5:
            with vm.qmp() as connection:
                connection.execute("stop")
        told = save(vm, str(i), str(i - 1), mode="stop" if i % 2 else "live")
        assert told["bytes"] < 2 * MIB
    save(vm, "whole")
    same_memory(memvisor, folder / "5", folder / "whole")
    assert len(info(memvisor, folder / "5")["chain"]) == 5


def test_how_much_is_there(vm, memvisor, folder):
    save(vm, "0")
    vm.do("w", HIGH + 3 * MIB, 1)
    vm.do("w", HIGH + 3 * MIB + PAGE, 0)
    vm.do("w", HIGH + 7 * MIB - 8, 1)
    save(vm, "1", "0")
    told = pages(memvisor, folder / "1")
    assert told["ram1"] == 3 and told["ram2"] is None and told["boot/kernel"] == 0
    assert 0 < told["ram0"] < 64  # its stack, and what it reads and prints
    save(vm, "2", "1")
    told = pages(memvisor, folder / "2")
    assert told["ram1"] == 0
    chain = info(memvisor, folder / "2")["chain"]
    assert [entry["file"] for entry in chain] == [str(folder / "1"), str(folder / "0")]
    assert "base     %s, saved " % (folder / "1") in memvisor.run("info", folder / "2").out
    assert info(memvisor, folder / "2", "--verify")["damaged"] == []


def test_what_another_process_writes(vm, memvisor, folder):
    save(vm, "0")
    link = vm.rundir / "ram/ram2"
    with open(link, "r+b") as file:
        file.seek(MIB)
        file.write(b"written by another process")
    with vm.qmp() as connection:
        connection.execute("stop")
    save(vm, "1", "0")
    save(vm, "all")
    same_memory(memvisor, folder / "1", folder / "all")
    out = folder / "ram2"
    assert memvisor.run("info", folder / "1", "--extract", "ram2", "-o", out).code == 0
    assert out.read_bytes()[MIB:].startswith(b"written by another process")


def restored(memvisor, folder, path, *options):
    """Words of the guest that goes on from there."""
    guest = subprocess.Popen([memvisor.path, "restore", path, "-n", "again", *options],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             text=True, env=dict(os.environ, XDG_RUNTIME_DIR=str(folder)))
    out, err = guest.communicate("r %x\nr %x\nr %x\nq\n" % (HIGH, HIGH + 5 * MIB, SHARED + MIB),
                                 timeout=60 * harness.PATIENCE)
    assert (guest.returncode, err) == (0, ""), (out, err)
    return [int(line[2:], 16) for line in out.splitlines() if line.startswith("= ")]


def test_restore_and_flatten(vm, memvisor, folder):
    vm.do("w", HIGH, 1)
    vm.do("w", HIGH + 5 * MIB, 1)
    save(vm, "0")
    vm.do("w", HIGH, 2)
    vm.do("w", SHARED + MIB, 3)
    save(vm, "1", "0")
    vm.do("w", HIGH + 5 * MIB, 0)
    save(vm, "2", "1")
    flat = folder / "flat"
    assert memvisor.run("info", folder / "2", "--flatten", flat).code == 0
    assert "base" not in info(memvisor, flat)
    assert info(memvisor, flat, "--verify")["damaged"] == []
    assert "are the same machine, with the same memory" in \
        memvisor.run("info", flat, "--diff", folder / "2").out
    assert restored(memvisor, folder, folder / "2") == [2, 0, 3]
    assert restored(memvisor, folder, folder / "2", "--ram", "copy") == [2, 0, 3]
    assert restored(memvisor, folder, folder / "1") == [2, 1, 3]
    assert restored(memvisor, folder, flat) == [2, 0, 3]
    # The one may stand for the other.
    shutil.copy(flat, folder / "2")
    vm.do("w", HIGH, 7)
    save(vm, "3", "2")
    (folder / "1").unlink()
    (folder / "0").unlink()
    assert restored(memvisor, folder, folder / "3") == [7, 0, 3]
    # Beside each other they are found wherever they are.
    (folder / "moved").mkdir()
    for name in "23":
        shutil.move(folder / name, folder / "moved" / name)
    assert restored(memvisor, folder, folder / "moved/3") == [7, 0, 3]
    result = memvisor.run("restore", folder / "moved/3", "--ram", "shared")
    assert result.code == 1 and "--flatten OUT" in result.err, result


@contextlib.contextmanager
def stopped(vm):
    with vm.qmp() as connection:
        connection.execute("stop")
        yield
        connection.execute("cont")


def save_both(vm, memvisor, name, base):
    """A state with a base, which is what one of all is at the same moment."""
    with stopped(vm):
        save(vm, name, base)
        save(vm, name + "-all")
    same_memory(memvisor, vm.folder / name, vm.folder / (name + "-all"))


def test_several_build_on_one(vm, memvisor, folder):
    """Each has what changed since its own base, whatever was saved in between."""
    vm.do("w", HIGH, 1)
    save(vm, "a")
    vm.do("w", HIGH + MIB, 2)
    save_both(vm, memvisor, "b", "a")
    vm.do("w", HIGH + 2 * MIB, 3)
    vm.do("w", HIGH, 4)
    save_both(vm, memvisor, "c", "a")
    vm.do("w", HIGH + 3 * MIB, 5)
    save_both(vm, memvisor, "d", "b")
    assert [pages(memvisor, folder / name)["ram1"] for name in "bcd"] == [1, 3, 3]
    save(vm, "e", "a")
    assert pages(memvisor, folder / "e")["ram1"] == 4
    words = {"a": [1, 0, 0, 0], "b": [1, 2, 0, 0], "c": [4, 2, 3, 0], "d": [4, 2, 3, 5],
             "e": [4, 2, 3, 5]}
    for name, wanted in words.items():
        with memory_guest.Guest(memvisor, folder, name="again", state=folder / name) as again:
            assert [again.do("r", HIGH + i * MIB) for i in range(4)] == wanted, name
            assert again.end() == 0


def test_an_old_base_is_let_go(vm, memvisor, folder):
    for i in range(9):
        vm.do("w", HIGH, i)
        save(vm, str(i))
    said = refused(vm, "x", folder / "0")
    assert "'%s' cannot be a base: it is none of the 8 states" % (folder / "0") in said
    assert "is let go: name one of these, such as '%s', or save without a base" % (folder / "8") in said
    save_both(vm, memvisor, "x", "1")
    assert "none of the 8" in refused(vm, "y", folder / "1")


ECAM, BAR = 0x40000000, 0x50000000
PORT, DEVICE = ECAM + (2 << 15), ECAM + (1 << 20)
LIGHT_ON, LIGHT_OFF, POWER_OFF = 1 << 8, 3 << 8, 1 << 10


def control_slot(vm, value):
    """The slot control register, of the capability PCI Express."""
    at = vm.do("g", PORT + 0x34) & 0xfc
    while vm.do("g", PORT + at) & 0xff != 0x10:
        at = vm.do("g", PORT + at) >> 8 & 0xfc
    vm.do("d", PORT + at + 0x18, value)


def open_port(vm):
    """What is behind the port is on bus 1, and has its memory at BAR."""
    control_slot(vm, LIGHT_ON)
    for at, value in ((PORT + 0x18, 0x10100), (PORT + 0x20, 0x5ff05000), (PORT + 4, 6),
                      (DEVICE + 0x18, BAR), (DEVICE + 0x1c, 0), (DEVICE + 4, 2)):
        vm.do("d", at, value)


def plug(vm, byte):
    image = vm.folder / "image"
    image.write_bytes(byte * MIB)
    with vm.qmp() as connection:
        connection.execute("device_add", driver="ivshmem-plain", id="late", bus="port", mem=str(image),
                           size="1M", share="off")
    open_port(vm)
    assert vm.do("r", BAR + MIB // 2) == int.from_bytes(8 * byte, "little")


def unplug(vm):
    with vm.qmp() as connection:
        connection.execute("device_del", id="late")
        control_slot(vm, LIGHT_ON | POWER_OFF)
        control_slot(vm, LIGHT_OFF | POWER_OFF)
        connection.event("DEVICE_DELETED")


def test_devices_that_come_and_go(memvisor, binary, folder):
    """Their memory is whole where the base has it not, also where the base had another device of
    that name and place."""
    block = "pci/02.0/00.0/bar2"
    with memory_guest.Guest(memvisor, folder, "-m", "16M", "--device", "pcie-root-port,id=port,addr=02.0",
                            binary=binary) as vm:
        save(vm, "0")
        plug(vm, b"1")
        vm.do("w", BAR, 2)
        save_both(vm, memvisor, "came", "0")
        assert pages(memvisor, folder / "came")[block] is None
        vm.do("w", BAR + 3 * PAGE, 3)
        save_both(vm, memvisor, "stayed", "came")
        assert pages(memvisor, folder / "stayed")[block] == 1
        unplug(vm)
        save_both(vm, memvisor, "went", "stayed")
        assert block not in pages(memvisor, folder / "went")
        plug(vm, b"4")
        vm.do("w", BAR + PAGE, 5)
        for name, base in (("again", "went"), ("another", "stayed")):
            save_both(vm, memvisor, name, base)
            assert pages(memvisor, folder / name)[block] is None
        vm.do("w", BAR + 2 * PAGE, 6)
        save_both(vm, memvisor, "last", "another")
        assert pages(memvisor, folder / "last")[block] == 1
    ones, fours = (int.from_bytes(8 * byte, "little") for byte in (b"1", b"4"))
    for name, words in (("stayed", [2, ones, ones, 3]), ("another", [fours, 5, fours, fours]),
                        ("last", [fours, 5, 6, fours])):
        with memory_guest.Guest(memvisor, folder, name="restored", state=folder / name) as vm:
            assert [vm.do("r", BAR + i * PAGE) for i in range(4)] == words, name
            assert vm.end() == 0


def test_wrong_bases(vm, memvisor, binary, folder):
    assert "was not saved yet" in refused(vm, "x", folder / "0")
    save(vm, "0")
    assert "cannot open" in refused(vm, "x", folder / "none")
    assert "would be replaced by a state that builds on it" in refused(vm, "0", folder / "0")
    save(vm, "1", "0")
    with memory_guest.Guest(memvisor, folder, "-m", "16M", binary=binary, name="other") as other:
        save(other, "foreign")
    assert "it was not saved of this guest since it was started here; what was saved of it last " \
        "is in '%s'" % (folder / "1") in refused(vm, "x", folder / "foreign")
    assert "would be replaced" in refused(vm, "0", folder / "1")
    os.link(folder / "0", folder / "link")
    assert "would be replaced" in refused(vm, "link", folder / "1")
    assert not (folder / "x").exists()
    save(vm, "0")
    for words in (["info", folder / "1", "--verify"], ["restore", folder / "1"],
                  ["info", folder / "1", "--flatten", folder / "x"]):
        result = memvisor.run(*words)
        assert (result.code, result.out) == (1, ""), result
        assert "'%s' is not the state that '%s' builds on" % (folder / "0", folder / "1") in result.err
    assert "missing: '%s' is not the state" % (folder / "0") in memvisor.run("info", folder / "1").out
    (folder / "0").unlink()
    result = memvisor.run("restore", folder / "1")
    assert "the base of '%s': cannot open '%s'" % (folder / "1", folder / "0") in result.err, result
    assert not (folder / "x").exists()


def test_a_damaged_base(vm, memvisor, folder):
    vm.do("w", HIGH + 5 * MIB, 1)
    save(vm, "0")
    save(vm, "1", "0")
    place = next(block for block in info(memvisor, folder / "0")["blocks"] if block["id"] == "ram1")
    with open(folder / "0", "r+b") as file:
        file.seek(place["offset"] + 5 * MIB)
        file.write(b"?")
    result = memvisor.run("info", folder / "1", "--verify")
    assert result.code == 1
    assert result.err.startswith("memvisor: '%s': block ram1: 2 MiB from 0x200400000 on" % (folder / "0"))
    result = memvisor.run("restore", folder / "1")
    assert result.code == 1 and "'%s': block ram1: damaged" % (folder / "0") in result.err, result


def test_a_save_that_fails_loses_nothing(vm, memvisor, folder):
    save(vm, "0")
    vm.do("w", HIGH, 5)
    subprocess.run(["prlimit", "--pid", str(vm.pid), "--fsize=%d:unlimited" % MIB], check=True)
    for mode in ("live", "stop"):
        with vm.qmp() as connection:
            answer = connection.command("x-save", file=str(folder / "1"), base=str(folder / "0"), mode=mode)
        assert "error" in answer, answer
        vm.do("w", HIGH + MIB, 6)
    subprocess.run(["prlimit", "--pid", str(vm.pid), "--fsize=unlimited"], check=True)
    with vm.qmp() as connection:
        connection.execute("stop")
    save(vm, "1", "0")
    assert pages(memvisor, folder / "1")["ram1"] == 2
    save(vm, "all")
    same_memory(memvisor, folder / "1", folder / "all")


def test_a_guest_that_writes_meanwhile(memvisor, folder):
    """What is saved is of one moment: the pages are equal, but for the last, up to one of them."""
    vm = qmp.Vm(memvisor, folder, "-m", "64M", guest=WRITER, boot=None)
    try:
        vm.verb("stop", "vm")
        with vm.qmp() as connection:
            connection.execute("x-save", file=str(folder / "0"))
            connection.execute("cont")
            for i in range(1, 4):
                connection.execute("x-save", file=str(folder / str(i)), base=str(folder / str(i - 1)))
            connection.execute("quit")
    finally:
        vm.process.kill()
        vm.process.wait()
    for i in range(1, 4):
        out = folder / "ram"
        assert memvisor.run("info", folder / str(i), "--extract", "ram1", "-o", out).code == 0
        with open(out, "rb") as file:
            words = []
            for page in range(4096):
                file.seek(page * PAGE)
                words.append(struct.unpack("<Q", file.read(8))[0])
        assert words == sorted(words, reverse=True) and words[0] - words[-1] <= 1, i
        assert words[0] > 0
