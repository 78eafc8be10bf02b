# SPDX-License-Identifier: Apache-2.0
"""What memvisor's ivshmem device has beside revision 1: the extension that tells
who is connected, and the registers of the first patch, of 2009."""
import os
import re
import struct

import pytest

import harness
import ivshmem
import ivshmem_guests
from ivshmem_guests import UIO


def refused(memvisor, kernel, *options):
    result = memvisor.run("run", "-k", kernel, "-n", "models-%d" % os.getpid(), *options)
    assert result.code != 0, result
    lines = result.err.splitlines()
    assert len(lines) == 1, result
    return lines[0]


# --- the extension

@pytest.mark.parametrize("kind", ["MSI-X", "INTx"])
def test_who_is_connected(memvisor, start, tmp_path, kind):
    """A guest is told of each peer that comes and goes, and of the server."""
    # Two vectors each: a peer that comes is two changes, which may be told at once.
    script = UIO[kind] + "ivshmem peers; ivshmem changes -v %d -n 1000 -t 300\n" % \
        (1 if kind == "MSI-X" else 0)
    device = "%s/sock,vectors=3,ext=on" % tmp_path
    with ivshmem.our_server(memvisor, tmp_path, vectors=2) as server:
        host = ivshmem.Peer(server.path).knows([0], 2)
        guest = start(script, "--ivshmem", device, "-n", "who-%d" % os.getpid())
        host.knows([0, 1], 2)
        guest.says("connected, ID 1 with 3 vectors, 1 peer: 0 (2)\n", times=2)
        late = ivshmem.Peer(server.path).knows([0, 1, 2], 2)
        guest.says("connected, ID 1 with 3 vectors, 2 peers: 0 (2), 2 (2)\n")
        host.close()
        guest.says("connected, ID 1 with 3 vectors, 1 peer: 2 (2)\n")
    guest.says("not connected, ID 1 with 3 vectors, 1 peer: 2 (2)\n")
    guest.says("the ivshmem server at")
    with ivshmem.our_server(memvisor, tmp_path, vectors=2) as server:
        guest.says("\nconnected, ID 0 with 3 vectors, 0 peers\n")
        again = ivshmem.Peer(server.path).knows([0, 1], 2)
        guest.says("connected, ID 0 with 3 vectors, 1 peer: 1 (2)\n")
        again.close()
        guest.says("\nconnected, ID 0 with 3 vectors, 0 peers\n", times=2)
        late.close()
        assert guest.process.poll() is None


def test_many_are_listed(memvisor, start, tmp_path):
    """More peers than the window has entries."""
    with ivshmem.our_server(memvisor, tmp_path) as server:
        peers = [ivshmem.Peer(server.path).knows(list(range(i + 1))) for i in range(120)]
        for i in range(0, 120, 7):
            peers[i].close()
        guest = start(UIO["MSI-X"] + "ivshmem peers\n", "--ivshmem", "%s,ext=on" % server.path)
        there = [i for i in range(120) if i % 7]
        guest.says("connected, ID 120 with 1 vectors, %d peers: %s\n" % (
            len(there), ", ".join("%d (1)" % i for i in there)))
        assert guest.process.wait(20 * harness.PATIENCE) == 0
        for i in there:
            peers[i].close()


def test_off_unless_asked_for(memvisor, start, tmp_path):
    with ivshmem.our_server(memvisor, tmp_path) as server:
        guest = start(UIO["MSI-X"] + "ivshmem peers; echo said $?\n", "--ivshmem", server.path)
        guest.says("does not tell who is connected: the host has to give it ext=on")
        guest.says("said 1")


# --- 2009

# Registers as a driver of then had them; interrupts by uio_pci_generic.
DRIVER_2009 = UIO["INTx"] + """
device=/sys/bus/pci/devices/0000:00:05.0
echo $(cat $device/vendor $device/device $device/revision $device/class)
set -- $(head -n 1 $device/resource); bar0=$1
set -- $(head -n 2 $device/resource | tail -n 1); bar1=$1
read16() { devmem $((bar0 + $1)) 16; }
write16() { devmem $((bar0 + $1)) 16 $2; }
MASK=0 STATUS=16 DOORBELL=32 POSITION=48 LIVE=64 SIZE=80
exec 3< /dev/uio0
# uio_pci_generic disables INTx by the command register at each interrupt.
enable() { printf '\\002\\000' | dd of=$device/config bs=2 seek=2 conv=notrunc 2>/dev/null; }
interrupt() { dd bs=4 count=1 <&3 2>/dev/null | hexdump -e '1/4 "%d"'; }
echo "BAR1 of $((($(set -- $(head -n 2 $device/resource | tail -n 1); echo $(($2 - $1 + 1)))) >> 20)) MiB"
echo position $(read16 $POSITION) live $(read16 $LIVE) size $(read16 $SIZE)
"""


@pytest.mark.parametrize("spec", ["%s,model=2009,addr=05.0", "2,unix:%s,addr=05.0"])
def test_registers_of_2009(memvisor, start, tmp_path, spec):
    script = DRIVER_2009 + """
devmem $((bar1 + 0x1000)) 32 0x600dcafe
write16 $MASK 0xffff
echo mask $(read16 $MASK) doorbell $(read16 $DOORBELL)
echo ready
echo interrupt $(interrupt) status $(read16 $STATUS) then $(read16 $STATUS)
enable
write16 $DOORBELL $((0 << 8 | 77))
echo one rung
echo interrupt $(interrupt) status $(read16 $STATUS)
enable
write16 $DOORBELL $((2 << 8 | 0))
write16 $DOORBELL $((9 << 8 | 5))
write16 $DOORBELL $((255 << 8 | 9))
echo all rung
echo interrupt $(interrupt) status $(read16 $STATUS)
enable
write16 $MASK 0
echo masked
while [ $(devmem $((bar1 + 0x1000)) 32) = 0x600DCAFE ]; do sleep 0.1; done
echo pending $(read16 $STATUS) live $(read16 $LIVE)
"""
    with ivshmem.our_server(memvisor, tmp_path, size="2M") as server:
        host = ivshmem.Peer(server.path).knows([0])
        guest = start(script, "--ivshmem", spec % server.path)
        host.knows([0, 1])
        other = ivshmem.Peer(server.path).knows([0, 1, 2])
        host.knows([0, 1, 2])

        def ring(value):
            os.write(host.peers[1][0], struct.pack("<Q", value))

        guest.says("0x1af4 0x1110 0x00 0x050000\n")
        guest.says("BAR1 of 2 MiB\n")
        guest.says("position 0x0001 live 0x0007 size 0x0002\n")
        guest.says("mask 0xFFFF doorbell 0x0000\n")
        guest.says("ready")
        assert os.pread(host.memory, 4, 0x1000) == struct.pack("<I", 0x600dcafe)
        ring(42)
        guest.says("interrupt 1 status 0x002A then 0x0000\n")
        assert host.rung(0) == 77 and other.rung(0, 0) == 0
        guest.says("one rung")
        ring(255)
        guest.says("interrupt 2 status 0x00FF\n")
        guest.says("all rung")
        assert host.rung(0) == 9 and other.rung(0) == 9
        ring(1 << 40)  # more than the register holds
        guest.says("interrupt 3 status 0xFFFF\n")
        guest.says("masked")
        other.close()
        host.knows([0, 1])
        ring(3)
        ring(4)
        os.pwrite(host.memory, b"\0", 0x1000)
        guest.says("pending 0x0007 live 0x0003\n")
        assert guest.process.wait(20 * harness.PATIENCE) == 0
        host.close()


def test_memory_smaller_than_asked_for(memvisor, kernel, tmp_path):
    with ivshmem.our_server(memvisor, tmp_path, size="1M") as server:
        for spec in ("2,unix:%s", "%s,model=2009,size=2M", "%s,size=2M"):
            text = refused(memvisor, kernel, "--ivshmem", spec % server.path)
            assert "its memory has 1 MiB, and 2 MiB are asked for" in text, text
    # What it says to type is what is asked for.
    size = re.search(r"give the server --size (\w+),", text)[1]
    with ivshmem.our_server(memvisor, tmp_path, size=size, name="larger") as server:
        peer = ivshmem.Peer(server.path).knows([0])
        assert os.fstat(peer.memory).st_size == 2 << 20
        peer.close()


@pytest.mark.parametrize("spec, words", [
    ("0x,unix:/s", "0x"),
    ("64,unix:", "socket"),
    ("99999999999999999999,unix:/s", "'99999999999999999999' is too large"),
    ("/s,model=2010", "there is no model=2010: give 1, which is revision 1 and the default, or 2009"),
    ("/s,model=2009,ext=on", "ext=on goes with the registers of revision 1"),
    ("/s,ext=maybe", "ext=maybe: give on or off"),
    ("/s,size=x", "size"),
])
def test_specs_that_are_wrong(memvisor, kernel, spec, words):
    assert words in refused(memvisor, kernel, "--ivshmem", spec)
