# SPDX-License-Identifier: Apache-2.0
"""memvisor fork: a running guest becomes several, each of which goes on as if it were the
only one, with memory, console, sockets and a generation ID of its own."""
import json
import os
import pathlib
import re
import subprocess
import uuid

import pytest

import harness
import ivshmem
import memory_guest
from qmp import Qmp, Vm, connect

# It counts, and does what is typed.
GUEST = """
stty -echo
(i=0; while :; do i=$((i + 1)); echo $i > /count.new; mv /count.new /count; busybox usleep 20000; done) &
echo ready
while read line; do eval "$line"; done
"""


class Console:
    """A guest's console, at a socket."""

    def __init__(self, path):
        self.socket = connect(path)
        self.text = ""

    def until(self, pattern):
        while not (found := re.search(pattern, self.text)):
            part = self.socket.recv(4096)
            assert part, "the console ended after %r" % self.text
            self.text += part.decode(errors="replace")
        self.text = self.text[found.end():]
        return found

    def ask(self, command):
        self.socket.sendall(b"echo \"<$(%s)>\"\n" % command.encode())
        return self.until(r"<([^>]*)>").group(1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()


class Clone:
    """One whose parent is a Vm: of the same folder, and the system's to wait for."""

    def __init__(self, vm, name):
        self.vm = vm
        self.name = name
        self.rundir = vm.rundir.parent / name

    def qmp(self):
        return Qmp(self.rundir / "qmp.sock")

    def console(self):
        return Console(self.rundir / "serial.sock")

    def guid(self):
        with self.qmp() as client:
            return uuid.UUID(client.execute("query-vm-generation-id")["guid"])


def running(vm):
    result = vm.verb("ps", "--json")
    assert result.code == 0, result
    return {row["name"]: row for row in json.loads(result.out)}


def fork(vm, *words, name="p"):
    """The clones, by the names that the verb prints."""
    result = vm.verb("fork", name, *words)
    assert (result.code, result.err) == (0, ""), result
    return [Clone(vm, line) for line in result.out.split()]


@pytest.fixture
def ended():
    """Clones are nobody's children: this ends them, whatever became of the test."""
    vms = []
    yield vms.append
    for vm in vms:
        names = [name for name in running(vm) if name != vm.name]
        if names:
            vm.verb("quit", *names)
        assert not running(vm), "clones are left"


@pytest.fixture
def parent(memvisor, tmp_path, ended):
    """A Vm that does nothing, named p; parent(OPTION...)."""
    vms = []

    def start(*options, boot=None):
        # Clones have threads, which ThreadSanitizer has to be told to bear.
        sanitizer = {"TSAN_OPTIONS": os.environ.get("TSAN_OPTIONS", "") + " die_after_fork=0"}
        vms.append(Vm(memvisor, tmp_path, *options, name="p", boot=boot, env=sanitizer))
        ended(vms[-1])
        return vms[-1]

    yield start
    for vm in vms:
        vm.__exit__()


@pytest.fixture
def linux(memvisor, initrd, tmp_path, parent):
    """A Vm whose guest counts, its console at console.sock; linux(OPTION...)."""
    def start(*options, kernel=None):
        vm = parent(boot=memvisor.boot_argv(initrd(GUEST), "-m", "128M", "--serial",
                                            f"unix:{tmp_path}/console.sock", *options,
                                            append="quiet", kernel=kernel))
        with Console(tmp_path / "console.sock") as console:
            console.until("ready")
        return vm
    return start


def test_clones_go_on(linux, tmp_path):
    vm = linux("-c", "2", "--device", "edu")
    with Console(tmp_path / "console.sock") as console:
        console.ask("echo first > /file")
        before = int(console.ask("cat /count"))
        one, other = fork(vm, "-n", "one", "other")
        assert set(running(vm)) == {"p", "one", "other"}
        with one.console() as at_one, other.console() as at_other:
            consoles = [console, at_one, at_other]
            assert at_one.ask("echo second > /file; cat /file") == "second"
            assert at_other.ask("cat /file") == "first" == console.ask("cat /file")
            counts = [int(each.ask("cat /count")) for each in consoles]
            assert min(counts) >= before
            for each, count in zip(consoles, counts):
                while int(each.ask("cat /count")) < count + 3:
                    pass
            assert [each.ask("cat /sys/devices/system/cpu/online") for each in consoles] == ["0-1"] * 3
            assert len({each.ask("busybox md5sum /sys/bus/pci/devices/*/config") for each in consoles}) == 1
            for each in consoles:
                assert each.ask("dmesg | grep -ciE 'stall|BUG|lockup|unstable'") == "0"
            # What a reset boots came along.
            with one.qmp() as client:
                client.execute("system_reset")
            at_one.until("ready")
            assert at_one.ask("cat /file 2>&1 | wc -l") == "1" and at_other.ask("cat /file") == "first"


def test_the_memory_is_the_same(linux, tmp_path):
    """To the last byte, before the clone has run; what it then writes is its own."""
    vm = linux()
    assert vm.verb("stop", "p").code == 0
    (clone,) = fork(vm, "-n", "clone", "--paused")

    def memory_of(qmp, name):
        with qmp as client:
            client.execute("pmemsave", val=0x80000000, size=128 << 20, filename=str(tmp_path / name))
        return (tmp_path / name).read_bytes()

    before = memory_of(vm.qmp(), "p.ram")
    assert len(before) == 128 << 20 and memory_of(clone.qmp(), "clone.ram") == before
    assert vm.verb("cont", "clone").code == 0
    with clone.console() as console:
        console.ask("cat /count")
    assert vm.verb("stop", "clone").code == 0
    assert memory_of(clone.qmp(), "clone.ram") != before == memory_of(vm.qmp(), "p.ram")


def test_each_has_its_generation(linux, tmp_path):
    vm = linux()
    clones = fork(vm, "-n", "a", "b")
    clones += fork(vm, "-n", "c", name="a")
    told = [clone.guid() for clone in [Clone(vm, "p"), *clones]]
    assert len(set(told)) == 4
    for clone, guid in zip(clones, told[1:]):
        with clone.console() as console:
            words = console.ask("for i in 0 4 8 12; do busybox devmem $((0x1030000 + i)) 32; done")
            assert b"".join(int(word, 16).to_bytes(4, "little") for word in words.split()) == guid.bytes_le


def test_clones_are_interrupted_for_it(parent, memvisor, tmp_path):
    """By the device's interrupt, each once."""
    binary = memory_guest.build(tmp_path, harness.TOP / "tests/vm/genid-guest.c")
    vm = parent(boot=[memvisor.path, "run", "--firmware", binary])
    vm.wait_for(lambda: "ready" in vm.output())
    serial = ("--serial", f"file:{tmp_path}/%n.out")
    fork(vm, "-n", "a", "b", *serial)
    for name in ("a", "b"):
        vm.wait_for(lambda: "interrupt 1: another ID" in (tmp_path / (name + ".out")).read_text())
    fork(vm, "-n", "c", *serial, name="a")
    vm.wait_for(lambda: "interrupt 2: another ID" in (tmp_path / "c.out").read_text())
    assert "interrupt" not in vm.output()
    assert (tmp_path / "a.out").read_text().count("interrupt") == 1


def test_random_numbers_differ(linux):
    """Where the guest's kernel knows the generation ID, as Linux does from 6.10 on."""
    newer = harness.GUEST_FILES / "newer/vmlinuz"
    assert newer.exists(), "run scripts/guest-files.sh newer"
    vm = linux(kernel=newer)
    clones = fork(vm, "--count", "3")
    drawn = set()
    for clone in clones:
        with clone.console() as console:
            assert console.ask("dmesg | grep -c 'reseeded due to virtual machine fork'") == "1"
            drawn.add(console.ask("head -c 16 /dev/urandom | busybox xxd -p"))
    assert len(drawn) == 3


def test_names(parent):
    vm = parent()
    assert [clone.name for clone in fork(vm, "--count", "2")] == ["p-1", "p-2"]
    assert vm.verb("quit", "p-1").code == 0
    assert [clone.name for clone in fork(vm, "--count", "2")] == ["p-1", "p-3"]
    result = vm.verb("fork", "p", "-n", "new", "p-1", "--json")
    assert result.code == 1, result
    new, taken = json.loads(result.out)
    assert new == {"name": "new", "pid": running(vm)["new"]["pid"]}
    assert "a VM named 'p-1' runs already" in taken["error"] and "p-1" in result.err
    assert result.err.count("\n") == 1, result
    for words, says in [(("-n", "x", "x"), "two clones would be named 'x'"),
                        (("-n", "a/b"), "a VM's name cannot hold '/'"),
                        (("-n", "x", "y", "--serial", "unix:/tmp/x"), "write %n where"),
                        (("-n", "x", "--serial", "stdio"), "a clone has no standard input")]:
        result = vm.verb("fork", "p", *words)
        assert (result.code, result.err.count("\n")) == (1, 1) and says in result.err, result
    for words in [(), ("--count", "0"), ("--count", "5000"), ("-n", "x", "--count", "1"),
                  ("-n", "x", "--share", "yes")]:
        assert vm.verb("fork", "p", *words).code == 2
    assert set(running(vm)) == {"p", "p-1", "p-2", "p-3", "new"}


def test_what_is_told(parent):
    vm = parent()
    with vm.qmp() as client:
        answer = client.execute("x-fork", names=["a", "p", "b"], serial="none")
        told = [event["data"] for event in client.events if event["event"] == "X_FORK_PROGRESS"]
        assert [event["event"] for event in client.events if event["event"] in ("STOP", "RESUME")] == [
            "STOP", "RESUME"]
    assert [clone["name"] for clone in answer["clones"] if "pid" in clone] == ["a", "b"]
    assert told[-1] == {"clones": 3, "running": 2, "failed": 1} and len(told) == 3
    assert 0 < answer["pause-microseconds"] <= answer["microseconds"]
    # Two processes write to one place: whose words they are is said.
    assert vm.verb("quit", "a").code == 0
    vm.wait_for(lambda: "memvisor: a: ended by the command quit\n" in vm.output())


def test_what_a_clone_tells_of_itself(parent):
    vm = parent()
    fork(vm, "-n", "child")
    fork(vm, "-n", "grandchild", "--paused", name="child")
    told = {}
    for name, of in (("child", "p"), ("grandchild", "child")):
        with Clone(vm, name).qmp() as client:
            refused = client.command("x-restore-info")["error"]["desc"]
            assert refused == "this VM was not restored: it is a fork of '%s'" % of
            told[name] = client.execute("x-query-restore")
            assert told[name]["fork-of"] == of and told[name]["ram"] == "private"
            if name == "grandchild":
                assert "first-instruction-ns" not in told[name]
                client.execute("cont")
                told[name] = client.execute("x-query-restore")
    for figures in told.values():
        assert figures["first-instruction-ns"] > 0
        assert set(figures) == {"ram", "fork-of", "first-instruction-ns", "minor-faults", "major-faults"}


def test_the_clones_go_on_without_their_parent(parent):
    vm = parent()
    (clone,) = fork(vm, "-n", "child")
    pid = running(vm)["child"]["pid"]
    assert os.getsid(pid) == pid
    vm.process.kill()
    vm.process.wait()
    assert set(running(vm)) == {"child"}
    (grandchild,) = fork(vm, "-n", "grandchild", name="child")
    with clone.qmp() as client:
        client.execute("quit")
    with grandchild.qmp() as client:
        assert client.execute("query-status")["running"]


def test_saved_restored_and_forked(linux, memvisor, tmp_path, ended):
    """A clone is saved as any other guest, and what is restored of that is forked."""
    vm = linux("--device", "edu")
    with Console(tmp_path / "console.sock") as console:
        console.ask("echo kept > /file")
    fork(vm, "-n", "clone")
    state = tmp_path / "state"
    result = vm.verb("save", "clone", state)
    assert result.code == 0, result
    assert vm.verb("quit", "p", "clone").code == 0
    vm.end()
    with Vm(memvisor, tmp_path, "--serial", "none", name="again",
            boot=[memvisor.path, "restore", state]) as again:
        ended(again)
        clones = fork(again, "-n", "a", "b", name="again")
        state.unlink()
        assert vm.verb("quit", "again").code == 0
        guids = set()
        for clone in clones:
            guids.add(clone.guid())
            with clone.console() as console:
                assert console.ask("cat /file") == "kept"
                with clone.qmp() as client:
                    client.execute("system_reset")
                console.until("ready")
        assert len(guids) == 2
        again.end()


def test_paused(parent, tmp_path):
    """A guest that stands still is forked, too, and its clones run unless they are not to."""
    vm = parent("--paused")
    (runs,) = fork(vm, "-n", "runs", "--serial", f"file:{tmp_path}/%n.out")
    (waits,) = fork(vm, "-n", "waits", "--serial", "none", "--paused")
    assert (tmp_path / "runs.out").exists() and not (waits.rundir / "serial.sock").exists()
    assert {name: row["status"] for name, row in running(vm).items()} == {
        "p": "prelaunch", "runs": "running", "waits": "prelaunch"}
    assert vm.verb("cont", "waits").code == 0
    assert running(vm)["waits"]["status"] == "running"


def memory(vm, name):
    result = vm.verb("mem", name, "--json")
    assert result.code == 0, result
    return {block["id"]: block for block in json.loads(result.out)}


def test_shared_memory(parent, memvisor, tmp_path):
    shared = tmp_path / "shared"
    vm = parent("--ivshmem", f"mem={shared},size=1M,create=on,addr=3")
    result = vm.verb("fork", "p", "-n", "x")
    assert result.code == 1, result
    assert f"block pci/03.0/bar2 is shared (file '{shared}')" in result.err and "--share keep" in result.err
    fork(vm, "-n", "x", "--share", "keep")
    blocks = memory(vm, "x")
    assert blocks["pci/03.0/bar2"]["path"] == str(shared) and blocks["pci/03.0/bar2"]["share"]
    assert (vm.rundir.parent / "x/ram/pci/03.0/bar2").resolve() == shared
    # It is in use for as long as one of them lives.
    vm.verb("quit", "p")
    vm.end()
    result = memvisor.run("run", "--firmware", tmp_path / "p.bin", "-m", f"1M,file={shared}")
    assert result.code == 1 and str(shared) in result.err, result


def test_a_console_in_the_folder_of_the_verb(parent, tmp_path):
    vm = parent()
    (tmp_path / "elsewhere").mkdir()
    subprocess.run([vm.memvisor.path, "fork", "p", "-n", "x", "--serial", "file:%n.log"],
                   env=vm.env, cwd=tmp_path / "elsewhere", check=True)
    assert (tmp_path / "elsewhere/x.log").exists()


def test_what_a_save_leaves_outside_is_kept_from_clones(parent, tmp_path):
    """A state is stale once clones run on memory of it, and not where there come to be none."""
    shared, path = tmp_path / "shared", tmp_path / "state"
    vm = parent("-m", f"1M@8G,file={shared},create=on")
    with vm.qmp() as client:
        assert client.execute("x-save", file=str(path))["stays-paused"]
        answer = client.command("x-fork", names=["x", "x"], share="keep")
        assert "two clones" in answer["error"]["desc"], answer
        assert client.execute("query-status")["status"] == "postmigrate"
        client.execute("x-fork", names=["x"], share="keep")
        assert client.execute("query-status")["status"] == "paused"


def test_private_files(parent, tmp_path):
    """Of a file that is only read each clone has its changes."""
    image = tmp_path / "image"
    image.write_bytes(b"x" * (1 << 20))
    vm = parent("-m", f"1M@8G,file={image},share=off")
    fork(vm, "-n", "x")
    assert memory(vm, "x").keys() == memory(vm, "p").keys()
    assert memory(vm, "x")["ram1"] == memory(vm, "p")["ram1"] | {
        key: memory(vm, "x")["ram1"][key] for key in ("resident", "huge", "dirty_rate")}


def test_a_peer_of_its_own(parent, memvisor, tmp_path):
    with ivshmem.our_server(memvisor, tmp_path):
        vm = parent("--ivshmem", f"{tmp_path}/sock,addr=3")
        fork(vm, "-n", "x", "--share", "keep")
        ids = []
        for name in ("p", "x"):
            with Clone(vm, name).qmp() as client:
                (device,) = client.execute("x-query-ivshmem")
                assert device["server"]["connected"]
                ids.append(device["server"]["id"])
        assert len(set(ids)) == 2, ids


def test_devices_that_were_plugged(parent):
    vm = parent("--device", "pcie-root-port,id=port")
    with vm.qmp() as client:
        client.execute("device_add", driver="edu", id="late", bus="port")
    (clone,) = fork(vm, "-n", "x")
    with clone.qmp() as client:
        refused = client.command("device_add", driver="edu", id="other", bus="port")
        assert "port" in refused["error"]["desc"], refused  # its slot is taken


def private_kib(pid):
    """What a process has to itself beside its guest's memory."""
    total, mine = 0, True
    for line in pathlib.Path(f"/proc/{pid}/smaps").read_text().splitlines():
        if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
            start, end = (int(word, 16) for word in line.split()[0].split("-"))
            mine = end - start < (16 << 20)
        elif line.startswith("Private_Dirty:") and mine:
            total += int(line.split()[1])
    return total


@pytest.mark.long
def test_a_hundred_clones(parent):
    vm = parent()
    clones = fork(vm, "--count", "100", "--serial", "none")
    assert len(clones) == 100
    for clone in clones:
        with clone.qmp() as client:
            assert client.execute("query-status")["running"]
    again = [fork(vm, "--count", "10", name=clone.name)[0] for clone in clones[:10]]
    listed = running(vm)
    assert len(listed) == 201 and len({clone.guid() for clone in clones + again}) == 110
    assert max(private_kib(row["pid"]) for row in listed.values()) < 3 * 1024
