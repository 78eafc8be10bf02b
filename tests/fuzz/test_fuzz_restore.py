# SPDX-License-Identifier: Apache-2.0
"""libFuzzer on all that a restore makes of a state file, beginning with real ones."""
import libfuzzer
from qmp import Vm

# A machine with a few devices has some 60 KiB of parts.
LONGEST = 1 << 17
# Beside the blocks, of which none may be larger than the file's hole.
MEMORY = ["-malloc_limit_mb=64", "-rss_limit_mb=900"]
MACHINES = [
    ("-m", "4M"),
    ("-m", "4M", "-m", "2M@8G,thp=off", "-c", "2", "--device", "edu,addr=03.0"),
    ("-m", "4M,memfd=on", "--device", "pcie-root-port,id=port", "--device", "edu,bus=port"),
]


def input_of(state, copy):
    """What fuzz-restore.c takes, of a state file (src/stream/statefile.h)."""
    data = state.read_bytes()
    manifest, length, sections = (int.from_bytes(data[at:at + 8], "little") for at in (64, 72, 80))
    end = 32  # bytes of the last section
    return (bytes([copy]) + length.to_bytes(3, "little") + data[manifest:manifest + length] +
            data[sections:-end])


def make_seeds(memvisor, folder):
    seeds = folder / "seeds"
    seeds.mkdir()
    for number, options in enumerate(MACHINES):
        name = "seed-%d" % number
        image = folder / (name + ".bin")
        image.write_bytes(bytes.fromhex("7f2003d5ffffff17"))  # wfi; b .-4
        with Vm(memvisor, folder, *options, name=name,
                boot=[memvisor.path, "run", "--firmware", image]) as vm:
            assert vm.verb("save", name, folder / name).code == 0
        for copy in (0, 1):
            (seeds / ("%s-%d" % (name, copy))).write_bytes(input_of(folder / name, copy))
    return seeds


def test_restore(memvisor, tmp_path, monkeypatch):
    seeds = make_seeds(memvisor, tmp_path)
    program = libfuzzer.build(
        "fuzz-restore", ["base", "config", "memory", "stream", "bus", "arch", "arch/arm64", "ivshmem", "device",
         "machine", "migration"])
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    libfuzzer.run([program], tmp_path, longest=LONGEST, options=[*MEMORY, seeds])
