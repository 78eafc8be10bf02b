# SPDX-License-Identifier: Apache-2.0
"""memvisor on a host with two NUMA nodes and control groups of version 2, which
QEMU plays: where the pages of a bank are, as the host's kernel tells, and what
is told of it."""
import json
import platform
import re
import shutil
import subprocess

import pytest

import harness
import memory_guest

# QEMU for a host like this one, its kernel, and its words.
HOSTS = {
    "x86_64": (["qemu-system-x86_64"], "amd64", harness.CMDLINE + " no_timer_check"),
    "aarch64": (["qemu-system-aarch64", "-M", "virt", "-cpu", "cortex-a57"], "",
                harness.QEMU_CMDLINE)}

SCRIPT = r"""
mkdir -p /run /tmp
try() {
    echo "case $1 $2"
    bank=$1,$2
    shift 2
    memvisor run --firmware /guest.bin -n vm -m $bank "$@" --paused </dev/null >/dev/null 2>/tmp/err &
    pid=$!
    until [ -S /run/memvisor/vm/qmp.sock ] || ! [ -d /proc/$pid ]; do sleep 0.1; done
    grep -E ' (bind|interleave|prefer)' /proc/$pid/numa_maps
    memvisor qmp vm query-memdev | tr -d '\n '
    echo
    memvisor mem vm --json | tr -d '\n'
    echo
    kill $pid
    wait $pid
    echo "ended $?: $(cat /tmp/err)"
}
exec 2>/dev/null
"""

# Limits of the group's parent count, too.
GROUP_SCRIPT = r"""
mount -t cgroup2 none /sys/fs/cgroup
cd /sys/fs/cgroup
echo +memory >cgroup.subtree_control
mkdir -p small/vm
echo +memory >small/cgroup.subtree_control
echo 96M >small/memory.max
in_group() {
    echo "group $*"
    sh -c 'echo $$ >small/vm/cgroup.procs
           exec memvisor run --firmware /guest.bin --dump-dtb /dev/null "$@"' sh "$@" 2>&1
    echo "ended $?"
}
in_group -m 64M
in_group -m 128M
in_group -m 64M,prealloc=on -m 64M,prealloc=on
in_group -m 128M,lock=on
echo 64M >small/vm/memory.max
in_group -m 80M
echo max >small/vm/memory.max
echo max >small/memory.max
in_group -m 128M
echo "end of groups"
cd /
"""

# Bank, NUMA keys: what numa_maps says of the policy, of the 4096 pages those on
# node 0 and on node 1 (None: not allocated), and what the control socket says.
PLACED = [
    ("16M,prealloc=on,thp=off", "policy=bind,host-nodes=1", "bind:1", (0, 4096), ("bind", [1])),
    ("16M,lock=on,thp=off", "policy=bind,host-nodes=1", "bind:1", (0, 4096), ("bind", [1])),
    ("16M,memfd=on,prealloc=on", "policy=bind,host-nodes=1", "bind:1", (0, 4096), ("bind", [1])),
    ("16M,prealloc=on,thp=off", "policy=interleave,host-nodes=0-1", "interleave:0-1",
     (2048, 2048), ("interleave", [0, 1])),
    ("16M,memfd=on,prealloc=on", "policy=interleave,host-nodes=0,,1", "interleave:0-1",
     (2048, 2048), ("interleave", [0, 1])),
    ("16M,prealloc=on,thp=off", "policy=preferred,host-nodes=1", "prefer:1", (0, 4096),
     ("preferred", [1])),
    ("16M", "policy=preferred,host-nodes=0-1", "prefer (many):0-1", None, ("preferred", [0, 1])),
    # More than node 1 has is all right for one that is only preferred.
    ("160M,prealloc=on,thp=off", "policy=preferred,host-nodes=1", "prefer:1", None,
     ("preferred", [1])),
]
REFUSED = [
    ("16M", "policy=bind,host-nodes=1-2",
     r"block ram0: host-nodes=1-2: the nodes of this host that have memory are 0-1$"),
    ("160M,prealloc=on", "policy=bind,host-nodes=1",
     r"block ram0: prealloc=on: 160 MiB is more than the \d+ MiB that host-nodes=1 has left: name"),
    ("160M,lock=on", "policy=bind,host-nodes=1",
     r"block ram0: lock=on: 160 MiB is more than the \d+ MiB that host-nodes=1 has left: name"),
]
# The first bank, and the others: each fits, but all of them do not.
REFUSED_TOGETHER = (
    "64M,prealloc=on,id=low", "policy=bind,host-nodes=1",
    "-m 160M -m 16M,lock=on,policy=bind,host-nodes=1 -m 64M,prealloc=on,policy=bind,host-nodes=1",
    r"blocks low, ram2, ram3: prealloc=on: 144 MiB is more than the \d+ MiB that host-nodes=1 has "
    r"left: name")
WARNED = [
    ("160M", "policy=bind,host-nodes=1", "",
     r"warning: block ram0: policy=bind: 160 MiB is more than the \d+ MiB that host-nodes=1 has: "
     r"should the guest use all of it, the kernel ends memvisor"),
    ("80M,id=low", "policy=bind,host-nodes=1",
     "-m 80M,policy=bind,host-nodes=1 -m 16M,policy=bind,host-nodes=0-1",
     r"warning: blocks low, ram1: policy=bind: 160 MiB is more than the \d+ MiB that "
     r"host-nodes=1 has: should the guest"),
]


def libraries(program):
    """The program's shared libraries, where the dynamic linker looks for them."""
    told = subprocess.run(["ldd", program], capture_output=True, text=True).stdout
    return re.findall(r"(/\S+) \(0x", told)


def run_host(memvisor, folder, script):
    """What the script says on a machine with 256 MiB on node 0, 128 MiB on node 1."""
    argv, files, cmdline = HOSTS[platform.machine()]
    files = harness.GUEST_FILES / files
    assert shutil.which(argv[0]), "%s is missing: run scripts/setup.sh check" % argv[0]
    assert (files / "vmlinuz").exists(), "run scripts/guest-files.sh %s" % files.name
    extras = [(memvisor.path, "bin/memvisor"), (memory_guest.build(folder), "guest.bin")]
    extras += [(path, path[1:]) for path in libraries(memvisor.path)]
    initrd = harness.build_initrd(script, folder, extras, guest_files=files)
    done = harness.run(argv + [
        "-accel", "tcg", "-nic", "none", "-nographic", "-no-reboot", "-m", "384",
        "-object", "memory-backend-ram,id=zero,size=256M", "-numa", "node,memdev=zero,cpus=0",
        "-object", "memory-backend-ram,id=one,size=128M", "-numa", "node,memdev=one",
        "-kernel", files / "vmlinuz", "-initrd", initrd, "-append", cmdline + " quiet"], 120)
    return done.out.replace("\r", "")


def wanted():
    """What is tried: the first bank's own keys, its NUMA keys, what else there is."""
    return [(*case[:2], "") for case in PLACED + REFUSED] + \
        [case[:3] for case in [REFUSED_TOGETHER, *WARNED]]


@pytest.fixture(scope="module")
def said(memvisor, tmp_path_factory):
    """What the machine's console says of all cases."""
    if platform.machine() not in HOSTS:
        pytest.skip("no kernel for a host such as this one: %s" % platform.machine())
    if any("san" in library for library in libraries(memvisor.path)):
        pytest.skip("the small machine has no room for a sanitizer's own memory")
    script = SCRIPT + GROUP_SCRIPT + "".join("try %s %s %s\n" % case for case in wanted())
    return run_host(memvisor, tmp_path_factory.mktemp("host"), script)


@pytest.fixture(scope="module")
def cases(said):
    """The lines that each case printed."""
    parts = re.split(r"case (\S+) (policy\S+)\n", said)[1:]
    found = {tuple(parts[i:i + 2]): parts[i + 2].splitlines() for i in range(0, len(parts), 3)}
    assert set(found) == {case[:2] for case in wanted()}, said[-3000:]
    return found


@pytest.mark.parametrize("bank, keys, mapped, pages, told", PLACED)
def test_pages_are_where_they_belong(cases, bank, keys, mapped, pages, told):
    numa_map, memdev, blocks, end = cases[bank, keys][:4]
    assert mapped + " " in numa_map
    if pages is not None:
        counts = dict(re.findall(r" N(\d)=(\d+)", numa_map))
        assert tuple(int(counts.get(node, 0)) for node in "01") == pages, numa_map
    memdev, = json.loads(memdev)
    assert (memdev["policy"], memdev["host-nodes"]) == told
    assert json.loads(blocks)[0]["id"] == "ram0"
    assert end.startswith("ended 143: ") and "warning" not in end, end


@pytest.mark.parametrize("bank, keys, words", REFUSED)
def test_what_nodes_cannot_give(cases, bank, keys, words):
    end = cases[bank, keys][-1]
    assert re.match(r"ended 1: memvisor: %s" % words, end), end


def test_banks_that_are_more_than_their_node_together(cases):
    bank, keys, _, words = REFUSED_TOGETHER
    assert re.match(r"ended 1: memvisor: %s" % words, cases[bank, keys][-1]), cases[bank, keys]


@pytest.mark.parametrize("bank, keys, others, words", WARNED)
def test_banks_that_are_more_than_their_node(cases, bank, keys, others, words):
    said = "\n".join(cases[bank, keys])
    assert re.search(words, said) and said.count("warning") == 1, said


def test_control_groups(said):
    """Version 2: the lowest limit of the group and those above it."""
    def of(options):
        found = re.search(r"^group %s\n((?:memvisor: .*\n)*)ended (\d)\n" % re.escape(options),
                          text, re.M)
        assert found, text
        return found[1], found[2]
    text = said[said.index("group -m 64M\n"):said.index("end of groups")]
    small = "more than the %d MiB that memvisor's cgroup may use: type as root 'echo %s > " \
        "/sys/fs/cgroup/small%s/memory.max', "
    assert of("-m 64M") == ("", "0")
    words, status = of("-m 128M")
    assert words.startswith("memvisor: warning: block ram0: 128 MiB, which") and status == "0"
    assert small % (96, "192M", "") in words
    words, status = of("-m 64M,prealloc=on -m 64M,prealloc=on")
    assert words.startswith("memvisor: blocks ram0, ram1: prealloc=on: 128 MiB is") and status == "1"
    assert small % (96, "192M", "") in words
    words, status = of("-m 128M,lock=on")
    assert "block ram0: lock=on: 128 MiB is " + small % (96, "192M", "") in words and status == "1"
    words, status = of("-m 80M")
    assert small % (64, "144M", "/vm") in words and status == "0"
    # Where no group has a limit, the host has.
    assert text.count("group -m 128M\nended 0\n") == 1, text
