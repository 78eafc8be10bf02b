# SPDX-License-Identifier: Apache-2.0
"""memvisor's doorbell device (--ivshmem SOCKET) with a host's peer written from
the protocol's specification, on memvisor's server and on QEMU's own."""
import fcntl
import multiprocessing
import os
import re
import struct
import time

import pytest

import harness
import ivshmem
import ivshmem_guests
import memory_guest
import qmp
from ivshmem_guests import UIO

ASKED, ANSWERED, TALLY = 0, 64, 128  # words of `ivshmem echo`


def word(peer, offset, value=None):
    """A 32-bit word of the shared memory, read or written."""
    if value is None:
        return struct.unpack("<I", os.pread(peer.memory, 4, offset))[0]
    return os.pwrite(peer.memory, struct.pack("<I", value), offset)


def each_server(test):
    return pytest.mark.parametrize("name", ["memvisor", "qemu"])(test)


def server_of(name, memvisor, folder, vectors):
    if name == "memvisor":
        return ivshmem.our_server(memvisor, folder, vectors=vectors)
    ivshmem.reference_tools()
    return ivshmem.reference_server(folder, vectors)


@each_server
def test_vectors_memory_and_death(memvisor, start, tmp_path, name):
    """Each vector both ways, bytes both ways, a peer that dies."""
    script = ivshmem_guests.START + """
for vector in 0 1 2 3; do
    ivshmem wait -v $vector -t 200 >/wait.$vector &
done
ivshmem write 200 "from guest"
echo ready: $(ivshmem read 100 9)
wait
for vector in 0 1 2 3; do
    echo "wait: $(cat /wait.$vector)"
    ivshmem ring 0 $vector
done
ivshmem ring 0 4
ivshmem ring 7 0
ivshmem ring 65535 65535
(busybox sleep 1; ivshmem ring 1 0) &
ivshmem wait -v 0 -t 20
echo all rung
ivshmem wait -v 1 -t 200
ivshmem ring 2 0
echo "still here"
"""
    with server_of(name, memvisor, tmp_path, 4) as server:
        host = ivshmem.Peer(server.path).knows([0], 4)
        os.pwrite(host.memory, b"from host", 100)
        guest = start(script, "--ivshmem", "%s,vectors=4,addr=05.0" % server.path)
        host.knows([0, 1], 4)
        guest.says("ready: from host")
        guest.says("waiting for vector", times=4)
        assert os.pread(host.memory, 10, 200) == b"from guest"
        for vector in range(4):
            host.ring(1, vector)
        guest.says("all rung")
        for vector in range(4):
            assert "wait: vector %d: 1 interrupt\n" % vector in guest.text(), guest.text()
            assert host.rung(vector) == 1
        listed = [line.split() for line in guest.text().splitlines() if "0000:00:05.0" in line]
        assert ["0000:00:05.0", "1", str(1 << 20), "1",
                "/dev/uio0,/dev/uio1,/dev/uio2,/dev/uio3"] in listed
        late = ivshmem.Peer(server.path).knows([0, 1, 2], 4)
        late.close()
        host.knows([0, 1], 4)
        guest.says("waiting for vector 1", times=2)
        host.ring(1, 1)
        guest.says("still here")
        assert guest.process.wait(20 * harness.PATIENCE) == 0
        host.knows([0], 4)
        host.close()


REGISTERS = """
for device in /sys/bus/pci/devices/*; do
    busybox grep -q 0x1110 $device/device && break
done
echo 1 >$device/enable
read base rest <$device/resource
at() { busybox devmem $(busybox printf 0x%x $((base+$1))) $2 $3 2>&1; }
at 0 32 0x12345678
for size in 8 16 32 64; do
    for offset in 0 1 2 3 4 8 9 10 12 16 252; do
        [ $((offset*8%size)) = 0 ] && echo "= read $size $offset $(at $offset $size)"
    done
done
for way in "0 8 0xee" "1 8 0xdd" "3 8 0xcc" "0 16 0xabcd" "2 16 0xefab" "0 64 0x1122334455667788"; do
    at $way
    echo "= write $way $(at 0 32) $(at 4 32) $(at 4 32)"
done
at 4 32 0xffffffff
echo "= status $(at 4 32) $(at 4 32)"
at 8 32 5
echo "= position $(at 8 32)"
for value in 0x00000000 0xffffffff 0x00010002 0x0001ffff 0x00020000; do
    at 12 32 $value
done
at 12 16 0x0000
echo "= doorbell $(at 12 32)"
"""


def test_registers_are_those_of_qemus(memvisor, qemu, initrd, tmp_path):
    """Of accesses of all sizes, also those that no driver should make."""
    with ivshmem.our_server(memvisor, tmp_path, vectors=2) as server:
        host = ivshmem.Peer(server.path).knows([0], 2)
        said = []
        for machine, options in (
                (memvisor, ["--ivshmem", "%s,vectors=2" % server.path]),
                (qemu, ivshmem_guests.qemu_device(server.path, 2))):
            result = machine.boot(initrd(REGISTERS), *options)
            lines = [line for line in result.out.splitlines() if line.startswith("= ")]
            # The server counts IDs on.
            said.append([re.sub(r"0x0*%d\b" % (len(said) + 1), "ID", line) for line in lines])
            assert host.rung(0) == 2 and host.rung(1, 0) == 0
            host.knows([0], 2)
        assert said[0] == said[1]
        assert len(said[0]) == 37, said[0]
        host.close()


def test_storm(memvisor, start, tmp_path):
    """A peer that rings without end starves neither console nor control socket."""
    control = tmp_path / "control"
    with ivshmem.our_server(memvisor, tmp_path, vectors=4) as server:
        host = ivshmem.Peer(server.path).knows([0], 4)
        guest = start("""
insmod /uio.ko
insmod /uio_ivshmem.ko
for vector in 0 1 2 3; do
    ivshmem wait -v $vector -n 1000000000 -t 200 &
done
i=0
while i=$((i+1)); do echo tick $i; done
""", "--ivshmem", "%s,vectors=4" % server.path, "--qmp", control)
        host.knows([0, 1], 4)
        guest.says("waiting for vector", times=4)
        storm = multiprocessing.Process(target=ring_for_ever, args=(host,), daemon=True)
        with qmp.Qmp(control) as client:
            storm.start()
            time.sleep(1)
            before = client.execute("x-query-ivshmem")[0]["server"]["received"]
            said, slowest = ticks(guest), 0
            for _ in range(100):
                asked = time.monotonic()
                assert client.execute("query-status")["running"]
                slowest = max(slowest, time.monotonic() - asked)
                time.sleep(0.03)
            heard = client.execute("x-query-ivshmem")[0]["server"]["received"] - before
            said = ticks(guest) - said
            storm.kill()
            storm.join()
            print("%d rings; console %d lines; slowest answer %.0f ms" % (heard, said,
                                                                           slowest * 1e3))
            assert heard > 10000
            assert said > 20
            assert slowest < 2 * harness.SLOW
        host.close()


def ring_for_ever(host):
    while True:
        for vector in range(4):
            host.ring(1, vector)


def ticks(guest):
    return int(guest.text().rpartition("tick ")[0].rpartition("tick ")[2].split()[0])


def test_more_vectors_than_the_guest_gets(memvisor, start, tmp_path):
    """The table has 2048 entries, and the GICv2m frame fewer messages."""
    with ivshmem.our_server(memvisor, tmp_path, vectors=2048) as server:
        host = ivshmem.Peer(server.path).knows([0], 2048)
        guest = start("""
insmod /uio.ko
insmod /uio_ivshmem.ko
for last in /sys/bus/pci/devices/0000:00:01.0/uio/uio*; do :; done
count=$(busybox ls /sys/bus/pci/devices/0000:00:01.0/uio | busybox wc -l)
echo "got $count"
ivshmem wait -v $((count-1)) -t 100
ivshmem ring 0 2047
sleep 1000
""", "--ivshmem", "%s,vectors=2048" % server.path)
        host.knows([0, 1], 2048)
        guest.says("waiting for vector")
        count = int(guest.text().partition("got ")[2].split()[0])
        host.ring(1, 2047)  # nobody's
        host.ring(1, count - 1)
        assert host.rung(2047, 20) == 1
        assert 100 < count < 2048 and "vector %d: 1 interrupt" % (count - 1) in guest.text()
        host.close()


def ask(host, number, vector=0):
    """Rings for the number: what is to be found in memory once the answer rings."""
    word(host, ASKED, number)
    host.ring(1, vector)


@pytest.mark.parametrize("kind", ["MSI-X", "INTx"])
def test_one_interrupt_for_each_ring(memvisor, start, tmp_path, kind):
    """In lockstep exactly one each; behind a burst one, and never one unrung."""
    rounds = 100000 if os.environ.get("MEMVISOR_LONG") else 30000
    with ivshmem.our_server(memvisor, tmp_path) as server:
        host = ivshmem.Peer(server.path).knows([0], 1)
        guest = start(UIO[kind] + "ivshmem echo 0 0 -n 1000000 -t 200\n",
                      "--ivshmem", server.path, "-n", "rings-%d" % os.getpid())
        host.knows([0, 1], 1)
        guest.says("echoing vector 0 (%s)" % kind)
        began = time.monotonic()
        for number in range(1, rounds + 1):
            ask(host, number)
            assert host.rung(0, 20) == 1, number
            assert (word(host, ANSWERED), word(host, TALLY)) == (number, number)
        print("%.1f us a round trip" % ((time.monotonic() - began) / rounds * 1e6))
        seen, rung = rounds, rounds
        for burst in (2, 7, 50, 400):
            for _ in range(burst):
                rung += 1
                ask(host, rung)
            end = time.monotonic() + 20 * harness.PATIENCE
            while word(host, ANSWERED) != rung:
                assert time.monotonic() < end, (word(host, ANSWERED), rung)
            time.sleep(0.3)
            assert 1 <= word(host, TALLY) - seen <= burst
            seen = word(host, TALLY)
            host.rung(0)
        time.sleep(0.5)
        assert word(host, TALLY) == seen and host.rung(0, 0) == 0
        host.close()


def test_a_peer_that_bites(memvisor, tmp_path):
    """It fills its eventfd and has it wait for room: neither the vCPU that rings it nor
    the control socket, nor who joins then, waits for it."""
    with ivshmem.our_server(memvisor, tmp_path) as server:
        biting = ivshmem.Peer(server.path).knows([0])
        with memory_guest.Guest(memvisor, tmp_path, "-m", "64M", "--ivshmem", server.path) as guest, \
                guest.qmp() as qmp:
            biting.knows([0, 1])
            ecam, bar = 0x40000000, 0x50000000
            slot = next(n for n in range(32) if guest.do("g", ecam + (n << 15)) == 0x11101af4)
            guest.do("d", ecam + (slot << 15) + 0x10, bar)
            guest.do("d", ecam + (slot << 15) + 4, 2)
            own = biting.peers[0][0]
            os.write(own, (0xfffffffffffffffe).to_bytes(8, "little"))
            fcntl.fcntl(own, fcntl.F_SETFL, fcntl.fcntl(own, fcntl.F_GETFL) & ~os.O_NONBLOCK)
            for _ in range(100):
                guest.do("d", bar + 12, 0) # ring vector 0 of peer 0
            late = ivshmem.Peer(server.path).knows([0, 1, 2])
            assert qmp.execute("query-status")["running"]
            guest.do("d", bar + 12, 2 << 16)
            assert late.rung(0) == 1
            # What it was told stays, and once it has read, it is rung again.
            assert int.from_bytes(os.read(own, 8), "little") >= 0xfffffffffffffffe
            guest.do("d", bar + 12, 0)
            assert biting.rung(0) == 1
            assert guest.end() == 0
