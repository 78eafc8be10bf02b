# SPDX-License-Identifier: Apache-2.0
"""memvisor restore: a guest goes on from a state file, on a machine that the file or options
describe; what differs is refused by name, and nothing has changed then."""
import contextlib
import json
import os
import re
import shutil
import time

import pytest

import console_guest
import harness
import ivshmem
import statefile
from qmp import IDLE, Vm

MIB = 1 << 20
RUN = ("-m", "16M@2G", "-m", "8M@8G", "-c", "2", "--device", "pcie-root-port,id=port,addr=02.0",
       "--device", "edu,bus=port", "--device", "edu,addr=03.0")


def save(vm, path):
    result = vm.verb("save", vm.name, path)
    assert result.code == 0, result


class States:
    """A folder with states, and the machines that go on from them."""

    def __init__(self, memvisor, folder):
        self.memvisor = memvisor
        self.folder = folder
        self.count = 0

    def write(self, *options, guest=IDLE, name="saved", boot=None, ready=lambda vm: True):
        """The state of a guest that runs until ready(vm)."""
        path = self.folder / (name + ".state")
        with Vm(self.memvisor, self.folder, *options, name=name, guest=guest,
                boot=boot or self.firmware(guest, name)) as vm:
            vm.wait_for(lambda: ready(vm))
            # What it would say and write behind the save is another guest's.
            assert vm.verb("stop", name).code == 0
            save(vm, path)
            vm.process.kill()
            vm.process.wait()
        return path

    def firmware(self, guest, name):
        image = self.folder / (name + ".bin")
        image.write_bytes(guest)
        return [self.memvisor.path, "run", "--firmware", image]

    def vm(self, state, *options, name=None):
        self.count += 1
        return Vm(self.memvisor, self.folder, *options, name=name or "restored-%d" % self.count,
                  boot=[self.memvisor.path, "restore", state])

    def refuse(self, state, *options):
        """What is said, in one line."""
        before = state.read_bytes()[:4096] if state.is_file() else None
        result = harness.run([self.memvisor.path, "restore", state, "--serial", "none", *options],
                             env={"XDG_RUNTIME_DIR": str(self.folder)})
        assert (result.code, result.out) == (1, ""), result
        lines = result.err.splitlines()
        said = [line for line in lines if not line.startswith("memvisor: warning: ")]
        assert len(said) == 1 and said[0].startswith("memvisor: "), result
        assert before is None or state.read_bytes()[:4096] == before
        return said[0]


@pytest.fixture
def states(memvisor, tmp_path):
    return States(memvisor, tmp_path)


@pytest.fixture(scope="module")
def plain(memvisor, tmp_path_factory):
    """The state of a machine with a bit of everything, for who leaves it as it is."""
    states = States(memvisor, tmp_path_factory.mktemp("plain"))
    return states, states.write(*RUN)


@pytest.fixture(scope="module")
def talker(tmp_path_factory):
    return console_guest.build(tmp_path_factory.mktemp("talker")).read_bytes()


def blocks(vm):
    result = vm.verb("mem", vm.name, "--json")
    assert result.code == 0, result
    return {block["id"]: block for block in json.loads(result.out)}


# --- a guest goes on


LINES = """
i=0
while [ $i -lt 60 ]; do
    i=$((i + 1))
    read up idle < /proc/uptime
    echo "line $i of sixty, at $up seconds of the guest's"
    busybox usleep 40000
done
echo "cpus: $(cat /sys/devices/system/cpu/online)"
echo "complaints: $(busybox dmesg | busybox grep -ciE 'stall|BUG|WARNING|lockup|clocksource.*unstable')"
"""


@pytest.mark.parametrize("ram", ["private", "copy", "shared"])
def test_linux_goes_on_in_mid_line(states, initrd, ram):
    """What both machines printed is what one would have."""
    boot = states.memvisor.boot_argv(initrd(LINES), "-m", "64M@2G", "-m", "32M@8G", "-c", "2",
                                     append="quiet")
    first, second = states.folder / "first", states.folder / "second"
    state = states.write("--serial", "file:%s" % first, name="linux", boot=boot,
                         ready=lambda vm: first.exists() and "line 9 of" in first.read_text())
    result = harness.run([states.memvisor.path, "restore", state, "--ram", ram,
                          "--serial", "file:%s" % second])
    assert (result.code, result.out) == (0, ""), result
    text = (first.read_bytes() + second.read_bytes()).decode(errors="replace")
    found = re.findall(r"^line (\d+) of sixty, at ([\d.]+) seconds of the guest's\r$", text, re.M)
    assert [int(number) for number, _ in found] == list(range(1, 61)), text
    times = [float(at) for _, at in found]
    assert times == sorted(times), text
    assert re.search(r"^cpus: 0-1\r$", text, re.M) and re.search(r"^complaints: 0\r$", text, re.M), text


def test_a_reset_boots_what_was_saved(states, talker):
    """The file that it was started from is gone by then."""
    state = states.write("-m", "16M", guest=talker, name="talker",
                         ready=lambda vm: "ready" in vm.output())
    (states.folder / "talker.bin").unlink()
    result = harness.run([states.memvisor.path, "restore", state], stdin="aRbQ")
    assert (result.code, result.out) == (0, "aready\r\nb"), result


def test_the_reboot_policy_travels(states, talker):
    state = states.write("-m", "16M", "--no-reboot", guest=talker, name="talker",
                         ready=lambda vm: "ready" in vm.output())
    result = harness.run([states.memvisor.path, "restore", state], stdin="R")
    assert (result.code, result.out) == (3, ""), result


def test_no_reboot_may_be_said_later(states, talker):
    state = states.write("-m", "16M", guest=talker, name="talker",
                         ready=lambda vm: "ready" in vm.output())
    result = harness.run([states.memvisor.path, "restore", state, "--no-reboot"], stdin="R")
    assert (result.code, result.out) == (3, ""), result


def test_files_of_a_reset_that_reloads(states, talker):
    """The state names them; options name others."""
    state = states.write("-m", "16M", "--reload", "on", guest=talker, name="talker",
                         ready=lambda vm: "ready" in vm.output())
    result = harness.run([states.memvisor.path, "restore", state], stdin="RQ")
    assert (result.code, result.out) == (0, "ready\r\n"), result
    shutil.move(states.folder / "talker.bin", states.folder / "moved")
    result = harness.run([states.memvisor.path, "restore", state, "--firmware",
                          states.folder / "moved"], stdin="RQ")
    assert (result.code, result.out) == (0, "ready\r\n"), result
    assert "--reload off" in states.refuse(state, "--reload", "off")


def test_many_of_one_state(plain):
    """Each has memory and a name of its own, and the file stays as it was."""
    states, state = plain
    before = state.read_bytes()
    with states.vm(state) as one, states.vm(state) as two:
        assert one.name != two.name
        assert blocks(one)["ram0"]["path"] == str(state)
        assert blocks(one).keys() == blocks(two).keys() == {"ram0", "ram1"}
        ids = set()
        for vm in (one, two):
            with vm.qmp() as client:
                assert client.execute("query-status")["status"] == "running"
                assert len(client.execute("query-cpus-fast")) == 2
                ids.add(client.execute("query-vm-generation-id")["guid"])
        assert len(ids) == 2
    assert state.read_bytes() == before


def test_restored_and_saved_again(states, talker):
    """To the file that it came from, and from there once more."""
    state = states.write("-m", "16M,thp=off", guest=talker, name="talker",
                         ready=lambda vm: "ready" in vm.output())
    for _ in range(2):
        with states.vm(state) as vm:
            save(vm, state)
    # Its banks are those of the first machine, and not what each of them found.
    assert b'"backing": "thp=off' in state.read_bytes()
    result = harness.run([states.memvisor.path, "restore", state, "--ram", "copy"], stdin="zRQ")
    assert (result.code, result.out) == (0, "zready\r\n"), result


# --- what is told of it


def test_what_is_told(plain):
    states, state = plain
    with states.vm(state, "--paused", "--json", "--serial", "none") as vm:
        vm.wait_for(lambda: "}\n" in vm.output())
        told = json.loads(re.search(r"^\{.*\}$", vm.output(), re.M).group(0))
        assert told["name"] == vm.name and told["file"] == str(state) and told["ram"] == "private"
        assert told["saved-name"] == "saved" and told["first-instruction-ns"] is None
        assert abs(told["saved-at"] - time.time()) < 3600
        with vm.qmp() as client:
            info = client.execute("x-restore-info")
            assert info["file"] == str(state) and info["name"] == "saved" and info["ram"] == "private"
            assert re.fullmatch("[0-9a-f]{32}", info["id"]) and info["writer"].startswith("memvisor ")
            assert client.execute("query-status")["status"] == "prelaunch"
            figures = client.execute("x-query-restore")
            assert figures["ram"] == "private" and "first-instruction-ns" not in figures
            client.execute("cont")
            figures = client.execute("x-query-restore")
            assert figures["first-instruction-ns"] > 0
            client.execute("stop")
            client.execute("cont")
            assert client.execute("x-query-restore")["first-instruction-ns"] == \
                figures["first-instruction-ns"]


def test_json_and_the_console(states, talker):
    """The line is not in the guest's output."""
    state = states.write("-m", "16M", guest=talker, name="talker",
                         ready=lambda vm: "ready" in vm.output())
    result = harness.run([states.memvisor.path, "restore", state, "--json"], stdin="xQ")
    assert (result.code, result.out) == (0, "x"), result
    begun, ended = (json.loads(line) for line in result.err.splitlines())
    assert begun["first-instruction-ns"] == ended["first-instruction-ns"] > 0 and ended["ended"]


def test_a_vm_that_was_not_restored(memvisor, tmp_path):
    with Vm(memvisor, tmp_path) as vm, vm.qmp() as client:
        for command in ("x-restore-info", "x-query-restore"):
            assert "was not restored" in client.command(command)["error"]["desc"]


# --- options in place of what the state says


@pytest.mark.parametrize("options", [
    ("-m", "8M@8G", "-m", "16M@2G"),
    ("-m", "8M@8G,id=ram1", "-m", "16M@0x80000000,id=ram0"),
    ("-m", "16M", "-m", "8M@8G"),
    ("-m", "16M@2G,memfd=on", "-m", "8M@8G,thp=off"),
    ("--device", "edu,addr=03.0", "--device", "edu,bus=p", "--device", "pcie-root-port,id=p,addr=02.0"),
    ("-c", "2"), ("--machine", "arm64"), ("--engine", "emulator"), ("--reload", "off"),
])
@pytest.mark.parametrize("ram", ["private", "copy"])
def test_the_same_machine_in_other_words(plain, options, ram):
    states, state = plain
    with states.vm(state, *options, "--ram", ram) as vm:
        assert {key: (block["gpa"], block["size"]) for key, block in blocks(vm).items()} == {
            "ram0": ("0x80000000", 16 * MIB), "ram1": ("0x200000000", 8 * MIB)}
        with vm.qmp() as client:
            assert client.execute("query-status")["status"] == "running"


@pytest.mark.parametrize("options, words", [
    (("-m", "16M@2G"), ["block ram1", "8 MiB at 0x200000000", "the machine has none"]),
    (("-m", "16M@2G", "-m", "8M@8G", "-m", "4M@16G"), ["block ram2", "4 MiB at 0x400000000", "the state has none"]),
    (("-m", "32M@2G", "-m", "8M@8G"), ["block ram0", "32 MiB", "16 MiB", "-m 16M@0x80000000,id=ram0"]),
    (("-m", "16M@2G", "-m", "4M@8G"), ["block ram1", "4 MiB", "8 MiB"]),
    (("-m", "16M@2G", "-m", "8M@12G"), ["block ram1", "0x300000000", "0x200000000"]),
    (("-m", "16M@2G", "-m", "8M"), ["block ram1", "0x81000000", "0x200000000"]),
    (("-m", "16M@2G,id=low", "-m", "8M@8G,id=ram1"), ["block low", "the state has none", "ram0, ram1"]),
    (("-m", "16M@2G,id=ram1", "-m", "8M@8G,id=ram0"), ["block ram1", "16 MiB", "8 MiB"]),
    (("--device", "edu,addr=04.0"), ["pci/04.0", "edu", "the state has none"]),
    (("--device", "edu,addr=03.0"), ["pci/02.0", "pcie-root-port", "the machine has none"]),
    (("--device", "pcie-root-port,id=port,addr=02.0", "--device", "edu,addr=03.0"),
     ["pci/02.0/00.0", "edu", "the machine has none"]),
    (("--device", "pcie-root-port,id=port,addr=02.0", "--device", "edu,bus=port", "--device",
      "pcie-root-port,id=q,addr=03.0"), ["pci/03.0", "pcie-root-port", "edu"]),
    (("--device", "pcie-root-port,id=port,addr=02.0", "--device", "edu,bus=port", "--device", "edu,addr=03.0",
      "--device", "edu,addr=05.0"), ["pci/05.0", "edu", "the state has none"]),
    (("-c", "1"), ["-c 1", "2 CPUs"]),
    (("-k", "vmlinuz"), ["-k", "--reload on"]),
    (("--reload", "on", "--initrd", "x"), ["vmlinuz"]),
    (("--back", "ram7=x"), ["ram7", "ram0, ram1"]),
])
def test_another_machine_is_refused(plain, options, words):
    states, state = plain
    if options[0] == "--reload":
        words = ["--reload on", "--firmware"]
    said = states.refuse(state, *options)
    for word in words:
        assert word in said, said


@pytest.mark.parametrize("options", [
    ("--ram", "lazy"), ("--reload", "maybe"), ("-m", "16X"), ("--unknown",), ("-k", "a", "--firmware", "b")])
def test_wrong_usage(plain, options):
    states, state = plain
    result = states.memvisor.run("restore", state, *options)
    assert (result.code, result.out) == (2, ""), result


def test_bytes_go_where_options_say(states):
    """A file of the user's, that is made, or that other programs map, has what was saved."""
    state = states.write("-m", "4M", guest=IDLE)
    image = states.folder / "ram.img"
    with states.vm(state, "--back", "ram0=%s,create=on" % image) as vm:
        block = blocks(vm)["ram0"]
        assert block["path"] == str(image) and block["share"]
    at = image.read_bytes().find(IDLE)
    assert image.stat().st_size == 4 * MIB and at == 512 << 10, at
    # What is in the file already is not left between.
    image.write_bytes(b"x" * 4 * MIB)
    with states.vm(state, "-m", "4M,file=%s,save=on" % image):
        pass
    assert b"x" not in image.read_bytes().replace(IDLE, b"")[:256 << 10]
    # A copy of its own begins with the same.
    with states.vm(state, "-m", "4M,memfd=on") as vm:
        assert blocks(vm)["ram0"]["path"] is None


# --- files


def test_memory_in_the_file(states, talker):
    """--ram shared: nobody else may have it meanwhile, and it is no state any more."""
    state = states.write("-m", "16M", guest=talker, name="talker",
                         ready=lambda vm: "ready" in vm.output())
    whole = states.folder / "whole.state"
    shutil.copy(state, whole)
    with states.vm(state, "--ram", "shared") as vm:
        block = blocks(vm)["ram0"]
        assert block["path"] == str(state) and block["share"] and block["save"]
        for ram in ("private", "copy", "shared"):
            assert "in use" in states.refuse(state, "--ram", ram)
        again = states.folder / "again.state"
        save(vm, again)
    assert "stale" in states.refuse(state)
    result = harness.run([states.memvisor.path, "restore", again], stdin="yQ")
    assert (result.code, result.out) == (0, "y"), result
    # Those that read a file keep those away that would write it.
    with states.vm(whole), states.vm(whole):
        assert "in use" in states.refuse(whole, "--ram", "shared")


def told(states, path, *words):
    """By info: the status as JSON has it, and what an option that reads memory says."""
    result = states.memvisor.run("info", path, "--json")
    assert result.code == 0, result
    return json.loads(result.out)["status"], states.memvisor.run("info", path, *words)


def test_memory_that_a_guest_has_is_not_damaged(states):
    """Its sums cannot hold any more; those of a file that a guest has other memory with do."""
    state = states.write("-m", "4M")
    with states.vm(state, "--ram", "shared"):
        for words in (("--verify",), ("--extract", "ram0"), ("--flatten", states.folder / "x")):
            status, result = told(states, state, *words)
            assert (status, result.code, result.out) == ("in use", 1, ""), result
            assert result.err.startswith("memvisor: '%s' is in use: its memory is that of a guest" % state)
    status, result = told(states, state, "--verify")
    assert (status, result.code, result.out) == ("stale", 1, ""), result
    assert result.err == ("memvisor: '%s' is stale: its memory was that of a guest that ran there (restore "
                          "--ram shared), and no sum of it can hold\n" % state), result
    assert "stale: a guest ran on the memory in it" in states.memvisor.run("info", state).out
    state = states.write("-m", "4M", "-m", "2M@8G,file=%s,create=on" % (states.folder / "ram.img"),
                         name="outside")
    with states.vm(state):
        status, result = told(states, state, "--verify")
        assert (status, result.code) == ("in use", 0), result
    status, result = told(states, state, "--verify")
    assert (status, result.code) == ("stale", 0), result


def test_memory_in_the_file_of_a_guest_that_never_ran(states):
    state = states.write("-m", "4M")
    before = state.read_bytes()
    with states.vm(state, "--ram", "shared", "--paused"):
        pass
    assert state.read_bytes() == before
    with states.vm(state):
        pass


def test_memory_in_the_file_of_a_guest_that_is_reset_and_never_runs(states):
    state = states.write("-m", "4M")
    with states.vm(state, "--ram", "shared", "--paused") as vm, vm.qmp() as client:
        client.execute("system_reset")
    assert "stale" in states.refuse(state)


def test_memory_in_the_file_that_a_clone_changes(states):
    """The guest itself never runs."""
    state = states.write("-m", "4M")
    with states.vm(state, "--ram", "shared", "--paused", name="p") as vm:
        assert vm.verb("fork", "p", "-n", "x", "--share", "keep").code == 0
        assert vm.verb("quit", "x").code == 0
    assert "stale" in states.refuse(state)


def test_a_guest_that_was_killed_leaves_no_state(states):
    state = states.write("-m", "4M")
    with states.vm(state, "--ram", "shared") as vm:
        vm.process.kill()
        vm.process.wait()
    assert "a guest ran on its memory" in states.refuse(state)


def test_a_state_that_cannot_be_written(states):
    """It is read by whoever may, and by nobody who would have to mark it."""
    state = states.write("-m", "4M")
    state.chmod(0o444)
    wrap = []
    if os.geteuid() == 0:
        wrap = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--"]
        # A folder on the way is root's alone.
        state = shutil.copy(state, "/tmp/memvisor-%d.state" % os.getpid())
        os.chmod(state, 0o444)
    argv = wrap + [str(states.memvisor.path), "restore", str(state), "--serial", "none"]
    try:
        result = harness.run([*argv, "--ram", "shared"])
        assert result.code == 1 and "cannot be written" in result.err, result
        result = harness.run([*argv, "-c", "7"])
        assert result.code == 1 and "-c 7" in result.err, result
    finally:
        if wrap:
            os.unlink(state)


def test_memory_outside(states):
    """The file of a bank goes on with one guest; another file is none that a name makes it."""
    image, copy = states.folder / "ram.img", states.folder / "copy.img"
    state = states.write("-m", "4M", "-m", "2M@8G,file=%s,create=on" % image)
    others = [states.folder / ("%d.state" % i) for i in range(6)]
    for other in others:
        shutil.copy(state, other)
    shutil.copy(image, copy)
    with states.vm(state) as vm:
        assert blocks(vm)["ram1"]["path"] == str(image)
        assert "in use" in states.refuse(state)
    assert "stale" in states.refuse(state)
    image.rename(states.folder / "moved.img")
    said = states.refuse(others[0])
    assert "block ram1" in said and str(image) in said and "No such file" in said, said
    with states.vm(others[0], "--back", "ram1=%s" % (states.folder / "moved.img")) as vm:
        assert "another one" not in vm.output()
    image.write_bytes(b"x" * MIB)
    said = states.refuse(others[1])
    assert "1 MiB" in said and "2 MiB" in said, said
    shutil.copy(copy, image)
    said = states.refuse(others[1])
    assert "another one" in said and "--back ram1=%s" % image in said, said
    with states.vm(others[1], "--back", "ram1=%s" % image) as vm:
        assert "another one" in vm.output()
    said = states.refuse(others[2], "-m", "4M", "-m", "2M@8G")
    assert "block ram1" in said and str(image) in said and "--back ram1=FILE" in said, said
    image.unlink()
    said = states.refuse(others[2], "-m", "4M", "-m", "2M@8G,file=%s,create=on" % image)
    assert "No such file" in said and not image.exists(), said


def test_an_image_that_is_only_read(states):
    """Its bytes are in the state, so that it need not be there."""
    image = states.folder / "image"
    image.write_bytes(b"i" * 2 * MIB)
    state = states.write("-m", "4M", "-m", "2M@8G,file=%s,share=off" % image)
    image.unlink()
    with states.vm(state) as vm:
        assert vm.verb("mem", vm.name, "--read", "0x200000000", "4").out == "iiii"
        save(vm, state)
    with states.vm(state, "--ram", "copy") as vm:
        assert vm.verb("mem", vm.name, "--read", "0x200000000", "4").out == "iiii"


def test_memory_of_a_descriptor(states):
    """Which the process that goes on has not got: its bytes are the guest's own then."""
    (states.folder / "fd").write_bytes(b"d" * 2 * MIB)
    boot = ["bash", "-c", 'exec "$0" "$@" 37<>%s' % (states.folder / "fd"),
            *map(str, states.firmware(IDLE, "fd"))]
    state = states.write("-m", "4M", "-m", "2M@8G,fd=37", name="fd", boot=boot)
    (states.folder / "fd").unlink()
    for ram in ("private", "copy"):
        with states.vm(state, "--ram", ram) as vm:
            assert vm.verb("mem", vm.name, "--read", "0x200000000", "4").out == "dddd"
            assert not blocks(vm)["ram1"]["share"]


def test_memory_that_others_see(states):
    state = states.write("-m", "4M", "-m", "2M@8G,memfd=on")
    with states.vm(state) as vm:
        assert blocks(vm)["ram1"]["share"] and (vm.rundir / "ram/ram1").exists()
        assert not blocks(vm)["ram0"]["share"]


@pytest.mark.parametrize("change, words", [
    (lambda data: data[:-1], ["bytes"]), (lambda data: data + b"x", ["bytes"]),
    (lambda data: data[:600], ["header"]), (lambda data: b"", ["header"]),
    (lambda data: b"x" + data[1:], ["no state file"]),
    (lambda data: data[:16] + b"\x02" + data[17:], ["format 2", "memvisor"]),
    (lambda data: data[:30] + b"x" + data[31:], ["header", "damaged"]),
    (lambda data: data[:516] + b"\x01" + data[517:], ["status", "damaged"]),
    (lambda data: data[:-9] + b"x" + data[-8:], ["section"]),
    (lambda data: data.replace(b'"cpus": 2', b'"cpus": 3'), ["manifest", "damaged"]),
])
def test_damage_is_refused(plain, tmp_path, change, words):
    states, state = plain
    other = tmp_path / "changed.state"
    other.write_bytes(change(state.read_bytes()))
    said = states.refuse(other)
    for word in [str(other), *words]:
        assert word in said, said


def test_damaged_memory(plain, tmp_path):
    """A copy is looked at, with the kernel of a reset, and names the block."""
    states, state = plain
    data = bytearray(state.read_bytes())
    for at, block in ((data.find(IDLE, 2 * MIB), "ram0"), (data.rfind(IDLE), "boot/kernel")):
        other = tmp_path / "changed.state"
        other.write_bytes(bytes(data[:at] + b"\0" + data[at + 1:]))
        said = states.refuse(other, "--ram", "copy")
        assert "block %s" % block in said and "damaged" in said, said


# What a CPU is: its identity, its features, and how fast its counter counts.
@pytest.mark.parametrize("register, change", [
    ("midr_el1", lambda value: value ^ 1 << 4), ("id_aa64pfr0_el1", lambda value: value ^ 1 << 32),
    ("id_aa64isar0_el1", lambda value: value ^ 1 << 20), ("id_aa64mmfr0_el1", lambda value: value ^ 1),
    ("ctr_el0", lambda value: value ^ 1 << 16), ("dczid_el0", lambda value: value ^ 1),
    ("counter_hz", lambda value: value + 1)])
@pytest.mark.parametrize("cpu", ["vcpu/0", "vcpu/1"])
def test_another_cpu_is_refused(plain, tmp_path, register, change, cpu):
    """By the register's name, with both values, whichever CPU it is of."""
    states, state = plain
    other = shutil.copy(state, tmp_path / "changed.state")
    old, new = statefile.change_field(other, cpu, register, change)
    said = states.refuse(other)
    assert "'%s': %s/%s: the state has 0x%x, and this machine 0x%x" % (other, cpu, register, new, old) \
        in said, said
    assert statefile.change_field(other, cpu, register, lambda _: old) == (new, old)
    assert other.read_bytes() == state.read_bytes()


@pytest.mark.parametrize("path, words", [("nothing", "No such file"), (".", "regular file"), ("/dev/null", "regular file")])
def test_no_state(states, path, words):
    assert words in states.refuse(states.folder / path)


# --- shared memory


def test_doorbells(states):
    """The server is there again, with other peers; its memory is its own, unless asked for."""
    path = states.folder / "sock"
    spec = "%s,vectors=2,addr=03.0" % path

    def write(text):
        return harness.run([states.memvisor.path, "ivshmem-client", path, "write", "0", text])

    with ivshmem.our_server(states.memvisor, states.folder, vectors=2, size="1M"):
        state = states.write("-m", "4M", "--ivshmem", spec)
        assert write("later").code == 0
        with contextlib.closing(ivshmem.Peer(path)), states.vm(state) as vm, vm.qmp() as client:
            device, = client.execute("x-query-ivshmem")
            assert device["server"]["connected"] and device["server"]["id"] != 0
            assert blocks(vm)["pci/03.0/bar2"]["save"] is False
            result = harness.run([states.memvisor.path, "ivshmem-client", path, "read", "0", "5"])
            assert result.out.startswith("later"), result
        assert write("kept!").code == 0
        kept = states.write("-m", "4M", "--ivshmem", spec + ",save=on", name="kept")
        assert write("later").code == 0
        with states.vm(kept):
            result = harness.run([states.memvisor.path, "ivshmem-client", path, "read", "0", "5"])
            assert result.out.startswith("kept!"), result
    said = states.refuse(state)
    assert str(path) in said, said


def test_shared_memory_of_a_file(states):
    shared = states.folder / "shared"
    state = states.write("-m", "4M", "--ivshmem", "mem=%s,size=1M,create=on,addr=03.0" % shared)
    with states.vm(state) as one, states.vm(state) as two:
        for vm in (one, two):
            assert blocks(vm)["pci/03.0/bar2"]["path"] == str(shared)
    shared.unlink()
    said = states.refuse(state)
    assert "pci/03.0/bar2" in said and str(shared) in said and not shared.exists(), said
    with states.vm(state, "--ivshmem", "mem=%s,size=1M,create=on,addr=03.0" % shared):
        assert shared.exists()
    said = states.refuse(state, "--ivshmem", "mem=%s,size=2M,create=on,addr=03.0" % (states.folder / "larger"))
    assert "pci/03.0/bar2" in said and "2 MiB" in said and "1 MiB" in said, said


def test_shared_memory_makes_no_state_stale(states):
    """The guests that share it go on, each of them, and find what the others wrote."""
    shared = states.folder / "shared"
    spec = ("-m", "4M", "--ivshmem", "mem=%s,size=1M,create=on,addr=03.0" % shared)
    path = states.folder / "state"
    with Vm(states.memvisor, states.folder, *spec, name="first",
            boot=states.firmware(IDLE, "first")) as first, first.qmp() as client:
        assert not client.execute("x-save", file=str(path))["stays-paused"]
        assert client.execute("query-status")["running"]
        with states.vm(path) as second:
            assert told(states, path)[0] == "whole"
            with states.vm(path) as third:
                for vm in (second, third):
                    assert blocks(vm)["pci/03.0/bar2"]["path"] == str(shared)
        assert told(states, path)[0] == "whole"


def test_from_the_start_to_the_guest(plain):
    """It is let go at once, whatever memory it has: the file's bytes are not read."""
    states, state = plain
    with states.vm(state) as vm, vm.qmp() as client:
        assert client.execute("x-query-restore")["first-instruction-ns"] < 5e9 * harness.SLOW
        assert blocks(vm)["ram0"]["resident"] < MIB
