# SPDX-License-Identifier: Apache-2.0
"""A Linux guest at the console: input, flow in both directions, keys, files and pipes."""
import hashlib
import os
import random
import socket
import subprocess

import pexpect
import pytest

import harness


def test_shell_takes_input(memvisor, shell_initrd):
    with memvisor.spawn(shell_initrd, "-m", "256M") as child:
        child.expect("# ")
        child.sendline("echo $((6 * 7))")
        child.expect("\r\n42\r\n")
        child.sendline("poweroff -f")
        child.expect(pexpect.EOF)
        child.close()
    assert child.exitstatus == 0


def test_control_c_goes_to_the_guest(memvisor, shell_initrd):
    with memvisor.spawn(shell_initrd, "-m", "256M") as child:
        child.expect("# ")
        # The shell edits its line in a raw terminal, where Ctrl-C is a character like others, and
        # loses one that comes between two commands of a line: it is to be sent when a program of
        # its own has the terminal, which only the program itself can tell.
        child.sendline("sh -c 'echo run\"\"ning; sleep 1000; true'")
        child.expect("running")
        child.sendcontrol("c")
        child.sendline("echo st''ill here")
        child.expect("still here")
        child.sendcontrol("a")
        child.send("x")
        child.expect(pexpect.EOF)
        child.close()
    assert child.exitstatus == 0


def test_control_a_h_helps(memvisor, shell_initrd):
    with memvisor.spawn(shell_initrd, "-m", "256M") as child:
        child.expect("# ")
        child.sendcontrol("a")
        child.send("h")
        child.expect("Ctrl-A X")
        child.sendcontrol("a")
        child.send("x")
        child.expect(pexpect.EOF)
        child.close()


def test_input_loses_nothing(memvisor, initrd):
    """256 KiB into a guest that reads slowly: with crtscts it lowers RTS when
    its buffers fill, and memvisor waits."""
    noise = random.Random(1)
    text = "".join(noise.choice("abcdefghijklmnop") for _ in range(256 * 1024))
    script = """
stty raw -echo crtscts
echo ready
sleep 1
echo "sum: $(head -c %d | sha256sum)"
""" % len(text)
    argv = memvisor.boot_argv(initrd(script), "-m", "256M")
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        lines = iter(child.stdout.readline, "")
        assert any(line.strip() == "ready" for line in lines)
        child.stdin.write(text)
        child.stdin.close()
        sums = [line.split()[1] for line in lines if line.startswith("sum:")]
    assert child.returncode == 0
    assert sums == [hashlib.sha256(text.encode()).hexdigest()]


def test_output_loses_nothing(memvisor, initrd):
    script = "stty -opost\nseq 1 20000\n"
    result = memvisor.boot(initrd(script), "-m", "256M")
    assert result.code == 0, result
    expected = "\n".join(str(i) for i in range(1, 20001)) + "\n"
    assert expected in result.out


@pytest.mark.parametrize("source", ["pipe", "file", "socket", "terminal"])
def test_early_input(memvisor, shell_initrd, tmp_path, source):
    """What comes before the guest's driver is up waits for it: `echo exit | memvisor run`."""
    argv = memvisor.boot_argv(shell_initrd, "-m", "256M")
    text = b"echo 'early: '$((6 * 7)); exit\n"
    (tmp_path / "input").write_bytes(text)
    stdin, master = subprocess.PIPE, None
    if source == "file":
        stdin = open(tmp_path / "input", "rb")
    elif source == "socket":
        argv += ["--serial", "unix:%s" % (tmp_path / "console"), "--paused", "-n", "early"]
        stdin = subprocess.DEVNULL
    elif source == "terminal":
        master, stdin = os.openpty()
    env = dict(os.environ, XDG_RUNTIME_DIR=str(tmp_path))
    child = subprocess.Popen(argv, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                             env=env)
    with child:
        try:
            if source == "socket":
                assert b"memvisor cont early" in child.stdout.readline()
                client = socket.socket(socket.AF_UNIX)
                client.connect(str(tmp_path / "console"))
                client.settimeout(60 * harness.PATIENCE)
                client.sendall(text)
                assert harness.run([memvisor.path, "cont", "early"], env=env).code == 0
                out = client.makefile("rb").read()
            elif source == "terminal":
                os.write(master, text)
                out = child.communicate(timeout=60 * harness.PATIENCE)[0]
            else:
                out = child.communicate(text if source == "pipe" else None, 60 * harness.PATIENCE)[0]
        except BaseException:
            child.kill()
            raise
    assert child.returncode == 0
    assert b"\nearly: 42\r\n" in out


def test_end_of_file_on_stdin_is_silence(memvisor, initrd):
    result = memvisor.boot(initrd("sleep 1\necho after: yes"), "-m", "256M", stdin="")
    assert result.code == 0, result
    assert result.value("after") == "yes"


def test_serial_file(memvisor, initrd, tmp_path):
    out = tmp_path / "console"
    result = memvisor.boot(initrd("echo up: yes"), "-m", "256M", "--serial", "file:%s" % out)
    assert result.code == 0, result
    assert result.out == ""
    assert "up: yes" in out.read_text()
