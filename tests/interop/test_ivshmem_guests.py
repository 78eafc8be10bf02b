# SPDX-License-Identifier: Apache-2.0
"""Guests of memvisor and of QEMU, arm64 and x86-64, on one ivshmem-server: they
see each other's memory, ring each other through it, and are seen when they die."""
import pytest

import ivshmem
import ivshmem_guests
import qmp
from ivshmem_guests import START

# Comes back once this guest is sure to hear the vector; then `wait` waits.
AWAIT = """
await() {
    ivshmem wait -v $1 -t 200 2>/await.$1 &
    until busybox grep -q waiting /await.$1; do :; done
}
"""


@pytest.fixture
def start(memvisor, qemu, kernel, tmp_path):
    """Starts guests that are gone when the test is."""
    guests = []

    def one(kind, script, sock, *options):
        folder = tmp_path / kind
        folder.mkdir()
        files = ivshmem_guests.program_files(folder, kind == "x86")
        if kind == "memvisor":
            guest = ivshmem_guests.memvisor(memvisor, folder, files, START + script, "--ivshmem",
                                            "%s,vectors=2" % sock, *options)
        elif kind == "arm":
            guest = ivshmem_guests.qemu_arm64(qemu, folder, files, START + script, sock, 2)
        else:
            guest = ivshmem_guests.qemu_amd64(folder, files, START + script, sock, 2)
        guests.append(guest)
        return guest

    yield one
    for guest in guests:
        guest.kill()


def test_guests_share_memory_and_ring_each_other(memvisor, start, tmp_path):
    """QEMU's on memvisor's server."""
    with ivshmem.our_server(memvisor, tmp_path, vectors=2) as server:
        host = ivshmem.Peer(server.path).knows([0], 2)
        arm = start("arm", """
echo arm waits
ivshmem wait -v 1 -t 200
echo "arm reads: $(ivshmem read 4096 8)"
ivshmem write 8192 "from arm"
ivshmem ring 2 0
sleep 1000
""", server.path)
        host.knows([0, 1], 2)
        arm.says("arm waits")
        # Its waiting for the ring begins long before the other guest is up.
        x86 = start("x86", """
ivshmem wait -v 0 -t 200 &
sleep 1
ivshmem write 4096 "from x86"
ivshmem ring 1 1
wait
echo "x86 reads: $(ivshmem read 8192 8)"
ivshmem ring 0 1
sleep 1000
""", server.path)
        host.knows([0, 1, 2], 2)
        arm.says("arm reads: from x86")
        x86.says("x86 reads: from arm")
        assert host.rung(1, 10) == 1 and host.rung(0, 0.05) == 0
        for guest in (arm, x86):
            assert "/dev/uio1" in guest.text()  # two vectors
        late = ivshmem.Peer(server.path).knows([0, 1, 2, 3], 2)
        x86.kill()
        host.knows([0, 1, 3], 2)
        late.knows([0, 1, 3], 2)
        arm.kill()
        host.knows([0, 3], 2)
        late.knows([0, 3], 2)
        late.close()
        host.close()
    assert "dropped" not in server.errors.read_text()


# Rung by guest 1, each rings back on the same vector, and says so in memory.
ANSWER = AWAIT + """
await 0
first=$!
await 1
echo "%(name)s waits"
wait $first
ivshmem write %(place)d "%(name)s read $(ivshmem read 64 13)"
ivshmem ring 1 0
wait
ivshmem ring 1 1
sleep 1000
"""

ASK = AWAIT + """
ivshmem write 64 "from memvisor"
await 0
echo "memvisor waits"
wait
for peer in 2 3; do
    for vector in 0 1; do
        await $vector
        ivshmem ring $peer $vector
        wait
        echo "peer $peer answered vector $vector"
    done
done
echo "read: $(ivshmem read 4096 22)"
echo "read: $(ivshmem read 8192 22)"
ivshmem ring 0 1
sleep 1000
"""


def test_memvisors_device_among_qemus(memvisor, start, tmp_path):
    """Each vector both ways with both of QEMU's, and who dies is seen to be gone."""
    control = tmp_path / "control"
    with ivshmem.our_server(memvisor, tmp_path, vectors=2) as server:
        host = ivshmem.Peer(server.path).knows([0], 2)
        ours = start("memvisor", ASK, server.path, "--qmp", control)
        host.knows([0, 1], 2)
        arm = start("arm", ANSWER % {"name": "arm", "place": 4096}, server.path)
        host.knows([0, 1, 2], 2)
        x86 = start("x86", ANSWER % {"name": "x86", "place": 8192}, server.path)
        host.knows([0, 1, 2, 3], 2)
        for guest, name in ((ours, "memvisor"), (arm, "arm"), (x86, "x86")):
            guest.says(name + " waits")
        host.ring(1, 0)
        for peer in (2, 3):
            for vector in (0, 1):
                ours.says("peer %d answered vector %d" % (peer, vector))
        ours.says("read: arm read from memvisor")
        ours.says("read: x86 read from memvisor")
        assert host.rung(1, 10) == 1 and host.rung(0, 0.05) == 0

        def peers(*ids):
            return [{"id": one, "vectors": 2} for one in ids]

        with qmp.Qmp(control) as client:
            def told():
                return client.execute("x-query-ivshmem")[0]["server"]
            assert told()["peers"] == peers(0, 2, 3)
            assert (told()["id"], told()["sent"], told()["received"]) == (1, 5, 5)
            x86.kill()
            host.knows([0, 1, 2], 2)
            ivshmem_guests.until(lambda: told()["peers"] == peers(0, 2))
            arm.kill()
            host.knows([0, 1], 2)
            ivshmem_guests.until(lambda: told()["peers"] == peers(0))
        ours.kill()
        host.knows([0], 2)
        host.close()
    assert "dropped" not in server.errors.read_text()
