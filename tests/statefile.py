# SPDX-License-Identifier: Apache-2.0
"""What is in a state file, read by what src/stream/statefile.h and section.h say of its bytes;
its sums are not looked at."""
import json
import pathlib
import struct

OBJECT, SUMS, END = 1, 2, 0xffff


class State:
    """`objects` and `sums` are bytes by path or block."""

    def __init__(self, path):
        data = pathlib.Path(path).read_bytes()
        assert data.startswith(b"memvisor state\0\0"), path
        self.id = data[24:40]
        length, _, _, at, size, sections, _ = struct.unpack_from("<7Q", data, 40)
        assert length == len(data), path
        self.manifest = json.loads(data[at:at + size])
        self.objects, self.sums = {}, {}
        while True:
            magic, kind, name, word, _, _, payload = struct.unpack_from("<4sHHHHIQ", data, sections)
            assert magic == b"mSEC", path
            if kind == END:
                break
            text = data[sections + 24:sections + 24 + name].decode()
            body = sections + 24 + name + word
            {OBJECT: self.objects, SUMS: self.sums}[kind][text] = data[body:body + payload]
            sections = body + payload + 8
