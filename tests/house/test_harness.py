# SPDX-License-Identifier: Apache-2.0
"""The tests' own tools, shown on QEMU: a boot's output and exit code reach the
test, the shell's initramfs gives a shell with job control, and a process that
hangs fails its test instead of hanging it."""
import pytest

import harness


def test_script_runs_and_powers_off(qemu, initrd):
    result = qemu.boot(initrd("echo machine: $(uname -m); echo cpus: $(nproc)"), "-smp", "2")
    assert result.code == 0, result
    assert result.value("machine") == "aarch64"
    assert result.value("cpus") == "2"


def test_extra_file_is_in_the_initramfs(qemu, initrd, tmp_path):
    extra = tmp_path / "extra"
    extra.write_text("a word\n")
    result = qemu.boot(initrd("echo extra: $(cat /opt/deep/word)", [(extra, "/opt/deep/word")]))
    assert result.value("extra") == "a word", result


def test_shell_has_the_console(qemu, shell_initrd):
    with qemu.spawn(shell_initrd, timeout=300) as child:
        child.expect("/root # ")
        child.sendline("tty; sleep 1000")
        child.expect("/dev/ttyAMA0")
        child.send("\x03")
        child.expect("# ")
        child.sendline("exit")
        child.expect("Power down")


def test_same_input_gives_same_bytes(initrd, tmp_path):
    first = initrd("echo once")
    second = harness.build_initrd("echo once", tmp_path)
    assert first != second
    assert first.read_bytes() == second.read_bytes()


def test_what_hangs_is_killed():
    with pytest.raises(harness.Timeout, match="did not end"):
        harness.run(["sleep", "1000"], timeout=0.2)
