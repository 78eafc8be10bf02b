# SPDX-License-Identifier: Apache-2.0
"""Guests of memvisor's and of QEMU's and a program of the host's add to one
shared word: nothing gets lost."""
import os
import re
import struct
import subprocess

import guest_tools
import harness
import ivshmem
import ivshmem_guests

SECONDS = 20 if os.environ.get("MEMVISOR_LONG") else 4
PLACE = 4096  # of the word, a page's first
ADDERS = """
echo ready
ivshmem wait -v 0 -t 300
for i in $(seq %d); do
    %s add -o %d -t %d &
done
wait
echo finished
sleep 1000
"""


def added(text):
    return [int(number) for number in re.findall(r"\badded (\d+)", text)]


def test_none_is_lost(memvisor, qemu, kernel, tmp_path):
    """Two guests of memvisor's, one with one vCPU and LSE's atomics and one with
    two and exclusives, a guest of QEMU's with two vCPUs, and the host."""
    adder = tmp_path / "host-adder"
    subprocess.run(["cc", "-O2", "-o", adder, harness.TOP / "tests/vm/host-adder.c"], check=True)
    memory = tmp_path / "memory"
    guests = []
    with ivshmem.our_server(memvisor, tmp_path, "--mem", "file:%s" % memory) as server:
        host = ivshmem.Peer(server.path).knows([0])

        def start(kind, adders, tool):
            folder = tmp_path / kind
            folder.mkdir()
            files = ivshmem_guests.program_files(folder) + [
                (guest_tools.program("ivshmem", folder, suffix="-lse",
                                     flags=["-march=armv8.1-a"]), "bin/ivshmem-lse"),
                (guest_tools.program("ivshmem", folder, suffix="-exclusive",
                                     flags=["-mno-outline-atomics"]), "bin/ivshmem-exclusive")]
            script = ivshmem_guests.START + ADDERS % (adders, tool, PLACE, SECONDS)
            if kind == "qemu":
                return ivshmem_guests.qemu_arm64(qemu, folder, files, script, server.path, 1,
                                                 "-smp", "2")
            return ivshmem_guests.memvisor(memvisor, folder, files, script, "--ivshmem",
                                           server.path, "-c", str(adders))

        try:
            for kind, adders, tool in (("lse", 1, "ivshmem-lse"), ("exclusive", 2,
                                       "ivshmem-exclusive"), ("qemu", 2, "ivshmem")):
                guests.append(start(kind, adders, tool))
                host.knows(list(range(len(guests) + 1)))
            for guest in guests:
                guest.says("waiting for vector 0")
            for peer in (1, 2, 3):
                host.ring(peer, 0)
            ours = harness.run([adder, memory, str(PLACE), str(SECONDS)], timeout=SECONDS + 60)
            for guest in guests:
                guest.says("finished", SECONDS + 60)
            counts = [added(ours.out)] + [added(guest.text()) for guest in guests]
            total = struct.unpack("<Q", os.pread(host.memory, 8, PLACE))[0]
            print("%d increments: %s" % (total, counts))
            assert [len(count) for count in counts] == [1, 1, 2, 2], counts
            assert all(min(count) > 1000 for count in counts), counts
            assert sum(map(sum, counts)) == total, counts
        finally:
            for guest in guests:
                guest.kill()
        host.close()
