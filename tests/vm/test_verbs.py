# SPDX-License-Identifier: Apache-2.0
"""ps, stop, cont, quit and qmp: clients of the VMs that run."""
import concurrent.futures
import contextlib
import ctypes
import json
import os
import re
import signal
import subprocess
import time

import pytest

import harness
from qmp import SPIN, Vm

PTRACE_ATTACH = 16  # sys/ptrace.h


@pytest.fixture
def vm(memvisor, tmp_path):
    with Vm(memvisor, tmp_path, "-c", "2", name="one") as vm:
        yield vm


def rows(vm):
    result = vm.verb("ps", "--json")
    assert (result.code, result.err) == (0, "")
    return {row["name"]: row for row in json.loads(result.out)}


def test_ps(memvisor, vm):
    with Vm(memvisor, vm.folder, "--paused", "-m", "32M", name="a long name") as other:
        found = rows(vm)
        assert set(found) == {"one", "a long name"}
        assert found["one"] == {
            "name": "one", "pid": vm.process.pid, "status": "running", "cpus": 2,
            "memory": 16 << 20, "path": str(vm.rundir)}
        assert found["a long name"]["status"] == "prelaunch"
        assert found["a long name"]["memory"] == 48 << 20
        lines = vm.verb("ps").out.splitlines()
        assert lines[0].split() == ["NAME", "PID", "STATUS", "CPUS", "MEMORY"]
        assert [line.split("  ")[0] for line in lines[1:]] == ["a long name", "one"]
        assert other.process.poll() is None


def test_ps_of_nothing(memvisor, tmp_path):
    env = {"XDG_RUNTIME_DIR": str(tmp_path)}
    result = harness.run([memvisor.path, "ps"], env=env)
    assert (result.code, len(result.out.splitlines()), result.err) == (0, 1, "")
    assert harness.run([memvisor.path, "ps", "--json"], env=env).out == "[]\n"


def test_folders_of_the_dead_are_swept(memvisor, vm):
    with Vm(memvisor, vm.folder, name="dead") as dead:
        (dead.rundir / "ram").mkdir(exist_ok=True)
        (dead.rundir / "ram" / "x").symlink_to("/nonexistent")
        dead.process.send_signal(signal.SIGKILL)
        dead.process.wait()
        assert dead.rundir.exists()
        (vm.folder / "memvisor" / "empty").mkdir()
        lost = vm.folder / "memvisor" / "lost"  # one whose pid file somebody removed
        (lost / "ram/pci").mkdir(parents=True)
        (lost / "ram/pci/x").symlink_to("/nonexistent")
        (lost / "qmp.sock").write_text("")
        stranger = vm.folder / "memvisor" / "stranger"
        stranger.mkdir()
        (stranger / "file").write_text("not ours")
        assert set(rows(vm)) == {"one"}
        assert not dead.rundir.exists()
        assert not (vm.folder / "memvisor" / "empty").exists()
        assert not lost.exists()
        assert [file.name for file in stranger.iterdir()] == ["file"]
    # The name is free again.
    with Vm(memvisor, vm.folder, name="dead"):
        assert set(rows(vm)) == {"one", "dead"}


def test_ps_while_names_come_and_go(memvisor, tmp_path):
    """Listing sweeps under the same locks by which VMs claim their folders."""
    env = dict(os.environ, XDG_RUNTIME_DIR=str(tmp_path))
    image = tmp_path / "off.bin"
    image.write_bytes(bytes.fromhex("000180d2" "0080b0f2" "020000d4"))  # x0 = SYSTEM_OFF; hvc
    lister = subprocess.Popen(
        ["sh", "-c", 'while :; do "$0" ps || exit 1; done >/dev/null', memvisor.path], env=env)
    try:
        for _ in range(40):
            result = harness.run(
                [memvisor.path, "run", "--firmware", image, "-m", "16M", "-n", "x"],
                60, env=env)
            assert result.code == 0, result
        assert lister.poll() is None
    finally:
        lister.kill()
        lister.wait()


def test_stop_and_cont(memvisor, vm):
    with Vm(memvisor, vm.folder, "--paused", name="two", guest=SPIN):
        assert vm.verb("stop", "one").code == 0
        assert rows(vm)["one"]["status"] == "paused"
        assert vm.verb("cont", "one", "two").code == 0
        assert {row["status"] for row in rows(vm).values()} == {"running"}
        # Again is no error.
        assert vm.verb("cont", "one").code == 0


def test_unknown_name(memvisor, vm):
    result = vm.verb("stop", "three", "one")
    assert result.code == 1
    assert result.err == "memvisor: no VM named 'three' runs: there is one\n"
    assert rows(vm)["one"]["status"] == "paused", "the other is served all the same"


@pytest.mark.parametrize("verb", ["stop", "cont", "quit", "qmp"])
def test_name_is_needed(memvisor, verb):
    result = memvisor.run(verb)
    assert result.code == 2
    assert "NAME is missing" in result.err and result.err.count("\n") == 1


def test_quit(memvisor, vm):
    result = vm.verb("quit", "one")
    assert (result.code, result.out, result.err) == (0, "", "")
    assert not vm.rundir.exists(), "quit returns once the name is free"
    assert vm.end() == 0


def test_qmp_command(vm):
    result = vm.verb("qmp", "one", "query-status")
    assert result.code == 0
    assert json.loads(result.out) == {"running": True, "singlestep": False, "status": "running"}
    result = vm.verb("qmp", "one", "no-such-thing")
    assert result.code == 1 and "no-such-thing" in result.err
    result = vm.verb("qmp", "one", "stop", "x=1")
    assert result.code == 1 and "'x' is unexpected" in result.err
    result = vm.verb("qmp", "one", "stop", "x")
    assert result.code == 1 and "KEY=VALUE" in result.err


def test_qmp_session(vm):
    commands = '{"execute":"stop","id":1}\n{"execute":"cont"} {"execute": "query-status"}'
    result = vm.verb("qmp", "one", stdin=commands)
    assert (result.code, result.err) == (0, "")
    lines = [json.loads(line) for line in result.out.splitlines()]
    assert [line.get("event") for line in lines] == ["STOP", None, "RESUME", None, None]
    assert lines[1] == {"return": {}, "id": 1}
    assert lines[4]["return"]["status"] == "running"


def test_qmp_session_ends_with_the_vm(vm):
    argv = [vm.memvisor.path, "qmp", "one"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=vm.env,
                          text=True) as session:
        session.stdin.write('{"execute":"query-status"}')
        session.stdin.flush()
        assert "running" in session.stdout.readline()
        vm.verb("quit", "one")
        assert "SHUTDOWN" in session.stdout.readline()
        assert session.stdout.read() == ""
        assert session.wait(30) == 0


def test_hung_vm_does_not_hide_the_others(memvisor, vm):
    with Vm(memvisor, vm.folder, name="hung") as hung:
        hung.process.send_signal(signal.SIGSTOP)
        try:
            start = time.monotonic()
            found = rows(vm)
            assert found["hung"]["status"] == "no answer"
            assert found["one"]["status"] == "running"
            assert time.monotonic() - start < 10 * harness.SLOW
        finally:
            hung.process.send_signal(signal.SIGCONT)


@pytest.fixture
def standing_still(memvisor, vm):
    """VMs that do not answer: one stopped by a signal, one that a debugger holds."""
    libc = ctypes.CDLL(None, use_errno=True)
    with Vm(memvisor, vm.folder, name="stopped") as stopped, \
            Vm(memvisor, vm.folder, name="traced") as traced:
        stopped.process.send_signal(signal.SIGSTOP)
        assert libc.ptrace(PTRACE_ATTACH, traced.process.pid, None, None) == 0, ctypes.get_errno()
        os.waitpid(traced.process.pid, os.WUNTRACED | os.WNOHANG)
        try:
            yield {"stopped": stopped.process, "traced": traced.process}
        finally:
            for vm in (stopped, traced):  # what a tracer saw of one counts as its end
                with contextlib.suppress(ProcessLookupError):
                    os.kill(vm.process.pid, signal.SIGKILL)


def verbs_at_once(vm, *lines):
    """Each waits for its time-out: together."""
    with concurrent.futures.ThreadPoolExecutor(len(lines)) as pool:
        return list(pool.map(lambda line: vm.verb(*line.split()), lines))


def test_verbs_do_not_wait_for_ever(vm, standing_still):
    pids = {name: process.pid for name, process in standing_still.items()}
    lines = ["stop one stopped", "cont traced", "mem stopped", "qmp traced query-status"]
    start = time.monotonic()
    results = verbs_at_once(vm, *lines)
    assert 5 < time.monotonic() - start < 25 * harness.SLOW
    for line, result in zip(lines, results):
        name = "stopped" if "stopped" in line else "traced"
        word = "kill -CONT %d" if name == "stopped" else "a debugger holds process %d"
        assert result.code == 1 and result.err.count("\n") == 1, result
        assert result.err.startswith("memvisor: %s: no answer within 10 seconds: " % name), result
        assert word % pids[name] in result.err, result
    assert rows(vm)["one"]["status"] == "paused"  # the others that are named are served


def test_quit_is_the_plug(vm, standing_still):
    """A stopped one ends in order, one that is held by SIGKILL; names and files are free."""
    results = verbs_at_once(vm, "quit stopped", "quit one traced")
    assert [result.code for result in results] == [0, 0], results
    assert "kill -CONT" in results[0].err and "ended by SIGTERM" in results[0].err, results
    assert "a debugger holds" in results[1].err and "ended by SIGKILL" in results[1].err, results
    assert [process.wait(30) for process in standing_still.values()] == [143, -signal.SIGKILL]
    assert rows(vm) == {} and list((vm.folder / "memvisor").iterdir()) == []


def test_quit_of_one_that_starts(memvisor, vm):
    """It has its folder, and no control socket yet."""
    with Vm(memvisor, vm.folder, name="starts") as starts:
        (starts.rundir / "qmp.sock").unlink()
        result = vm.verb("quit", "starts")
        assert result.code == 0 and "it starts" in result.err, result
        assert starts.end() == 143


def test_command_that_takes_longer_than_the_patience(vm):
    """A machine that greets others is at work, and not hung."""
    result = vm.verb("qmp", "one", "x-dirty-map", "milliseconds=11000")
    assert result.code == 0, result


def test_paused_names_the_remedy(memvisor, tmp_path):
    with Vm(memvisor, tmp_path, "--paused", name="p") as vm:
        vm.wait_for(lambda: "memvisor cont p" in vm.output())


def test_commands_are_the_same_everywhere(vm):
    """The completion and the man page know the commands that there are."""
    with vm.qmp() as qmp:
        commands = {command["name"] for command in qmp.execute("query-commands")}
    script = 'source "$1"; echo $_memvisor_commands'
    offered = harness.run(["bash", "-c", script, "-", harness.TOP / "data/completion/memvisor"])
    assert set(offered.out.split()) == commands
    page = (harness.TOP / "docs/man/memvisor-qmp.1").read_text()
    told = re.findall(r"^\.It Cm (.*)$", page, re.M)
    told = {word for line in told for word in re.split(" (Ar|Op) ", line)[0].split()} - {","}
    assert told == commands
