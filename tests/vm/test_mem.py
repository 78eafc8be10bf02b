# SPDX-License-Identifier: Apache-2.0
"""memvisor mem: what it shows of a guest's memory, against what the guest did."""
import fcntl
import json
import os
import pty
import re
import select
import signal
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
                       env={**guest.env, "COLUMNS": "100", **env})


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
    for _ in range(10):  # a busy host makes the quarter of a second longer, and so the rate less
        rows = {row["id"]: row for row in json.loads(show(guest, "--json"))}
        pages = rows["ram0"]["dirty_rate"] / 4 / 4096
        assert 0 < pages <= 140 and rows["file"]["dirty_rate"] == 0, rows
        if pages >= 64:
            return
    assert False, rows


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
    assert out.split("\n")[0].split() == ["GPA", "SIZE", "KIND", "NAME", "MAP"]
    # Where the device tree has it: half an IPA space up, out of the bank's way.
    assert ("0x8000000000", "512 GiB", "device") in [row[:3] for row in rows], out


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
        assert text.split("\n")[0].split() == ["BLOCK", "GPA", "SIZE", "RESIDENT", "WRITTEN/S"]
        part = text[re.search(r"^%s +0x" % block, text, re.M).end():]
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


# --- on a terminal

LEAVE = "\033[0m\033[?25h\033[?1049l"


class Terminal:
    """memvisor mem on a terminal of this size."""

    def __init__(self, guest, *args, rows=24, columns=80, **env):
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        env = {**guest.env, "LC_ALL": "C", "TERM": "xterm", "NO_COLOR": "", **env}
        env = {name: value for name, value in env.items() if value is not None}
        self.process = subprocess.Popen(
            [guest.memvisor.path, "mem", guest.name, *args], stdin=slave, stdout=slave, stderr=slave,
            env=env, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        os.close(slave)
        self.out = ""

    def read(self, done=lambda out: False):
        """What it has printed, once `done` holds for it, or at the end."""
        end = time.monotonic() + 30 * harness.PATIENCE
        while not done(self.out):
            left = end - time.monotonic()
            assert left > 0 and select.select([self.master], [], [], left)[0], self.out
            try:
                self.out += os.read(self.master, 4096).decode()
            except OSError:  # nobody has the terminal any more
                break
        return self.out

    def key(self, key):
        os.write(self.master, key.encode())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        os.close(self.master)


def plain(text):
    return re.sub(r"\033\[[0-9;?]*[a-zA-Z]", "", text)


@pytest.mark.parametrize("view", ["--map", "--heat"])
@pytest.mark.parametrize("env, coloured", [
    ({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False), ({"TERM": None}, False)])
def test_colour(guest, view, env, coloured):
    guest.do("f", HIGH, 64, 1)
    with Terminal(guest, view, **env) as terminal:
        out = terminal.read()
    assert ("\033[3" in out) == coloured and ("\033[1m" in out) == coloured, out
    assert coloured or "\033" not in out
    assert "file" in out and "\033" not in show(guest, view, TERM="xterm")


@pytest.mark.parametrize("view", ["--map", "--heat", None])
def test_narrow_terminal(guest, view):
    with Terminal(guest, *[view] if view else [], columns=50) as terminal:
        lines = plain(terminal.read()).splitlines()
    assert max(map(len, lines)) <= 50, lines
    text = "\n".join(lines)
    assert "0x4000000000" in text and "16 MiB" in text
    if view == "--map":
        assert re.search(r"^0x8000000000 +512 GiB +PCI 64-bit +~", text.replace(" 0x", "0x"), re.M)
    if view is None:
        assert text.count("ID ") >= 2 and "/ram.img" in text, "columns go on below"


@pytest.mark.parametrize("rows, columns", [(15, 50), (24, 80), (3, 40)])
def test_watch_keeps_within_the_window(guest, rows, columns):
    with Terminal(guest, "--map", "--watch", rows=rows, columns=columns) as terminal:
        out = terminal.read(lambda out: out.count("\033[H") >= 3)
        assert out.startswith("\033[?1049h")
        frames = out.split("\033[H")[1:-1]
        for frame in frames:
            lines = plain(frame).split("\r\n")
            assert len(lines) <= rows and max(map(len, lines)) <= columns, frame
        shown = len(plain(frames[0]).split("\r\n"))
        total = len(show(guest, "--map", COLUMNS=str(columns)).splitlines())
        if total > rows:
            assert shown == rows and "%d more lines" % (total - rows + 1) in frames[0], frames[0]


@pytest.mark.parametrize("view", ["--map", "--heat"])
def test_interrupted_watch_gives_the_terminal_back(guest, view):
    with Terminal(guest, view, "--watch") as terminal:
        terminal.read(lambda out: out.count("\033[H") >= 2)
        terminal.key("\x1a")
        terminal.read(lambda out: LEAVE in out)
        os.kill(terminal.process.pid, signal.SIGCONT)
        terminal.read(lambda out: "\033[H" in out.split("\033[?1049h")[-1]
                      and out.count("\033[?1049h") == 2)
        terminal.key("\x03")
        last = terminal.read().split(LEAVE)[-1]
        assert terminal.process.wait(30 * harness.PATIENCE) == -signal.SIGINT
        assert "0x4000000000" in last and "\033[?1049h" not in last, "the last frame stays"


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_watch_on_a_terminal(guest, columns):
    with Terminal(guest, "--heat", "--watch", columns=columns, NO_COLOR="1") as terminal:
        out = terminal.read(lambda out: out.count("\033[H") >= 3)
        strips = re.findall(r"^  (?:resident|written) +\|.*\|", plain(out), re.M)
        assert strips and {len(strip) for strip in strips} == {columns}
        assert guest.end() == 0
        assert "vm has ended" in terminal.read().split(LEAVE)[-1]
        assert terminal.process.wait(30 * harness.PATIENCE) == 0, "it ends with the VM"


def test_watch_on_a_dumb_terminal(guest):
    with Terminal(guest, "--map", "--watch", TERM="dumb") as terminal:
        out = terminal.read(lambda out: out.count("GPA") >= 2)
        assert "\033" not in out
