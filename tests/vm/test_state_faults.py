# SPDX-License-Identifier: Apache-2.0
"""A busy guest is saved and restored on a host that says no, or does things by halves: the file
that was there before is there, or the new one, whole; the guest goes on and finds nothing
changed; what is not restored is told in one line.
"""
import errno
import json
import os
import pathlib
import random
import resource
import tempfile
import time

import pytest

import busy_guest
import console_guest
import harness
from busy_guest import Chain
from faults import Faults
from qmp import Vm

MIB = 1 << 20


@pytest.fixture(scope="module")
def binary(tmp_path_factory):
    return busy_guest.build(tmp_path_factory.mktemp("faults"))


@pytest.fixture
def folder():
    """In memory: a disk takes its time for each fsync."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as path:
        (pathlib.Path(path) / "files").mkdir()
        yield pathlib.Path(path)


def id_of(memvisor, state):
    """Of a state that is whole, alone in its folder."""
    assert [path.name for path in state.parent.iterdir()] == [state.name]
    checker = pathlib.Path(memvisor.path).parent / "tests/interop/state-checker"
    result = harness.run([checker, state])
    assert result.code == 0, result
    return json.loads(result.out)["manifest"]["id"]


def go_on_from(chain, state):
    chain.leave(False)
    chain.restore(state, "--ram", "copy")
    chain.arrived()


@pytest.mark.parametrize("kind, error", [("write", 0), ("write", errno.EIO), ("write", errno.EINTR),
                                         ("short", 0), ("sync", 0), ("link", 0), ("space", 0),
                                         ("read", 0)])
def test_a_save_that_fails(memvisor, folder, binary, kind, error):
    faults = Faults(memvisor, folder)
    state = folder / "files/state"
    with Chain(memvisor, folder, binary, 2, env=faults.env) as chain:
        chain.goes_on()
        chain.client.execute("x-save", file=str(state))
        old, n, failed = id_of(memvisor, state), 1, 0
        while True:
            faults.arm(kind, n, error=error, times=n % 3 + 1)
            # What is read is what was written again, while the guest ran.
            mode = "live" if kind == "read" else ("live", "stop")[n % 2]
            answer = chain.client.command("x-save", file=str(state), mode=mode)
            fired = faults.disarm()
            story = (kind, n, answer, faults.where() if fired else "")
            new = id_of(memvisor, state)
            done = "return" in answer
            assert done or fired, story
            # What is asked again, and goes on where it was, is none.
            assert done or (kind != "short" and error != errno.EINTR), story
            assert done == (new != old) or "is written and in its place" in answer["error"]["desc"], story
            assert chain.client.execute("query-status")["status"] == "running", story
            if not fired:
                break
            old, n, failed = new, n + 1 + n // 3, failed + 1
        assert failed > 0
        chain.goes_on()
        go_on_from(chain, state)


@pytest.mark.parametrize("mode", ["live", "stop"])
def test_a_file_that_may_not_be_so_large(memvisor, folder, binary, mode):
    """As on a disk that is full in the middle of it."""
    state = folder / "files/state"
    with Chain(memvisor, folder, binary, 2) as chain:
        chain.goes_on()
        chain.client.execute("x-save", file=str(state))
        old = id_of(memvisor, state)
        for limit in (1 << 10, 3 * MIB, 9 * MIB, state.stat().st_size - 1):
            resource.prlimit(chain.vm.process.pid, resource.RLIMIT_FSIZE,
                             (limit, resource.RLIM_INFINITY))
            answer = chain.client.command("x-save", file=str(state), mode=mode)
            resource.prlimit(chain.vm.process.pid, resource.RLIMIT_FSIZE,
                             (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            assert "File too large" in answer["error"]["desc"], answer
            assert id_of(memvisor, state) == old
        chain.goes_on()
        go_on_from(chain, state)


@pytest.mark.parametrize("kind, ram", [("read", "private"), ("read", "copy"), ("short", "copy"),
                                       ("short", "shared"), ("write", "shared"), ("sync", "shared")])
def test_a_restore_that_fails(memvisor, folder, kind, ram):
    """It echoes a letter, or says in one line why not; the state is as it was."""
    faults = Faults(memvisor, folder)
    state, n = folder / "files/state", 1
    boot = [memvisor.path, "run", "--firmware", console_guest.build(folder), "-m", "16M"]
    with Vm(memvisor, folder, boot=boot) as vm:
        vm.wait_for(lambda: "ready" in vm.output())
        assert vm.verb("qmp", "vm", "x-save", "file=%s" % state).code == 0
    whole = state.read_bytes()
    while True:
        faults.arm(kind, n, times=n % 3 + 1)
        result = harness.run([memvisor.path, "restore", state, "--ram", ram], stdin="aQ",
                             env=dict(faults.env, XDG_RUNTIME_DIR=str(folder)))
        fired = faults.disarm()
        story = "%s %d, %s\n%s" % (kind, n, faults.where() if fired else "none", result)
        if result.code == 0:
            assert result.out == "a", story
        else:
            assert fired and kind != "short", story
            said = [line for line in result.err.splitlines() if " warning: " not in line]
            assert (result.code, result.out, len(said)) == (1, "", 1), story
            assert state.read_bytes() == whole, story
        if not fired:
            break
        state.write_bytes(whole)
        n += 1 + n // 6


def kill_at_random(memvisor, folder, binary, times):
    """What is there goes on, whichever it is."""
    chance = random.Random(times)
    state = folder / "files/state"
    with Chain(memvisor, folder, binary, 2) as chain:
        began = time.monotonic()
        chain.client.execute("x-save", file=str(state))
        took = time.monotonic() - began
        for _ in range(times):
            old = id_of(memvisor, state)
            chain.client.send({"execute": "x-save", "arguments": {"file": str(state)}})
            time.sleep(chance.uniform(0, 1.2 * took))
            chain.vm.process.kill()
            for left in state.parent.glob(".memvisor-*.tmp"):
                left.unlink() # it had its own name for a moment
            go_on_from(chain, state)


def test_killed_a_few_times(memvisor, folder, binary):
    kill_at_random(memvisor, folder, binary, 5)


@pytest.mark.long
def test_killed_many_times(memvisor, folder, binary):
    kill_at_random(memvisor, folder, binary, 200)
