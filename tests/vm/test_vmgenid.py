# SPDX-License-Identifier: Apache-2.0
"""The VM's generation ID: what the guest finds in its device tree and in memory is what QMP
tells, and it is another one in each machine."""
import re
import struct
import uuid

import harness
import memory_guest
from qmp import Vm

# Where `reg` says, the ID's bytes; again after a write, and after a reset of the machine.
LOOK = """
node=/proc/device-tree/rng@1030000
echo "compatible: $(busybox tr -d '\\0' < $node/compatible)"
echo "reg: $(busybox xxd -p $node/reg)"
echo "interrupts: $(busybox xxd -p $node/interrupts)"
look() {
    for i in 0 4 8 12; do busybox devmem $((0x1030000 + i)) 32; done | busybox tr '\\n' ' '
}
echo "id: $(look)"
busybox devmem 0x1030000 64 0
echo "later: $(look)"
"""


def test_a_guest_finds_it(memvisor, initrd):
    seen = set()
    for _ in range(2):
        result = memvisor.boot(initrd(LOOK), "-m", "96M")
        assert result.code == 0, result
        assert result.value("compatible") == "microsoft,vmgenid"
        assert result.value("reg") == "00000000010300000000000000001000"
        assert result.value("interrupts") == "000000000000000800000001"  # SPI 8, rising edges
        assert result.value("later") == result.value("id")
        seen.add(result.value("id"))
    assert len(seen) == 2, seen


def guid(client):
    return uuid.UUID(client.execute("query-vm-generation-id")["guid"])


def test_qmp_tells_it(memvisor, initrd, tmp_path):
    """As a GUID, whose first parts are little-endian in memory; a reset keeps it."""
    words = memvisor.boot_argv(initrd(LOOK + "busybox sleep 1000"), "-m", "96M", "--serial", "stdio")
    with Vm(memvisor, tmp_path, boot=words) as vm, vm.qmp() as client:
        vm.wait_for(lambda: re.search("later: .*\n", vm.output()))
        told = re.search("id: (.*)", vm.output()).group(1).split()
        first = guid(client)
        assert struct.pack("<4I", *(int(word, 16) for word in told)) == first.bytes_le
        client.execute("system_reset")
        assert guid(client) == first


def test_a_restored_guest_is_interrupted(memvisor, tmp_path):
    """Once, where it goes on, and finds another ID by then; the one that was saved is not."""
    binary = memory_guest.build(tmp_path, harness.TOP / "tests/vm/genid-guest.c")
    state = tmp_path / "state"
    with Vm(memvisor, tmp_path, name="first", boot=[memvisor.path, "run", "--firmware", binary]) as first:
        first.wait_for(lambda: "ready" in first.output())
        assert first.verb("save", "first", state).code == 0
        for name in ("second", "third"):
            with Vm(memvisor, tmp_path, name=name, boot=[memvisor.path, "restore", state]) as vm:
                vm.wait_for(lambda: "interrupt 1: another ID" in vm.output())
                assert vm.verb("save", name, state).code == 0
                assert "interrupt 2" not in vm.output()
            # What it found is part of its state.
            with Vm(memvisor, tmp_path, name=name + "-again", boot=[memvisor.path, "restore", state]) as vm:
                vm.wait_for(lambda: "interrupt 2: another ID" in vm.output())
            assert first.verb("save", "first", state).code == 0
        assert "interrupt" not in first.output()
