# SPDX-License-Identifier: Apache-2.0
"""QEMU's guests, arm64 and x86-64, on memvisor's ivshmem-server: they see each
other's memory, ring each other through it, and are seen when they die."""
import subprocess
import time

import pytest

import guest_tools
import harness
import ivshmem

AMD64 = harness.GUEST_FILES / "amd64"
START = "insmod /uio.ko\ninsmod /uio_ivshmem.ko\nivshmem list\n"


class Guest:
    """A QEMU that runs beside the test, with its console in a file."""

    def __init__(self, argv, sock, console):
        argv = [str(word) for word in argv] + [
            "-m", "256", "-chardev", "socket,path=%s,id=shm" % sock,
            "-device", "ivshmem-doorbell,vectors=2,chardev=shm"]
        self.console = console
        with open(console, "wb") as out:
            self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out,
                                            stderr=subprocess.STDOUT)

    def says(self, text, seconds=120):
        end = time.monotonic() + seconds * harness.SLOW
        while text not in self.console.read_text(errors="replace"):
            said = self.console.read_text(errors="replace")
            assert self.process.poll() is None and time.monotonic() < end, said[-3000:]
            time.sleep(0.05)

    def kill(self):
        self.process.kill()
        self.process.wait()


def arm64_guest(qemu, folder, script, sock):
    files = [(guest_tools.program("ivshmem", folder), "bin/ivshmem"),
             (guest_tools.module("uio_ivshmem", folder), "uio_ivshmem.ko"),
             (harness.GUEST_FILES / "modules/uio.ko", "uio.ko")]
    initrd = harness.build_initrd(START + script, folder, files)
    return Guest(qemu.boot_argv(initrd), sock, folder / "console")


def amd64_guest(folder, script, sock):
    assert (AMD64 / "vmlinuz").exists(), "run scripts/guest-files.sh amd64"
    cross = "x86_64-linux-gnu-"
    files = [(guest_tools.program("ivshmem", folder, cross + "gcc"), "bin/ivshmem"),
             (guest_tools.module("uio_ivshmem", folder, "x86", cross), "uio_ivshmem.ko"),
             (AMD64 / "modules/uio.ko", "uio.ko")]
    initrd = harness.build_initrd(START + script, folder, files, guest_files=AMD64)
    return Guest(["qemu-system-x86_64", "-accel", "tcg", "-nic", "none", "-nographic",
                  "-no-reboot", "-kernel", AMD64 / "vmlinuz", "-initrd", initrd,
                  "-append", harness.CMDLINE], sock, folder / "console")


@pytest.fixture
def folders(tmp_path):
    for name in ("arm", "x86"):
        (tmp_path / name).mkdir()
    return tmp_path / "arm", tmp_path / "x86"


def test_guests_share_memory_and_ring_each_other(memvisor, qemu, kernel, folders, tmp_path):
    arm_folder, x86_folder = folders
    with ivshmem.our_server(memvisor, tmp_path, vectors=2) as server:
        host = ivshmem.Peer(server.path).knows([0], 2)
        arm = x86 = None
        try:
            arm = arm64_guest(qemu, arm_folder, """
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
            x86 = amd64_guest(x86_folder, """
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
                assert "/dev/uio1" in guest.console.read_text()  # two vectors
            late = ivshmem.Peer(server.path).knows([0, 1, 2, 3], 2)
            x86.kill()
            host.knows([0, 1, 3], 2)
            late.knows([0, 1, 3], 2)
            arm.kill()
            host.knows([0, 3], 2)
            late.knows([0, 3], 2)
            late.close()
        finally:
            for guest in (arm, x86):
                if guest is not None:
                    guest.kill()
            host.close()
    assert "dropped" not in server.errors.read_text()
