# SPDX-License-Identifier: Apache-2.0
"""The line between a memvisor that sends a guest and one that receives it, as frames, by what
src/migration/wire.h says of them: watched, cut where a test wants it, recorded."""
import ctypes
import os
import select
import socket
import struct
import threading

import harness

HEAD = struct.Struct("<4sHHIIQQQ")
TYPES = {1: "HELLO", 2: "MANIFEST", 3: "RAM", 4: "PASS", 5: "SECTIONS", 6: "END", 7: "RUN",
         8: "READY", 9: "REFUSED", 10: "LOADED", 11: "RUNNING", 12: "FAILED", 13: "ABSENT", 14: "WANT"}
SENDERS, RECEIVERS = ("HELLO", "MANIFEST", "RAM", "PASS", "SECTIONS", "END", "RUN"), (
    "READY", "LOADED", "RUNNING")


xxhash = ctypes.CDLL("libxxhash.so.0")
xxhash.XXH3_64bits.restype = xxhash.XXH3_64bits_withSeed.restype = ctypes.c_uint64


def frame(name, payload=b"", **fields):
    """The bytes of a frame, with the sum that it has to have."""
    number = next(number for number, other in TYPES.items() if other == name)
    head = HEAD.pack(b"mMOV", number, fields.get("kind", 0), len(payload), fields.get("index", 0),
                     fields.get("offset", 0), fields.get("size", 0), 0)[:-8]
    seed = xxhash.XXH3_64bits(head, ctypes.c_size_t(len(head)))
    return head + struct.pack("<Q", xxhash.XXH3_64bits_withSeed(
        payload, ctypes.c_size_t(len(payload)), ctypes.c_uint64(seed))) + payload


class Frames:
    """Bytes of one direction, cut into frames."""

    def __init__(self):
        self.bytes = b""

    def take(self, more):
        """Whole frames, each its type and its bytes."""
        self.bytes += more
        while len(self.bytes) >= HEAD.size:
            magic, kind, _, length, _, _, _, _ = HEAD.unpack_from(self.bytes)
            assert magic == b"mMOV", self.bytes[:64]
            if len(self.bytes) < HEAD.size + length:
                return
            frame, self.bytes = self.bytes[:HEAD.size + length], self.bytes[HEAD.size + length:]
            yield TYPES[kind], frame


class Line:
    """Passes on what comes to the Unix socket `front` to the one at `back`, and back.  Before a
    frame is passed on, at(type, number of it) is called, with frames counted by type; where that
    returns True both ends are closed instead."""

    def __init__(self, front, back, at=None):
        self.back, self.at = str(back), at
        self.counts = {}
        self.seen = []      # types, in order, of both directions
        self.sent = b""     # all that the sender said
        self.problem = None
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(front))
        self.listener.listen()
        self.quit, self.told = os.pipe()
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def passes(self, kind):
        number = self.counts[kind] = self.counts.get(kind, 0) + 1
        self.seen.append(kind)
        return not (self.at and self.at(kind, number))

    def serve(self):
        try:
            self.pass_on()
        except OSError:
            pass  # an end is gone
        except BaseException as problem:
            self.problem = problem

    def pass_on(self):
        if self.listener in select.select([self.listener, self.quit], [], [])[0]:
            sender, _ = self.listener.accept()
            receiver = socket.socket(socket.AF_UNIX)
            with sender, receiver:
                receiver.connect(self.back)
                self.pump({sender: (receiver, Frames()), receiver: (sender, Frames())}, sender)

    def pump(self, ways, sender):
        open_ends = set(ways)
        while open_ends:
            for end in select.select([*open_ends, self.quit], [], [])[0]:
                if end == self.quit:
                    return
                data = end.recv(1 << 20)
                other, frames = ways[end]
                if not data:
                    open_ends.discard(end)
                    other.shutdown(socket.SHUT_WR)
                for kind, frame in frames.take(data):
                    if not self.passes(kind):
                        return
                    other.sendall(frame)
                    if end is sender:
                        self.sent += frame

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.write(self.told, b"x")
        self.thread.join(60)
        self.listener.close()
        os.close(self.quit)
        os.close(self.told)
        assert self.problem is None, self.problem


class Sender:
    """A connection to a receiver, which speaks frames."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(60 * harness.PATIENCE)
        self.socket.connect(str(path))
        self.frames, self.heard = Frames(), []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def say(self, *frames):
        for one in frames:
            self.socket.sendall(one)

    def hear(self):
        """The next answer: its type and its text."""
        while not self.heard:
            more = self.socket.recv(1 << 16)
            assert more, "the receiver said nothing"
            self.heard += self.frames.take(more)
        kind, whole = self.heard.pop(0)
        return kind, whole[HEAD.size:].decode(errors="replace")
