# SPDX-License-Identifier: Apache-2.0
"""A guest that is busy with all it has moves again and again: by TLS, with memory that it shares
with others and that rings, and between two hosts with a link that takes its time and loses packets;
with its memory before it and after it.

The guest is rounds-guest.c, which checks all of it.  How long each move kept it is seen by its own
clock, which stands while it runs nowhere, and by its console, from line to line.
"""
import contextlib
import os
import pathlib
import random
import socket
import statistics
import subprocess
import threading
import time

import pytest

import busy_guest
import harness
import ivshmem
import relay
from busy_guest import Chain
from desk import Desk, SIZE
from qmp import Vm

# Of a long test; those of a bad link are a fifth.
MOVES = int(os.environ.get("MEMVISOR_MOVES", "50"))
FOLLOWS = ((), ("--postcopy",))
SAMPLES = 12


@pytest.fixture(scope="module")
def busy(tmp_path_factory):
    return busy_guest.build(tmp_path_factory.mktemp("busy"))


@pytest.fixture(scope="module")
def key(tmp_path_factory):
    path = tmp_path_factory.mktemp("key") / "key"
    path.touch(0o600)
    path.write_text("mover:%s\n" % random.Random(15).randbytes(32).hex())
    return "psk=%s" % path


# --- a guest whose console is looked at as it writes


class Console:
    """What a process writes goes to a file, and when it came is noted."""

    def __init__(self, path):
        self.path, self.pipe = path, pathlib.Path("%s.pipe" % path)
        self.times = []
        os.mkfifo(self.pipe)
        path.touch()
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        with open(self.pipe, "rb", buffering=0) as pipe, open(self.path, "wb", buffering=0) as out:
            while data := pipe.read(1 << 16):
                self.times.append(time.monotonic())
                out.write(data)


class Watched(Chain):
    """A chain that keeps the figures of its moves, with the guest's memory before it and after it:
    for how many seconds its clock stood, and the longest gap on its console."""

    def __init__(self, *words, **more):
        self.consoles, self.figures = [], {"before": [], "after": []}
        super().__init__(*words, **more)

    def listen(self):
        self.consoles.append(Console(self.console))
        return self.consoles[-1].pipe

    def written_by(self, number):
        self.consoles[number].thread.join(60 * harness.PATIENCE)
        return super().written_by(number)

    def behind(self):
        """How far the guest's clock is behind the host's, by the look that was the freshest."""
        looks = [(self.status(), time.monotonic()) for _ in range(SAMPLES)]
        return min(now - status.clock / status.hz for status, now in looks)

    def move(self, uri, *options, receive=()):
        before, began = self.behind(), time.monotonic()
        figures = super().move(uri, *options, receive=receive)
        self.arrived()
        times = sorted(at for console in self.consoles[-2:] for at in console.times if at >= began)
        follows = "--postcopy" in options
        self.figures["after" if follows else "before"].append((
            self.behind() - before, max(later - at for at, later in zip(times, times[1:]))))
        assert (figures["postcopy-bytes"] > 0) == follows, figures
        return figures

    def report(self, record):
        for when, figures in self.figures.items():
            if not figures:
                continue
            text = "%d moves, memory %s the guest: its clock stood %s, its console %s" % (
                len(figures), when, *("%.1f ms (at most %.1f)" % (1000 * statistics.median(of), 1000 * max(of))
                                      for of in zip(*figures)))
            print(text)
            record("downtime, memory %s" % when, text)


# --- TLS


def move_by_tls(chain, number, key):
    """One after the other: all that can be combined with it."""
    options = FOLLOWS[number % 2] + (("--channels", "3") if number // 2 % 2 else ()) + (
        ("--compress", "zstd") if number // 4 % 2 else ())
    return chain.move("tcp:127.0.0.1:0", "--tls", key, *options, receive=("--tls", key))


@pytest.mark.parametrize("cpus", [1, 4])
def test_moves_by_tls(memvisor, tmp_path, busy, key, cpus):
    with Watched(memvisor, tmp_path, busy, cpus) as chain:
        chain.goes_on()
        for number in {1: (0, 1), 4: (2, 7)}[cpus]:
            move_by_tls(chain, number, key)


@pytest.mark.long
@pytest.mark.parametrize("cpus", [1, 4])
def test_many_moves_by_tls(memvisor, tmp_path, busy, key, cpus, record_property):
    with Watched(memvisor, tmp_path, busy, cpus) as chain:
        for number in range(MOVES):
            move_by_tls(chain, number, key)
        chain.report(record_property)


# --- memory that others share


@contextlib.contextmanager
def shared_memory(memvisor, folder, kind):
    """The desk in it, and the words that give it to a guest."""
    if kind == "file":
        path = folder / "shared"
        with open(path, "w+b") as file:
            file.truncate(SIZE)
            with Desk(file.fileno()) as desk:
                yield desk, ("--ivshmem", "mem=%s,size=4M,addr=4" % path)
        return
    with ivshmem.our_server(memvisor, folder, size="4M") as server, \
            contextlib.closing(ivshmem.Peer(server.path)) as peer, Desk(peer.memory, peer) as desk:
        yield desk, ("--ivshmem", "%s,vectors=2,ext=on,addr=4" % server.path)


@contextlib.contextmanager
def sharing(memvisor, folder, busy, kind):
    with shared_memory(memvisor, folder, kind) as (desk, words), \
            Watched(memvisor, folder, busy, 4, *words) as chain:
        desk.start()
        desk.goes_on(chain.vm)
        yield desk, chain


def move_both(desk, chain, kind, *words, **more):
    """The guest is with its desk again, and with a server it was told that it is another peer."""
    before = chain.status().rings
    chain.move(*words, **more)
    desk.goes_on(chain.vm)
    after = chain.status().rings
    if kind == "server":
        assert after[0] > before[0] and after[1] > before[1], (before, after)


@pytest.mark.parametrize("kind", ["file", "server"])
def test_shared_memory_stays_shared(memvisor, tmp_path, busy, kind):
    with sharing(memvisor, tmp_path, busy, kind) as (desk, chain):
        for number, follows in enumerate(FOLLOWS):
            move_both(desk, chain, kind, "unix:%s" % (tmp_path / ("line%d" % number)), *follows)


@pytest.mark.long
@pytest.mark.parametrize("kind", ["file", "server"])
def test_shared_memory_stays_shared_through_many_moves(memvisor, tmp_path, busy, key, kind, record_property):
    """Plain and by TLS."""
    with sharing(memvisor, tmp_path, busy, kind) as (desk, chain):
        for number in range(MOVES):
            uri, tls = ("unix:%s" % (tmp_path / ("line%d" % number)), ()) if number // 2 % 2 else (
                "tcp:127.0.0.1:0", ("--tls", key))
            move_both(desk, chain, kind, uri, *tls, *FOLLOWS[number % 2], receive=tls)
        chain.report(record_property)


# --- channels that come in another order


def pass_on(source, target):
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


def turn_round(listener, back, count):
    """Connections to the listener are passed on to `back`, the last first."""
    fronts = [listener.accept()[0] for _ in range(count)]
    for front in reversed(fronts):
        behind = relay.connect("unix:%s" % back)
        behind.sendall(front.recv(168, socket.MSG_WAITALL))
        for pair in ((front, behind), (behind, front)):
            threading.Thread(target=pass_on, args=pair, daemon=True).start()


def test_the_first_channel_comes_last(memvisor, tmp_path):
    """As where its first packet was lost."""
    with Vm(memvisor, tmp_path, name="here") as here, socket.socket(socket.AF_UNIX) as listener, \
            Vm(memvisor, tmp_path, name="there", boot=[
                memvisor.path, "receive", "unix:%s" % (tmp_path / "back")]):
        listener.bind(str(tmp_path / "front"))
        listener.listen()
        threading.Thread(target=turn_round, args=(listener, tmp_path / "back", 3), daemon=True).start()
        sent = here.verb("send", "here", "unix:%s" % (tmp_path / "front"), "--channels", "3")
        assert sent.code == 0, sent
        assert here.end() == 0


# --- two hosts and the link between them


LINKS = {
    "far": {"rate": 10**9, "delay": 20000},
    "lossy": {"rate": 10**9, "loss": 10000, "seed": 15},
}
SET_RENO = "echo reno >/proc/sys/net/ipv4/tcp_congestion_control"


@contextlib.contextmanager
def between_hosts(memvisor, folder, busy, words):
    """A guest of four processors on the first host."""
    with relay.Link(memvisor, **words) as link, Watched(
            memvisor, folder, busy, 4, on=lambda number, argv: link.on(number % 2, argv)) as chain:
        chain.goes_on()
        yield link, chain


def is_on(link, host, vm):
    """Its process has that host's network."""
    network, hosts, other = (os.readlink("/proc/%s/ns/net" % pid)
                             for pid in (vm.process.pid, link.hosts[host], "self"))
    return network == hosts != other


def move_over(link, chain, *options, tls=()):
    before, host = link.count()[0], chain.count % 2
    assert is_on(link, 1 - host, chain.vm)
    chain.move("tcp:%s:0" % link.addresses[host], *options, *tls, receive=tls or ("--insecure",))
    assert is_on(link, host, chain.vm)
    # Its banks went over the link: 2 MiB of each, in packets of no more than 1500 bytes.
    assert link.count()[0] > before + 6 * busy_guest.MIB // 1500


@pytest.mark.parametrize("name", ["far", "lossy"])
def test_moves_between_hosts(memvisor, tmp_path, busy, name):
    with between_hosts(memvisor, tmp_path, busy, LINKS[name]) as (link, chain):
        for follows in FOLLOWS:
            move_over(link, chain, *follows)
        assert (link.count()[1] > 0) == ("loss" in LINKS[name])


@pytest.mark.long
@pytest.mark.parametrize("name", ["far", "lossy"])
def test_many_moves_between_hosts(memvisor, tmp_path, busy, key, name, record_property):
    with between_hosts(memvisor, tmp_path, busy, LINKS[name]) as (link, chain):
        for number in range(MOVES):
            move_over(link, chain, *FOLLOWS[number % 2], "--channels", "4",
                      tls=("--tls", key) if number // 2 % 2 else ())
        chain.report(record_property)


@pytest.mark.long
def test_moves_by_a_bad_link(memvisor, tmp_path, busy, key, record_property):
    """TCP that takes each loss for a full line makes 4 Mbit/s of it: moves are long, what the guest
    waits for queues, and all that it writes would never be sent within the usual downtime."""
    with between_hosts(memvisor, tmp_path, busy, LINKS["far"] | LINKS["lossy"]) as (link, chain):
        for host in range(2):
            subprocess.run(link.on(host, ["sh", "-c", SET_RENO]), check=True)
        for number in range(MOVES // 5):
            options = FOLLOWS[number % 2] or ("--downtime", "60000")
            move_over(link, chain, *options, "--channels", "4", tls=("--tls", key) if number // 2 % 2 else ())
        chain.report(record_property)
