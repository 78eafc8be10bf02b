# SPDX-License-Identifier: Apache-2.0
"""The command line: what it says, what it refuses, and its exit status."""
import json
import re
import subprocess

import pytest

import console_guest

LATER_VERBS = ["balloon", "jit"]


@pytest.fixture(scope="module")
def guest(tmp_path_factory):
    return console_guest.build(tmp_path_factory.mktemp("guest"))


def check_line(result, code, *parts):
    """One line on stderr, nothing on stdout."""
    assert result.code == code, result
    assert result.out == "", result
    assert re.fullmatch(r"memvisor: [^\n]+\n", result.err), result
    for part in parts:
        assert part in result.err, "no '%s' in: %s" % (part, result)


def test_no_verb(memvisor):
    result = memvisor.run()
    assert (result.code, result.out) == (2, "")
    assert "memvisor run -k KERNEL" in result.err and "memvisor help" in result.err


@pytest.mark.parametrize("word", ["--version", "-V", "version"])
def test_version(memvisor, word):
    result = memvisor.run(word)
    assert (result.code, result.err) == (0, ""), result
    assert re.fullmatch(r"memvisor \d+\.\d+\.\d+\n", result.out), result


@pytest.mark.parametrize("words", [
    ["help"], ["--help"], ["-h"], ["help", "help"], ["help", "run"], ["run", "--help"],
    ["run", "-h"], ["run", "-k", "x", "--help"], ["help", "engines"], ["engines", "--help"],
    ["help", "version"]])
def test_help(memvisor, words):
    result = memvisor.run(*words)
    assert (result.code, result.err) == (0, ""), result
    assert "Usage: memvisor" in result.out
    assert max(len(line) for line in result.out.splitlines()) <= 80, result


def test_help_names_everything(memvisor):
    text = memvisor.run("help").out
    for verb in ["run", "engines", "help", "version"] + LATER_VERBS:
        assert re.search(r"\b%s\b" % verb, text), verb
    text = memvisor.run("help", "run").out
    for option in ["-k, --kernel", "--firmware", "-i, --initrd", "-a, --append", "--cmdline",
                   "-c, --cpus", "-m, --memory", "-n, --name", "--serial", "--engine",
                   "--machine", "--ivshmem", "--device", "--dump-dtb", "--paused", "--no-reboot",
                   "--reload",
                   "-h, --help"]:
        assert option in text, option


def test_engines(memvisor):
    result = memvisor.run("engines")
    assert (result.code, result.err) == (0, "")
    assert re.search(r"^emulator +yes ", result.out, re.M), result
    result = memvisor.run("engines", "--json")
    engines = {engine["name"]: engine for engine in json.loads(result.out)}
    assert engines["emulator"]["available"] is True
    assert engines["emulator"]["reason"] is None
    assert engines["emulator"]["description"]


@pytest.mark.parametrize("verb", LATER_VERBS)
def test_later_verbs(memvisor, verb):
    for words in [[verb], [verb, "--json"], ["help", verb]]:
        check_line(memvisor.run(*words), 2, verb, "not in this version")


@pytest.mark.parametrize("words, parts", [
    (["rum"], ["'rum'", "did you mean 'run'"]),
    (["frobnicate"], ["'frobnicate'", "memvisor help"]),
    (["-k", "x"], ["'-k'", "memvisor run -k"]),
    (["help", "rum"], ["did you mean 'run'"]),
    (["help", "run", "more"], ["'more'"]),
    (["version", "x"], ["'x'"]),
    (["engines", "--jsn"], ["'--jsn'", "--json"]),
    (["engines", "x"], ["'x'"]),
    (["run"], ["-k FILE", "--firmware FILE"]),
    (["run", "-k"], ["-k FILE"]),
    (["run", "-k", "a", "--firmware", "b"], ["-k", "--firmware"]),
    (["run", "-k", "a", "-k", "b"], ["-k", "twice"]),
    (["run", "-kernel", "a"], ["--kernel"]),
    (["run", "--kernl", "a"], ["'--kernl'", "--kernel"]),
    (["run", "-k", "a", "b"], ["'b'", "memvisor help run"]),
    (["run", "-k", "a", "-c", "0"], ["-c 0", "1 to 64"]),
    (["run", "-k", "a", "-c", "65"], ["-c 65", "1 to 64"]),
    (["run", "-k", "a", "-c", "many"], ["-c many", "1 to 64"]),
    (["run", "-k", "a", "-n", "a/b"], ["a/b"]),
    (["run", "-k", "a", "--serial", "tty"], ["tty", "stdio, none, file:PATH or unix:PATH"]),
    (["run", "-k", "a", "--engine", "kvm"], ["kvm", "not in this version"]),
    (["run", "-k", "a", "--machine", "pc"], ["pc", "not in this version"]),
    (["run", "-k", "a", "--paused=on"], ["--paused", "no value"]),
    (["run", "-k", "a", "-m", ""], ["-m", "no size"]),
    (["run", "-k", "a", "-m", "12X"], ["12X", "no size"]),
    (["run", "-k", "a", "-m", "256M@2147483648"], ["ambiguous", "0x80000000", "2147483648"]),
    (["run", "-k", "a", "-m", "99999999T"], ["99999999T", "too large"]),
    (["run", "-k", "a", "-m", "1M@0x10000000000000000"], ["too large"]),
    (["run", "-k", "a\nb\x1b[2J", "-c", "x"], ["-c x"]),
    (["run", "--a\nb\x1b[2J"], ["a?b?[2J"]),
])
def test_wrong_usage(memvisor, words, parts):
    check_line(memvisor.run(*words), 2, *parts)


@pytest.mark.parametrize("banks, parts", [
    (["0"], ["zero"]),
    (["6K@2G"], ["6 KiB", "4 KiB", "0x80000000"]),
    (["1M@0x80000001"], ["0x80000001", "4 KiB"]),
    (["256M@2G", "256M@0x88000000"],
     ["ram0", "ram1", "overlap", "0x80000000-0x8fffffff", "0x88000000-0x97ffffff", "256 MiB"]),
    (["256M@0x50000000"], ["overlap", "PCI", "0x50000000-0x7fffffff", "0x50000000-0x5fffffff"]),
    (["4K@0x1000000"], ["overlap", "0x1000000-0x1000fff"]),
    (["1M@0x3fff0000"], ["overlap", "GIC"]),
    (["300T@2G"], ["48 bits", "262142 GiB"]),
    (["300T"], ["48 bits", "262142 GiB"]),
    (["16383P@0xfffffffff000"], ["48 bits", "4 KiB"]),
    (["16383P@2P"], ["too large", "48 bits"]),
    (["1M@2G,id=a", "1M@4G,id=a"], ["'a'", "0x80000000", "0x100000000"]),
    (["1M@2G,id=ram1", "1M@4G"], ["'ram1'"]),
])
def test_bank_layout_errors(memvisor, guest, banks, parts):
    options = [word for bank in banks for word in ("-m", bank)]
    check_line(memvisor.run("run", "--firmware", guest, *options), 1, *parts)


def test_unreadable_files(memvisor, guest, tmp_path):
    missing = tmp_path / "missing"
    for option in ("-k", "--firmware"):
        check_line(memvisor.run("run", option, missing), 1, str(missing), "No such file")
        check_line(memvisor.run("run", option, tmp_path), 1, str(tmp_path))
    check_line(memvisor.run("run", "--firmware", guest, "-i", missing), 1, str(missing))


def test_power_off_and_reset(memvisor, guest):
    result = memvisor.run("run", "--firmware", guest, stdin="abQ")
    assert (result.code, result.out, result.err) == (0, "ready\r\nab", "")
    check = memvisor.run("run", "--firmware", guest, "--no-reboot", stdin="R")
    assert (check.code, check.out) == (3, "ready\r\n"), check
    assert re.fullmatch(r"memvisor: [^\n]*reset[^\n]*\n", check.err), check


def test_dump_dtb(memvisor, guest, tmp_path):
    path = tmp_path / "guest.dtb"
    result = memvisor.run("run", "--firmware", guest, "-c", "3", "--dump-dtb", path)
    assert (result.code, result.out, result.err) == (0, "", "")
    blob = path.read_bytes()
    assert blob[:4] == b"\xd0\x0d\xfe\xed"
    assert int.from_bytes(blob[4:8], "big") == len(blob)
    check_line(memvisor.run("run", "--firmware", guest, "--dump-dtb", tmp_path / "no" / "x"), 1,
               str(tmp_path / "no" / "x"))
    check_line(memvisor.run("run", "--firmware", guest, "--dump-dtb", "/dev/full"), 1, "/dev/full")


def test_output_that_cannot_be_written(memvisor):
    with open("/dev/full", "w") as full:
        done = subprocess.run([memvisor.path, "help"], stdout=full, stderr=subprocess.PIPE,
                              text=True)
    assert done.returncode == 1
    assert done.stderr == "memvisor: cannot write to standard output\n"
