# SPDX-License-Identifier: Apache-2.0
"""The console and the ways out: the terminal's keys and its restoration,
signals, pipes and files as standard input and output, --serial, run-time
folders.  The guest is console_guest.py's."""
import contextlib
import fcntl
import json
import os
import pathlib
import select
import signal
import socket
import stat
import subprocess
import termios
import time

import pytest

import console_guest
import harness

WAIT = 60 * harness.PATIENCE


@pytest.fixture(scope="module")
def guest(tmp_path_factory):
    return console_guest.build(tmp_path_factory.mktemp("guest"))


@pytest.fixture
def runtime(tmp_path, monkeypatch):
    """A run-time folder of the test's own."""
    folder = tmp_path / "runtime"
    folder.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    return folder / "memvisor"


@pytest.fixture
def command(memvisor, guest, runtime):
    """The words of a run of the guest, with more options behind them."""
    def words(*options):
        return [str(word) for word in (memvisor.path, "run", "--firmware", guest, "-m", "64M",
                                       *options)]
    return words


def wait_until(condition, what):
    deadline = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < deadline, "waited in vain for " + what
        time.sleep(0.01)


def read_until(fd, wanted):
    """What comes from fd up to and with `wanted`."""
    got = b""
    deadline = time.monotonic() + WAIT
    while wanted not in got:
        ready = select.select([fd], [], [], max(0, deadline - time.monotonic()))[0]
        assert ready, "no %r in %r" % (wanted, got[-1000:])
        got += os.read(fd, 65536)
    return got


class Terminal:
    """A terminal with a memvisor in its foreground.  The test keeps both
    ends, and sees how memvisor leaves it."""

    def __init__(self, argv, **where):
        self.master, self.slave = os.openpty()
        self.before = termios.tcgetattr(self.slave)
        where = {"stdin": self.slave, "stdout": self.slave, "stderr": self.slave, **where}
        self.process = subprocess.Popen(argv, start_new_session=True, preexec_fn=self.own, **where)

    def own(self):
        fcntl.ioctl(self.slave, termios.TIOCSCTTY, 0)

    def expect(self, text):
        return read_until(self.master, text)

    def send(self, keys):
        os.write(self.master, keys)

    def is_raw(self):
        return termios.tcgetattr(self.slave) != self.before

    def end(self):
        """The exit status, the terminal being what it was."""
        code = self.process.wait(WAIT)
        assert termios.tcgetattr(self.slave) == self.before
        return code

    def rest(self):
        """What was shown and not read yet."""
        os.set_blocking(self.master, False)
        with contextlib.suppress(BlockingIOError):
            return os.read(self.master, 65536)
        return b""

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for fd in (self.master, self.slave):
            os.close(fd)


@pytest.fixture
def terminal(command):
    opened = []

    def make(*options, **where):
        opened.append(Terminal(command(*options), **where))
        opened[-1].expect(b"ready\r\n")
        return opened[-1]

    yield make
    for one in opened:
        one.close()


@pytest.fixture
def start(command):
    """A memvisor without a terminal; its pipes are unbuffered."""
    started = []

    def make(*options, **where):
        where = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE,
                 **where}
        started.append(subprocess.Popen(command(*options), bufsize=0, **where))
        return started[-1]

    yield make
    for process in started:
        if process.poll() is None:
            process.kill()
            process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe:
                pipe.close()


# --- the terminal


def test_keys(terminal):
    t = terminal()
    assert t.is_raw()
    t.send(b"ls\x03\x1a\x1c\x04\x01\x01\x01a.")
    t.expect(b"ls\x03\x1a\x1c\x04\x01\x01.")
    t.send(b"\x01h")
    text = t.expect(b"Ctrl-C too, goes to the guest\r\n")
    for line in (b"Ctrl-A X", b"Ctrl-A H", b"Ctrl-A Ctrl-A"):
        assert b"\r\nmemvisor: " + line in b"\r\n" + text.split(b".")[-1]
    t.send(b"\x01z")
    t.expect(b"memvisor: no such key: Ctrl-A H shows the keys\r\n")
    t.send(b"x$")
    t.expect(b"x$")
    t.send(b"\x01x")
    t.expect(b"\r\nmemvisor: ended by Ctrl-A X\r\n")
    assert t.end() == 0


def test_power_off_at_a_terminal(terminal):
    t = terminal()
    t.send(b"Q")
    assert t.end() == 0
    assert t.rest() == b""


def test_reset_at_a_terminal(terminal):
    t = terminal()
    for _ in range(3):
        t.send(b"R")
        t.expect(b"ready\r\n")
        assert t.is_raw()
    t.send(b"\x01X")
    assert t.end() == 0
    t = terminal("--no-reboot")
    t.send(b"R")
    t.expect(b"memvisor: the guest reset itself")
    assert t.end() == 3


def paste(t, text, until):
    """Types text as fast as the terminal takes it, until `until` was shown: what was shown."""
    shown, sent = b"", 0
    deadline = time.monotonic() + WAIT
    os.set_blocking(t.master, False)
    while until not in shown or not until and sent < len(text):
        ways = select.select([t.master], [t.master] if sent < len(text) else [], [], 1)
        if ways[0]:
            shown += os.read(t.master, 65536)
        if ways[1]:
            with contextlib.suppress(BlockingIOError):
                sent += os.write(t.master, text[sent:sent + 4096])
        assert time.monotonic() < deadline, "%d bytes went, and back came %r" % (sent, shown[-99:])
    os.set_blocking(t.master, True)
    return shown


def test_paste(terminal):
    """More than a guest takes at once waits: all of it comes, in order."""
    text = b"".join(b"%06d " % i for i in range(30000))
    t = terminal()
    assert paste(t, text, text[-7:]) == text
    t.send(b"Q")
    assert t.end() == 0


@pytest.mark.parametrize("size", [100000, 3000000])
def test_leaving_a_guest_that_hangs(terminal, size):
    """Ctrl-A X works behind a paste that nobody takes."""
    t = terminal()
    t.send(b"H")
    assert paste(t, b"x" * size, b"") == b""
    t.send(b"\x01x")
    t.expect(b"ended by Ctrl-A X\r\n")
    assert t.end() == 0


def test_a_terminal_that_waits(terminal):
    """There is a limit to what is kept; beyond it nothing is lost, and a line says what to do."""
    t = terminal("-n", "full")
    t.send(b"H")
    said = paste(t, b"x" * 2**25, b"\r\n")
    assert b"take 16 MiB" in said and b"'memvisor quit full' ends the machine" in said
    t.process.send_signal(signal.SIGTERM)
    assert t.end() == 128 + signal.SIGTERM


def test_a_terminal_that_nobody_reads(terminal, memvisor, runtime):
    """It is full, and takes no word of memvisor's either: other processes are answered, and
    end the machine.  What waits is shown once somebody reads."""
    def verb(*words):
        return harness.run([memvisor.path, *words], env={"XDG_RUNTIME_DIR": str(runtime.parent)})

    t = terminal("-n", "full")
    t.send(b"S")
    time.sleep(1)  # it is full by now
    t.send(b"\x01h")
    time.sleep(0.2)
    assert json.loads(verb("qmp", "full", "query-status").out)["running"]
    t.expect(b"Ctrl-C too, goes to the guest\r\n")
    time.sleep(1)
    t.send(b"\x01h")
    result = verb("quit", "full")
    assert (result.code, result.err) == (0, "")
    assert t.end() == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_signals_end_it_in_order(terminal, runtime, number):
    t = terminal("-n", "sig")
    assert (runtime / "sig").exists()
    t.process.send_signal(number)
    t.expect(b"memvisor: ended by %s\r\n" % number.name.encode())
    assert t.end() == 128 + number
    assert not (runtime / "sig").exists()


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGILL,
                                    signal.SIGFPE])
def test_crashes_restore_the_terminal(terminal, number):
    t = terminal()
    t.process.send_signal(number)
    # Sanitizers that catch the signal have a status of their own.
    assert t.end() in ([-number] if harness.SLOW == 1 else [-number, 1, 66])


def test_hang_up(terminal):
    t = terminal()
    os.close(t.slave)
    os.close(t.master)
    code = t.process.wait(WAIT)
    t.master, t.slave = os.openpty()
    assert code == 128 + signal.SIGHUP


def test_stop_and_continue(terminal):
    t = terminal()
    raw = termios.tcgetattr(t.slave)

    def state():
        return pathlib.Path("/proc/%d/stat" % t.process.pid).read_text().split()[2]

    t.process.send_signal(signal.SIGTSTP)
    wait_until(lambda: state() == "T", "the process to stop")
    assert not t.is_raw()
    t.process.send_signal(signal.SIGCONT)
    wait_until(t.is_raw, "raw mode")
    assert termios.tcgetattr(t.slave) == raw
    t.send(b"!")
    t.expect(b"!")
    t.send(b"\x01x")
    assert t.end() == 0


def test_errors_leave_the_terminal_alone(memvisor, tmp_path):
    for words in (["run"], ["run", "-k", tmp_path / "none"], ["run", "-k", "x", "-m", "x"]):
        t = Terminal([memvisor.path, *words])
        try:
            assert t.process.wait(WAIT) in (1, 2)
            assert not t.is_raw()
            assert t.rest().startswith(b"memvisor: ")
        finally:
            t.close()


def test_terminal_in_and_pipe_out(terminal, command):
    reading, writing = os.pipe()
    t = Terminal(command(), stdout=writing)
    try:
        read_until(reading, b"ready\r\n")
        assert t.is_raw()
        t.send(b"\x03Q")
        assert t.end() == 0
        assert read_until(reading, b"\x03") == b"\x03"
    finally:
        t.close()
        os.close(reading)
        os.close(writing)


def test_shared_description_stays_blocking(start):
    """Standard output is often the shell's own: its flags are not ours."""
    reading, writing = os.pipe()
    process = start(stdout=writing)
    read_until(reading, b"ready\r\n")
    assert not fcntl.fcntl(writing, fcntl.F_GETFL) & os.O_NONBLOCK
    assert not fcntl.fcntl(process.stdin.fileno(), fcntl.F_GETFL) & os.O_NONBLOCK
    process.stdin.write(b"Q")
    assert process.wait(WAIT) == 0
    os.close(reading)
    os.close(writing)


# --- pipes and files


def test_pipes_pass_bytes_as_they_are(start):
    out, err = start().communicate(b"a\x01x\x01h\x00\xff\r\nQ", WAIT)
    assert (out, err) == (b"ready\r\na\x01x\x01h\x00\xff\r\n", b"")


def test_input_from_a_file(start, tmp_path):
    path = tmp_path / "input"
    path.write_bytes(b"z" * 100000 + b"Q")
    with open(path, "rb") as file:
        out, err = start(stdin=file).communicate(timeout=WAIT)
    assert (out, err) == (b"ready\r\n" + b"z" * 100000, b"")


def test_much_input_from_a_pipe(start):
    out, _ = start().communicate(b"z" * 150000 + b"Q", WAIT)
    assert out == b"ready\r\n" + b"z" * 150000


@pytest.mark.parametrize("source", ["null", "pipe", "closed"])
def test_end_of_input_is_silence(start, source):
    stdin = {"null": subprocess.DEVNULL, "pipe": subprocess.PIPE, "closed": None}[source]
    close = (lambda: os.close(0)) if source == "closed" else None
    process = start(stdin=stdin, preexec_fn=close)
    if process.stdin:
        process.stdin.write(b"?")
        process.stdin.close()
    read_until(process.stdout.fileno(), b"?" if source == "pipe" else b"ready\r\n")
    time.sleep(0.3)
    assert process.poll() is None
    # Waiting for nothing costs nothing: the guest's own thread is the only busy one.
    switches = pathlib.Path("/proc/%d/task/%d/status" % (process.pid, process.pid))

    def count():
        lines = switches.read_text().splitlines()
        return sum(int(line.split()[1]) for line in lines if "ctxt_switches" in line)

    first = count()
    time.sleep(0.3)
    assert count() - first < 20
    process.terminate()
    assert process.wait(WAIT) == 128 + signal.SIGTERM


def test_slow_reader_loses_nothing(start):
    process = start()
    process.stdin.write(b"SQ")
    time.sleep(1)
    assert process.poll() is None
    out, err = process.communicate(timeout=WAIT)
    assert out == b"ready\r\n" + b"tick\r\n" * console_guest.TICKS
    assert (process.returncode, err) == (0, b"")


def test_reader_that_leaves(start):
    process = start()
    read_until(process.stdout.fileno(), b"ready\r\n")
    process.stdout.close()
    process.stdin.write(b"SQ")
    assert process.wait(WAIT) == 0
    err = process.stderr.read().decode()
    assert err.count("\n") == 1 and "standard output" in err and "dropped" in err


def test_full_disk(start):
    with open("/dev/full", "wb") as full:
        process = start(stdout=full)
        _, err = process.communicate(b"SQ", WAIT)
    assert process.returncode == 0
    assert err.count(b"\n") == 1 and b"No space left" in err


def test_signals_while_nobody_reads(start):
    process = start()
    process.stdin.write(b"S")
    time.sleep(0.5)
    process.terminate()
    assert process.wait(WAIT) == 128 + signal.SIGTERM


def test_second_signal_ends_it_at_once(start):
    """Output that nobody reads holds the end up, until a second signal.  On a busy machine it may
    look held up all the same, but not each time."""
    def seconds():
        process = start()
        process.stdin.write(b"SQ")
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        begin = time.monotonic()
        assert process.wait(WAIT) in (128 + signal.SIGINT, 128 + signal.SIGTERM)
        return time.monotonic() - begin

    assert any(seconds() < 0.9 * harness.SLOW for _ in range(5))


# --- --serial


def test_serial_none(start):
    process = start("--serial", "none", stdin=subprocess.DEVNULL)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    assert process.wait(WAIT) == 128 + signal.SIGINT
    assert process.stdout.read() == b""


def test_serial_file(start, tmp_path):
    path = tmp_path / "console.txt"
    path.write_text("old")
    process = start("--serial", "file:%s" % path)
    wait_until(lambda: path.read_bytes() == b"ready\r\n", "the guest's text in the file")
    process.terminate()
    assert process.wait(WAIT) == 128 + signal.SIGTERM
    assert process.stdout.read() == b""
    process = start("--serial", "file:%s" % tmp_path)
    assert process.wait(WAIT) == 1
    assert str(tmp_path) in process.stderr.read().decode()


def connect(path):
    wait_until(path.exists, "the console socket")
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(WAIT)
    client.connect(str(path))
    return client


def receive_until(client, wanted):
    got = b""
    while wanted not in got:
        part = client.recv(65536)
        assert part, "no %r before the end, only %r" % (wanted, got[-100:])
        got += part
    return got


def test_serial_socket(start, tmp_path):
    path = tmp_path / "console"
    process = start("--serial", "unix:%s" % path)
    first = connect(path)
    first.sendall(b"a")
    receive_until(first, b"a")

    second = connect(path)  # waits its turn
    second.sendall(b"b")
    time.sleep(0.2)
    first.sendall(b"c")
    assert b"b" not in receive_until(first, b"c")
    first.close()
    assert receive_until(second, b"b") == b"b"

    other = start("--serial", "unix:%s" % path)
    assert other.wait(WAIT) == 1
    assert "another process listens" in other.stderr.read().decode()

    second.sendall(b"R")
    receive_until(second, b"ready\r\n")
    second.sendall(b"Q")
    assert process.wait(WAIT) == 0
    assert second.recv(1) == b""
    assert not path.exists()
    second.close()


def test_serial_socket_flow(start, tmp_path):
    path = tmp_path / "console"
    process = start("--serial", "unix:%s" % path)
    client = connect(path)
    client.sendall(b"S")
    time.sleep(0.5)  # the socket's buffers are full by now
    got = 0
    while got < console_guest.TICKS * len(b"tick\r\n"):
        got += len(client.recv(65536))
    # A client that leaves in the middle holds up nothing.
    client.sendall(b"S")
    client.recv(100)
    client.close()
    client = connect(path)
    sender = b"y" * 200000 + b"Q"
    client.setblocking(False)
    sent = received = 0
    while process.poll() is None:
        ready = select.select([client], [client] if sent < len(sender) else [], [], 1)
        if ready[1]:
            sent += client.send(sender[sent:])
        if ready[0]:
            part = client.recv(65536)
            received += part.count(b"y")
            if not part:
                break
    assert process.wait(WAIT) == 0
    assert (sent, received) == (len(sender), 200000)
    client.close()


def test_serial_socket_paths(start, tmp_path):
    stale = tmp_path / "stale"
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(stale))
    dead.close()
    process = start("--serial", "unix:%s" % stale)
    wait_until(lambda: _connects(stale), "the stale socket to be replaced")
    process.terminate()
    process.wait(WAIT)

    plain = tmp_path / "plain"
    plain.write_text("keep")
    for path, text in ((plain, "no socket"), (tmp_path / "no" / "x", "No such file"),
                       ("/tmp/" + "x" * 200, "too long")):
        process = start("--serial", "unix:%s" % path)
        assert process.wait(WAIT) == 1
        err = process.stderr.read().decode()
        assert text in err and str(path) in err
    assert plain.read_text() == "keep"


def _connects(path):
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as client:
        return client.connect_ex(str(path)) == 0


# --- run-time folders


def test_runtime_folder(start, runtime):
    process = start("-n", "one")
    read_until(process.stdout.fileno(), b"ready\r\n")
    assert (runtime / "one" / "pid").read_text() == "%d\n" % process.pid
    assert stat.S_IMODE((runtime / "one").stat().st_mode) == 0o700

    other = start("-n", "one")
    assert other.wait(WAIT) == 1
    err = other.stderr.read().decode()
    assert "'one'" in err and str(process.pid) in err and "-n" in err
    assert (runtime / "one" / "pid").exists()

    process.kill()
    process.wait(WAIT)
    assert (runtime / "one").exists()
    again = start("-n", "one")
    read_until(again.stdout.fileno(), b"ready\r\n")
    assert (runtime / "one" / "pid").read_text() == "%d\n" % again.pid
    again.stdin.write(b"Q")
    assert again.wait(WAIT) == 0
    assert not (runtime / "one").exists()


def test_default_name(start, runtime):
    process = start()
    read_until(process.stdout.fileno(), b"ready\r\n")
    assert os.listdir(runtime) == ["vm-%d" % process.pid]
    process.stdin.write(b"Q")
    assert process.wait(WAIT) == 0
    assert os.listdir(runtime) == []


def test_no_runtime_folder_is_no_error(start, runtime):
    runtime.write_text("in the way")
    process = start()
    out, err = process.communicate(b"Q", WAIT)
    assert (process.returncode, out) == (0, b"ready\r\n")
    assert err.startswith(b"memvisor: warning: no run-time folder") and err.count(b"\n") == 1
