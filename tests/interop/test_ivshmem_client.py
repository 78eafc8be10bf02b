# SPDX-License-Identifier: Apache-2.0
"""memvisor ivshmem-client and libmemvisor-ivshmem: against our server, QEMU's
reference server, and servers that are not what they should be."""
import array
import contextlib
import ctypes
import json
import os
import re
import resource
import socket
import struct
import subprocess
import threading
import time

import pexpect
import pytest

import harness
import ivshmem

PAGE = harness.TOP / "docs/man/libmemvisor-ivshmem.3"


def eventfd():
    return os.eventfd(0) if hasattr(os, "eventfd") else ctypes.CDLL(None).eventfd(0, 0)


@contextlib.contextmanager
def some_server(kind, memvisor, folder):
    """Ours and the reference server, by the same tests."""
    if kind == "ours":
        with ivshmem.our_server(memvisor, folder, vectors=2) as server:
            yield server.path
    else:
        ivshmem.reference_tools()
        with ivshmem.reference_server(folder, vectors=2) as server:
            yield server.path


@pytest.fixture(params=["ours", "reference"])
def path(request, memvisor, tmp_path):
    with some_server(request.param, memvisor, tmp_path) as socket_path:
        yield socket_path


def test_one_shot_commands(memvisor, path):
    peer = ivshmem.Peer(path).knows([0], 2)
    result = memvisor.run("ivshmem-client", path, "list", "--json")
    assert json.loads(result.out) == {"id": 1, "size": 1 << 20, "vectors": 2,
                                      "peers": [{"id": 0, "vectors": 2}]}, result
    assert memvisor.run("ivshmem-client", path, "ring", "0", "1").code == 0
    assert peer.rung(1) == 1
    assert memvisor.run("ivshmem-client", path, "ring", "all", "all").code == 0
    assert (peer.rung(0), peer.rung(1)) == (1, 1)
    assert memvisor.run("ivshmem-client", path, "write", "0x1000", "some", "text").code == 0
    assert os.pread(peer.memory, 10, 0x1000) == b"some text\0"
    assert memvisor.run("ivshmem-client", path, "write", "8K", stdin="piped").code == 0
    assert memvisor.run("ivshmem-client", path, "read", "8192", "5").out == "piped"
    dump = memvisor.run("ivshmem-client", path, "dump", "0x1000", "18").out
    assert dump == ("00001000  73 6f 6d 65 20 74 65 78  74 00 00 00 00 00 00 00"
                    "  some text.......\n00001010  00 00" + " " * 43 + "  ..\n"), dump
    result = memvisor.run("ivshmem-client", path, "read", "1M", "1")
    assert result.code == 1 and "reach beyond the memory, which has 1048576" in result.err
    result = memvisor.run("ivshmem-client", path, "ring", "999")
    assert result.code == 1 and "there is no peer 999" in result.err
    result = memvisor.run("ivshmem-client", path, "ring", "0", "2")
    assert result.code == 1 and "peer 0 has no vector 2: its last is 1" in result.err
    piped = memvisor.run("ivshmem-client", path, stdin="write 0 piped\nread 0 5")
    assert (piped.code, piped.out, piped.err) == (0, "piped\n", ""), piped
    peer.until(lambda p: list(p.peers) == [0]).close()


def test_wait(memvisor, path):
    peer = ivshmem.Peer(path).knows([0], 2)
    waiter = subprocess.Popen([memvisor.path, "ivshmem-client", path, "wait", "1"],
                              stdout=subprocess.PIPE, text=True)
    peer.knows([0, 1], 2)
    peer.ring(1, 0)
    peer.ring(1, 1)
    assert waiter.communicate(timeout=60 * harness.PATIENCE)[0].splitlines()[-1] == "rung: vector 1, 1 time"
    assert waiter.returncode == 0
    result = memvisor.run("ivshmem-client", path, "wait", "--timeout", "0.2")
    assert result.code == 1 and "no ring within 0.2 seconds" in result.err
    peer.close()


@pytest.mark.parametrize("term", ["dumb", "xterm"])
def test_prompt(memvisor, path, term):
    with harness.spawn(str(memvisor.path), ["ivshmem-client", str(path)], encoding="utf-8",
                       timeout=60 * harness.PATIENCE, env=dict(os.environ, TERM=term)) as child:
        child.expect("Peer 0; 'help' lists the commands.\r\n> ")
        peer = ivshmem.Peer(path).knows([0, 1], 2)
        child.expect("joined: peer 1\r\n> ")
        peer.ring(0, 1)
        child.expect("rung: vector 1, 1 time\r\n> ")
        # A line that is typed before the prompt is there shows in front of it.
        child.sendline("ring 1 0")
        child.expect("ring 1 0\r\n> ")
        assert peer.rung(0) == 1
        child.sendline("write 5 hello")
        child.expect("write 5 hello\r\n> ")
        child.sendline("read 5 5")
        child.expect("\nhello\r\n")
        child.sendline("dance")
        child.expect("there is no command 'dance': it is list, ring")
        peer.close()
        child.expect("left: peer 1")
        child.sendline("quit")
        child.expect(pexpect.EOF)


def test_reconnects(memvisor, tmp_path):
    mem = ["--mem", "file:%s" % (tmp_path / "bytes")]
    with ivshmem.our_server(memvisor, tmp_path, *mem) as server:
        child = harness.spawn(str(memvisor.path),
                              ["ivshmem-client", str(server.path), "--reconnect"],
                              encoding="utf-8", timeout=60 * harness.PATIENCE)
        child.expect("> ")
        child.sendline("write 0 kept")
        child.sendline("list")
        child.expect("ourselves")
        server.kill()
        child.expect("lost: the server is gone")
    time.sleep(0.3)
    with ivshmem.our_server(memvisor, tmp_path, *mem, vectors=3) as server:
        child.expect("back: our ID is 0")
        child.sendline("list")
        child.expect("3 vectors, ourselves")
        peer = ivshmem.Peer(server.path).knows([0, 1], 3)
        child.expect("joined: peer 1")
        peer.ring(0, 2)
        child.expect("rung: vector 2, 1 time")
        child.sendline("read 0 4")
        child.expect("kept")
        child.sendline("quit")
        child.expect(pexpect.EOF)
        peer.close()


class Hostile:
    """Sends what it is told to whoever connects: (bytes, descriptors) each."""

    def __init__(self, path, script, hold=False):
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen()
        self.script = script
        self.hold = hold
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        sock, _ = self.listener.accept()
        with sock, contextlib.suppress(OSError):
            for data, fds in self.script:
                sock.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))]
                             if fds else [])
            if self.hold:
                sock.recv(1)  # until the client goes
            sock.shutdown(socket.SHUT_WR)
            sock.recv(1)


def number(value):
    return struct.pack("<q", value)


def memory(size):
    fd = os.memfd_create("test")
    os.ftruncate(fd, size)
    return fd


HEAD = [(number(0), []), (number(4), [])]


def hostile_cases():
    mem, event = lambda: memory(1 << 20), eventfd
    pipe = lambda: os.pipe()[1]
    whole = lambda: HEAD + [(number(-1), [mem()])]
    return {
        "nothing": (lambda: [], "the server ended the connection"),
        "wrong version": (lambda: [(number(1), [])], "sent 1 without a descriptor, where version 0"),
        "cut": (lambda: [(b"\0\0\0", [])], "ended the connection inside a message, 3 of 8 bytes"),
        "ID out of range": (lambda: [(number(0), []), (number(65536), [])], "sent 65536"),
        "peer out of range": (lambda: whole() + [(number(1 << 40), [event()])], "a peer (0 to 65535)"),
        "two descriptors": (lambda: HEAD + [(number(-1), [mem(), mem()])], "more than one descriptor"),
        "no descriptor": (lambda: HEAD + [(number(-1), [])], "sent -1 without a descriptor"),
        "no memory": (lambda: HEAD + [(number(-1), [pipe()])], "a descriptor that is no memory"),
        "odd size": (lambda: HEAD + [(number(-1), [memory(12345)])], "has 12345 bytes"),
        "no size": (lambda: HEAD + [(number(-1), [memory(0)])], "has 0 bytes"),
        "no eventfd": (lambda: whole() + [(number(4), [pipe()])], "no eventfd for vector 0 of peer 4"),
        "memory as eventfd": (lambda: whole() + [(number(5), [mem()])], "no eventfd for vector 0"),
        "vectors first": (lambda: HEAD + [(number(4), [event()])], "peer 4 before its memory"),
        "we are gone": (lambda: whole() + [(number(4), [])], "says that we are gone"),
        "second memory": (lambda: whole() + [(number(-1), [mem()])], "sent -1 with a descriptor"),
        "too many vectors": (lambda: whole() + [(number(7), [event()])] * 2049,
                             "more than 2048 vectors for peer 7"),
    }


@pytest.mark.parametrize("name", hostile_cases())
def test_hostile_server(memvisor, tmp_path, name):
    script, words = hostile_cases()[name]
    Hostile(tmp_path / "s", script())
    result = subprocess.run(
        ["bash", "-c", 'ulimit -n 4096; exec "$0" "$@"', str(memvisor.path), "ivshmem-client",
         str(tmp_path / "s"), "list"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        timeout=30 * harness.PATIENCE)
    assert result.returncode == 1 and words in result.stderr, result
    assert result.stderr.count("\n") == 1 and result.stdout == ""


def test_memory_that_shrinks_is_an_error(memvisor, tmp_path):
    mem = memory(1 << 20)
    Hostile(tmp_path / "s", HEAD + [(number(-1), [mem]), (number(4), [eventfd()])], hold=True)
    child = subprocess.Popen([memvisor.path, "ivshmem-client", tmp_path / "s"],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True)
    child.stdin.write("write 0x8000 here\nread 0x8000 4\n")
    child.stdin.flush()
    assert child.stdout.readline() == "here\n"
    os.ftruncate(mem, 4096)
    out, err = child.communicate("read 0x8000 4\nwrite 0x8000 x\nread 0 1\n")
    assert child.returncode == 0
    assert err.count("the memory at offset 32768 is gone: the object behind it has shrunk") == 2


def build_example(folder, name, flags):
    """The man page's example, taken out of it and built."""
    text = PAGE.read_text()
    source = re.search(r"\.Bd -literal\n(#include.*?)\.Ed", text, re.S).group(1).replace(r"\e", "\\")
    (folder / "example.c").write_text(source)
    build = harness.run(["cc", "-Wall", "-Werror", folder / "example.c", "-o", folder / name,
                         *flags])
    assert build.code == 0, build
    return folder / name


def installed_flags(build, folder):
    """By pkg-config, of an installation under folder."""
    done = harness.run(["meson", "install", "-C", build, "--no-rebuild", "--destdir", folder],
                       timeout=60)
    assert done.code == 0, done
    where = next(folder.rglob("libmemvisor-ivshmem.pc")).parent
    words = harness.run(["pkg-config", "--cflags", "--libs", "libmemvisor-ivshmem"],
                        env={"PKG_CONFIG_PATH": str(where), "PKG_CONFIG_SYSROOT_DIR": str(folder)})
    assert words.code == 0, words
    return words.out.split() + ["-Wl,-rpath,%s" % where.parent]


@pytest.mark.parametrize("kind", ["shared", "static", "installed"])
def test_example_of_the_man_page(memvisor, tmp_path, kind):
    """It counts and rings back; also shows that each library stands alone."""
    library = memvisor.path.parent / "src/ivshmem"
    if "asan" in str(library) or "tsan" in str(library):
        sanitize = ["-fsanitize=%s" % ("thread" if "tsan" in str(library) else "address,undefined")]
    else:
        sanitize = []
    header = ["-I", harness.TOP / "src/ivshmem"]
    if kind == "shared":
        flags = header + ["-L", library, "-lmemvisor-ivshmem", "-Wl,-rpath,%s" % library]
    elif kind == "static":
        flags = header + [library / "libmemvisor-ivshmem.a"]
    else:
        flags = installed_flags(memvisor.path.parent, tmp_path / "root")
    program = build_example(tmp_path, kind, flags + sanitize)
    with ivshmem.our_server(memvisor, tmp_path) as server:
        first = ivshmem.Peer(server.path).knows([0])
        running = subprocess.Popen([program, server.path], stdout=subprocess.PIPE, text=True)
        first.knows([0, 1])
        first.ring(1, 0)
        assert running.communicate(timeout=60 * harness.PATIENCE)[0] == "1: 1\n"
        assert first.rung(0) == 1
        assert os.pread(first.memory, 4, 0) == struct.pack("=I", 1)
        first.close()


@pytest.mark.parametrize("words, remedy", [
    (["s", "dance"], "there is no command 'dance'"),
    (["s", "ring"], "'ring' is used as: ring PEER|all [VECTOR|all]"),
    (["s", "wait", "--timeout", "soon"], "--timeout soon: it is a number of seconds"),
    ([], "SOCKET"),
])
def test_wrong_usage(memvisor, words, remedy):
    result = memvisor.run("ivshmem-client", *words)
    assert result.code == 2 and remedy in result.err, result


def test_more_vectors_than_the_soft_limit_of_descriptors(memvisor, tmp_path):
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    with ivshmem.our_server(memvisor, tmp_path, vectors=4) as server:
        crowd = [socket.socket(socket.AF_UNIX) for _ in range(100)]
        for sock in crowd:
            sock.connect(str(server.path))
        result = subprocess.run(
            [memvisor.path, "ivshmem-client", server.path, "list", "--json"], text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=30 * harness.PATIENCE,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (200, hard)))
        assert result.returncode == 0, result
        assert json.loads(result.stdout)["peers"] == [{"id": n, "vectors": 4} for n in range(100)]
        for sock in crowd:
            sock.close()


def test_no_server(memvisor, tmp_path):
    result = memvisor.run("ivshmem-client", tmp_path / "none", "list")
    assert result.code == 1 and "No such file" in result.err and result.err.count("\n") == 1


def test_block_of_the_readme_as_a_script(memvisor, tmp_path):
    """As written, but for its socket: who comes before the server waits for it."""
    readme = (harness.TOP / "README.md").read_text()
    block = next(part for part in readme.split("```") if "ivshmem-server /tmp/shm.sock" in part)
    script = block.replace("/tmp/shm.sock", str(tmp_path / "shm.sock"))
    for _ in range(5):
        result = subprocess.run(
            ["bash", "-euc", script + "\nkill %1\nwait"], capture_output=True, text=True,
            timeout=60 * harness.PATIENCE,
            env=dict(os.environ, PATH="%s:%s" % (memvisor.path.parent, os.environ["PATH"])))
        assert result.returncode in (0, 143), result
        assert "1 MiB" not in result.stdout and "64 MiB" in result.stdout + result.stderr, result


def test_wait_gives_up(memvisor, tmp_path):
    result = memvisor.run("ivshmem-client", tmp_path / "none", "--wait", "0.2", "list")
    assert result.code == 1 and "No such file" in result.err, result
    result = memvisor.run("ivshmem-client", tmp_path / "none", "--wait", "soon", "list")
    assert result.code == 2 and "--wait soon" in result.err, result
