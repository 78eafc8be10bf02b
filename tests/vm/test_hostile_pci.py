# SPDX-License-Identifier: Apache-2.0
"""A guest that means no good with PCI (hostile-guest.c): memvisor does not mind,
nor do the peers of its server, and what it left in the devices does no harm."""
import random
import re
import struct
import time

import harness
import ivshmem
import memory_guest
import qmp

SOURCE = harness.TOP / "tests/vm/hostile-guest.c"

ABORT = "vector 4 ec 25 iss 10"
BEFORE = """ram under a bar: ok 11111111
where the bar was: {0}
where the bar was, as RAM: {0}
the bar is back: ok 22222222
the bar is back, as RAM: ok 22222222
ram: ok 33333333
two at one place: ok 44444444
the first moved on: ok 44444444
the second is left: ok 22222222
the first is back: ok 22222222
the second moved on: ok 44444444
the second: ok 22222222
board kept
storm""".format(ABORT).splitlines()
AFTER = """1: c1b36
2: ffffffff
3: 11e81234
4: 11101af4
5: 11101af4
plain: ok 55555555
doorbell: ok 66666666
own ring heard
listening
ring heard
END""".splitlines()


def plug_and_unplug(client, until):
    """Devices come and go behind the port meanwhile, and the socket answers."""
    slowest, count = 0, 0
    random.seed(6)
    while not until():
        begin = time.monotonic()
        if random.random() < 0.5:
            answer = client.command("device_add", driver="edu", bus="rp0", id="guest")
        else:
            answer = client.command("device_del", id="guest")
        assert "return" in answer or answer["error"]["class"] in ("GenericError",
                                                                  "DeviceNotFound"), answer
        slowest = max(slowest, time.monotonic() - begin)
        count += "return" in answer
        time.sleep(0.01)
    return slowest, count


def lines(vm):
    return [line.rstrip() for line in vm.output().splitlines()]


def test_hostile_guest(memvisor, tmp_path):
    (tmp_path / "plain").write_bytes(bytes(65536))
    binary = memory_guest.build(tmp_path, SOURCE)
    with ivshmem.our_server(memvisor, tmp_path, size="1M", vectors=4) as server:
        peer, bystander = ivshmem.Peer(server.path), ivshmem.Peer(server.path)
        boot = [memvisor.path, "run", "--firmware", binary, "-m", "128M", "-c", "4",
                "--device", "pcie-root-port,id=rp0,addr=01.0", "--device", "edu,addr=03.0",
                "--ivshmem", "mem=%s,size=64K,addr=04.0" % (tmp_path / "plain"),
                "--ivshmem", "%s,vectors=4,addr=05.0" % server.path]
        with qmp.Vm(memvisor, tmp_path, boot=boot) as vm, vm.qmp() as client:
            vm.wait_for(lambda: "storm" in lines(vm))
            slowest, count = plug_and_unplug(
                client, lambda: any(line.startswith("steps:") for line in lines(vm)))
            vm.wait_for(lambda: "listening" in lines(vm), 60)
            peer.knows([0, 1, 2], 4)
            peer.ring(2, 1)
            assert vm.end() == 0, vm.output()
            told = [line for line in lines(vm) if not line.startswith("memvisor:")]
        steps = [line for line in told if line.startswith("steps:")]
        told.remove(steps[0])
        assert told == BEFORE + AFTER, "\n".join(told)
        assert int(re.search(r"\d+", steps[0]).group()) > 1000
        assert slowest < 30 * harness.SLOW and count > 2
        # The others: they hear of its end, and hear each other.
        for one in (peer, bystander):
            one.knows([0, 1], 4)
        while bystander.rung(3, 0):
            pass
        peer.ring(1, 3)
        assert bystander.rung(3) == 1
        peer.close()
        bystander.close()
    with open(tmp_path / "plain", "rb") as file:
        assert file.read(4) == struct.pack("<I", 0x55555555)
