# SPDX-License-Identifier: Apache-2.0
"""tests/relay.py does to lines and links what it says."""
import contextlib
import hashlib
import socket
import subprocess
import sys
import threading
import time

import pytest

import harness
import relay

DATA = bytes(range(251)) * 1000


@pytest.fixture
def target(tmp_path):
    """A socket that listens, and its address."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "target"))
        listener.listen()
        listener.settimeout(60 * harness.SLOW)
        yield listener, "unix:%s" % (tmp_path / "target")


@contextlib.contextmanager
def ends(line, listener):
    with relay.connect(line.address) as client:
        client.settimeout(60 * harness.SLOW)
        line.wait("connected")
        server, _ = listener.accept()
        server.settimeout(60 * harness.SLOW)
        with server:
            yield client, server


def read_all(end):
    """All bytes until the end, however it comes, and whether it was in order."""
    parts = []
    while True:
        try:
            part = end.recv(1 << 16)
        except ConnectionError:
            return b"".join(parts), False
        if not part:
            return b"".join(parts), True
        parts.append(part)


def read(end, size):
    """So many bytes: with a time limit MSG_WAITALL waits for none."""
    got = b""
    while len(got) < size:
        part = end.recv(size - len(got))
        assert part, (len(got), size)
        got += part
    return got


def send_all(end, data):
    """In a thread, for as long as the line stands."""
    def send():
        with contextlib.suppress(OSError):
            end.sendall(data)
    thread = threading.Thread(target=send)
    thread.start()
    return thread


@pytest.fixture(params=["unix", "tcp"])
def listen(request, tmp_path):
    return "tcp:127.0.0.1:0" if request.param == "tcp" else "unix:%s" % (tmp_path / "relay")


def test_it_passes_all_on(memvisor, target, listen):
    listener, address = target
    with relay.StreamRelay(memvisor, listen, address, piece=1000) as line:
        with ends(line, listener) as (client, server):
            threads = [send_all(client, DATA), send_all(server, DATA[::-1])]
            assert read(server, len(DATA)) == DATA
            assert read(client, len(DATA)) == DATA[::-1]
            for thread in threads:
                thread.join()
            assert line.count() == [len(DATA), len(DATA)]
            client.shutdown(socket.SHUT_WR)
            assert read_all(server) == (b"", True)
            server.sendall(b"still")
            server.close()
            assert read_all(client) == (b"still", True)
        line.wait("closed")


@pytest.mark.parametrize("cut", [1, 64, 640, 100_000])
def test_it_cuts_after_so_many_bytes(memvisor, target, listen, cut):
    listener, address = target
    with relay.StreamRelay(memvisor, listen, address, cut_up=cut) as line:
        with ends(line, listener) as (client, server):
            thread = send_all(client, DATA)
            assert read_all(server)[0] == DATA[:cut]
            assert read_all(client)[0] == b""
            thread.join()
        assert line.numbers("cut") == [cut, 0]
        with pytest.raises(OSError):
            relay.connect(line.address)


def test_it_cuts_by_both_directions_and_by_the_other(memvisor, target, listen):
    listener, address = target
    for words, up, down in ({"cut": 300}, 100, 200), ({"cut_down": 50}, 100, 50):
        with relay.StreamRelay(memvisor, "tcp:127.0.0.1:0", address, **words) as line:
            with ends(line, listener) as (client, server):
                client.sendall(DATA[:100])
                assert read(server, 100) == DATA[:100]
                thread = send_all(server, DATA)
                assert read_all(client)[0] == DATA[:down]
                thread.join()
            assert line.numbers("cut") == [up, down]


def test_it_cuts_when_told(memvisor, target):
    listener, address = target
    with relay.StreamRelay(memvisor, "tcp:127.0.0.1:0", address) as line:
        with ends(line, listener) as (client, server):
            client.sendall(b"12345")
            assert read(server, 5) == b"12345"
            assert line.cut() == [5, 0]
            assert read_all(server)[0] == read_all(client)[0] == b""


def test_it_holds_and_goes_on(memvisor, target, listen):
    listener, address = target
    with relay.StreamRelay(memvisor, listen, address, hold_up=10) as line:
        with ends(line, listener) as (client, server):
            client.sendall(DATA[:100])
            assert line.numbers("held") == [10, 0]
            assert read(server, 10) == DATA[:10]
            server.settimeout(0.05)
            with pytest.raises(TimeoutError):
                server.recv(1)
            server.settimeout(60 * harness.SLOW)
            line.say("go")
            assert read(server, 90) == DATA[10:100]


def test_it_delays_and_slows_down(memvisor, target, listen):
    listener, address = target
    with relay.StreamRelay(memvisor, listen, address, delay=30) as line:
        with ends(line, listener) as (client, server):
            begun = time.monotonic()
            client.sendall(b"1")
            assert server.recv(1) == b"1"
            server.sendall(b"2")
            assert client.recv(1) == b"2"
            assert time.monotonic() - begun >= 0.06
            line.say("delay=0", "rate=1000000")
            line.count()
            begun = time.monotonic()
            thread = send_all(client, DATA)
            assert read(server, len(DATA)) == DATA
            thread.join()
            # All but what the last piece had to wait for.
            assert time.monotonic() - begun >= len(DATA) / 1e6 / 2


# --- links

LISTEN = """
import hashlib, socket, sys
with socket.create_server(("10.99.0.2", 4444)) as server:
    print("listens", flush=True)
    peer, address = server.accept()
    with peer:
        sum = hashlib.sha256()
        while part := peer.recv(1 << 16):
            sum.update(part)
        peer.sendall(sum.digest())
print(address[0])
"""
SEND = """
import socket, sys, time
begun = time.monotonic()
with socket.create_connection(("10.99.0.2", 4444)) as peer:
    took = time.monotonic() - begun
    peer.sendall(bytes(range(256)) * (int(sys.argv[1]) // 256))
    peer.shutdown(socket.SHUT_WR)
    print(took, peer.recv(32, socket.MSG_WAITALL).hex())
"""


def transfer(link, size):
    """How long it took to connect, in seconds; all that was sent arrived."""
    with subprocess.Popen(link.on(1, [sys.executable, "-c", LISTEN]), stdout=subprocess.PIPE,
                          text=True) as server:
        assert server.stdout.readline() == "listens\n"
        made = subprocess.run(link.on(0, [sys.executable, "-c", SEND, size]), text=True,
                              stdout=subprocess.PIPE, timeout=120 * harness.SLOW, check=True)
        assert server.stdout.read() == "10.99.0.1\n"
    took, digest = made.stdout.split()
    assert digest == hashlib.sha256(bytes(range(256)) * (size // 256)).hexdigest()
    return float(took)


def test_a_link_takes_its_time_and_loses_packets(memvisor):
    with relay.Link(memvisor, rate=10**9, delay=20000, loss=20000, seed=7) as link:
        # There and back; a packet that is lost adds to it.
        assert transfer(link, 2 << 20) >= 0.04
        sent, lost, _ = link.count()
        assert sent > 1400
        # Of the two in a hundred, more than none and not most.
        assert 1 <= lost < sent / 10


def test_a_link_that_is_down_carries_nothing(memvisor):
    with relay.Link(memvisor) as link:
        transfer(link, 1 << 20)
        sent, lost, _ = link.count()
        assert sent > 0 and lost == 0
        link.say("down")
        link.count()
        tried = subprocess.run(
            link.on(0, [sys.executable, "-c", "import socket\nsocket.create_connection("
                        "('10.99.0.2', 4444), timeout=0.2)"]), stderr=subprocess.PIPE, text=True,
            timeout=60 * harness.SLOW, check=False)
        assert "timed out" in tried.stderr
        assert link.count()[0] == sent


def test_the_hosts_go_with_the_link(memvisor):
    with relay.Link(memvisor) as link:
        hosts = list(link.hosts)
        command = link.on(0, ["true"])
        subprocess.run(command, check=True, timeout=60 * harness.SLOW)
    for _ in hosts:
        assert subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode != 0
