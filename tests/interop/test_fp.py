# SPDX-License-Identifier: Apache-2.0
"""Floating point against QEMU: tests/interop/fp/ makes the same operands from
a seed on both sides, special numbers, near ones and random ones under random
FPCR, executes each instruction of cases.h on them and hashes result and flags.

Where QEMU and the Arm ARM differ, the manual wins and the case would stand in
here with its section.  None is known: QEMU 7.2 agrees in every case.
"""
import os
import shutil
import subprocess

import pytest

import harness

SOURCES = harness.TOP / "tests/interop/fp"
SEEDS = [1, 2]
COUNT = 2000
LONG_SEEDS = [3, 5, 7, 11]
LONG_COUNT = 100000
# How many cases the peers have in common: none may get lost.
LIBRARY_CASES = 147
INTERPRETER_CASES = 154
# How many lines of a case to print when it differs.
SHOWN = 3


def tool(name):
    path = shutil.which(name)
    if not path:
        pytest.fail("%s is missing: run scripts/setup.sh check" % name, pytrace=False)
    return path


@pytest.fixture(scope="module")
def native(tmp_path_factory):
    """The instructions themselves, executed by QEMU."""
    program = tmp_path_factory.mktemp("fp") / "peer-native"
    result = subprocess.run(
        [tool("aarch64-linux-gnu-gcc"), "-O2", "-Wall", "-Wextra", "-Werror", "-static", "-o",
         program, SOURCES / "peer.c", SOURCES / "peer-native.c"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert result.returncode == 0, result.stdout
    return Peer([tool("qemu-aarch64-static"), program])


def built(memvisor, name):
    path = memvisor.path.parent / "tests/interop" / name
    if not os.access(path, os.X_OK):
        pytest.fail("%s is missing: run make check" % path, pytrace=False)
    return path


class Peer:
    """One that executes the cases: a command and what it reads on stdin."""

    def __init__(self, command, stdin=None):
        self.command = command
        self.stdin = stdin

    def lines(self, *args):
        result = harness.run([*self.command, *args], timeout=600, stdin=self.stdin)
        assert result.code == 0, result
        return result.out.splitlines()

    def hashes(self, seed, count):
        return dict(line.split() for line in self.lines("hash", seed, count))


@pytest.fixture(scope="module")
def library(memvisor):
    """The emulator's floating-point library, called directly."""
    return Peer([built(memvisor, "fp-library")])


@pytest.fixture(scope="module")
def interpreter(memvisor, native):
    """The emulator's interpreter, given the instructions' words."""
    return Peer([built(memvisor, "fp-interpreter")], "\n".join(native.lines("words")) + "\n")


def differences(left, right, seed, count):
    """What is not equal, as text; and how many cases both peers have."""
    hashes = [peer.hashes(seed, count) for peer in (left, right)]
    common = [name for name in hashes[0] if name in hashes[1]]
    report = []
    for name in common:
        if hashes[0][name] == hashes[1][name]:
            continue
        lines = [peer.lines("show", seed, count, name) for peer in (left, right)]
        wrong = [pair for pair in zip(*lines) if pair[0] != pair[1]]
        report.append("%s: %d of %d differ" % (name, len(wrong), count))
        for expected, got in wrong[:SHOWN]:
            report.append("  %s\n  where it must be%s" % (got, expected.partition(" ->")[2]))
    return "\n".join(report), len(common)


def check(left, right, seed, count, least):
    report, common = differences(left, right, seed, count)
    assert not report, report
    assert common >= least


@pytest.mark.parametrize("seed", SEEDS)
def test_library(native, library, seed):
    check(native, library, seed, COUNT, LIBRARY_CASES)


@pytest.mark.parametrize("seed", SEEDS)
def test_interpreter(native, interpreter, seed):
    check(native, interpreter, seed, COUNT, INTERPRETER_CASES)


@pytest.mark.long
@pytest.mark.parametrize("seed", LONG_SEEDS)
def test_library_long(native, library, seed):
    check(native, library, seed, LONG_COUNT, LIBRARY_CASES)


@pytest.mark.long
@pytest.mark.parametrize("seed", LONG_SEEDS)
def test_interpreter_long(native, interpreter, seed):
    check(native, interpreter, seed, LONG_COUNT, INTERPRETER_CASES)
