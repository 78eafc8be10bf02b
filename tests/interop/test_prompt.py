# SPDX-License-Identifier: Apache-2.0
"""The prompts of ivshmem-client and qmp on a terminal: editing, history, completion, what
comes meanwhile, and the terminal as it was behind them."""
import os
import signal
import termios

import pexpect
import pytest

import harness
import ivshmem
from qmp import Vm

UP, LEFT = "\x1b[A", "\x1b[D"


@pytest.fixture
def server(memvisor, tmp_path):
    with ivshmem.our_server(memvisor, tmp_path) as server:
        yield server


def spawn(path, *args, env=None):
    child = harness.spawn(str(path), [str(arg) for arg in args], encoding="utf-8",
                          timeout=60 * harness.PATIENCE, dimensions=(24, 100),
                          env=dict(env or os.environ, TERM="xterm", LC_ALL="C.UTF-8"))
    child.delaybeforesend = None
    return child


@pytest.fixture
def client(memvisor, server):
    child = spawn(memvisor.path, "ivshmem-client", server.path)
    child.expect("Peer 0; 'help' lists the commands.\r\n")
    child.expect("> ")
    yield child
    child.close(force=True)


def say(child, text, answer="\r\n"):
    """A line, what it leads to, and the prompt again."""
    child.send(text)
    child.expect(answer)
    child.expect("> ")


def end(child):
    child.expect(pexpect.EOF)
    child.wait()
    assert "Sanitizer" not in child.before, child.before
    return -child.signalstatus if child.signalstatus else child.exitstatus


def test_editing_and_history(client):
    # Ctrl-A, Delete a character, and what was left out.
    say(client, "xist\x01\x04l\r", "ourselves")
    say(client, "write 0 hel" + LEFT + "\x7f" + "a\r")
    say(client, "read 0 3\r", "\nhal\r\n")
    say(client, UP + "\r", "\nhal\r\n")
    say(client, UP + UP + "\x7fm\r")
    say(client, UP + UP + "\r", "\nham\r\n")
    # Ctrl-R finds what was typed.
    say(client, "\x12list\r\r", "ourselves")


def test_completion(client):
    client.send("li\t")
    client.expect("list")
    assert "li>" not in client.before, "drawn where the line was, and not behind it"
    say(client, "\r", "ourselves")
    client.send("r\t\t")
    client.expect("ring")
    client.expect("read")
    say(client, "\x15dum\t0 4\r", "00000000  00 00 00 00")


def test_what_comes_meanwhile_is_shown_above_the_line(client, server):
    client.send("li")
    client.expect("li")
    peer = ivshmem.Peer(server.path).knows([0, 1])
    client.expect("joined: peer 1\r\n")
    client.expect("> li")
    client.send("st\r")
    client.expect("    1  1 vectors")
    peer.close()
    client.expect("left: peer 1")


def test_interrupt_drops_the_line(client):
    client.send("quit")
    client.expect("quit")
    client.send("\x03")
    client.expect(r"\^C")
    client.expect("> ")
    say(client, "list\r", "ourselves")
    client.send("\x03")
    assert end(client) == -signal.SIGINT


def test_end_of_file_leaves(client):
    client.send("\x04")
    assert end(client) == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGTSTP])
def test_terminal_is_as_it_was(memvisor, server, number):
    """Also where a signal ends it, or stops it for a while."""
    shell = spawn("bash", "--norc", "-i", env=dict(os.environ, PS1="$ "))
    shell.expect(r"\$ ")
    shell.sendline("'%s' ivshmem-client '%s'" % (memvisor.path, server.path))
    shell.expect("'help' lists")
    shell.expect("> ")
    assert not termios.tcgetattr(shell.child_fd)[3] & termios.ICANON
    shell.send({signal.SIGINT: "\x03", signal.SIGTSTP: "\x1a"}.get(number, ""))
    if number == signal.SIGTERM:
        pid = int(harness.run(["pgrep", "-P", shell.pid]).out)
        os.kill(pid, number)
    shell.expect(r"\$ ")
    # bash has set it for its own editing: what a command gets is what counts.
    shell.sendline("stty -a")
    shell.expect(r" icanon[^$]* echo ")
    if number == signal.SIGTSTP:
        shell.expect(r"\$ ")
        shell.sendline("fg")
        shell.expect("> ")
        shell.send("list\r")
        shell.expect("ourselves")
        shell.expect("> ")
        shell.send("quit\r")
        shell.expect(r"\$ ")
    shell.close(force=True)


def test_qmp(memvisor, tmp_path):
    with Vm(memvisor, tmp_path) as vm:
        # Who runs a guest has no prompt, and none of the line editor's memory.
        assert "libedit" not in harness.pathlib.Path("/proc/%d/maps" % vm.process.pid).read_text()
        child = spawn(memvisor.path, "qmp", vm.name, env=vm.env)
        child.expect(r"\(qmp\) ")
        child.send('{"execute": "query-sta\t"}\r')
        child.expect('"status": "running"')
        child.expect(r"\(qmp\) ")
        child.send('{"execute": "stop"}\r')
        child.expect('"event": "STOP"')
        child.expect(r"\(qmp\) ")
        child.send(UP + UP + "\r")
        child.expect('"status": "paused"')
        assert vm.verb("quit", vm.name).code == 0
        assert end(child) == 0
