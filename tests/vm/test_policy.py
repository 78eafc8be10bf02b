# SPDX-License-Identifier: Apache-2.0
"""Policies of banks, as the host's kernel tells of them; and what it lacks."""
import json
import os
import pathlib
import re
import resource
import signal
import subprocess
import sys
import time

import pexpect
import pytest

import harness

MIB = 1 << 20
THP = pathlib.Path("/sys/kernel/mm/transparent_hugepage/enabled")


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


def test_what_cannot_be_merged(memvisor, binary):
    said = refused(memvisor, binary, "16M,memfd=on,merge=on")
    assert "merge=on: the host merges pages of private memory alone" in said


# --- NUMA

NODES = pathlib.Path("/sys/devices/system/node/has_memory")


def numa_map(vm, start):
    """The line of numa_maps for the mapping that starts at the address."""
    for line in open("/proc/%d/numa_maps" % vm.pid):
        if int(line.split()[0], 16) == start:
            return line.split()
    raise AssertionError("no mapping at %x" % start)


def start_of(vm, size):
    """Where the mapping of this size starts."""
    for line in open("/proc/%d/maps" % vm.pid):
        first, last = (int(word, 16) for word in line.split()[0].split("-"))
        if last - first == size and line.split()[1][:2] == "rw":
            return first
    raise AssertionError("no mapping of %d bytes" % size)


def needs_nodes():
    if not NODES.exists():
        pytest.skip("the host's kernel has no NUMA nodes: %s is missing" % NODES)
    first = int(re.match(r"\d+", NODES.read_text())[0])
    return first, len(list(NODES.parent.glob("node[0-9]*")))


@pytest.mark.parametrize("policy", ["bind", "interleave", "preferred"])
@pytest.mark.parametrize("backing", ["", ",memfd=on", ",prealloc=on"])
def test_numa_policy(guest, policy, backing):
    node, _ = needs_nodes()
    with guest("-m", "24M,policy=%s,host-nodes=%d%s" % (policy, node, backing)) as vm:
        told = numa_map(vm, start_of(vm, 24 * MIB))[1]
        assert told in ("%s:%d" % (policy, node), "prefer:%d" % node), told
        with vm.qmp() as qmp:
            memdev, = qmp.execute("query-memdev")
            block, = [b for b in qmp.execute("x-query-blocks") if b["id"] == "ram0"]
        assert (memdev["policy"], memdev["host-nodes"]) == (policy, [node])
        assert "%s=%d" % (policy, node) in block["policies"]
        assert vm.end() == 0


def test_no_numa_policy(guest):
    with guest("-m", "24M,policy=default") as vm, vm.qmp() as qmp:
        memdev, = qmp.execute("query-memdev")
        assert (memdev["policy"], memdev["host-nodes"]) == ("default", [])


def test_numa_wrong_usage(memvisor, binary):
    said = refused(memvisor, binary, "16M,policy=bind", code=2)
    assert "policy=bind needs nodes: add host-nodes=0" in said, said


def test_numa_nodes_that_are_not_there(memvisor, binary, tmp_path):
    first, count = needs_nodes()
    for nodes in ("%d" % (first + count), "99999", "%d-%d" % (first, first + count)):
        said = refused(memvisor, binary, "16M,policy=bind,host-nodes=" + nodes)
        assert "host-nodes=%s: the nodes of this host that have memory are %d" % (nodes, first) \
            in said, said


def test_numa_policy_of_a_file(guest, memvisor, binary, tmp_path):
    """The kernel spreads a file's pages as it likes, but what is private as it is told."""
    node, _ = needs_nodes()
    kind = subprocess.run(["stat", "-f", "-c", "%T", tmp_path], capture_output=True, text=True,
                          check=True).stdout.strip()
    path = tmp_path / "ram"
    keys = "16M,file=%s,create=on,policy=bind,host-nodes=%d" % (path, node)
    if kind != "tmpfs":
        said = refused(memvisor, binary, keys)
        assert "policy= has no effect on a shared file on a disk: use memfd=on" in said, said
    with open(path, "wb") as file:
        file.truncate(16 * MIB)
    with guest("-m", "16M,file=%s,share=off,policy=bind,host-nodes=%d" % (path, node)) as vm:
        assert numa_map(vm, start_of(vm, 16 * MIB))[1] == "bind:%d" % node


# Runs a program for which the calls with these numbers are not there.
WITHOUT = """
import ctypes, errno, os, struct, sys
numbers = [int(word) for word in sys.argv[1].split(",")]
code = [(0x20, 0, 0, 0)] # load the call's number
code += [(0x15, len(numbers) - i, 0, n) for i, n in enumerate(numbers)]
code += [(0x06, 0, 0, 0x7fff0000), (0x06, 0, 0, 0x50000 | errno.ENOSYS)]
text = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in code))
filter = struct.pack("@HP", len(code), ctypes.addressof(text))
prctl = ctypes.CDLL(None, use_errno=True).prctl
if prctl(38, 1, 0, 0, 0) or prctl(22, 2, filter, 0, 0):
    sys.exit("no seccomp: %s" % os.strerror(ctypes.get_errno()))
os.execv(sys.argv[2], sys.argv[2:])
"""
MBIND_AND_GET_MEMPOLICY = {"x86_64": "237,239", "aarch64": "235,236"}


def test_numa_where_the_kernel_has_none(guest, memvisor, binary):
    wrap = [sys.executable, "-c", WITHOUT, MBIND_AND_GET_MEMPOLICY[os.uname().machine]]
    said = refused(memvisor, binary, "16M,policy=bind,host-nodes=0", wrap)
    assert "policy=bind: this host's kernel has no NUMA policies: leave it out" in said, said
    with guest("-m", "24M", wrap=wrap) as vm, vm.qmp() as qmp:
        memdev, = qmp.execute("query-memdev")
        assert (memdev["policy"], memdev["host-nodes"]) == ("default", [])


# --- what is told while pages are allocated

MANY_MIB = 2048


def stall(pid):
    """Has the work take longer than a bar waits for, however fast the host is."""
    end = time.monotonic() + 60 * harness.PATIENCE
    while int(open("/proc/%d/statm" % pid).read().split()[1]) * resource.getpagesize() < 160 * MIB:
        assert time.monotonic() < end
        time.sleep(0.005)
    os.kill(pid, signal.SIGSTOP)
    time.sleep(0.6)
    os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize("key, doing", [("prealloc", "allocating"), ("lock", "locking")])
def test_progress_on_a_terminal(memvisor, binary, tmp_path, key, doing):
    """A bar while it lasts; Ctrl-C ends it in order and leaves a clean line."""
    if key == "lock" and not may_lock(MANY_MIB * MIB):
        pytest.skip("this process may not lock %d MiB" % MANY_MIB)
    child = harness.spawn(str(memvisor.path), ["run", "--firmware", str(binary), "-m",
                                               "%dM,%s=on,thp=off" % (MANY_MIB, key)],
                          env=dict(os.environ, XDG_RUNTIME_DIR=str(tmp_path)), dimensions=(24, 100))
    stall(child.pid)
    child.expect(r"\rram0: %s \[#*\.+\] +\d+ %%  [\d.]+ [MG]iB of 2 GiB  [\d.]+ [MG]iB/s  "
                 r"\d+ s left\x1b\[K" % doing, timeout=60 * harness.PATIENCE)
    # With the ^C that the terminal adds it still has to be one line.
    assert len(child.after) - len("\r\x1b[K") <= 100 - len("^C") - 1
    child.send("\x03")
    child.expect(pexpect.EOF, timeout=60 * harness.PATIENCE)
    child.close()
    assert child.exitstatus == 130, child.before
    assert child.before.endswith(b"\r\x1b[Kmemvisor: ended by SIGINT\r\n"), child.before


def test_no_progress_elsewhere(memvisor, binary, tmp_path):
    with open(tmp_path / "err", "wb") as err:
        process = subprocess.Popen([memvisor.path, "run", "--firmware", binary, "-m",
                                    "%dM,prealloc=on,thp=off" % MANY_MIB],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=err,
                                   env=dict(os.environ, XDG_RUNTIME_DIR=str(tmp_path)))
        stall(process.pid)
        time.sleep(0.2)
        process.terminate()
        process.communicate(timeout=60 * harness.PATIENCE)
    assert process.returncode == 143
    assert (tmp_path / "err").read_text() == "memvisor: ended by SIGTERM\n"


@pytest.mark.parametrize("keys, saves", [
    ("", True), (",memfd=on", True), (",file=%s,create=on", False),
    (",file=%s,share=off", True), (",save=off", False), (",file=%s,save=on", True)])
def test_save(guest, tmp_path, keys, saves):
    path = tmp_path / "ram"
    with open(path, "wb") as file:
        file.truncate(16 * MIB)
    with guest("-m", "16M" + (keys % path if "%" in keys else keys)) as vm:
        with vm.qmp() as qmp:
            assert qmp.execute("x-query-blocks")[0]["save"] is saves
        rows = json.loads(subprocess.run([vm.memvisor.path, "mem", vm.name, "--json"], env=vm.env,
                                         capture_output=True, check=True).stdout)
        assert rows[0]["save"] is saves
