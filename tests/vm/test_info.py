# SPDX-License-Identifier: Apache-2.0
"""memvisor info: what a state file says of itself, what is damaged in it, a block out of it,
and in what two differ."""
import json
import os
import random
import re
import struct
import subprocess

import pexpect
import pytest

import faults
import harness

MIB = 1 << 20
PAGE = 4096
HIGH = 0x200000000
RAM_AT = 2 * MIB


@pytest.fixture(scope="module")
def states(memvisor, binary, tmp_path_factory):
    """A folder with a.state and b.state: the same guest before it wrote what b has."""
    from memory_guest import Guest
    folder = tmp_path_factory.mktemp("states")
    with Guest(memvisor, folder, "-m", "16M", "-m", "7M@8G,thp=off", "--device", "edu", "-c", "2",
               "--no-reboot", binary=binary) as guest:
        guest.do("w", HIGH + 5 * MIB, 0x1234)
        with guest.qmp() as qmp:
            qmp.execute("x-save", file=str(folder / "a.state"))
            for at in (0, PAGE, 2 * PAGE, 3 * MIB, 7 * MIB - PAGE):
                guest.do("w", HIGH + at, 0x5555)
            guest.do("w", HIGH + 5 * MIB, 0)
            qmp.execute("stop")
            qmp.execute("x-save", file=str(folder / "b.state"))
            for bank, gpa in (("ram0", 0x80000000), ("ram1", HIGH)):
                qmp.execute("pmemsave", val=gpa, size=(16 if bank == "ram0" else 7) * MIB,
                            filename=str(folder / (bank + ".img")))
    return folder


def manifest_of(memvisor, path):
    result = memvisor.run("info", path, "--json")
    assert (result.code, result.err) == (0, ""), result
    return json.loads(result.out)


def block_of(manifest, name):
    return next(block for block in manifest["blocks"] if block["id"] == name)


def copy(states, folder, name="a.state"):
    """With its holes, to be damaged."""
    path = folder / name
    subprocess.run(["cp", "--sparse=always", states / name, path], check=True)
    return path


def flip(path, at, bit=1):
    with open(path, "r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ bit]))


def check_error(result, *parts):
    assert (result.code, result.out) == (1, ""), result
    assert re.fullmatch(r"memvisor: [^\n]+\n", result.err), result
    for part in parts:
        assert part in result.err, "no '%s' in: %s" % (part, result)


# --- what it says

def test_json(memvisor, states):
    told = manifest_of(memvisor, states / "a.state")
    size = os.stat(states / "a.state")
    assert told["name"] == "vm" and told["writer"].startswith("memvisor ")
    assert told["status"] == "whole" and told["length"] == size.st_size
    assert told["on-disk"] == size.st_blocks * 512
    assert told["machine"]["cpus"] == 2 and told["boot"]["no-reboot"] is True
    assert {block["id"] for block in told["blocks"]} >= {"ram0", "ram1", "boot/kernel"}
    high = block_of(told, "ram1")
    assert (high["gpa"], high["size"], high["stored"]) == (hex(HIGH), 7 * MIB, PAGE)
    assert high["offset"] % (2 * MIB) == 0 and high["backing"] == "thp=off"
    assert block_of(told, "boot/kernel")["gpa"] is None
    devices = {device["path"]: device for device in told["devices"]}
    assert devices["pci/01.0"]["type"] == "edu" and devices["pci/01.0"]["state"] > 1000


def test_text(memvisor, states):
    result = memvisor.run("info", states / "a.state")
    assert (result.code, result.err) == (0, ""), result
    assert re.match(r".*a\.state: vm, saved \d{4}-\d\d-\d\d \d\d:\d\d:\d\d by memvisor ", result.out)
    assert re.search(r"^  status +whole$", result.out, re.M)
    assert re.search(r"^  machine +arm64, 2 CPUs, .*boots a flat binary, no reboot$", result.out, re.M)
    assert re.search(r"^ram1 +0x200000000 +7 MiB +4 KiB +here +thp=off$", result.out, re.M)
    assert re.search(r"^pci/01\.0 +edu +1 +\S+ \S+ +edu,addr=", result.out, re.M)


def test_memory_that_stayed_outside(guest, memvisor, tmp_path):
    with guest("-m", "16M", "-m", "4M@8G,file=%s,create=on" % (tmp_path / "bank.img")) as vm:
        with vm.qmp() as qmp:
            qmp.execute("x-save", file=str(tmp_path / "vm.state"))
            told = manifest_of(memvisor, tmp_path / "vm.state")
            outside = block_of(told, "ram1")
            assert outside["file"]["path"] == str(tmp_path / "bank.img") and outside["stored"] == 0
            assert "offset" not in outside
            check_error(memvisor.run("info", tmp_path / "vm.state", "--extract", "ram1"),
                        "block ram1", "stayed in '%s'" % (tmp_path / "bank.img"))
            assert memvisor.run("info", tmp_path / "vm.state", "--verify").code == 0
            qmp.execute("cont")
            assert manifest_of(memvisor, tmp_path / "vm.state")["status"] == "stale"
            text = memvisor.run("info", tmp_path / "vm.state").out
            assert "status   stale: " in text and str(tmp_path / "bank.img") in text
            same = memvisor.run("info", tmp_path / "vm.state", "--diff", tmp_path / "vm.state")
            assert "block ram1: not compared: " in same.out and same.code == 0


@pytest.mark.parametrize("words, part", [
    ([], "FILE is missing: see 'memvisor help info'\n"),
    (["x", "y"], "'y'"),
    (["x", "--verify", "--diff", "y"], "exclude each other"),
    (["x", "-o", "y"], "--extract"),
    (["x", "--json", "--extract", "ram0"], "exclude each other")])
def test_wrong_words(memvisor, words, part):
    result = memvisor.run("info", *words)
    assert (result.code, result.out) == (2, "") and part in result.err, result


@pytest.mark.parametrize("what", ["missing", "folder", "empty", "text", "pipe"])
def test_what_is_no_state(memvisor, tmp_path, what):
    path = tmp_path / what
    {"folder": path.mkdir, "empty": path.touch, "text": lambda: path.write_bytes(b"text\n" * 1000),
     "pipe": lambda: os.mkfifo(path)}.get(what, lambda: None)()
    check_error(memvisor.run("info", path), "'%s'" % path)


# --- --verify

def test_verify(memvisor, states):
    for name in ("a.state", "b.state"):
        result = memvisor.run("info", states / name, "--verify")
        assert (result.code, result.err) == (0, ""), result
        assert re.search(r"\d+ parts and 23\.\d MiB of memory are as they were written", result.out)
    told = json.loads(memvisor.run("info", states / "a.state", "--verify", "--json").out)
    assert told["damaged"] == [] and told["bytes"] > 23 * MIB


def test_each_damaged_piece_is_named(memvisor, states, tmp_path):
    path = copy(states, tmp_path)
    place = block_of(manifest_of(memvisor, path), "ram1")["offset"]
    low = block_of(manifest_of(memvisor, path), "ram0")["offset"]
    for at in (place + 100, place + 2 * MIB + 5, place + 7 * MIB - 1, low + 9 * MIB):
        flip(path, at)
    result = memvisor.run("info", path, "--verify")
    assert (result.code, result.out) == (1, ""), result
    lines = result.err.splitlines()
    assert len(lines) == 3, result
    assert all(line.startswith("memvisor: '%s': block ram" % path) for line in lines)
    assert "block ram0: 2 MiB from 0x80800000 on (from its byte 0x800000 on): damaged" in lines[0]
    assert "block ram1: 4 MiB from 0x200000000 on (from its byte 0x0 on): damaged" in lines[1]
    assert "block ram1: 1 MiB from 0x200600000 on (from its byte 0x600000 on): damaged" in lines[2]
    result = memvisor.run("info", path, "--verify", "--json")
    assert result.code == 1
    assert [(d["block"], d["gpa"], d["offset"], d["size"]) for d in json.loads(result.out)["damaged"]] \
        == [("ram0", "0x80800000", 8 * MIB, 2 * MIB), ("ram1", "0x200000000", 0, 4 * MIB),
            ("ram1", "0x200600000", 6 * MIB, MIB)]


def test_each_bit_counts(memvisor, states, tmp_path):
    """Outside of RAM and of the gap before it, which nobody looks at."""
    path = copy(states, tmp_path)
    told = manifest_of(memvisor, path)
    with open(path, "rb") as file:
        file.seek(48)
        ram_end = sum(struct.unpack("<QQ", file.read(16)))
    source = random.Random(1)
    places = [source.randrange(1024) for _ in range(15)]
    places += [source.randrange(ram_end, told["length"]) for _ in range(25)]
    for at in places:
        flip(path, at, 1 << at % 8)
        result = memvisor.run("info", path, "--verify")
        check_error(result, "'%s': " % path)
        assert re.search(r": (header|status|manifest|section \d+[^:]*): ", result.err), result
        flip(path, at, 1 << at % 8)
    assert memvisor.run("info", path, "--verify").code == 0


def test_longer_and_shorter(memvisor, states, tmp_path):
    path = copy(states, tmp_path)
    length = path.stat().st_size
    for now in (length + 1, length - 1, length // 2, 2 * MIB, 512):
        os.truncate(path, now)
        check_error(memvisor.run("info", path), "header: ", str(now))


def test_a_bar_on_a_terminal(memvisor, states):
    """It goes on while there is one to see it; what it says is the same."""
    child = harness.spawn(str(memvisor.path), ["info", str(states / "a.state"), "--verify"],
                          encoding="utf-8", timeout=60 * harness.PATIENCE)
    child.expect("as they were written")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0


# --- --extract

def test_extract(memvisor, states, tmp_path):
    for bank in ("ram0", "ram1"):
        out = tmp_path / bank
        result = memvisor.run("info", states / "b.state", "--extract", bank, "-o", out)
        assert (result.code, result.out, result.err) == (0, "", ""), result
        assert out.read_bytes() == (states / (bank + ".img")).read_bytes()
        piped = subprocess.run([memvisor.path, "info", states / "b.state", "--extract", bank],
                               stdout=subprocess.PIPE, check=True).stdout
        assert piped == out.read_bytes()
        with open(tmp_path / "redirected", "wb") as file:
            subprocess.run([memvisor.path, "info", states / "b.state", "--extract", bank],
                           stdout=file, check=True)
        assert (tmp_path / "redirected").read_bytes() == piped
        assert out.stat().st_blocks * 512 < 2 * MIB
        assert (tmp_path / "redirected").stat().st_blocks * 512 < 2 * MIB
        # Behind what is there already.
        (tmp_path / "more").write_bytes(b"before")
        with open(tmp_path / "more", "ab") as file:
            subprocess.run([memvisor.path, "info", states / "b.state", "--extract", bank],
                           stdout=file, check=True)
        assert (tmp_path / "more").read_bytes() == b"before" + piped


def test_extract_boots(memvisor, states, binary, tmp_path):
    out = tmp_path / "kernel"
    assert memvisor.run("info", states / "a.state", "--extract", "boot/kernel", "-o", out).code == 0
    assert out.read_bytes() == binary.read_bytes()


def test_extract_refuses(memvisor, states, tmp_path):
    path = copy(states, tmp_path)
    check_error(memvisor.run("info", path, "--extract", "ram7"), "has no block 'ram7'")
    flip(path, block_of(manifest_of(memvisor, path), "ram1")["offset"] + 3 * MIB)
    out = tmp_path / "out"
    out.write_bytes(b"old")
    check_error(memvisor.run("info", path, "--extract", "ram1", "-o", out),
                "block ram1: damaged", "from byte 0x200000 on")
    assert out.read_bytes() == b"old"
    full = subprocess.run(["sh", "-c", "%s info %s --extract ram0 >/dev/full" % (memvisor.path, path)],
                          stderr=subprocess.PIPE, text=True)
    assert full.returncode == 1 and "cannot write to standard output: No space left" in full.stderr
    child = harness.spawn(str(memvisor.path), ["info", str(path), "--extract", "ram0"],
                          encoding="utf-8", timeout=60 * harness.PATIENCE)
    child.expect("a terminal is no place for memory")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 2


# --- --diff

def test_diff(memvisor, states):
    told = json.loads(memvisor.run("info", states / "a.state", "--diff", states / "b.state",
                                   "--json").out)
    high = next(block for block in told["blocks"] if block["id"] == "ram1")
    runs = [(int(run["gpa"], 16) - HIGH, run["offset"], run["size"]) for run in high["runs"]]
    assert runs == [(0, 0, 3 * PAGE), (3 * MIB, 3 * MIB, PAGE), (5 * MIB, 5 * MIB, PAGE),
                    (7 * MIB - PAGE, 7 * MIB - PAGE, PAGE)]
    assert high["bytes"] == 6 * PAGE and told["more"] == 0
    fields = {(v["name"], v["what"]) for v in told["values"] if v["of"] == "state"}
    assert ("vcpus", "guest_ns") in fields
    assert all(v["this"] != v["other"] for v in told["values"])
    assert {v["of"] for v in told["values"]} == {"state"}
    text = memvisor.run("info", states / "a.state", "--diff", states / "b.state").out
    assert "block ram1: 6 pages differ (24 KiB), in 4 runs\n  0x200000000  12 KiB\n" in text
    assert re.search(r"^state vcpus: guest_ns: 0x[0-9a-f]+ and 0x[0-9a-f]+$", text, re.M)


def test_diff_of_the_same(memvisor, states, tmp_path):
    result = memvisor.run("info", states / "a.state", "--diff", copy(states, tmp_path))
    assert result.code == 0 and "are the same machine, with the same memory and devices" in result.out


def test_diff_of_machines(guest, memvisor, states, tmp_path):
    with guest("-m", "16M", "-m", "8M@16G", "-m", "4M@32G,id=more", name="other") as vm:
        with vm.qmp() as qmp:
            qmp.execute("x-save", file=str(tmp_path / "other.state"))
    told = json.loads(memvisor.run("info", states / "a.state", "--diff", tmp_path / "other.state",
                                   "--json").out)
    values = {(v["of"], v["name"], v["what"]): (v["this"], v["other"]) for v in told["values"]}
    assert values["machine", "", "cpus"] == ("2", "1")
    assert values["machine", "", "name"] == ("vm", "other")
    assert values["machine", "", "no-reboot"] == ("on", "off")
    assert values["block", "ram1", "gpa"] == ("0x200000000", "0x400000000")
    assert values["block", "ram1", "size"] == (str(7 * MIB), str(8 * MIB))
    assert values["block", "ram1", "backing"] == ("thp=off", "")
    assert values["block", "more", ""] == (None, "4 MiB")
    assert values["device", "pci/01.0", ""] == ("edu", None)
    assert values["state", "pci/01.0", ""] == ("edu", None)
    assert values["state", "vcpu/1", ""] == ("arm64-cpu", None)


# --- a host that says no

@pytest.mark.parametrize("words", [
    ["--"], ["--verify"], ["--diff", "b.state"], ["--extract", "ram1", "-o", "out"]],
    ids=lambda words: words[0])
def test_each_call_that_fails(memvisor, states, tmp_path, words):
    """What is told is whole, or an error."""
    shim = faults.Faults(memvisor, tmp_path)
    words = [states / word if word == "b.state" else tmp_path / word if word == "out" else word
             for word in words]
    argv = [memvisor.path, "info", states / "a.state", *words]
    whole = harness.run(argv).out
    for kind in ("alloc", "open", "stat", "thread", "space", *faults.FILE_KINDS):
        n, fired = 1, True
        while fired:
            shim.arm(kind, n)
            made = harness.run(argv, env=dict(os.environ, **shim.env))
            fired = shim.disarm() > 0
            story = "%s %d: %s\n%s" % (kind, n, made, shim.where() if fired else "")
            if made.code == 0:
                assert (made.out, made.err) == (whole, ""), story
            else:
                assert fired and made.code in (1, 2) and made.out == "", story
                assert re.fullmatch(r"memvisor: [^\n]+\n", made.err), story
            assert len(list(tmp_path.iterdir())) <= 2, story
            n += 11 if kind == "alloc" else 1
