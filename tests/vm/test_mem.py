# SPDX-License-Identifier: Apache-2.0
"""memvisor mem: what it shows of a guest's memory, against what the guest did."""
import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import termios
import time

import pytest

import harness
from memory_guest import Guest

MIB = 1 << 20
HIGH = 0x4000000000


@pytest.fixture
def guest(memvisor, tmp_path):
    with Guest(memvisor, tmp_path, "-m", "32M", "-m",
               "16M@%#x,id=file,file=%s,create=on" % (HIGH, tmp_path / "ram.img")) as guest:
        yield guest


def mem(guest, *args, **env):
    return harness.run([guest.memvisor.path, "mem", guest.name, *args], 30,
                       env=dict(guest.env, COLUMNS="100", **env))


def show(guest, *args, **env):
    result = mem(guest, *args, **env)
    assert (result.code, result.err) == (0, ""), result
    return result.out


def test_json(guest, tmp_path):
    guest.do("f", HIGH, 4, 1)
    rows = {row["id"]: row for row in json.loads(show(guest, "--json"))}
    assert set(rows) >= {"ram0", "file"}
    for row in rows.values():
        assert set(row) == {"id", "gpa", "size", "backing", "path", "share", "save", "resident",
                            "huge", "dirty_rate"}
    one = rows["file"]
    assert (one["gpa"], one["size"], one["backing"]) == (hex(HIGH), 16 * MIB, "file")
    assert (one["path"], one["share"], one["save"]) == (str(tmp_path / "ram.img"), True, False)
    assert one["resident"] == guest.smaps("ram.img")["Rss"] > 0
    assert rows["ram0"]["path"] is None


def test_dirty_rate_of_a_busy_guest(guest):
    """128 pages that are written all the time, and a bank that is not."""
    guest.do("m")
    guest.send("l", 0x40000)
    rows = {row["id"]: row for row in json.loads(show(guest, "--json"))}
    pages = rows["ram0"]["dirty_rate"] / 4 / 4096  # measured for a quarter of a second
    assert 64 <= pages <= 140 and rows["file"]["dirty_rate"] == 0, rows


def test_table(guest, tmp_path):
    lines = show(guest).splitlines()
    assert lines[0].split() == ["ID", "GPA", "SIZE", "BACKING", "SHARE", "SAVE", "RESIDENT", "HUGE",
                                "WRITTEN/S", "POLICY", "PATH"]
    file = next(line for line in lines if line.startswith("file "))
    assert file.split()[1:7] == [hex(HIGH), "16", "MiB", "file", "on", "off"]
    assert file.endswith(str(tmp_path / "ram.img"))


@pytest.mark.parametrize("locale, ram", [("C", "#"), ("C.UTF-8", "\u2588")])
def test_map(guest, locale, ram):
    out = show(guest, "--map", LC_ALL=locale)
    rows = re.findall(r"^ *(0x[0-9a-f]+) +([\d.]+ \w+)  (\w+) +(.*)$", out, re.M)
    gpas = [int(row[0], 16) for row in rows]
    assert gpas == sorted(gpas) and gpas[0] == 0
    banks = {row[0]: row for row in rows if row[2] == "ram"}
    assert banks["0x80000000"][1] == "32 MiB" and banks[hex(HIGH)][1] == "16 MiB"
    assert banks[hex(HIGH)][3].startswith("file") and banks[hex(HIGH)][3].endswith(ram)
    # What follows the first bank is a hole up to the second.
    hole = rows[gpas.index(0x80000000) + 1]
    assert (int(hole[0], 16), hole[2]) == (0x82000000, "hole")
    assert all(len(line) <= 100 for line in out.splitlines())
    assert (locale == "C") == out.isascii()


def test_map_is_to_scale(memvisor, tmp_path):
    with Guest(memvisor, tmp_path, "-m", "4G", "-m", "2G@0x180000000") as guest:
        out = show(guest, "--map", LC_ALL="C")
        bars = {name: len(bar) for name, bar in re.findall(r" ram +(ram\d) +(#+)$", out, re.M)}
        assert abs(bars["ram0"] - 2 * bars["ram1"]) <= 2 and bars["ram1"] >= 8, out


@pytest.mark.parametrize("address, parts", [
    (0x60, [("PCI memory", 0x50000000, "256 MiB"), ("pci/01.0/bar2", 0x60000000, "256 MiB"),
              ("PCI memory", 0x70000000, "256 MiB")]),
    (0x50, [("pci/01.0/bar2", 0x50000000, "256 MiB"), ("PCI memory", 0x60000000, "512 MiB")]),
    (0x70, [("PCI memory", 0x50000000, "512 MiB"), ("pci/01.0/bar2", 0x70000000, "256 MiB")]),
])
def test_map_of_memory_in_a_window(memvisor, tmp_path, address, parts):
    """What is left of the window stays around it, and nothing is drawn twice."""
    with open(tmp_path / "shared", "wb") as file:
        file.truncate(256 * MIB)
    with Guest(memvisor, tmp_path, "-m", "32M", "--ivshmem",
               "mem=%s/shared,size=256M,addr=1.0" % tmp_path) as guest:
        config = 0x40000000 + (1 << 15)
        guest.do("t", config + 0x1b, chr(address))
        guest.do("t", config + 4, "\x02")
        out = show(guest, "--map", LC_ALL="C")
    rows = re.findall(r"^ *(0x[5-7]0000000) +(\d+ MiB)  \w+ +(.*\S) +([#=]+)$", out, re.M)
    assert [(name, int(gpa, 16), size) for gpa, size, name, _ in rows] == parts, out
    lengths = {"PCI memory": 0, "pci/01.0/bar2": 0}
    for _, _, name, cells in rows:
        lengths[name] += len(cells)
    assert abs(lengths["PCI memory"] - 2 * lengths["pci/01.0/bar2"]) <= 3, out


def test_heat(guest):
    def strips(block):
        text = show(guest, "--heat", LC_ALL="C")
        part = text[re.search(r"^%s at" % block, text, re.M).end():]
        return dict(re.findall(r"^  (resident|written) +\|(.*)\|$", part, re.M)[:2])

    cells = 100 - 13
    assert strips("file") == {"resident": " " * cells, "written": " " * cells}
    guest.do("f", HIGH + 8 * MIB, 8 * MIB // 4096, 1)
    strip = strips("file")["resident"]
    assert set(strip[:cells // 2 - 1]) == {" "} and set(strip[cells // 2 + 1:]) == {"#"}, strip
    guest.do("m")
    guest.send("l", 0x40000)
    assert strips("ram0")["written"].strip()


def test_read(guest):
    guest.do("t", HIGH + 100, "known")
    out = subprocess.run([guest.memvisor.path, "mem", guest.name, "--read", hex(HIGH + 100), "5"],
                         env=guest.env, stdout=subprocess.PIPE, check=True).stdout
    assert out == b"known"
    # More than a piece, to the end of the bank; the file is what the guest sees.
    out = subprocess.run([guest.memvisor.path, "mem", guest.name, "--read=%#x" % HIGH, "16M"],
                         env=guest.env, stdout=subprocess.PIPE, check=True).stdout
    assert out == (guest.folder / "ram.img").read_bytes()
    assert not list(guest.rundir.glob("*read*"))


@pytest.mark.parametrize("words, code, told", [
    (["--read", "0x10", "4"], 1, "no memory at 0x10"),
    (["--read", hex(HIGH), "17M"], 1, "the memory ends at 0x4001000000"),
    (["--read", hex(HIGH)], 2, "LEN is missing"),
    (["--read", hex(HIGH), "0"], 2, "small"),
    (["--read", "0xffffffffffffffff", "4"], 2, "large"),
    (["--read", hex(HIGH), "99999999999999999999"], 2, "too large"),
    (["--read", "4096", "4"], 2, "ambiguous"),
    (["4"], 2, "'4'"),
    (["--map", "--heat"], 2, "exclude"),
    (["--watch", "--read", hex(HIGH), "4"], 2, "exclude"),
])
def test_wrong_words(guest, words, code, told):
    result = mem(guest, *words)
    assert (result.code, result.out) == (code, "") and told in result.err, result
    assert result.err.count("\n") == 1


def test_unknown_name(guest):
    result = harness.run([guest.memvisor.path, "mem", "other"], env=guest.env)
    assert result.code == 1 and "no VM named 'other' runs" in result.err


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_watch_on_a_terminal(guest, columns):
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen(
        [guest.memvisor.path, "mem", guest.name, "--heat", "--watch"], stdin=slave, stdout=slave,
        stderr=slave, env=dict(guest.env, LC_ALL="C"))
    os.close(slave)
    out, end = "", time.monotonic() + 30 * harness.SLOW
    try:
        while out.count("\033[H\033[2J") < 3:
            assert time.monotonic() < end, out
            out += os.read(master, 4096).decode()
        strips = re.findall(r"^  (?:resident|written) +\|.*\|\r?$", out, re.M)
        assert strips and {len(strip.rstrip()) for strip in strips} == {columns}
        assert guest.end() == 0
        assert process.wait(30 * harness.SLOW) == 0, "it ends with the VM"
    finally:
        process.kill()
        process.wait()
        os.close(master)
