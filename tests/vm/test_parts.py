# SPDX-License-Identifier: Apache-2.0
"""Banks whose bytes are parts of a file or a block device (offset=)."""
import json
import os
import re
import signal
import subprocess
import time

import pytest

import harness

MIB = 1 << 20
TEXT = b"written by the guest"
MARK = b"not the guest's"


@pytest.fixture
def refuse(memvisor, binary):
    """The one line that memvisor says of these options."""
    def run(*options, code=1):
        result = memvisor.run("run", "--firmware", binary, "--dump-dtb", "/dev/null", *options)
        assert (result.code, result.out) == (code, ""), result
        assert re.fullmatch(r"memvisor: [^\n]+\n", result.err), result
        return result.err
    return run


@pytest.fixture
def file(tmp_path):
    """64 MiB, with a mark at the end of each 16."""
    path = tmp_path / "ram.img"
    with open(path, "wb") as out:
        for i in range(1, 5):
            out.seek(i * 16 * MIB - len(MARK))
            out.write(MARK)
    return path


def at(path, offset, length=len(TEXT)):
    with open(path, "rb") as data:
        return os.pread(data.fileno(), length, offset)


def marks(path):
    return [at(path, i * 16 * MIB - len(MARK), len(MARK)) == MARK for i in range(1, 5)]


def test_several_banks_in_one_file(guest, file):
    """In another order than in the file; what is no bank's keeps its bytes."""
    banks = ["-m", "16M@2G,file=%s,offset=32M" % file,
             "-m", "8M@8G,file=%s,offset=0x1000" % file,
             "-m", "4M@9G,file=%s,offset=%d" % (file, 60 * MIB - 8192)]
    with guest(*banks) as vm:
        vm.do("t", vm.free, TEXT.decode())
        vm.do("t", 8 << 30, TEXT.decode())
        vm.do("t", (9 << 30) + 4 * MIB - 4096, TEXT.decode())
        assert at(file, 32 * MIB + vm.free - vm.ram) == TEXT
        assert at(file, 4096) == TEXT and at(file, 0) == bytes(len(TEXT))
        assert at(file, 64 * MIB - 8192 - 4096) == TEXT
        assert vm.do("r", vm.ram + 16 * MIB - 8) == int.from_bytes(MARK[-8:], "little")
        with vm.qmp() as qmp:
            blocks = {block["id"]: block for block in qmp.execute("x-query-blocks")}
            assert [blocks["ram%d" % i]["offset"] for i in range(3)] == [
                32 * MIB, 4096, 60 * MIB - 8192]
            assert {block["path"] for block in blocks.values() if "path" in block} == {str(file)}
            qmp.execute("system_reset")
        assert at(file, 4096) == TEXT
        assert vm.end() == 0
    assert marks(file) == [True] * 4 and os.stat(file).st_size == 64 * MIB


def test_what_others_are_told(guest, file, memvisor, tmp_path):
    """A link would be mapped from the file's start: there is one for the part that begins there."""
    with guest("-m", "16M,file=%s,offset=0" % file, "-m", "16M,file=%s,offset=16M" % file) as vm:
        env = {"XDG_RUNTIME_DIR": str(vm.rundir.parent.parent)}
        listed = harness.run([memvisor.path, "mem", vm.name, "--json"], env=env)
        assert [row.get("offset") for row in json.loads(listed.out)][:2] == [0, 16 * MIB]
        table = harness.run([memvisor.path, "mem", vm.name], env=env).out
        assert "%s+0x1000000" % file in table and "%s+0x0" % file in table
        assert os.readlink(vm.rundir / "ram/ram0") == str(file)
        assert not (vm.rundir / "ram/ram1").exists()


@pytest.mark.parametrize("options", [
    ["-m", "16M,id=a", "--back", "a={},offset=16M"],
    ["-m", "16M,id=a", "--back", "a={},offset=16M,share=off"],
])
def test_backs(guest, file, options):
    with guest(*(option.format(file) for option in options)) as vm:
        assert vm.do("r", vm.ram + 16 * MIB - 8) == int.from_bytes(MARK[-8:], "little")
        vm.do("t", vm.free, TEXT.decode())
        shared = "share=off" not in options[-1]
        assert (at(file, 16 * MIB + vm.free - vm.ram) == TEXT) == shared


def test_memory_of_a_device(guest, file):
    with guest("-m", "16M", "--ivshmem", "mem=%s,size=1M,offset=16M" % file) as vm:
        with vm.qmp() as qmp:
            blocks = [b for b in qmp.execute("x-query-blocks") if b["id"].startswith("pci/")]
        assert blocks[0]["offset"] == 16 * MIB and blocks[0]["path"] == str(file)


def test_descriptor(guest, file):
    fd = os.open(file, os.O_RDWR)
    with guest("-m", "16M,fd=%d,offset=48M" % fd, pass_fds=[fd]) as vm:
        os.close(fd)
        vm.do("t", vm.free, TEXT.decode())
        assert at(file, 48 * MIB + vm.free - vm.ram) == TEXT


def test_parts_that_overlap(refuse, guest, file, tmp_path):
    """By whatever name the file goes."""
    link, other = tmp_path / "link", tmp_path / "other"
    os.link(file, link)
    os.symlink(file, other)
    for name in (file, link, other):
        message = refuse("-m", "16M,id=low,file=%s,offset=0" % file,
                         "-m", "16M,id=high,file=%s,offset=12M" % name)
        assert "block high: " in message and "block low, 0x0-0xffffff" in message
        assert "0xc00000-0x1bfffff" in message and "overlap" in message
        assert "same-file=ok" in message
    both = ["-m", "16M@2G,file=%s,offset=0,same-file=ok" % file,
            "-m", "16M@8G,file=%s,offset=12M,same-file=ok" % file]
    with guest(*both) as vm:
        vm.do("w", 8 << 30, 77)
        assert vm.do("r", vm.ram + 12 * MIB) == 77
    # A whole file is its first part and all others.
    assert "overlap" in refuse("-m", "64M,file=%s" % file, "-m", "16M,file=%s,offset=16M" % link)


def test_parts_of_two_machines(refuse, guest, file):
    """Each has its own, which the other may not take."""
    with guest("-m", "16M,file=%s,offset=0" % file) as one:
        with guest("-m", "16M,file=%s,offset=16M" % file, name="two") as two:
            for vm in (one, two):
                vm.do("t", vm.free, TEXT.decode())
            assert at(file, one.free - one.ram) == at(file, 16 * MIB + two.free - two.ram) == TEXT
            assert "another memvisor" in refuse("-m", "8M,file=%s,offset=28M" % file)
            assert "another memvisor" in refuse("-m", "64M,file=%s" % file)


def test_sizes(refuse, guest, file, tmp_path):
    message = refuse("-m", "16M,file=%s,offset=56M" % file)
    assert "is 64 MiB long, but the block has 16 MiB from offset 0x3800000 on" in message
    command = re.search(r"truncate -s 72M \S+(?=,)", message)[0]
    subprocess.run(command, shell=True, check=True)
    with guest("-m", "16M,file=%s,offset=56M" % file) as vm:
        assert vm.end() == 0
    message = refuse("-m", "16M,file=%s/none,offset=16M" % tmp_path)
    assert "truncate -s 32M" in message and "create=on" in message
    assert "offset=0" in refuse("-m", "16M,file=%s" % file)


def test_create(refuse, guest, file, tmp_path):
    """Makes the file, or makes it longer; a start that is refused leaves it as it was."""
    fresh = tmp_path / "fresh"
    banks = ["-m", "8M,file=%s,offset=4M,create=on" % fresh,
             "-m", "8M,file=%s,offset=16M,create=on" % fresh]
    with guest(*banks) as vm:
        vm.do("t", vm.free, TEXT.decode())
        assert at(fresh, 4 * MIB + vm.free - vm.ram) == TEXT
    assert os.stat(fresh).st_size == 24 * MIB
    longer = "16M,file=%s,offset=64M,create=on" % file
    assert "in use" in refuse_while_locked(refuse, file, longer)
    assert os.stat(file).st_size == 64 * MIB and marks(file) == [True] * 4
    with guest("-m", longer) as vm:
        assert vm.end() == 0
    assert os.stat(file).st_size == 80 * MIB and marks(file) == [True] * 4


@pytest.mark.parametrize("there", [True, False])
def test_growth_beside_another_machine(guest, memvisor, binary, tmp_path, there):
    """A start that is given up takes nothing back that another machine has come to use."""
    path = tmp_path / "both.img"
    if there:
        path.touch()
    bank = "256M@8G,file=%s,create=on,prealloc=on,offset=0" % path
    first = subprocess.Popen([memvisor.path, "run", "--firmware", binary, "-n", "first",
                              "--serial", "none", "-m", "16M", "-m", bank],
                             stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        end = time.monotonic() + 60
        while time.monotonic() < end and not (path.exists() and path.stat().st_size == 256 * MIB):
            pass
        first.send_signal(signal.SIGSTOP)
        with guest("-m", "16M,file=%s,offset=256M,create=on" % path) as vm:
            vm.do("t", vm.free, TEXT.decode())
            first.send_signal(signal.SIGINT)
            first.send_signal(signal.SIGCONT)
            first.wait(60)
            assert path.stat().st_size == 272 * MIB
            assert at(path, 256 * MIB + vm.free - vm.ram) == TEXT
            assert vm.end() == 0
    finally:
        first.kill()
        first.communicate()


def test_create_of_a_private_part(refuse, file, memvisor, binary):
    """The file stays as it is; what is said to do about it works."""
    bank = "16M,file=%s,offset=64M,share=off,create=on" % file
    message = refuse("-m", bank)
    assert "or write create=on" not in message
    subprocess.run(message.split(" on: ")[1], shell=True, check=True)
    assert os.stat(file).st_size == 80 * MIB and marks(file) == [True] * 4


def refuse_while_locked(refuse, path, bank):
    """Another process has the lock that memvisor takes of a part."""
    script = ("import fcntl, struct, sys; f = open(sys.argv[1], 'r+b'); "
              "fcntl.lockf(f, fcntl.LOCK_EX, 0, 0); print('locked', flush=True); "
              "sys.stdin.read()")
    with subprocess.Popen(["/usr/bin/python3", "-c", script, path], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "locked\n"
        message = refuse("-m", bank)
        holder.stdin.close()
    return message


@pytest.mark.parametrize("offset, words", [
    ("4095", ["multiple", "make it 0x0"]), ("0x1800", ["pages of 4 KiB", "make it 0x1000"]),
    ("9223372036854771712", ["too large"]), ("18446744073709547520", ["too large"])])
def test_offsets_that_are_none(refuse, file, offset, words):
    message = refuse("-m", "16M,file=%s,offset=%s" % (file, offset))
    for word in words:
        assert word in message
    fresh = refuse("-m", "16M,file=%s.new,create=on,offset=%s" % (file, offset))
    assert not os.path.exists("%s.new" % file), fresh


@pytest.mark.parametrize("keys, words", [
    ("offset=0", "name it with file=PATH"), ("file=x,offset=", "offset="),
    ("file=x,offset=-1", "is not understood"), ("file=x,offset=1.5M", "is not understood"),
    ("file=x,offset=18446744073709551616", "too large"), ("file=x,offset=17000P", "too large"),
    ("file=x,offset=0,offset=4K", "twice")])
def test_usage(refuse, keys, words):
    assert words in refuse("-m", "16M," + keys, code=2)


def test_file_that_shrinks(guest, file):
    """What the message says to type makes it whole again."""
    with guest("-m", "16M@2G", "-m", "16M@8G,file=%s,offset=48M" % file) as vm:
        with vm.qmp() as qmp:
            os.truncate(file, 56 * MIB)
            assert vm.do("r", 8 << 30) == 0
            vm.send("r", (8 << 30) + 12 * MIB)
            event = qmp.event("X_BLOCK_ERROR")
            assert event["data"]["reason"] == "shrunk" and event["data"]["offset"] == 12 * MIB
            command = re.search(r"truncate -s 64M [^,)]+", vm.errors())[0]
            subprocess.run(command, shell=True, check=True)
            qmp.execute("cont")
        assert vm.answer() == 0


def test_block_device(refuse, guest, file):
    made = subprocess.run(["losetup", "--find", "--show", file], capture_output=True, text=True)
    if made.returncode != 0:
        pytest.skip("no block device can be made here: %s" % made.stderr.strip())
    device = made.stdout.strip()
    try:
        with guest("-m", "16M,file=%s,offset=16M" % device) as vm:
            vm.do("t", vm.free, TEXT.decode())
            assert vm.end() == 0
            place = 16 * MIB + vm.free - vm.ram
        with guest("-m", "64M,file=%s" % device) as vm:
            assert vm.end() == 0
        assert "has 64 MiB, but the block has 16 MiB: say offset=0" in \
            refuse("-m", "16M,file=%s" % device)
        assert "give it less, or a lower offset=" in refuse("-m", "16M,file=%s,offset=56M" % device)
    finally:
        subprocess.run(["losetup", "--detach", device], check=True)
    assert at(file, place) == TEXT
