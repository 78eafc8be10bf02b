# SPDX-License-Identifier: Apache-2.0
"""libFuzzer on all that a receiver makes of what a sender says, beginning with real senders."""
import socket
import subprocess

import libfuzzer
from move_line import Line
from qmp import Vm

# A machine with a few devices has some 60 KiB of parts.
LONGEST = 1 << 17
# Beside the blocks, of which fuzz-receive.c allows 16 MiB; it looks itself at what is allocated in all.
MEMORY = ["-malloc_limit_mb=64", "-rss_limit_mb=900"]
WFI = bytes.fromhex("7f2003d5ffffff17")  # wfi; b .-4
# Of the machine, of the sender, and the image, of which pages of one word and others come.
MOVES = [
    (["-m", "4M"], [], WFI),
    (["-m", "4M", "-m", "2M@8G,thp=off", "-c", "2", "--device", "edu,addr=03.0"],
     ["--compress", "zstd"], WFI + bytes(range(256)) * 40),
    (["-m", "4M", "--device", "pcie-root-port,id=port", "--device", "edu,bus=port"], [], WFI * 1024),
    (["-m", "4M"], ["--postcopy"], WFI),
]


def record(memvisor, folder, machine, options, image):
    """What a sender said."""
    folder.mkdir()
    (folder / "image").write_bytes(image)
    boot = [memvisor.path, "run", "--firmware", folder / "image"]
    with Vm(memvisor, folder, *machine, name="here", boot=boot) as here, \
            Vm(memvisor, folder, name="there", boot=[
                memvisor.path, "receive", "unix:%s" % (folder / "back")]), \
            Line(folder / "front", folder / "back") as line, socket.socket(socket.AF_UNIX) as end:
        # One connection, also where memory follows the guest.
        end.connect(str(folder / "front"))
        subprocess.run([memvisor.path, "send", "here", "fd:%d" % end.fileno(), *options], check=True,
                       env=here.env, stdin=subprocess.DEVNULL, pass_fds=[end.fileno()])
        return line.sent


def make_seeds(memvisor, folder):
    seeds = folder / "seeds"
    seeds.mkdir()
    for number, move in enumerate(MOVES):
        stream = record(memvisor, folder / ("move-%d" % number), *move)
        assert len(stream) < LONGEST, "the inputs are too short for a stream of %d bytes" % len(stream)
        for how in (0, 3):
            (seeds / ("%d-%d" % (number, how))).write_bytes(bytes([how]) + stream)
    return seeds


def test_receive(memvisor, tmp_path, monkeypatch):
    seeds = make_seeds(memvisor, tmp_path)
    program = libfuzzer.build(
        "fuzz-receive", ["base", "config", "memory", "stream", "bus", "arch", "arch/arm64", "ivshmem",
         "device", "machine", "migration"])
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    libfuzzer.run([program], tmp_path, longest=LONGEST, options=[*MEMORY, seeds])
