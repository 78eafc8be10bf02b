# SPDX-License-Identifier: Apache-2.0
"""What the Python tests share: running memvisor and QEMU under a time limit,
with their output, and building an initramfs from a script.

Every measure of time stretches by MEMVISOR_SLOW, which the sanitizers' runs set.
"""
import dataclasses
import hashlib
import os
import pathlib
import platform
import re
import shlex
import shutil
import subprocess
import tempfile
import time

import pexpect

TOP = pathlib.Path(__file__).resolve().parent.parent
GUEST_FILES = pathlib.Path(os.environ.get("MEMVISOR_GUEST_FILES") or TOP / "guest-files")
KERNEL = GUEST_FILES / "vmlinuz"
INITRD = GUEST_FILES / "initrd.cpio"
BUSYBOX = GUEST_FILES / "busybox"
SLOW = float(os.environ.get("MEMVISOR_SLOW", "1"))
# The limits of waits are there for what never comes: others may have nearly all of the machine.
PATIENCE = 5 * SLOW

# What a boot needs: the crypto self-tests are two thirds of its time.
CMDLINE = "console=ttyS0 cryptomgr.notests panic=-1"
QEMU_CMDLINE = CMDLINE.replace("ttyS0", "ttyAMA0")

# The head of each test's /init: mounts, and a quiet console, so that kernel
# messages do not split the script's lines.
INIT_HEAD = """#!/bin/busybox sh
export PATH=/bin
busybox mount -t proc proc /proc
busybox mount -t sysfs sysfs /sys
busybox mount -t devtmpfs devtmpfs /dev
echo 1 > /proc/sys/kernel/printk
"""
INIT_TAIL = "\npoweroff -f\n"


# What is tested on each: the program under test interprets, or translates where it can.
ENGINES = ["memvisor", "memvisor-jit"] if platform.machine() == "x86_64" else ["memvisor"]


@dataclasses.dataclass
class Result:
    """How a process ended: its exit code (negative: the signal) and output."""

    argv: list
    code: int
    out: str
    err: str
    seconds: float

    def __str__(self):
        return "%s\nexit %s after %.1f s\n--- stdout\n%s\n--- stderr\n%s" % (
            shlex.join(self.argv), self.code, self.seconds, self.out[-4000:], self.err[-4000:])

    @property
    def said(self):
        """The output without lines of the guest's kernel, which may come in the middle of others
        (an "hrtimer: interrupt took" on a busy host)."""
        return re.sub(r"\[ *\d+\.\d{6}\] [^\n]*\n", "", self.out)

    def value(self, name):
        """The rest of the line `NAME: …` that a guest's script printed."""
        line = re.compile(r"^%s: *(.*?)\r?$" % re.escape(name), re.M)
        found = line.search(self.said) or line.search(self.out)  # what was asked for may be the kernel's
        assert found, "no line '%s:' in\n%s" % (name, self)
        return found.group(1)


class Timeout(AssertionError):
    pass


def run(argv, timeout=120, stdin=None, env=None):
    """Runs argv to its end.  stdin is text to feed, None for end of file.
    A process that outlives the timeout is killed and fails the test."""
    argv = [str(arg) for arg in argv]
    start = time.monotonic()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = subprocess.Popen(
            argv, stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
            stdout=out, stderr=err, env=dict(os.environ, **env) if env else None)
        late = False
        try:
            process.communicate(stdin.encode() if stdin is not None else None, timeout * PATIENCE)
        except subprocess.TimeoutExpired:
            late = True
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode(errors="replace"))
    result = Result(argv, process.returncode, *texts, time.monotonic() - start)
    if late:
        raise Timeout("did not end within %g s: %s" % (timeout * PATIENCE, result))
    for report in ("Sanitizer:", "runtime error:"):
        assert report not in result.err, "sanitizer report: %s" % result
    return result


def listening():
    """The Unix sockets that take connections (flag __SO_ACCEPTCON), as the kernel knows them."""
    for line in pathlib.Path("/proc/net/unix").read_text().splitlines():
        words = line.split()
        if words[3] == "00010000" and len(words) >= 8:
            yield words[7]


def listens(path):
    """Whether a server of others takes connections: it binds its socket before it listens, and
    who connects meanwhile is refused."""
    return path.exists() and str(path) in listening()


def spawn(command, args, **keywords):
    """pexpect.spawn, but for the time that a program which is ended gets for that."""
    child = pexpect.spawn(command, args, **keywords)
    child.ptyproc.delayafterterminate = 2
    return child


def build_flat(folder, name, source):
    """The path of a flat arm64 binary, made in folder of an assembler's text."""
    text, binary = folder / (name + ".S"), folder / (name + ".bin")
    text.write_text(source)
    for tool, *words in (
            ("aarch64-linux-gnu-gcc", "-c", "-o", text.with_suffix(".o"), text),
            ("aarch64-linux-gnu-objcopy", "-O", "binary", "-j", ".text",
             text.with_suffix(".o"), binary)):
        assert shutil.which(tool), "%s is missing: run scripts/setup.sh check" % tool
        made = subprocess.run([tool, *words], capture_output=True, text=True)
        assert made.returncode == 0, made.stderr
    return binary


class Machine:
    """A program that boots guests.  start is its command, boot_options what a
    kernel's boot needs in its own spelling."""

    def __init__(self, start, kernel_option, initrd_option, cmdline_option, cmdline):
        self.start = [str(word) for word in start]
        self.kernel_option = kernel_option
        self.initrd_option = initrd_option
        self.cmdline_option = cmdline_option
        self.cmdline = cmdline

    def boot_argv(self, initrd, *options, append="", kernel=None):
        cmdline = (self.cmdline + " " + append).strip()
        return self.start + [
            self.kernel_option, str(kernel or KERNEL), self.initrd_option, str(initrd),
            self.cmdline_option, cmdline] + [str(option) for option in options]

    def boot(self, initrd, *options, append="", kernel=None, timeout=120, stdin=None):
        """Boots Debian's kernel with initrd until the guest is off."""
        return run(self.boot_argv(initrd, *options, append=append, kernel=kernel), timeout, stdin)

    def spawn(self, initrd, *options, append="", kernel=None, timeout=120):
        """The same on a terminal of its own, as a pexpect child.  Use it in
        `with`, so that it is gone when the test is."""
        argv = self.boot_argv(initrd, *options, append=append, kernel=kernel)
        return spawn(argv[0], argv[1:], timeout=timeout * PATIENCE, encoding="utf-8",
                     codec_errors="replace", dimensions=(25, 200))


class Memvisor(Machine):
    """The memvisor under test ($MEMVISOR, else build/memvisor)."""

    def __init__(self, path):
        super().__init__([path, "run"], "-k", "-i", "-a", CMDLINE)
        self.path = path

    def run(self, *args, timeout=120, stdin=None):
        """memvisor with any arguments, say run("run", "-m", "0")."""
        return run([self.path, *args], timeout, stdin)


class Qemu(Machine):
    """The peer: the same guest under QEMU's arm64 emulator."""

    def __init__(self, path):
        super().__init__(
            [path, "-M", "virt,gic-version=3", "-cpu", "cortex-a57", "-nic", "none", "-nographic",
             "-no-reboot"],
            "-kernel", "-initrd", "-append", QEMU_CMDLINE)
        self.path = path

    def run_firmware(self, binary, cpus, timeout=60):
        """A flat bare-metal binary, on a processor with LSE."""
        return run([self.path, "-M", "virt,gic-version=3", "-cpu", "neoverse-n1", "-m", "256",
                    "-smp", str(cpus), "-nic", "none", "-nographic", "-no-reboot",
                    "-kernel", binary], timeout)


def build_initrd(script, folder, files=(), raw=False, guest_files=GUEST_FILES):
    """Builds (once for the same content) an initramfs whose /init is script.

    Unless raw, script is put between INIT_HEAD, which mounts proc, sys and
    dev, and a poweroff.  files are (host path, guest path) pairs.  guest_files
    has the busybox.
    """
    text = script if raw else INIT_HEAD + script + INIT_TAIL
    key = hashlib.sha256(text.encode() + str(guest_files).encode())
    extras = []
    for host, guest in files:
        key.update(str(guest).encode() + b"\0" + pathlib.Path(host).read_bytes())
        extras.append("%s:%s" % (host, guest))
    out = pathlib.Path(folder) / ("%s.cpio" % key.hexdigest()[:24])
    if not out.exists():
        init = out.with_suffix(".init")
        init.write_text(text)
        made = subprocess.run([TOP / "scripts/initramfs.sh", out, init, *extras],
                              env=dict(os.environ, MEMVISOR_GUEST_FILES=str(guest_files)),
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert made.returncode == 0, made.stdout
    return out
