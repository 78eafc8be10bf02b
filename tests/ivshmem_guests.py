# SPDX-License-Identifier: Apache-2.0
"""Guests with ivshmem devices that run beside a test: memvisor's, and QEMU's
of both architectures."""
import subprocess
import time

import guest_tools
import harness

AMD64 = harness.GUEST_FILES / "amd64"
START = "insmod /uio.ko\ninsmod /uio_ivshmem.ko\nivshmem list\n"

# What binds a device to the driver that interrupts it so.
UIO = {
    "MSI-X": "insmod /uio.ko\ninsmod /uio_ivshmem.ko\n",
    "INTx": "insmod /uio.ko\ninsmod /uio_pci_generic.ko\n"
            "echo 1af4 1110 > /sys/bus/pci/drivers/uio_pci_generic/new_id\n",
}


def program_files(folder, amd64=False):
    """What goes into an initramfs: the tool, the driver and what it needs."""
    cross = "x86_64-linux-gnu-" if amd64 else guest_tools.CROSS
    modules = (AMD64 if amd64 else harness.GUEST_FILES) / "modules"
    return [(guest_tools.program("ivshmem", folder, cross + "gcc"), "bin/ivshmem"),
            (guest_tools.module("uio_ivshmem", folder, "x86" if amd64 else "arm64", cross),
             "uio_ivshmem.ko"),
            (modules / "uio.ko", "uio.ko")]


def until(condition, seconds=20):
    end = time.monotonic() + seconds * harness.PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


class Guest:
    """A guest with its console in a file, and standard error behind it."""

    def __init__(self, argv, console):
        self.console = console
        with open(console, "wb") as out:
            self.process = subprocess.Popen([str(word) for word in argv],
                                            stdin=subprocess.DEVNULL, stdout=out,
                                            stderr=subprocess.STDOUT)

    def text(self):
        return self.console.read_text(errors="replace")

    def says(self, text, seconds=120, times=1):
        end = time.monotonic() + seconds * harness.PATIENCE
        while self.text().count(text) < times:
            ended = self.process.poll() is not None
            assert self.text().count(text) >= times or (not ended and time.monotonic() < end), \
                "no '%s' in\n%s" % (text, self.text()[-3000:])
            time.sleep(0.05)

    def kill(self):
        self.process.kill()
        self.process.wait()
        text = self.text()
        assert "Sanitizer:" not in text and "runtime error:" not in text, text[-5000:]


def memvisor(machine, folder, files, script, *options):
    """A guest of memvisor's, which has what `options` give it."""
    initrd = harness.build_initrd(script, folder, files)
    return Guest(machine.boot_argv(initrd, "-m", "256M", *options), folder / "memvisor.console")


def qemu_device(sock, vectors):
    return ["-m", "256", "-chardev", "socket,path=%s,id=shm" % sock,
            "-device", "ivshmem-doorbell,vectors=%d,chardev=shm" % vectors]


def qemu_arm64(machine, folder, files, script, sock, vectors, *options):
    initrd = harness.build_initrd(script, folder, files)
    return Guest(machine.boot_argv(initrd, *qemu_device(sock, vectors), *options),
                 folder / "arm64.console")


def qemu_amd64(folder, files, script, sock, vectors):
    assert (AMD64 / "vmlinuz").exists(), "run scripts/guest-files.sh amd64"
    initrd = harness.build_initrd(script, folder, files, guest_files=AMD64)
    return Guest(["qemu-system-x86_64", "-accel", "tcg", "-nic", "none", "-nographic",
                  "-no-reboot", "-kernel", AMD64 / "vmlinuz", "-initrd", initrd,
                  "-append", harness.CMDLINE + " no_timer_check", *qemu_device(sock, vectors)],
                 folder / "amd64.console")
