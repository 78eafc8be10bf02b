# SPDX-License-Identifier: Apache-2.0
"""Devices that come and go behind root ports, as Debian's kernel sees them: its
own driver of hotplug slots takes the events.  The same, by the same commands,
under QEMU."""
import contextlib
import os
import pathlib
import re
import subprocess
import time

import pytest

import harness
import ivshmem as ivshmem_tools
import qmp

MIB = 1 << 20
PORTS = [word for n in range(4)
         for word in ("-device", "pcie-root-port,id=rp%d,chassis=%d,slot=%d,addr=%02x.0"
                      % (n, n + 1, n + 1, 0x10 + n))]

# Tells what is behind the ports whenever that changes, by what the shell can do without a
# process of its own: it looks ten times a second.
WATCH = """
echo watching
last=
while :; do
    now=
    for d in /sys/bus/pci/devices/0000:0[1-9]:*; do
        [ -e $d/config ] && read vendor <$d/vendor && read device <$d/device && cd -P $d/.. &&
            now="$now${now:+ }${PWD##*/}=$vendor:$device"
    done
    cd /
    [ "$now" = "$last" ] || echo "behind: $now."
    last=$now
    %s
    busybox usleep 100000
done
"""


class Guest(qmp.Vm):
    """A VM whose guest runs WATCH."""

    def saw(self):
        return re.findall(r"^behind: (.*)\.\r?$", self.output(), re.M)

    def wait_until_seen(self, what, seconds=60):
        self.wait_for(lambda: self.saw()[-1:] == [what], seconds)


@pytest.fixture
def start(memvisor, initrd, tmp_path):
    """start(*options, each="…"): memvisor with four root ports; `each` is what
    the guest does in each turn."""
    def start_guest(*options, each=":", files=(), cpus="1"):
        argv = memvisor.boot_argv(initrd(WATCH % each, files), "-m", "128M", "-c", cpus,
                                  *[word.replace("-device", "--device") for word in PORTS],
                                  *options)
        guest = Guest(memvisor, tmp_path, boot=argv)
        guest.wait_for(lambda: "watching" in guest.output(), 120)
        return guest
    return start_guest


def edu(port):
    return "0000:00:%02x.0=0x1234:0x11e8" % (0x10 + port)


def ivshmem(port):
    return "0000:00:%02x.0=0x1af4:0x1110" % (0x10 + port)


def shared_file(folder, name, text, size=4 * MIB):
    with open(folder / name, "wb") as file:
        file.truncate(size)
        file.write(text)
    return str(folder / name)


def blocks(client):
    return {block["id"]: block for block in client.execute("x-query-blocks")}


def behind(client):
    """What query-pci tells to be in the slots of the ports."""
    return {device["qdev_id"]: device["pci_bridge"]["devices"]
            for device in client.execute("query-pci")[0]["devices"] if "pci_bridge" in device}


def test_comes_and_goes(start, tmp_path):
    """Its memory's first bytes are the file's, and the guest's go there; blocks
    and links are there as long as the device, in a new generation each time."""
    peek = """
    for d in /sys/bus/pci/devices/0000:01:00.0; do
        [ -e $d/resource2 ] && echo 1 > $d/enable && set -- $(busybox sed -n 3p $d/resource) &&
            echo "word: $(busybox devmem $1 32)." && busybox devmem $(printf 0x%x $(($1 + 4096))) 32 0x55667788
    done
    """
    path = shared_file(tmp_path, "shared", b"\x44\x33\x22\x11")
    block = "pci/10.0/00.0/bar2"
    link = lambda vm: vm.rundir / "ram" / block
    with start(each=peek) as vm, vm.qmp() as client:
        generations = []
        for _ in range(2):
            before = len(vm.output())
            client.execute("device_add", driver="ivshmem-plain", id="shm", bus="rp0", mem=path,
                           size="4M")
            assert link(vm).resolve() == pathlib.Path(path)
            vm.wait_until_seen(ivshmem(0))
            vm.wait_for(lambda: "word: 0x11223344." in vm.output()[before:])
            vm.wait_for(lambda: pathlib.Path(path).read_bytes()[4096:4100] == b"\x88\x77\x66\x55")
            found = blocks(client)[block]
            assert found["size"] == 4 * MIB and found["device"] == "pci/10.0/00.0"
            assert found["gpa"] >= 0x8000000000
            assert block in vm.verb("mem", "vm").out
            generations.append(found["generation"])
            bars = {bar["bar"]: bar for bar in behind(client)["rp0"][0]["regions"]}
            assert bars[2] == {"bar": 2, "type": "memory", "address": found["gpa"],
                               "size": 4 * MIB, "prefetch": True, "mem_type_64": True}
            # The guest uses the memory all the while.
            client.execute("device_del", id="shm")
            again = client.command("device_del", id="shm")
            assert "already" in again["error"]["desc"]
            told = client.event("DEVICE_DELETED")["data"]
            assert told == {"device": "shm", "path": "/machine/peripheral/shm"}
            assert block not in blocks(client) and not link(vm).exists()
            assert os.listdir(vm.rundir / "ram") == []
            assert block not in vm.verb("mem", "vm").out
            vm.wait_until_seen("")
            assert behind(client)["rp0"] == []
            gone = client.command("device_del", id="shm")
            assert gone["error"]["class"] == "DeviceNotFound"
            with open(path, "r+b") as file:
                file.seek(4096)
                file.write(bytes(4))
        assert generations[1] > generations[0]


@pytest.fixture(scope="module")
def writer(tmp_path_factory):
    out = tmp_path_factory.mktemp("writer") / "writer-guest"
    made = subprocess.run(
        ["aarch64-linux-gnu-gcc", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-static",
         "-o", out, harness.TOP / "tests/vm/writer-guest.c"], capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    return out


def test_in_use_to_the_last(start, writer, tmp_path):
    """A program of the guest writes to the memory when the device goes: it gets a
    bus error, and what comes into the slot next is not written to."""
    use = """
    if [ -z "$used" ] && [ -e /sys/bus/pci/devices/0000:01:00.0/enable ]; then
        used=yes
        echo 1 > /sys/bus/pci/devices/0000:01:00.0/enable
        set -- $(busybox sed -n 3p /sys/bus/pci/devices/0000:01:00.0/resource)
        /writer-guest $1 0x400000 &
    fi
    """
    first, second = (shared_file(tmp_path, name, b"\0" * 8) for name in ("first", "second"))
    with start(each=use, files=[(writer, "writer-guest")], cpus="2") as vm, vm.qmp() as client:
        client.execute("device_add", driver="ivshmem-plain", id="m", bus="rp0", mem=first,
                       size="4M")
        vm.wait_for(lambda: "writer: begins" in vm.output(), 60)
        vm.wait_for(lambda: pathlib.Path(first).read_bytes()[-4096:-4092] != bytes(4))
        client.execute("device_del", id="m")
        client.event("DEVICE_DELETED")
        vm.wait_for(lambda: "writer: lost it" in vm.output(), 60)
        client.execute("device_add", driver="ivshmem-plain", id="m", bus="rp0", mem=second,
                       size="4M")
        vm.wait_until_seen(ivshmem(0))
        assert not any(pathlib.Path(second).read_bytes())


def test_doorbell_device(start, memvisor, tmp_path):
    """It is a peer of its server for as long as it is there, and leaves no descriptor."""
    driver = """
    for d in /sys/bus/pci/devices/0000:02:00.0; do
        [ -e $d/config ] && echo "resources: $(busybox awk '$1 != "0x0000000000000000" {n++}
            END {print n}' $d/resource)."
    done
    """
    with ivshmem_tools.our_server(memvisor, tmp_path, vectors=4) as server, \
            start(each=driver) as vm, vm.qmp() as client:
        peer = ivshmem_tools.Peer(server.path)
        kept = held(vm.process)[0]
        for turn in (1, 2):
            before = len(vm.output())
            client.execute("device_add", driver="ivshmem-doorbell", id="bell", bus="rp1",
                           socket=str(server.path), vectors=4)
            peer.knows([0, turn], 4)
            assert held(vm.process)[0] > kept
            vm.wait_until_seen(ivshmem(1))
            vm.wait_for(lambda: "resources: 3." in vm.output()[before:])
            client.execute("device_del", id="bell")
            client.event("DEVICE_DELETED")
            peer.knows([0], 4)
            assert held(vm.process)[0] == kept
            vm.wait_until_seen("")
        peer.close()


def held(process):
    """What a process has open, how many of the files it has mapped, and the KiB that
    are there; sanitizers map more and more for themselves."""
    folder = pathlib.Path("/proc/%d" % process.pid)
    status = (folder / "status").read_text()
    return (len(os.listdir(folder / "fd")), (folder / "maps").read_text().count("/shared"),
            int(re.search(r"VmRSS:\s*(\d+)", status).group(1)))


def test_many_times_without_leak(start, tmp_path):
    """Twelve times, four at a time; once more than the first, nothing is left."""
    paths = [shared_file(tmp_path, "shared%d" % n, b"x") for n in range(4)]
    with start(cpus="2") as vm, vm.qmp() as client:
        kept = []
        for _ in range(3):
            for n in range(4):
                client.execute("device_add", driver="ivshmem-plain", id="shm%d" % n,
                               bus="rp%d" % n, mem=paths[n], size="4M", prealloc="on")
            vm.wait_until_seen(" ".join(ivshmem(n) for n in range(4)))
            assert held(vm.process)[1] >= 4
            for n in range(4):
                client.execute("device_del", id="shm%d" % n)
            for n in range(4):
                client.event("DEVICE_DELETED")
            vm.wait_until_seen("")
            kept.append(held(vm.process))
        assert kept[-1][0] == kept[0][0], kept
        assert kept[-1][1] == 0, kept
        assert kept[-1][2] <= kept[0][2] + 4096 * harness.SLOW, kept


def test_guest_lets_go_by_itself(start):
    """By the switch in its /sys; a device that was there at the start, too."""
    switch = """
    [ -e /sys/bus/pci/devices/0000:03:00.0 ] && echo 0 > /sys/bus/pci/slots/3/power
    """
    with start("--device", "edu,bus=rp2,id=cold", each=switch) as vm, vm.qmp() as client:
        assert client.event("DEVICE_DELETED")["data"]["device"] == "cold"
        client.execute("device_add", driver="edu", bus="rp1")
        vm.wait_until_seen(edu(1))
        client.execute("device_del", id="pci/11.0/00.0")
        assert client.event("DEVICE_DELETED")["data"] == {
            "path": "/machine/peripheral-anon/pci/11.0/00.0"}


def test_guest_without_answer(memvisor, tmp_path):
    """It keeps the device until it is reset; one that is put in before the
    guest runs is taken out at once, since the slot has no power."""
    options = ["--device", "pcie-root-port,id=rp0", "--device", "pcie-root-port,id=rp1",
               "--device", "edu,bus=rp0,id=e0"]
    with qmp.Vm(memvisor, tmp_path, *options) as vm, vm.qmp() as client:
        client.execute("device_del", id="e0")
        client.execute("device_add", driver="edu", bus="rp1", id="e1")
        client.execute("device_del", id="e1")
        assert client.event("DEVICE_DELETED")["data"]["device"] == "e1"
        time.sleep(5.5)
        client.execute("device_del", id="e0")  # the button is pressed once more
        assert client.events == []
        client.execute("system_reset")
        assert client.event("DEVICE_DELETED")["data"]["device"] == "e0"


REFUSED = [
    (dict(driver="edu", bus="nowhere"), "nowhere"),
    (dict(driver="edu"), "pcie.0"),
    (dict(driver="edu", bus="rp0", id="taken"), "taken"),
    (dict(driver="edu", bus="rp0", id="1up"), "id"),
    (dict(driver="edu", bus="rp0", colour="red"), "colour"),
    (dict(driver="nonsense", bus="rp0"), "nonsense"),
]
# QEMU 7.2 puts these where no guest looks: a port's link leads to device 0 alone.
REFUSED_HERE = [
    (dict(driver="edu", bus="rp1", id="other"), "edu"),
    (dict(driver="edu", bus="rp0", addr="3"), "slot"),
]


@contextlib.contextmanager
def qemu_client(qemu, folder, options):
    """A client of a QEMU that waits for it."""
    path = folder / "qmp.sock"
    process = subprocess.Popen([*qemu.start, "-S", "-serial", "none", "-monitor", "none",
                                "-qmp", "unix:%s,server=on,wait=on" % path,
                                *[word for option in options for word in ("-device", option)]])
    try:
        while not path.exists():
            assert process.poll() is None
            time.sleep(0.05)
        with qmp.Qmp(path) as client:
            yield client
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def memvisor_client(memvisor, folder, options):
    words = [word for option in options for word in ("--device", option)]
    with qmp.Vm(memvisor, folder, *words) as vm, vm.qmp() as client:
        yield client


def test_query_pci_as_in_qemu(memvisor, qemu, tmp_path):
    """But for QEMU's host bridge in slot 0, its port's own BAR, the names of classes,
    and where a guest that did not run has put windows."""
    options = ["pcie-root-port,id=rp0,addr=1,chassis=1", "edu,addr=5,id=e"]
    told = []
    for start, machine in ((memvisor_client, memvisor), (qemu_client, qemu)):
        with start(machine, tmp_path, options) as client:
            buses = client.execute("query-pci")
        assert [bus["bus"] for bus in buses] == [0]
        devices = {device["slot"]: device for device in buses[0]["devices"]}
        devices.pop(0, None)
        devices[1]["regions"] = []
        for name in ("memory_range", "prefetchable_range", "io_range"):
            assert sorted(devices[1]["pci_bridge"]["bus"].pop(name)) == ["base", "limit"]
        for device in devices.values():
            device["class_info"].pop("desc", None)
        told.append(devices)
    assert told[0] == told[1] and sorted(told[0]) == [1, 5]


@pytest.mark.parametrize("name", ["memvisor", "qemu"])
def test_refused(request, tmp_path, name):
    """By one machine as by the other, and nothing has changed."""
    options = ["pcie-root-port,id=rp0,chassis=1", "pcie-root-port,id=rp1,chassis=2,slot=2",
               "edu,bus=rp1,id=taken"]
    start, refused = ((memvisor_client, REFUSED + REFUSED_HERE) if name == "memvisor" else
                      (qemu_client, REFUSED))
    with start(request.getfixturevalue(name), tmp_path, options) as client:
        for arguments, part in refused:
            error = client.command("device_add", **arguments)["error"]
            assert error["class"] == "GenericError" and part in error["desc"], (arguments, error)
        error = client.command("device_del", id="nobody")["error"]
        assert error == {"class": "DeviceNotFound", "desc": "Device 'nobody' not found"}
        assert client.command("device_del", id="rp0")["error"]["class"] == "GenericError"
        client.execute("device_add", driver="edu", bus="rp0", id="other", addr="0x0")
        # No guest has given the slot power, so nobody is asked.
        client.execute("device_del", id="other")
        error = client.command("device_del", id="other")["error"]
        assert error == {"class": "DeviceNotFound", "desc": "Device 'other' not found"}
        # This one was there at the start, and the guest does not answer.
        client.execute("device_del", id="taken")
        assert "already" in client.command("device_del", id="taken")["error"]["desc"]


# What the guest finds out about a port and its slot, and prints once.
PORT = """
for d in /sys/bus/pci/devices/*; do
    [ $(cat $d/class) = 0x060400 ] || continue
    echo "port: $(cat $d/vendor $d/device $d/subordinate_bus_number | busybox tr '\\n' ' ')"
    echo "slot: $(cat /sys/bus/pci/slots/*/address /sys/bus/pci/slots/*/power \\
        /sys/bus/pci/slots/*/adapter | busybox tr '\\n' ' ')"
    echo "services: $(echo $(ls /sys/bus/pci_express/devices | busybox sed 's/.*://'))"
    echo "behind: $(cat $d/0*/vendor $d/0*/device | busybox tr '\\n' ' ')"
done
"""


def test_port_as_under_qemu(memvisor, qemu, initrd):
    """A port with a device from the start."""
    found = []
    for machine, option in ((memvisor, "--device"), (qemu, "-device")):
        result = machine.boot(initrd(PORT), "-m", "256M", option,
                              "pcie-root-port,id=rp0,slot=7,chassis=1,addr=04.0", option,
                              "edu,bus=rp0")
        found.append([result.value(word).strip() for word in ("port", "slot", "behind")])
        assert "pcie004" in result.value("services"), result  # the service of hotplug
    assert found[0] == found[1]
    assert found[0] == ["0x1b36 0x000c 1", "0000:01:00 1 1", "0x1234 0x11e8"], found
