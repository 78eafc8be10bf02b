# SPDX-License-Identifier: Apache-2.0
"""What is in a state file, read by what src/stream/statefile.h and section.h say of its bytes;
its sums are not looked at.  And what is changed in one, with right sums."""
import ctypes
import json
import pathlib
import struct

OBJECT, SUMS, END = 1, 2, 0xffff
FIELD_SIZES = [1, 1, 2, 4, 8]  # of a field's types (src/bus/state.h)


class Section:
    """Where its pieces are in the file's bytes."""

    def __init__(self, data, start):
        magic, self.kind, name, word, _, _, length = struct.unpack_from("<4sHHHHIQ", data, start)
        assert magic == b"mSEC", start
        self.start = start
        self.name = bytes(data[start + 24:start + 24 + name]).decode()
        self.body = start + 24 + name + word
        self.sum = self.body + length
        self.end = self.sum + 8


def sections(data):
    at, = struct.unpack_from("<Q", data, 80)
    while (section := Section(data, at)).kind != END:
        yield section
        at = section.end


class State:
    """`objects` and `sums` are bytes by path or block."""

    def __init__(self, path):
        data = pathlib.Path(path).read_bytes()
        assert data.startswith(b"memvisor state\0\0"), path
        self.id = data[24:40]
        length, _, _, at, size = struct.unpack_from("<5Q", data, 40)
        assert length == len(data), path
        self.manifest = json.loads(data[at:at + size])
        self.objects, self.sums = {}, {}
        for section in sections(data):
            {OBJECT: self.objects, SUMS: self.sums}[section.kind][section.name] = \
                data[section.body:section.sum]


def find_field(data, section, name):
    """Where its first value is, and of how many bytes."""
    at = section.body
    while at < section.sum:
        length = data[at]
        found = data[at + 1:at + 1 + length].decode()
        kind, count = struct.unpack_from("<BI", data, at + 1 + length)
        at += 1 + length + 5
        if found == name:
            return at, FIELD_SIZES[kind]
        at += count * FIELD_SIZES[kind]
    raise KeyError(name)


def change_field(path, part, name, change):
    """Have a field's first value be change(value): both of them."""
    data = bytearray(pathlib.Path(path).read_bytes())
    section = next(s for s in sections(data) if (s.kind, s.name) == (OBJECT, part))
    at, size = find_field(data, section, name)
    old = int.from_bytes(data[at:at + size], "little")
    new = change(old)
    data[at:at + size] = new.to_bytes(size, "little")
    xxh3 = ctypes.CDLL("libxxhash.so.0").XXH3_64bits
    xxh3.argtypes, xxh3.restype = [ctypes.c_char_p, ctypes.c_size_t], ctypes.c_uint64
    summed = bytes(data[section.start:section.sum])
    struct.pack_into("<Q", data, section.sum, xxh3(summed, len(summed)))
    pathlib.Path(path).write_bytes(data)
    return old, new
