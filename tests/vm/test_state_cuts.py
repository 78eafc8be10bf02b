# SPDX-License-Identifier: Apache-2.0
"""A program that does the same each time (cuts-guest.c) is cut between two of its
instructions, and its state goes on in another process: at its end all registers, all memory
and all that it wrote are what they are where nothing was cut.
"""
import hashlib
import itertools
import random
import socket
import subprocess

import pytest

import harness
import memory_guest
from gdb_remote import Remote
from qmp import Vm

SOURCE = harness.TOP / "tests/vm/cuts-guest.c"
# Behind the first 4 MiB there is the device tree, which has a random seed in it.
RAM, SIZE = 2 << 30, 4 << 20
LOAD = RAM + 0x80000
STAGES = 10
PC = 32


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """The binary, and where its symbols come to be."""
    binary = memory_guest.build(tmp_path_factory.mktemp("cuts"), SOURCE)
    told = subprocess.run(["aarch64-linux-gnu-nm", binary.with_suffix(".elf")],
                          capture_output=True, text=True, check=True).stdout
    return binary, {name: LOAD + int(at, 16) for at, _, name in map(str.split, told.splitlines())}


class Cpu:
    """One process of the program's, with a debugger at it."""

    count = itertools.count()

    def __init__(self, memvisor, folder, *boot):
        number = next(Cpu.count)
        self.folder = folder
        gdb, serial = folder / ("gdb-%d" % number), folder / ("serial-%d" % number)
        self.vm = Vm(memvisor, folder, "--paused", "--serial", "unix:%s" % serial, "--gdb", gdb,
                     name="cuts%d" % number, boot=[memvisor.path, *boot])
        # What a CPU writes is here at once, and not in another thread's hands.
        self.console = socket.socket(socket.AF_UNIX)
        self.console.connect(str(serial))
        self.console.setblocking(False)
        self.text = b""
        self.client = self.vm.qmp()
        self.remote = Remote(gdb)

    def go_to(self, at):
        if self.remote.register(PC) != at:
            assert self.remote.ask(b"Z0,%x,4" % at) == b"OK"
            assert self.remote.ask(b"c").startswith(b"T05")
            assert self.remote.register(PC) == at, self.written()
            assert self.remote.ask(b"z0,%x,4" % at) == b"OK"

    def written(self):
        try:
            self.text += self.console.recv(4096)
        except BlockingIOError:
            pass
        return self.text

    def step(self):
        """Where it is then."""
        assert self.remote.ask(b"vCont;s:1").startswith(b"T05")
        return self.remote.register(PC)

    def everything(self):
        found = {"g": self.remote.ask(b"g")}
        for number in itertools.count():
            value = self.remote.ask(b"p%x" % number)
            if value.startswith(b"E"):
                break
            found["p%d" % number] = value
        assert number > 100
        path = self.folder / "memory"
        self.client.execute("pmemsave", val=RAM, size=SIZE, filename=str(path))
        found["memory"] = hashlib.sha256(path.read_bytes()).hexdigest()
        return found

    def __enter__(self):
        return self

    def __exit__(self, *problem):
        self.vm.process.kill()
        self.vm.process.wait()
        self.vm.out.close()
        self.client.close()
        self.remote.socket.close()
        self.console.close()


def difference(found, want):
    return {key: (found[key], want[key]) for key in want if found[key] != want[key]}


def cut(memvisor, folder, program, per_stage, steps):
    """The states, and what was written before each; at most `steps` lie between two."""
    binary, symbols = program
    chance = random.Random(per_stage)
    cuts = []
    with Cpu(memvisor, folder, "run", "--firmware", binary, "-m", "8M") as walker:
        for stage in range(STAGES):
            walker.go_to(symbols["stage_%d" % stage])
            end = symbols.get("stage_%d" % (stage + 1), symbols["finished"])
            for _ in range(per_stage):
                at = None
                for _ in range(chance.randint(1, steps)):
                    at = walker.step()
                    if at == end:
                        break
                state = folder / ("state-%d" % len(cuts))
                walker.client.execute("x-save", file=str(state), mode=chance.choice(("live", "stop")))
                cuts.append((stage, at, state, walker.written()))
                if at == end:
                    break
        walker.go_to(symbols["end_of_it"])
        return cuts, walker.everything(), walker.written()


def check_cuts(memvisor, folder, program, per_stage, steps):
    binary, symbols = program
    with Cpu(memvisor, folder, "run", "--firmware", binary, "-m", "8M") as whole:
        whole.go_to(symbols["end_of_it"])
        want, text = whole.everything(), whole.written()
    assert b"other half" in text
    cuts, walked, walked_text = cut(memvisor, folder, program, per_stage, steps)
    assert (difference(walked, want), walked_text) == ({}, text)
    for number, (stage, at, state, before) in enumerate(cuts):
        with Cpu(memvisor, folder, "restore", state, "--ram", ("private", "copy")[number % 2]) as cpu:
            assert cpu.remote.register(PC) == at
            cpu.go_to(symbols["end_of_it"])
            place = (stage, hex(at - LOAD))
            assert (place, difference(cpu.everything(), want)) == (place, {})
            assert (place, before + cpu.written()) == (place, text)
        state.unlink()
    return len(cuts)


def test_cut_in_each_stage(memvisor, tmp_path, program):
    assert check_cuts(memvisor, tmp_path, program, 1, 60) == STAGES


@pytest.mark.long
def test_cut_at_many_places(memvisor, tmp_path, program):
    assert check_cuts(memvisor, tmp_path, program, 25, 25) >= 200
