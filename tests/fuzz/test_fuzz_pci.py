# SPDX-License-Identifier: Apache-2.0
"""libFuzzer on configuration space, BARs, bridges' windows and hotplug."""
import random

import libfuzzer

LENGTH = 1 + 8 * 100  # bytes: what was there at the start, and steps


def make_seeds(folder):
    """Many steps from the start, since a single one does little."""
    source = random.Random(4)
    folder.mkdir()
    for number in range(32):
        (folder / str(number)).write_bytes(source.randbytes(LENGTH))
    return folder


def test_pci(tmp_path):
    program = libfuzzer.build(
        "fuzz-pci", ["base", "config", "memory", "stream", "arch", "arch/arm64", "bus",
                               "ivshmem", "device"],
        ["machine/%s.c" % name for name in ("board", "board-arm64", "board-pci", "boards", "fdt-arm64",
                                            "hotplug", "image-arm64", "placement-arm64")])
    # It takes a processor to itself, and its seeds alone reach nearly all that it finds.
    libfuzzer.run([program], tmp_path, longest=LENGTH, options=[make_seeds(tmp_path / "seeds")],
                  seconds=10)
