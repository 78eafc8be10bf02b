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
# How many lines of a case to print when it differs.
SHOWN = 3


def tool(name):
    path = shutil.which(name)
    if not path:
        pytest.fail("%s is missing: run scripts/setup.sh check" % name, pytrace=False)
    return path


@pytest.fixture(scope="module")
def native(tmp_path_factory):
    """The command of the peer that QEMU executes."""
    program = tmp_path_factory.mktemp("fp") / "peer-native"
    built = subprocess.run(
        [tool("aarch64-linux-gnu-gcc"), "-O2", "-Wall", "-Wextra", "-Werror", "-static", "-o",
         program, SOURCES / "peer.c", SOURCES / "peer-native.c"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert built.returncode == 0, built.stdout
    return [tool("qemu-aarch64-static"), program]


@pytest.fixture(scope="module")
def library(memvisor):
    """The command of the peer that calls the emulator's library."""
    path = memvisor.path.parent / "tests/interop/fp-library"
    if not os.access(path, os.X_OK):
        pytest.fail("%s is missing: run make check" % path, pytrace=False)
    return [path]


def run_peer(command, *args):
    result = harness.run([*command, *args], timeout=600)
    assert result.code == 0, result
    return result.out.splitlines()


def differences(left, right, seed, count):
    """What is not equal, as text; and how many cases both peers have."""
    hashes = [dict(line.split() for line in run_peer(peer, "hash", seed, count))
              for peer in (left, right)]
    common = [name for name in hashes[0] if name in hashes[1]]
    report = []
    for name in common:
        if hashes[0][name] == hashes[1][name]:
            continue
        lines = [run_peer(peer, "show", seed, count, name) for peer in (left, right)]
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
    check(native, library, seed, COUNT, 140)


@pytest.mark.long
@pytest.mark.parametrize("seed", LONG_SEEDS)
def test_library_long(native, library, seed):
    check(native, library, seed, LONG_COUNT, 140)
