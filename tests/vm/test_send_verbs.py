# SPDX-License-Identifier: Apache-2.0
"""memvisor send and receive as their user has them: at a terminal, in scripts, and where
something is wrong."""
import contextlib
import json
import os
import pathlib
import random
import re
import select
import signal
import socket
import subprocess
import tempfile
import time

import pexpect
import pytest

import harness
import qmp

MIB = 1 << 20


@pytest.fixture
def folder():
    """In memory, and short: a Unix socket's path has 107 bytes."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as path:
        yield pathlib.Path(path)


@pytest.fixture
def filled(folder):
    path = folder / "filled"
    path.write_bytes(random.Random(1).randbytes(MIB) * 16)
    return path


def machine(memvisor, folder, *options, name="here"):
    image = folder / (name + ".bin")
    image.write_bytes(qmp.SPIN)
    return qmp.Vm(memvisor, folder, *options, name=name,
                  boot=[memvisor.path, "run", "--firmware", image, "--serial", "none"])


def receiver(memvisor, folder, uri, *options, name="there", serial="none"):
    return qmp.Vm(memvisor, folder, *options, name=name,
                  boot=[memvisor.path, "receive", uri, "--serial", serial])


def status(vm):
    with vm.qmp() as client:
        return client.execute("query-status")["status"]


def slowly(rate):
    """Memory has to come at this rate: no rest is so small that the guest stands still for it."""
    return "--max-bandwidth", rate, "--downtime", "0"


def json_lines(text):
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


# --- in scripts


def test_source_ends_once_the_guest_runs_there(memvisor, folder):
    uri = "unix:%s/move" % folder
    with machine(memvisor, folder, "-m", "16M") as here, \
            receiver(memvisor, folder, uri) as there:
        there.wait_for(lambda: "awaited at %s" % uri in there.output())
        result = here.verb("send", "here", uri)
        assert result.code == 0 and result.err == "", result
        assert re.fullmatch(
            r"here: sent to %s: 16(\.0)? MiB of memory in [\d.]+ s, [\d.]+ \w+ over the line in \d+ "
            r"pass(es)? \(pages: \d+ of data, \d+ of zeros, \d+ of one value\); it stood still for "
            r"[\d.]+ ms\n" % re.escape(uri), result.out), result
        # It is gone by then, and its name is free.
        assert here.end() == 0 and not here.rundir.exists()
        assert "the guest runs at %s now" % uri in here.output()
        there.wait_for(lambda: re.search("here is here as there: 16.* over the line", there.output()))
        assert status(there) == "running"
        assert not (folder / "move").exists()


def test_kept_source(memvisor, folder):
    uri = "unix:%s/move" % folder
    with machine(memvisor, folder, "-m", "16M") as here, receiver(memvisor, folder, uri) as there:
        result = here.verb("send", "here", uri, "--keep")
        assert result.code == 0 and "'memvisor quit here' ends it" in result.out, result
        assert (status(here), status(there)) == ("postmigrate", "running")


@pytest.fixture
def full(folder):
    """The path of a pipe that takes nothing, and a descriptor to read it by."""
    path = folder / "full"
    os.mkfifo(path)
    fd = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(fd, b"." * 4096)
    yield path, fd
    os.close(fd)


@pytest.mark.parametrize("options", [[], ["--postcopy"]], ids=" ".join)
def test_source_whose_words_nobody_reads(memvisor, folder, full, options):
    """Standard error is a terminal that is full or stopped, or a pipe whose reader hangs: the
    move goes on, other processes are answered, and the words come once they are read."""
    path, fd = full
    uri = "unix:%s/move" % folder
    image = folder / "here.bin"
    image.write_bytes(qmp.SPIN)
    boot = ["sh", "-c", "exec 2>$0 \"$@\"", path, memvisor.path, "run", "--firmware", image,
            "--serial", "none", "-m", "16M"]
    with qmp.Vm(memvisor, folder, name="here", boot=boot) as here, \
            receiver(memvisor, folder, uri):
        result = here.verb("send", "here", uri, "--keep", *options)
        assert result.code == 0 and result.err == "", result
        assert status(here) == "postmigrate"
        got = b""
        while b"the guest runs at %s now\n" % uri.encode() not in got:
            assert select.select([fd], [], [], 60 * harness.PATIENCE)[0], got[-300:]
            got += os.read(fd, 65536)
        assert here.verb("quit", "here").code == 0
        assert here.end() == 0


def test_lines_of_json(memvisor, folder, filled):
    """Of both sides; some come while it goes on, since the line is slow."""
    uri = "unix:%s/move" % folder
    with machine(memvisor, folder, "-m", "16M,file=%s,share=off" % filled) as here, \
            receiver(memvisor, folder, uri, "--json") as there:
        result = here.verb("send", "here", uri, "--json", *slowly("16M"))
        assert result.code == 0 and result.err == "", result
        *steps, end = [json.loads(line) for line in result.out.splitlines()]
        assert steps and all(set(step) == {
            "status", "pass", "transferred", "remaining", "total", "rate", "dirty-rate",
            "expected-downtime-ms", "throttle"} for step in steps)
        assert any(step["status"] == "active" and step["pass"] == 1 and
                   0 < step["remaining"] < step["total"] for step in steps)
        assert end["status"] == "completed" and end["uri"] == uri
        assert end["seconds"] > 0 and end["downtime-ms"] > 0 and end["setup-ms"] >= 0
        assert end["normal"] >= 16 * 256 and end["transferred"] >= 16 * MIB
        assert end["memory"] >= 16 * MIB and end["passes"] >= 1
        there.wait_for(lambda: '"completed"' in there.output())
        first, *steps, last = json_lines(there.output())
        assert first == {"status": "setup", "name": "there", "uri": uri}
        assert last["status"] == "completed" and last["normal"] == end["normal"]
        assert last["zero"] == end["zero"] and last["repeated"] == end["repeated"]


def test_tcp_port_is_told(memvisor, folder):
    with machine(memvisor, folder, "-m", "16M") as here, \
            receiver(memvisor, folder, "tcp:127.0.0.1:0", "--json") as there:
        there.wait_for(lambda: json_lines(there.output()))
        uri = json_lines(there.output())[0]["uri"]
        assert re.fullmatch(r"tcp:127\.0\.0\.1:[1-9]\d*", uri)
        assert here.verb("send", "here", uri, "--channels", "3", "--compress", "zstd").code == 0
        assert status(there) == "running"


def test_by_a_command_without_a_port(memvisor, folder):
    """As by ssh: the receiver is what the command runs, and its words go to the sender's."""
    log = folder / "log"
    with machine(memvisor, folder, "-m", "16M") as here:
        command = "exec:XDG_RUNTIME_DIR=%s setsid %s receive fd:0,1 -n there --serial none 2>%s" % (
            folder, memvisor.path, log)
        result = here.verb("send", "here", command)
        try:
            assert result.code == 0, (result, log.read_text())
            listed = json.loads(here.verb("ps", "--json").out)
            assert [(row["name"], row["status"]) for row in listed] == [("there", "running")]
        finally:
            ended = here.verb("quit", "there")
        assert ended.code == 0, ended


@pytest.mark.parametrize("ways", ["socket", "pipes"])
def test_over_descriptors_of_the_caller(memvisor, folder, ways):
    """The VM's process never had them, and no word of the verb's is on them."""
    if ways == "socket":
        ours, theirs = socket.socketpair()
        mine, other = [ours.detach()], [theirs.detach()]
    else:
        there_in, mine_out = os.pipe()
        mine_in, there_out = os.pipe()
        mine, other = [mine_in, mine_out], [there_in, there_out]
    log = open(folder / "log", "w+")
    with machine(memvisor, folder, "-m", "16M") as here, log:
        env = here.env
        there = subprocess.Popen(
            [memvisor.path, "receive", "fd:" + ",".join(map(str, other)), "-n", "there",
             "--serial", "none"], env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            pass_fds=other)
        sent = subprocess.Popen(
            [memvisor.path, "send", "here", "fd:" + ",".join(map(str, mine))], env=env,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            pass_fds=mine)
        for fd in mine + other:
            os.close(fd)
        out = sent.communicate(timeout=60 * harness.PATIENCE)[0]
        try:
            assert sent.returncode == 0 and "here: sent to fd:" in out, (
                out, (folder / "log").read_text())
            listed = json.loads(here.verb("ps", "--json").out)
            assert [(row["name"], row["status"]) for row in listed] == [("there", "running")]
        finally:
            there.terminate()
            there.wait()


def test_relative_names_are_the_callers(memvisor, folder):
    """The VM's process is in another folder."""
    (folder / "key").touch(0o600)
    (folder / "key").write_text("mover:%s\n" % random.Random(2).randbytes(32).hex())
    with machine(memvisor, folder, "-m", "16M") as here, \
            receiver(memvisor, folder, "tcp:127.0.0.1:0", "--json", "--tls",
                     "psk=%s/key" % folder) as there:
        there.wait_for(lambda: json_lines(there.output()))
        uri = json_lines(there.output())[0]["uri"]
        plain = here.verb("send", "here", uri)
        assert plain.code == 1 and status(here) == "running", plain
        result = subprocess.run([memvisor.path, "send", "here", uri, "--tls", "psk=key"],
                                cwd=folder, env=here.env, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True, timeout=60 * harness.PATIENCE)
        assert result.returncode == 0, (result, there.output())
        assert status(there) == "running"


def test_received_guest_stays_paused(memvisor, folder):
    uri = "unix:%s/move" % folder
    with machine(memvisor, folder, "-m", "16M") as here, \
            receiver(memvisor, folder, uri, "--paused") as there:
        assert here.verb("send", "here", uri).code == 0
        assert status(there) in ("paused", "prelaunch")
        assert here.verb("cont", "there").code == 0
        assert status(there) == "running"


def test_console_goes_on_there(memvisor, kernel, folder):
    """A Linux guest's shell: what is typed at the receiver's terminal is the guest's from the
    moment it is here, and Ctrl-C before that is not."""
    uri = "unix:%s/move" % folder
    env = dict(os.environ, XDG_RUNTIME_DIR=str(folder), TERM="xterm")

    def terminal(*words):
        return pexpect.spawn(str(memvisor.path), [str(word) for word in words], env=env,
                             encoding="utf-8", codec_errors="replace", timeout=120 * harness.PATIENCE,
                             dimensions=(25, 200))

    with terminal("run", "-n", "here", "-k", harness.KERNEL, "-i", harness.INITRD, "-m", "128M",
                  "-a", harness.CMDLINE) as here:
        here.expect("/root # ")
        here.sendline("x=moved")
        here.expect("/root # ")
        with terminal("receive", uri, "-n", "there") as there:
            there.expect("awaited at")
            sent = terminal("send", "here", uri)
            sent.expect("here: sent to")
            sent.expect(pexpect.EOF)
            there.expect("here is here as there")
            there.sendline("echo it-is-$x")
            there.expect("it-is-moved")
            there.expect("/root # ")
            there.sendline("exit")
            there.expect(pexpect.EOF)
            there.wait()
            assert there.exitstatus == 0
        here.expect(pexpect.EOF)
        here.wait()
        assert here.exitstatus == 0


# --- at a terminal


def test_bar_and_ctrl_c(memvisor, folder, filled):
    """A bar while it goes on; Ctrl-C cancels, the guest runs on, and so does the next send."""
    uri = "unix:%s/move" % folder
    with machine(memvisor, folder, "-m", "16M,file=%s,share=off" % filled) as here:
        with receiver(memvisor, folder, uri) as there:
            with pexpect.spawn(str(memvisor.path), ["send", "here", uri, *slowly("1M")],
                               env=dict(here.env, TERM="xterm"), encoding="utf-8",
                               timeout=60 * harness.PATIENCE, dimensions=(25, 100)) as child:
                child.expect(r"\r\[[#.]{10}\] +\d+ % of pass 1, [\d.]+ \w+/s[^\r]*\x1b\[K")
                assert len(child.match.group(0)) <= 100 + len("\r\x1b[K")
                # As long as nothing has been sent, nothing is done.
                assert not re.search(r"#\] [a-z]", child.before), child.before
                child.send("\x03")
                child.expect(pexpect.EOF)
                child.wait()
                assert child.exitstatus == 130, child.before
                assert "\r\x1b[Kmemvisor: here: " in child.before and "cancelled" in child.before
            assert status(here) == "running"
            assert there.end() == 1
        with receiver(memvisor, folder, uri, name="next") as there:
            assert here.verb("send", "here", uri).code == 0
            assert status(there) == "running"


def test_receiver_with_a_bar(memvisor, folder, filled):
    uri = "unix:%s/move" % folder
    with machine(memvisor, folder, "-m", "16M,file=%s,share=off" % filled) as here:
        with pexpect.spawn(str(memvisor.path), ["receive", uri, "-n", "there"],
                           env=dict(here.env, TERM="xterm"), encoding="utf-8",
                           timeout=60 * harness.PATIENCE, dimensions=(25, 100)) as child:
            child.expect("memvisor: a guest is awaited at %s" % uri)
            sender = subprocess.Popen([memvisor.path, "send", "here", uri, *slowly("1M")],
                                      env=here.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                      text=True)
            child.expect(r"\r\[[#.]{10}\] +\d+ % of pass 1, ")
            child.send("\x03")
            child.expect("ended by SIGINT")
            child.expect(pexpect.EOF)
            child.wait()
            assert child.exitstatus == 130
            out, err = sender.communicate(timeout=60 * harness.PATIENCE)
            assert sender.returncode == 1 and err.startswith("memvisor: here: "), err
        assert status(here) == "running"


# --- what is wrong


@pytest.mark.parametrize("words, parts", [
    (["send"], ["NAME is missing", "memvisor ps"]),
    (["send", "vm"], ["URI is missing"]),
    (["send", "vm", "tcp:h:1", "more"], ["'more'"]),
    (["send", "vm", "tcp:h:1", "--max-bandwidth", "fast"], ["--max-bandwidth fast", "100M"]),
    (["send", "vm", "tcp:h:1", "--downtime", "1s"], ["--downtime 1s", "milliseconds"]),
    (["send", "vm", "tcp:h:1", "--channels", "0"], ["--channels 0", "1 to 16"]),
    (["send", "vm", "tcp:h:1", "--channels", "17"], ["--channels 17", "1 to 16"]),
    (["send", "vm", "tcp:h:1", "--compress", "gzip"], ["--compress gzip", "none or zstd"]),
    (["send", "vm", "tcp:h:1", "--bandwidth", "1M"], ["--bandwidth", "--max-bandwidth"]),
    (["send", "vm", "tcp:h:1", "--after", "1"], ["--after 1", "give both"]),
    (["receive"], ["URI is missing"]),
    (["receive", "fd:0,1"], ["fd:0,1", "--serial none"]),
    (["receive", "tcp::1", "--json=on"], ["--json", "no value"]),
    (["receive", "tcp::1", "-k", "a", "--firmware", "b"], ["-k", "--firmware"]),
    (["receive", "tcp::1", "-m", "12X"], ["12X"]),
])
def test_wrong_usage(memvisor, words, parts):
    result = memvisor.run(*words)
    assert result.code == 2 and result.out == "", result
    assert re.fullmatch(r"memvisor: [^\n]+\n", result.err), result
    assert all(part in result.err for part in parts), result


@pytest.mark.parametrize("words, parts", [
    (["receive", "tcp:0.0.0.0:0"], ["--insecure", "--tls"]),
    (["receive", "nonsense"], ["nonsense", "tcp:"]),
    (["receive", "unix:/no/such/folder/socket"], ["/no/such/folder"]),
    (["receive", "tcp:127.0.0.1:0", "--tls", "psk=/no/such/file"], ["/no/such/file"]),
])
def test_receive_that_cannot_listen(memvisor, folder, words, parts):
    result = harness.run([memvisor.path, *words, "--serial", "none"],
                         env={"XDG_RUNTIME_DIR": str(folder)})
    assert result.code == 1 and result.out == "", result
    assert re.fullmatch(r"memvisor: [^\n]+\n", result.err), result
    assert all(part in result.err for part in parts), result


@pytest.mark.parametrize("uri, parts", [
    ("nonsense", ["nonsense", "tcp:"]), ("unix:%s/nobody", ["nobody"]),
    ("tcp:127.0.0.1:1", ["127.0.0.1:1", "nobody listens"]), ("exec:exit 7", ["exit 7"])])
def test_send_to_nobody(memvisor, folder, uri, parts):
    uri = uri % folder if "%s" in uri else uri
    with machine(memvisor, folder, "-m", "16M") as here:
        result = here.verb("send", "here", uri)
        assert result.code == 1 and result.out == "", result
        assert re.fullmatch(r"memvisor: here: [^\n]+\n", result.err), result
        assert all(part in result.err for part in parts), result
        assert status(here) == "running"


def test_guest_that_does_not_fit(memvisor, folder):
    """Both sides say what differs, and the guest stays."""
    uri = "unix:%s/move" % folder
    with machine(memvisor, folder, "-m", "16M") as here, \
            receiver(memvisor, folder, uri, "-m", "32M") as there:
        result = here.verb("send", "here", uri)
        assert there.end() == 1
        for text in (result.err, there.output()):
            assert "ram0" in text and "16 MiB" in text and "32 MiB" in text, (result, text)
        assert result.code == 1 and status(here) == "running"


def test_sender_that_goes_away(memvisor, folder, filled):
    uri = "unix:%s/move" % folder
    with machine(memvisor, folder, "-m", "16M,file=%s,share=off" % filled) as here, \
            receiver(memvisor, folder, uri) as there:
        with here.qmp() as client:
            client.execute("migrate-set-parameters", max_bandwidth=MIB, downtime_limit=0)
            client.execute("migrate", uri=uri)
            while client.execute("query-migrate")["status"] != "active":
                time.sleep(0.01)
        here.process.send_signal(signal.SIGKILL)
        assert there.end() == 1
        assert re.search(r"memvisor: [^\n]+\n$", there.output()), there.output()


def test_strangers_do_not_end_the_wait(memvisor, folder):
    """What connects and is no sender is dropped."""
    uri = "unix:%s/move" % folder
    with machine(memvisor, folder, "-m", "16M") as here, receiver(memvisor, folder, uri) as there:
        for text in (b"", b"GET / HTTP/1.1\r\n\r\n" + bytes(4096)):
            with socket.socket(socket.AF_UNIX) as stranger:
                stranger.connect(str(folder / "move"))
                stranger.sendall(text)
        assert here.verb("send", "here", uri).code == 0
        assert status(there) == "running"


@pytest.mark.parametrize("tls", [(), ("--tls", "psk=key")], ids=["plain", "tls"])
def test_strangers_who_stay_hold_no_sender_up(memvisor, folder, tls):
    """Each may take ten seconds for its first words, and there are twenty of them."""
    (folder / "key").write_text("mover:000102030405060708090a0b0c0d0e0f\n")
    (folder / "key").chmod(0o600)
    tls = tuple(word.replace("key", str(folder / "key")) for word in tls)
    uri = "unix:%s/move" % folder
    with machine(memvisor, folder, "-m", "16M") as here, \
            receiver(memvisor, folder, uri, *tls) as there, contextlib.ExitStack() as strangers:
        for number in range(20):
            stranger = strangers.enter_context(socket.socket(socket.AF_UNIX))
            stranger.connect(str(folder / "move"))
            stranger.sendall(b"\x16\x03\x01\x3f\xff"[:number % 6])
        assert here.verb("send", "here", uri, *tls, "--channels", "2").code == 0
        assert "gave way to others who connected" in there.output()
        assert status(there) == "running"
