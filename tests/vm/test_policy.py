# SPDX-License-Identifier: Apache-2.0
"""Policies of banks, as the host's kernel tells of them; and what it lacks."""
import os
import pathlib
import re
import resource
import subprocess

import pytest

from memory_guest import Guest, build

MIB = 1 << 20
THP = pathlib.Path("/sys/kernel/mm/transparent_hugepage/enabled")


@pytest.fixture(scope="module")
def binary(tmp_path_factory):
    return build(tmp_path_factory.mktemp("guest"))


@pytest.fixture
def guest(memvisor, binary, tmp_path):
    def start(*options, **keywords):
        return Guest(memvisor, tmp_path, *options, binary=binary, **keywords)
    return start


def told_of(vm, size, name=None):
    """What smaps tells of the bank: the mapping of this name, or where the host's
    kernel keeps no names of anonymous memory, the one of this size."""
    for line in open("/proc/%d/smaps" % vm.pid):
        head = re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \S+ *(.*)", line)
        if head:
            found = head[3] != "---p" and (name in head[4] if name else (
                int(head[2], 16) - int(head[1], 16) == size and head[4][:1] != "/"))
            told = {}
        elif found and line.startswith("VmFlags:"):
            return dict(told, flags=set(line.split()[1:]))
        elif found and line.rstrip().endswith("kB"):
            told[line.split(":")[0]] = int(line.split()[1]) * 1024
    raise AssertionError("no such mapping:\n%s" % open("/proc/%d/maps" % vm.pid).read())


def has_thp():
    return THP.exists() and "[never]" not in THP.read_text()


@pytest.mark.parametrize("options, flags", [
    ("thp=off", {"nh"}), ("merge=on", {"mg"}), ("dump=off", {"dd"}), ("memfd=on,dump=off", {"dd"}),
    ("merge=on,dump=off,thp=off", {"mg", "dd", "nh"}), ("dump=on,merge=off", set())])
def test_advice(guest, options, flags):
    with guest("-m", "16M,%s" % options) as vm:
        told = told_of(vm, 16 * MIB, "memfd:" if "memfd" in options else None)["flags"]
        assert told & {"nh", "mg", "dd"} == flags, told
        assert vm.end() == 0


def test_transparent_huge_pages(guest, memvisor, binary):
    if not has_thp():
        result = memvisor.run("run", "--firmware", binary, "-m", "16M,thp=on")
        assert result.code == 1 and "transparent huge pages" in result.err, result
        return
    with guest("-m", "32M,thp=on,prealloc=on") as vm:
        told = told_of(vm, 32 * MIB)
        assert "hg" in told["flags"] and told["AnonHugePages"] >= 2 * MIB, told
        assert vm.end() == 0


@pytest.mark.parametrize("backing", ["", ",memfd=on", ",file=%s,create=on"])
def test_prealloc(guest, tmp_path, backing):
    path = str(tmp_path / "ram")
    options = "48M,prealloc=on,thp=off" + (backing % path if "%" in backing else backing)
    with guest("-m", options) as vm:
        name = path if "file" in backing else "memfd:" if backing else None
        assert told_of(vm, 48 * MIB, name)["Rss"] == 48 * MIB
        assert vm.end() == 0
    if "file" in backing:
        assert os.stat(path).st_blocks * 512 >= 48 * MIB


def may_lock(size):
    """Whether this process may lock so much."""
    caps = int(re.search(r"CapEff:\s*(\w+)", open("/proc/self/status").read())[1], 16)
    soft, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    return caps >> 14 & 1 or soft == resource.RLIM_INFINITY or soft >= size + MIB


def test_lock(guest, memvisor, binary):
    if not may_lock(16 * MIB):
        assert "lock=on: 16 MiB cannot be locked" in refused(memvisor, binary, "16M,lock=on")
        return
    with guest("-m", "16M,lock=on") as vm:
        told = told_of(vm, 16 * MIB)
        assert told["Locked"] == 16 * MIB and "lo" in told["flags"], told
        assert vm.end() == 0


def refused(memvisor, binary, option, wrap=(), code=1):
    result = subprocess.run([*wrap, memvisor.path, "run", "--firmware", binary, "-m", option],
                            capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60)
    assert result.returncode == code and result.stdout == "", result
    assert len(result.stderr.splitlines()) == 1, result
    return result.stderr


def test_lock_beyond_the_limit(memvisor, binary):
    """Without the capability to ignore it, the limit on locked memory counts."""
    wrap = ["prlimit", "--memlock=65536:65536"]
    if os.geteuid() == 0:
        wrap += ["setpriv", "--bounding-set=-ipc_lock", "--inh-caps=-ipc_lock"]
    said = refused(memvisor, binary, "16M,lock=on", wrap)
    assert "lock=on: 16 MiB cannot be locked, the limit of this user is 64 KiB" in said, said
    assert "'ulimit -l 16384'" in said


def test_what_cannot_be_merged(memvisor, binary):
    said = refused(memvisor, binary, "16M,memfd=on,merge=on")
    assert "merge=on: the host merges pages of private memory alone" in said


def test_prealloc_where_no_room_is(memvisor, binary, tmp_path):
    if os.geteuid() != 0:
        pytest.skip("a small file system to fill takes a mount, and that takes root")
    small = tmp_path / "small"
    small.mkdir()
    script = ("mount -t tmpfs -o size=8M none %s && exec %s run --firmware %s "
              "-m 16M,prealloc=on,file=%s/ram,create=on" % (small, memvisor.path, binary, small))
    done = subprocess.run(["unshare", "-m", "sh", "-c", script], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=60)
    if "unshare:" in done.stderr or "mount:" in done.stderr:
        pytest.skip("no mount of our own can be made here: %s" % done.stderr.strip())
    assert done.returncode == 1, done
    assert len(done.stderr.splitlines()) == 1, done
    assert "room" in done.stderr or "space" in done.stderr, done
