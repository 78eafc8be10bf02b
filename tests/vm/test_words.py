# SPDX-License-Identifier: Apache-2.0
"""Options of other VMMs, and of later versions of this one: each is refused by its
name, with what to do instead, and never taken for something else."""
import pytest


def refusal(memvisor, *words):
    result = memvisor.run(*words)
    assert result.code == 2, result
    lines = result.err.splitlines()
    assert len(lines) == 1, result
    return lines[0]


@pytest.mark.parametrize("words, hint", [
    (["-nographic"], "the console is on this terminal already"),
    (["-smp", "2"], "-c N"),
    (["-M", "virt"], "--machine"),
    (["-drive", "file=x"], "disks are not in this version"),
    (["-netdev", "user,id=n"], "networks are not in this version"),
    (["-enable-kvm"], "--engine"),
    (["-cpu", "max"], "one kind of CPU"),
    (["-S"], "--paused"),
    (["-s"], "--gdb :1234"),
    (["--api-sock", "/tmp/x"], "--qmp PATH"),
    (["--config-file", "x.json"], "options alone"),
])
def test_other_monitors_options(memvisor, words, hint):
    message = refusal(memvisor, "run", *words, "-k", "vmlinuz")
    assert "unknown option '%s'" % words[0] in message and hint in message, message


@pytest.mark.parametrize("words", [
    ["--disk", "x"], ["--disk=x"], ["--net", "x"], ["--net=x"], ["--vhost-user", "x"],
    ["--sandbox", "on"], ["--sandbox=off"],
    ["--engine", "kvm"], ["--engine=kvm"], ["--engine=emulator,jit=2"],
    ["--machine", "pc"], ["--machine=pc"],
])
def test_options_of_later_versions(memvisor, words):
    message = refusal(memvisor, "run", *words, "-k", "vmlinuz")
    assert words[0].split("=")[0] in message and "is not in this version" in message, message


@pytest.mark.parametrize("verb", ["balloon", "jit"])
def test_verbs_of_later_versions(memvisor, verb):
    assert "%s is not in this version" % verb in refusal(memvisor, verb, "x")


@pytest.mark.parametrize("verb, ours", [
    ("list", "memvisor ps"), ("ls", "memvisor ps"), ("start", "memvisor run"),
    ("pause", "memvisor stop NAME"), ("resume", "memvisor cont NAME"),
    ("destroy", "memvisor quit NAME"), ("shutdown", "memvisor qmp NAME system_powerdown"),
    ("reboot", "memvisor qmp NAME system_reset")])
def test_other_monitors_verbs(memvisor, verb, ours):
    message = refusal(memvisor, verb)
    assert "unknown verb '%s'" % verb in message and "type '%s'" % ours in message, message
    # And what it names is there.
    assert memvisor.run("help", ours.split()[1]).code == 0


def test_run_together(memvisor):
    """-nNAME is a name still, where it is no option of others."""
    result = memvisor.run("run", "-nvm1", "-k", "/nonexistent")
    assert result.code == 1 and "cannot open the kernel" in result.err, result
