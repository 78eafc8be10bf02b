# SPDX-License-Identifier: Apache-2.0
"""A client of GDB's remote protocol that acknowledges each packet."""
import socket

import harness


class Remote:
    """The protocol by hand."""

    def __init__(self, path):
        """A socket's path, or a port of this host."""
        if isinstance(path, int):
            self.socket = socket.create_connection(("127.0.0.1", path))
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1) # as GDB does
        else:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.connect(str(path))
        self.socket.settimeout(60 * harness.PATIENCE)
        self.pending = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def byte(self):
        if not self.pending:
            self.pending = self.socket.recv(65536)
            assert self.pending, "the connection is closed"
        byte, self.pending = self.pending[:1], self.pending[1:]
        return byte

    def send(self, packet):
        self.socket.sendall(b"$%s#%02x" % (packet, sum(packet) & 0xff))

    def receive(self):
        while self.byte() != b"$":
            pass
        body = b""
        while True:
            byte = self.byte()
            if byte == b"#":
                break
            body += bytes([self.byte()[0] ^ 0x20]) if byte == b"}" else byte
        assert len(self.byte() + self.byte()) == 2
        try:
            self.socket.sendall(b"+")
        except BrokenPipeError:
            pass # it has closed behind its last word
        return body

    def interrupt(self):
        self.socket.sendall(b"\x03")
        return self.receive()

    def number(self, address):
        """The doubleword there."""
        return int.from_bytes(bytes.fromhex(self.ask(b"m%x,8" % address).decode()), "little")

    def register(self, n):
        return int.from_bytes(bytes.fromhex(self.ask(b"p%x" % n).decode()), "little")

    def ask(self, packet):
        self.send(packet)
        return self.receive()
