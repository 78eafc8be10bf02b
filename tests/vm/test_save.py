# SPDX-License-Identifier: Apache-2.0
"""memvisor save and x-save: the file is whole or not there, the guest goes on or stays as it is
told to, and what is in the file is what was in the guest at one moment.

What reads the file is tests/interop/state/checker.c: sums, manifest, sections.
"""
import json
import os
import pathlib
import random
import signal
import socket
import struct
import subprocess
import tempfile
import time

import pexpect
import pytest

import harness
import qmp
from gdb_remote import Remote

MIB = 1 << 20
RAM = 0x80000000

# Adds to a word of each page from 0x81000000 to 0x82000000, one page after the other, for ever.
WRITER = struct.pack("<10I", 0xd2b02001, 0xd2b04002, 0xd2800003, 0x91000463, 0xaa0103e4,
                     0xf9000083, 0x91400484, 0xeb02009f, 0x54ffffa3, 0x17fffffa)

# As much of a state file as a save looks at before it replaces one.
OLD = b"memvisor state\0\0old"


def check(memvisor, path):
    """What is in a state file that is whole."""
    checker = memvisor.path.parent / "tests/interop/state-checker"
    result = harness.run([checker, path])
    assert result.code == 0, result
    return json.loads(result.out)


def block(state, name):
    return next(row for row in state["manifest"]["blocks"] if row["id"] == name)


def block_bytes(path, state, name):
    row = block(state, name)
    with open(path, "rb") as file:
        file.seek(row["offset"])
        return file.read(row["size"])


@pytest.fixture
def folder():
    """In memory: a disk takes its time for each fsync."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as path:
        yield pathlib.Path(path)


@pytest.fixture
def filled(folder):
    """A file of 128 MiB without zero pages: with share=off, a guest's memory that takes a while."""
    path = folder / "filled"
    path.write_bytes(random.Random(1).randbytes(MIB) * 128)
    return path


def machine(memvisor, folder, *options, guest=qmp.IDLE, name="vm"):
    """With no other banks than those that are given."""
    image = folder / (name + ".bin")
    image.write_bytes(guest)
    return qmp.Vm(memvisor, folder, *options, name=name,
                  boot=[memvisor.path, "run", "--firmware", image])


def slow_vm(memvisor, folder, filled, *options, name="vm"):
    return machine(memvisor, folder, "-m", "128M,file=%s,share=off" % filled, *options, name=name)


def awaits(condition, seconds=20):
    end = time.monotonic() + seconds * harness.PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.002)


def is_writing(vm):
    """It has a file without a name."""
    fds = pathlib.Path("/proc/%d/fd" % vm.process.pid)
    for fd in os.listdir(fds):
        try:
            if os.readlink(fds / fd).startswith("%s/#" % vm.folder):
                return True
        except FileNotFoundError:
            pass
    return False


def begin(vm, path, mode="live"):
    """A save that is under way: the connection that waits for it."""
    client = vm.qmp()
    client.send({"execute": "x-save", "arguments": {"file": str(path), "mode": mode}})
    awaits(lambda: is_writing(vm))
    return client


# --- what is in the file


def test_paused_guest_is_saved_as_it_stands(memvisor, folder):
    path = folder / "state"
    with machine(memvisor, folder, "-m", "64M", "-c", "2", "--no-reboot", "--device", "edu,addr=4",
                 guest=WRITER) as vm, vm.qmp() as client:
        time.sleep(0.3)
        client.execute("stop")
        figures = client.execute("x-save", file=str(path))
        assert client.execute("query-status")["status"] == "paused"
        client.execute("pmemsave", val=RAM, size=64 * MIB, filename=str(folder / "memory"))
        state = check(memvisor, path)
        assert block_bytes(path, state, "ram0") == (folder / "memory").read_bytes()
        assert block_bytes(path, state, "boot/kernel") == WRITER
        assert figures["file"] == str(path) and figures["length"] == path.stat().st_size
        assert figures["pause-microseconds"] == 0 and not figures["stays-paused"]
        assert figures["memory"] == sum(row["size"] for row in state["manifest"]["blocks"]
                                        if "offset" in row)
        # Zero pages are holes.
        assert 16 * MIB <= figures["bytes"] <= 17 * MIB
        assert path.stat().st_blocks * 512 < 18 * MIB
        manifest = state["manifest"]
        assert manifest["name"] == "vm" and manifest["machine"]["cpus"] == 2
        assert manifest["boot"] == {"kind": "firmware", "no-reboot": True, "reload": False}
        assert {row["path"]: row.get("options") for row in manifest["devices"]}["pci/04.0"] == \
            "edu,addr=04.0"
        assert {"vcpus", "vcpu/0", "vcpu/1", "power-button", "pci/04.0"} <= set(state["objects"])
        assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("mode", ["live", "stop"])
def test_memory_is_of_one_moment(memvisor, folder, mode):
    """The guest writes all the time, and goes on."""
    path = folder / "state"
    with machine(memvisor, folder, "-m", "64M", guest=WRITER) as vm, vm.qmp() as client:
        time.sleep(0.3)
        for _ in range(3):
            figures = client.execute("x-save", file=str(path), mode=mode)
            assert client.execute("query-status") == {
                "running": True, "singlestep": False, "status": "running"}
            state = check(memvisor, path)
            memory = block_bytes(path, state, "ram0")
            words = [struct.unpack_from("<Q", memory, 16 * MIB + page * 4096)[0]
                     for page in range(4096)]
            assert words[0] > 0 and set(words) <= {words[0], words[0] - 1}
            assert words == sorted(words, reverse=True)
            assert figures["pause-microseconds"] > 0
            assert figures["passes"] >= (2 if mode == "live" else 1)


def test_not_started_guest_is_saved(memvisor, folder):
    with qmp.Vm(memvisor, folder, "--paused") as vm, vm.qmp() as client:
        client.execute("x-save", file=str(folder / "state"))
        assert client.execute("query-status")["status"] == "prelaunch"
    check(memvisor, folder / "state")


def test_untouched_memory_stays_untouched(memvisor, folder):
    with machine(memvisor, folder, "-m", "2G") as vm, vm.qmp() as client:
        def resident():
            status = pathlib.Path("/proc/%d/status" % vm.process.pid).read_text()
            return int(status.split("VmRSS:")[1].split()[0]) * 1024
        client.execute("x-save", file=str(folder / "first"))
        before = resident()
        client.execute("x-save", file=str(folder / "state"))
        assert resident() - before < MIB
        assert block(check(memvisor, folder / "state"), "ram0")["size"] == 2 << 30
        assert (folder / "state").stat().st_blocks * 512 < MIB


# --- one at a time, cancelled, killed, no room


def test_second_save_is_refused_and_the_first_cancelled(memvisor, folder, filled):
    path = folder / "state"
    path.write_bytes(OLD)
    with slow_vm(memvisor, folder, filled) as vm, vm.qmp() as other:
        refused = other.command("x-save-cancel")
        assert "is not being saved" in refused["error"]["desc"]
        with begin(vm, path) as client:
            answer = other.command("x-save", file=str(folder / "second"))
            assert "error" in answer and str(path) in answer["error"]["desc"], answer
            assert "return" in other.command("x-save-cancel")
            answer = client.answer()
            assert "cancelled" in answer["error"]["desc"], answer
        assert path.read_bytes() == OLD
        assert sorted(os.listdir(folder)) == ["filled", "memvisor", "state", "vm.bin", "vm.out"]
        assert other.execute("query-status")["running"]
        other.execute("x-save", file=str(path))
        assert other.execute("query-status")["running"]
    check(memvisor, path)


def test_guest_does_not_go_on_while_it_is_read(memvisor, folder, filled):
    path = folder / "state"
    with slow_vm(memvisor, folder, filled) as vm, vm.qmp() as other:
        with begin(vm, path, "stop") as client:
            other.event("STOP")
            assert other.execute("query-status") == {
                "running": False, "singlestep": False, "status": "save-vm"}
            for command in ("cont", "system_reset"):
                answer = other.command(command)
                assert "is being saved" in answer["error"]["desc"], answer
            assert "return" in client.answer()
        assert other.execute("query-status")["running"]
        # Whoever stops it meanwhile finds it so.
        with begin(vm, path, "stop") as client:
            other.event("STOP")
            other.execute("stop")
            assert "return" in client.answer()
        assert other.execute("query-status")["status"] == "paused"
        other.execute("cont")
    check(memvisor, path)


def test_who_stops_it_and_lets_it_go_on_before_it_is_held(memvisor, folder, filled):
    path = folder / "state"
    with slow_vm(memvisor, folder, filled) as vm, vm.qmp() as other:
        with begin(vm, path) as client:
            other.execute("stop")
            answer = other.command("cont")
            assert "return" in client.answer()
        if "return" not in answer: # the save held it by then
            other.execute("cont")
        assert other.execute("query-status")["running"]


def test_machine_that_ends_meanwhile(memvisor, folder, filled):
    path = folder / "state"
    path.write_bytes(OLD)
    for mode in ("live", "stop"):
        with slow_vm(memvisor, folder, filled) as vm, vm.qmp() as other:
            with begin(vm, path, mode):
                other.execute("quit")
                assert vm.end() == 0
        assert path.read_bytes() == OLD


def test_killed_at_random_moments(memvisor, folder, filled):
    """The old file or the new one, whole."""
    path = folder / "state"
    chance = random.Random(7)
    with slow_vm(memvisor, folder, filled) as vm, vm.qmp() as client:
        began = time.monotonic()
        client.execute("x-save", file=str(path))
        took = time.monotonic() - began
    old = check(memvisor, path)["manifest"]["id"]
    replaced = 0
    for i in range(20):
        with slow_vm(memvisor, folder, filled, name="vm%d" % i) as vm:
            with begin(vm, path):
                time.sleep(chance.uniform(0, 1.3 * took))
                vm.process.kill()
                vm.process.wait()
        new = check(memvisor, path)["manifest"]["id"]
        replaced += new != old
        old = new
    assert replaced < 20
    # A file without a name is gone with its process; for a moment it has one, which the next removes.
    assert len([name for name in os.listdir(folder) if name.endswith(".tmp")]) <= 1
    left = folder / ".memvisor-00112233445566ff.tmp"
    left.write_bytes(b"left by a process that was killed")
    with machine(memvisor, folder, "-m", "2M") as vm, vm.qmp() as client:
        client.execute("x-save", file=str(path))
    assert not [name for name in os.listdir(folder) if name.endswith(".tmp")]


def test_only_states_are_replaced(memvisor, folder):
    """And empty files; what is no file is refused as ever."""
    (folder / "notes").write_bytes(b"memvisor states are")
    (folder / "link").symlink_to("notes")
    (folder / "empty").touch()
    with machine(memvisor, folder, "-m", "2M") as vm, vm.qmp() as client:
        for name in ("notes", "link"):
            said = vm.verb("save", "vm", folder / name)
            assert (said.code, said.err) == (1, (
                "memvisor: vm: '%s' is there and no state file, and so is not replaced: remove it, or name "
                "another file\n" % (folder / name))), said
        assert (folder / "notes").read_bytes() == b"memvisor states are"
        for path in ("/dev/null", folder):
            assert "is no file" in client.command("x-save", file=str(path))["error"]["desc"]
        for name in ("empty", "new"):
            for _ in range(2):
                client.execute("x-save", file=str(folder / name))
        # A state that is cut is a state, and so is one of a later format.
        os.truncate(folder / "new", 100)
        client.execute("x-save", file=str(folder / "new"))
        with open(folder / "new", "r+b") as file:
            file.seek(16)
            file.write(b"\x09")
        client.execute("x-save", file=str(folder / "new"))
    check(memvisor, folder / "new")


@pytest.fixture
def small(tmp_path):
    """A file system of 64 MiB; the namespace that the test runs in is the host's."""
    if os.geteuid() != 0:
        pytest.skip("mounting a file system needs root")
    path = tmp_path / "small"
    path.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64M", "memvisor-test", path],
                          capture_output=True, text=True)
    if made.returncode != 0:
        pytest.skip("mounting a file system is not possible here: " + made.stderr)
    yield path
    subprocess.run(["umount", "-l", path], check=True)


@pytest.mark.parametrize("mode", ["live", "stop"])
def test_full_disk(memvisor, folder, filled, small, mode):
    path = small / "state"
    path.write_bytes(OLD)
    with slow_vm(memvisor, folder, filled) as vm, vm.qmp() as client:
        answer = client.command("x-save", file=str(path), mode=mode)
        assert "No space left on device" in answer["error"]["desc"], answer
        assert "ram" in answer["error"]["desc"] and str(path) in answer["error"]["desc"], answer
        assert client.execute("query-status")["running"]
    assert path.read_bytes() == OLD and os.listdir(small) == ["state"]
    assert os.statvfs(small).f_bfree * 4096 > 60 * MIB


# --- devices that come and go


def test_devices_come_and_go_meanwhile(memvisor, folder, filled):
    """What is in the file is the machine at the end: devices, and the places of their memory."""
    path = folder / "state"
    with slow_vm(memvisor, folder, filled, "--device", "pcie-root-port,id=port") as vm, \
            vm.qmp() as other:
        for save in ("on", "off"):
            (folder / "shared").unlink(missing_ok=True)
            with begin(vm, path) as client:
                other.execute("device_add", driver="ivshmem-plain", id="shm", bus="port",
                              mem=str(folder / "shared"), size="1M", create="on", save=save)
                answer = client.answer()
                assert not answer["return"]["stays-paused"], answer
            state = check(memvisor, path)
            paths = [row["path"] for row in state["manifest"]["devices"]]
            assert any(name.endswith("/00.0") for name in paths), paths
            assert set(paths) <= set(state["objects"])
            # It goes at a reset, in the middle of a save.
            other.execute("device_del", id="shm")
            with begin(vm, path) as client:
                other.execute("system_reset")
                assert "return" in client.answer()
            state = check(memvisor, path)
            assert other.execute("query-status")["running"]
            assert not [row for row in state["manifest"]["blocks"] if "/" in row["id"] and
                        not row["id"].startswith("boot/")]


# --- memory that stays outside


@pytest.fixture
def sharing(memvisor, folder):
    with qmp.Vm(memvisor, folder, "-m", "2M,id=own,file=%s,create=on" % (folder / "own"),
                name="sharing") as vm:
        yield vm


def test_memory_in_a_shared_file_stays_there(memvisor, folder, sharing):
    path, moved = folder / "state", folder / "moved"
    with sharing.qmp() as client:
        figures = client.execute("x-save", file=str(path))
        assert figures["stays-paused"]
        assert client.execute("query-status") == {
            "running": False, "singlestep": False, "status": "postmigrate"}
        state = check(memvisor, path)
        stat = (folder / "own").stat()
        assert state["status"] == 0
        assert block(state, "own")["file"] == {
            "path": str(folder / "own"), "size": 2 * MIB, "device": hex(stat.st_dev),
            "inode": hex(stat.st_ino)}
        assert "offset" not in block(state, "own") and "offset" in block(state, "ram0")
        # Saved again, it stays paused again; all of them are stale once it goes on.
        client.execute("x-save", file=str(folder / "again"))
        path.rename(moved)
        client.execute("cont")
        assert client.execute("query-status")["running"]
        assert [check(memvisor, name)["status"] for name in (moved, folder / "again")] == [1, 1]
        # A reset changes memory, too.
        client.execute("x-save", file=str(path))
        assert check(memvisor, path)["status"] == 0
        client.execute("system_reset")
        assert check(memvisor, path)["status"] == 1
        # What goes on no more leaves a good state.
        client.execute("cont")
        client.execute("x-save", file=str(path))
    assert sharing.verb("quit", "sharing").code == 0
    assert check(memvisor, path)["status"] == 0
    result = harness.run([memvisor.path, "restore", moved, "-n", "again"], env=sharing.env)
    assert result.code == 1 and "stale" in result.err, result


def test_debugger_lets_it_go_on(memvisor, folder):
    """What the guest's memory was saved to is stale then, too; while it is saved nothing goes on."""
    with qmp.Vm(memvisor, folder, "-m", "2M,file=%s,create=on" % (folder / "own"), "--gdb",
                folder / "gdb") as vm, vm.qmp() as client, socket.socket(socket.AF_UNIX) as gdb:
        gdb.settimeout(20 * harness.PATIENCE)
        client.execute("x-save", file=str(folder / "state"))
        gdb.connect(str(folder / "gdb"))
        gdb.sendall(b"+$c#63")
        client.event("RESUME")
        assert check(memvisor, folder / "state")["status"] == 1


def test_memory_outside_that_a_debugger_writes(memvisor, folder):
    path = folder / "state"
    with qmp.Vm(memvisor, folder, "-m", "2M,id=own,file=%s,create=on" % (folder / "own"),
                "--gdb", folder / "gdb") as vm, vm.qmp() as client, Remote(folder / "gdb") as remote:
        assert client.execute("x-save", file=str(path))["stays-paused"]
        assert remote.ask(b"Qqemu.PhyMemMode:1") == b"OK"
        assert remote.ask(b"m80000000,4")
        assert check(memvisor, path)["status"] == 0
        assert remote.ask(b"M80000000,4:01020304") == b"OK"
        assert check(memvisor, path)["status"] == 1


def test_save_on_and_off(memvisor, folder):
    path = folder / "state"
    with qmp.Vm(memvisor, folder, "-m", "2M,id=own,file=%s,create=on,save=on" % (folder / "own"),
                "-m", "2M,id=scratch,save=off") as vm, vm.qmp() as client:
        assert not client.execute("x-save", file=str(path))["stays-paused"]
        state = check(memvisor, path)
        assert "offset" in block(state, "own") and "file" not in block(state, "own")
        assert "save=on" in block(state, "own")["backing"]
        assert not {"offset", "file"} & set(block(state, "scratch"))
        answer = client.command("x-save", file=str(folder / "own"))
        assert "block own" in answer["error"]["desc"], answer
        assert client.execute("query-status")["running"]


# --- the verb


def test_verb(memvisor, folder):
    with machine(memvisor, folder, "-m", "32M") as vm:
        saved = harness.run(["sh", "-c", "cd %s && exec %s save vm state" % (folder, memvisor.path)],
                            env=vm.env)
        assert saved.code == 0 and saved.err == "", saved
        assert saved.out.startswith("vm: 32.0 MiB of memory saved to state in "), saved
        check(memvisor, folder / "state")
        said = vm.verb("save", "vm", folder / "state", "--stop", "--json")
        assert said.code == 0 and said.err == "", said
        last = json.loads(said.out.splitlines()[-1])
        assert set(last) == {"memory", "bytes", "shared", "length", "passes", "seconds", "pause-ms",
                             "stays-paused"}
        assert last["length"] == (folder / "state").stat().st_size and last["pause-ms"] > 0
        for words, code, why in [
                (["nobody", folder / "x"], 1, "no VM named 'nobody' runs"),
                (["vm", folder / "missing/x"], 1, "No such file or directory"),
                (["vm", folder], 1, "is no file"),
                (["vm"], 2, "FILE"),
                (["vm", folder / "x", "--live", "--stop"], 2, "exclude each other")]:
            said = vm.verb("save", *words)
            assert said.code == code and why in said.err and said.err.count("\n") <= 2, said
        assert not (folder / "x").exists()


def test_verb_of_a_guest_that_stays_paused(folder, sharing):
    said = sharing.verb("save", "sharing", folder / "state")
    assert said.code == 0 and "sharing stays paused" in said.out, said
    assert "memvisor cont sharing" in said.out, said


def test_progress_lines(memvisor, folder, filled):
    with slow_vm(memvisor, folder, filled) as vm:
        said = vm.verb("save", "vm", folder / "state", "--json")
    lines = [json.loads(line) for line in said.out.splitlines()]
    for line in lines[:-1]:
        assert set(line) == {"done", "total", "bytes", "passes", "rate", "seconds-left"}
        assert 0 <= line["done"] <= line["total"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_cancels(memvisor, folder, filled, number):
    path = folder / "state"
    path.write_bytes(OLD)
    with slow_vm(memvisor, folder, filled) as vm, vm.qmp() as client:
        saver = subprocess.Popen([memvisor.path, "save", "vm", path, "--stop"], env=vm.env,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        client.event("STOP")
        saver.send_signal(number)
        out, err = saver.communicate(timeout=30 * harness.PATIENCE)
        done = saver.returncode == 0
        assert done or saver.returncode == 128 + number, (saver.returncode, out, err)
        assert done or (err.count("\n") == 1 and "cancelled" in err), err
        assert done or path.read_bytes() == OLD
        awaits(lambda: client.execute("query-status")["running"])


def test_bar_on_a_terminal(memvisor, folder, filled):
    with slow_vm(memvisor, folder, filled) as vm:
        child = harness.spawn(str(memvisor.path), ["save", "vm", str(folder / "state")],
                              env=dict(vm.env, TERM="xterm"), timeout=30 * harness.PATIENCE,
                              encoding="utf-8", dimensions=(25, 120))
        child.expect("saved to .* in ")
        child.expect(pexpect.EOF)
        child.close()
        assert child.exitstatus == 0
    check(memvisor, folder / "state")
