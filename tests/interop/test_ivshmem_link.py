# SPDX-License-Identifier: Apache-2.0
"""A device's connection to its server, without a guest that looks: what the
control socket tells, servers that go away and come back, and servers that send
nonsense."""
import array
import contextlib
import os
import socket
import struct
import threading
import time

import pytest

import harness
import ivshmem
import qmp


def vm(memvisor, folder, *options):
    return qmp.Vm(memvisor, folder, *options)


def device(client, number=0):
    return client.execute("x-query-ivshmem")[number]


def test_query(memvisor, tmp_path):
    with ivshmem.our_server(memvisor, tmp_path, vectors=3) as server:
        host = ivshmem.Peer(server.path).knows([0], 3)
        with vm(memvisor, tmp_path, "--ivshmem", "%s,vectors=2,addr=7.0" % server.path,
                "--ivshmem", "mem=%s,size=64K,create=on" % (tmp_path / "plain")) as guest:
            host.knows([0, 1], 3)
            with guest.qmp() as client:
                guest.wait_for(lambda: len(device(client, 0)["server"]["peers"]) == 1)
                # One more vector than the server's stays without a ring.
                assert client.execute("x-query-ivshmem") == [
                    {"device": "pci/07.0", "kind": "ivshmem-doorbell", "memory": "pci/07.0/bar2",
                     "size": 1 << 20,
                     "server": {"socket": str(server.path), "connected": True, "id": 1,
                                "vectors": 2, "sent": 0, "received": 0,
                                "peers": [{"id": 0, "vectors": 3}]}},
                    {"device": "pci/01.0", "kind": "ivshmem-plain", "memory": "pci/01.0/bar2",
                     "size": 64 << 10}]
                for _ in range(5):
                    host.ring(1, 1)
                host.ring(1, 2)  # nobody listens
                guest.wait_for(lambda: device(client)["server"]["received"] == 5)
                late = ivshmem.Peer(server.path).knows([0, 1, 2], 3)
                guest.wait_for(lambda: device(client)["server"]["peers"] == [
                    {"id": 0, "vectors": 3}, {"id": 2, "vectors": 3}])
                late.close()
                guest.wait_for(lambda: device(client)["server"]["peers"] == [
                    {"id": 0, "vectors": 3}])
        host.knows([0], 3)
        host.close()


def test_server_goes_and_comes_back(memvisor, tmp_path):
    block = tmp_path / "memvisor/vm/ram/pci/01.0/bar2"
    with contextlib.ExitStack() as stack:
        with ivshmem.our_server(memvisor, tmp_path, name="s") as server:
            first = ivshmem.Peer(server.path).knows([0])
            guest = stack.enter_context(vm(memvisor, tmp_path, "--ivshmem", server.path))
            first.knows([0, 1])
        client = stack.enter_context(guest.qmp())
        guest.wait_for(lambda: not device(client)["server"]["connected"])
        gone = "memvisor: pci/01.0: the ivshmem server at '%s' is gone" % server.path
        assert guest.output().count(gone) == 1, guest.output()
        # The peers are still there, and so are its eventfds.
        first.ring(1, 0)
        guest.wait_for(lambda: device(client)["server"]["received"] == 1)
        os.pwrite(first.memory, b"first", 0)
        with open(block, "rb") as file:
            assert file.read(5) == b"first"

        with ivshmem.our_server(memvisor, tmp_path, name="s", size="2M"):
            refusal = "its memory has 2 MiB, and block pci/01.0/bar2 has 1 MiB"
            guest.wait_for(lambda: refusal in guest.output())
            # It tries again, and does not say so again.
            ivshmem.Peer(server.path).until(lambda peer: peer.log[-1][0] > 3).close()
            assert guest.output().count(refusal) == 1
            assert not device(client)["server"]["connected"]

        with ivshmem.our_server(memvisor, tmp_path, name="s") as server:
            guest.wait_for(lambda: device(client)["server"]["connected"])
            second = ivshmem.Peer(server.path)
            os.pwrite(second.memory, b"other", 0)
            with open(block, "rb") as file:
                assert file.read(5) == b"other"
            position = device(client)["server"]["id"]
            assert guest.output().count("is back; the guest is peer %d now" % position) == 1
            second.until(lambda peer: position in peer.peers and peer.id in peer.peers)
            first.ring(1, 0)  # into the past
            second.ring(position, 0)
            guest.wait_for(lambda: device(client)["server"]["received"] == 2)
            second.close()
        first.close()
        assert guest.verb("quit", "vm").code == 0 and guest.end() == 0


def test_more_descriptors_than_the_soft_limit(memvisor, tmp_path):
    """Peers with many vectors, from a shell with the usual limit or less."""
    image = tmp_path / "idle"
    image.write_bytes(qmp.IDLE)
    shell = ["bash", "-c", 'ulimit -Sn 256 && exec "$0" "$@"', memvisor.path, "run", "--firmware",
             image, "-m", "16M"]
    with ivshmem.our_server(memvisor, tmp_path, vectors=300) as server:
        host = ivshmem.Peer(server.path).knows([0], 300)
        with qmp.Vm(memvisor, tmp_path, "--ivshmem", "%s,vectors=300" % server.path,
                    boot=shell) as guest, guest.qmp() as client:
            guest.wait_for(lambda: device(client)["server"]["vectors"] == 300)
            assert device(client)["server"]["peers"] == [{"id": 0, "vectors": 300}]
        host.close()


def test_more_descriptors_than_there_may_be(memvisor, tmp_path):
    """The device's crowd does not take the control socket's, and the guest goes on."""
    image = tmp_path / "idle"
    image.write_bytes(qmp.IDLE)
    shell = ["bash", "-c", 'ulimit -n 256 && exec "$0" "$@"', memvisor.path, "run", "--firmware",
             image, "-m", "16M"]
    crowd = Server(tmp_path / "s", [(0,), (1,), (-1, memory), (1, event)] + [(2, event)] * 300)
    with qmp.Vm(memvisor, tmp_path, "--ivshmem", crowd.path, boot=shell) as guest:
        guest.wait_for(lambda: "(ulimit -n)" in guest.output())
        for _ in range(5):
            with contextlib.ExitStack() as stack:
                for _ in range(8):
                    client = stack.enter_context(guest.qmp())
                    assert client.execute("query-status")["running"]
            time.sleep(0.3)
        crowd.close()
        sound = Server(tmp_path / "s", GOOD + [(1, event), (5, event)])
        with guest.qmp() as client:
            guest.wait_for(lambda: device(client)["server"]["peers"] == [{"id": 5, "vectors": 1}])
        sound.close()


def memory(size=1 << 20):
    fd = os.memfd_create("shared")
    os.ftruncate(fd, size)
    return fd


def pipe():
    return os.pipe()[0]


def event():
    return os.eventfd(0)


class Server:
    """Sends each client the same messages: numbers, with what makes a descriptor."""

    def __init__(self, path, messages, stays=True):
        self.messages, self.path, self.stays, self.clients = messages, path, stays, []
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen()
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            self.clients.append(client)
            with contextlib.suppress(OSError):
                for value, *made in self.messages:
                    fds = [make() for make in made]
                    ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))]
                    client.sendmsg([struct.pack("<q", value)], ancillary if fds else [])
                    for fd in fds:
                        os.close(fd)
            if not self.stays:
                self.clients.pop().close()

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        for client in self.clients:
            client.close()
        self.listener.close()
        os.unlink(self.path)


GOOD = [(0,), (1,), (-1, memory)]

HOSTILE = [
    ([(1,)], "version 0 of the protocol"),
    ([(0,), (-5,)], "our ID, 0 to 65535"),
    ([(0,), (1 << 40,)], "our ID, 0 to 65535"),
    ([(0,), (1,), (-1,)], "the memory (-1 with a descriptor)"),
    ([(0,), (1,), (-1, pipe)], "a descriptor that is no memory"),
    ([(0,), (1,), (-1, event)], "a descriptor that is no memory"),
    ([(0,), (1,), (-1, lambda: memory(3 << 20))], "which is no power of two of whole pages"),
    ([(0,), (1,), (-1, lambda: memory(0))], "which is no power of two of whole pages"),
    ([(0,), (1,), (-1, lambda: memory(512))], "which is no power of two of whole pages"),
    ([(0,), (1,), (2, event)], "peer 2 before its memory"),
]


@pytest.mark.parametrize("messages, complaint", HOSTILE)
def test_hostile_server_at_the_start(memvisor, tmp_path, messages, complaint):
    server = Server(tmp_path / "s", messages)
    image = tmp_path / "idle"
    image.write_bytes(qmp.IDLE)
    result = memvisor.run("run", "--firmware", image, "-m", "16M", "--ivshmem", server.path)
    server.close()
    assert result.code == 1 and complaint in result.err and result.err.count("\n") == 1, result
    assert str(server.path) in result.err


@pytest.mark.parametrize("messages, complaint", HOSTILE + [
    (GOOD + [(2, pipe)], "no eventfd for vector 0 of peer 2"),
    (GOOD + [(1, memory)], "no eventfd for vector 0 of peer 1"),
    (GOOD + [(2, event), (70000, event)], "a peer (0 to 65535) is due"),
    (GOOD + [(-1, memory)], "a peer (0 to 65535) is due"),
    (GOOD + [(2, event, event)], ""),
    (GOOD + [(3, event)] * 2049, "more than 2048 vectors for peer 3"),
    (GOOD + [(9,), (3, event), (3,), (3,)] + [(1, event)] * 3 + [(1,)], "says that we are gone"),
])
def test_hostile_server_later(memvisor, tmp_path, messages, complaint):
    """The machine goes on, and takes the next server that is sound."""
    server = Server(tmp_path / "s", GOOD + [(1, event)])
    with vm(memvisor, tmp_path, "--ivshmem", server.path) as guest:
        server.close()
        server = Server(tmp_path / "s", messages)
        with guest.qmp() as client:
            guest.wait_for(lambda: complaint in guest.output().partition("is gone")[2])
            guest.wait_for(lambda: not device(client)["server"]["connected"])
            server.close()
            server = Server(tmp_path / "s", GOOD + [(1, event), (5, event)])
            guest.wait_for(lambda: device(client)["server"]["peers"] == [{"id": 5, "vectors": 1}])
            assert client.execute("query-status")["running"]
        server.close()
        assert "Sanitizer" not in guest.output()


def test_device_add_of_a_silent_server(memvisor, tmp_path):
    """The others are served while a server that accepts keeps its memory to itself."""
    server, sound = Server(tmp_path / "silent", [(0,), (1,)]), Server(tmp_path / "s", GOOD)
    port = ["--device", "pcie-root-port,id=rp0", "--device", "pcie-root-port,id=rp1"]
    add = dict(driver="ivshmem-doorbell", bus="rp0", id="bell")
    with vm(memvisor, tmp_path, *port) as guest, guest.qmp() as waiting, guest.qmp() as other:
        error = waiting.command("device_add", **{**add, "bus": "no"}, socket=str(server.path))
        assert "no bus 'no'" in error["error"]["desc"] and not server.clients
        before = time.monotonic()
        waiting.send({"execute": "device_add", "arguments": {**add, "socket": str(server.path)}})
        guest.wait_for(lambda: server.clients)
        assert other.execute("query-status")["running"]
        # The slot and the id are not kept for it.
        other.execute("device_add", **add, socket=str(sound.path))
        assert other.execute("x-query-ivshmem")[0]["device"] == "pci/01.0/00.0"
        assert time.monotonic() - before < 8 * harness.SLOW, "it was waited for"
        assert "did not hand out its memory within 10 s" in waiting.answer()["error"]["desc"]
        other.execute("device_add", driver="ivshmem-2009", bus="rp1", socket=str(sound.path))
        assert other.execute("x-query-ivshmem")[1]["kind"] == "ivshmem-2009"
        other.execute("device_del", id="pci/02.0/00.0")  # nobody uses it
        # A machine ends without waiting for it.
        waiting.send({"execute": "device_add", "arguments": {
            **add, "bus": "rp1", "id": "b", "socket": str(server.path)}})
        guest.wait_for(lambda: len(server.clients) == 2)
        before = time.monotonic()
        other.execute("quit")
        assert guest.end() == 0 and time.monotonic() - before < 8 * harness.SLOW
        assert "Sanitizer" not in guest.output()
    server.close()
    sound.close()


def test_server_that_ends_each_connection(memvisor, tmp_path):
    """It is asked less and less often, and does not fill the log."""
    server = Server(tmp_path / "s", GOOD + [(1, event)])
    with vm(memvisor, tmp_path, "--ivshmem", server.path) as guest:
        server.close()
        server = Server(tmp_path / "s", GOOD + [(1, event)], stays=False)
        time.sleep(4)
        assert 2 <= guest.output().count("is back") <= 5, guest.output()
        server.close()
        server = Server(tmp_path / "s", [(0,)], stays=False)
        guest.wait_for(lambda: "is of no use: the server ended the connection" in guest.output())
        time.sleep(2.5)
        assert guest.output().count("of no use") == 1, guest.output()
        server.close()


def test_peer_that_takes_rings_back(memvisor, tmp_path):
    """A count that another one has read in the meantime is not waited for."""
    vectors, rounds = 64, 1000
    with ivshmem.our_server(memvisor, tmp_path, vectors=vectors) as server:
        host = ivshmem.Peer(server.path).knows([0], vectors)
        with vm(memvisor, tmp_path, "--ivshmem", "%s,vectors=%d" % (server.path, vectors)) \
                as guest, guest.qmp() as client:
            host.knows([0, 1], vectors)
            guest.wait_for(lambda: device(client)["server"]["vectors"] == vectors)
            for fd in host.peers[1]:
                os.set_blocking(fd, True)
            for _ in range(rounds):
                for vector in range(vectors):
                    host.ring(1, vector)
                # Those that the loop has been told of, and has not come to yet.
                for fd in reversed(host.peers[1]):
                    with contextlib.suppress(BlockingIOError):
                        os.preadv(fd, [bytearray(8)], -1, os.RWF_NOWAIT)
                client.execute("query-status")
            received = device(client)["server"]["received"]
            assert received < vectors * rounds  # some were taken, or this tests nothing
            host.ring(1, 0)
            guest.wait_for(lambda: device(client)["server"]["received"] > received)
        host.close()


def test_no_server(memvisor, tmp_path):
    image = tmp_path / "idle"
    image.write_bytes(qmp.IDLE)
    (tmp_path / "file").write_bytes(b"")
    for name, complaint in (("none", "no ivshmem server listens at"),
                            ("file", "no ivshmem server listens at"),
                            ("none/s", "no ivshmem server listens at"),
                            ("x" * 200, "x")):
        result = memvisor.run("run", "--firmware", image, "-m", "16M", "--ivshmem",
                              tmp_path / name)
        assert result.code == 1 and complaint in result.err, result
        assert result.err.count("\n") == 1, result
