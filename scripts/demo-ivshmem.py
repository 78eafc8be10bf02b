#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Guests that share memory and ring each other, side by side.

Starts memvisor's ivshmem-server and two memvisor guests (and, where it is
installed, a real QEMU with an x86-64 guest), and passes a message round: each
one hears a doorbell, reads what its neighbour wrote, writes its own words and
rings the next one.  The host takes part, as a client of the server.
"""
import argparse
import os
import pathlib
import queue
import re
import shutil
import subprocess
import sys
import tempfile
import textwrap
import threading
import time

TOP = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TOP / "tests"))
import guest_tools  # noqa: E402
import harness  # noqa: E402

GUEST_FILES = harness.GUEST_FILES
VECTORS = 2
COLOURS = (33, 36, 32, 35)
PROCESSORS = {"arm64": "arm64", "x86": "x86-64"} # by the kernel's name of them

# Each guest's words stand in its own 4 KiB, whose number is its ID.
INIT = r"""#!/bin/busybox sh
for applet in $(busybox --list); do alias $applet="busybox $applet"; done
busybox mount -t proc proc /proc
busybox mount -t sysfs sysfs /sys
busybox mount -t devtmpfs devtmpfs /dev
say() { echo "demo| $*"; }
for word in $(busybox cat /proc/cmdline); do
    case $word in demo.*) eval "${word#demo.}" ;; esac
done
busybox insmod /uio.ko
busybox insmod /uio_ivshmem.ko
set -- $(/bin/ivshmem list | busybox tail -n 1)
id=$4
next=$(((id + 1) % peers))
say "$(busybox uname -m) Linux sees $(($3 / 1024)) KiB of shared memory; it is peer $id"
heard() {
    text=$(/bin/ivshmem read $((4096 * (id - 1))) 64 | busybox tr -d '\000')
    say "hears vector $1 and reads: $text"
    mine="$(busybox uname -m), peer $id, rung by $((id - 1)) on vector $1"
    printf '%-64s' "$mine" | /bin/ivshmem write $((4096 * id)) -
    say "writes, and rings peer $next on vector $1"
    /bin/ivshmem ring $next $1
}
listen() {
    /bin/ivshmem wait -v $1 -n $2 -t 100 2>&1 | while read -r line; do
        case $line in
        waiting*) say "waits for vector $1" ;;
        vector*) heard $1 ;;
        *) say "$line" ;;
        esac
    done
}
listen 0 $(((laps + 1) / 2)) &
listen 1 $((laps / 2))
wait
say "powers off"
busybox poweroff -f
"""


class Failure(Exception):
    pass


def build(folder, cross, arch, guest_files):
    """The initramfs of a guest: the tool and the driver of guest/."""
    files = [(guest_tools.program("ivshmem", folder, cross + "gcc"), "bin/ivshmem"),
             (guest_tools.module("uio_ivshmem", folder, arch, cross), "uio_ivshmem.ko"),
             (guest_files / "modules/uio.ko", "uio.ko")]
    return harness.build_initrd(INIT, folder, files, raw=True, guest_files=guest_files)


class Screen:
    """Columns with a heading each; what somebody says stands in its own."""

    def __init__(self, labels):
        self.colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        columns = shutil.get_terminal_size((120, 24)).columns
        self.width = max(24, (columns - 1) // len(labels) - 2)
        self.count = len(labels)
        self.row([textwrap.wrap(label, self.width, break_on_hyphens=False) for label in labels])
        self.row([["-" * self.width]] * len(labels))

    def paint(self, column, text):
        padded = text.ljust(self.width)
        return "\033[%dm%s\033[0m" % (COLOURS[column % len(COLOURS)], padded) \
            if self.colour and text else padded

    def row(self, cells):
        for i in range(max(len(cell) for cell in cells)):
            line = "  ".join(self.paint(c, cell[i] if i < len(cell) else "")
                             for c, cell in enumerate(cells))
            print(line.rstrip(), flush=True)

    def say(self, column, text):
        cells = [[] for _ in range(self.count)]
        cells[column] = textwrap.wrap(text, self.width, subsequent_indent="  ") or [""]
        self.row(cells)


class Guest:
    """A virtual machine; what its script says comes into the queue."""

    def __init__(self, column, argv, said, log):
        self.column = column
        self.log = open(log, "wb")
        self.process = subprocess.Popen([str(word) for word in argv], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=self.log)
        threading.Thread(target=self.listen, args=(said,), daemon=True).start()

    def listen(self, said):
        for line in self.process.stdout:
            self.log.write(line)
            text = line.decode(errors="replace").strip()
            if text.startswith("demo| "):
                said.put((self.column, text[6:]))
        said.put((self.column, None))

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.log.close()


class Host:
    """memvisor's ivshmem-client at its prompt, as peer 0."""

    def __init__(self, memvisor, sock, said):
        self.process = subprocess.Popen([memvisor, "ivshmem-client", sock], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        threading.Thread(target=self.listen, args=(said,), daemon=True).start()

    def listen(self, said):
        for line in self.process.stdout:
            said.put((0, line.decode(errors="replace").replace("\0", "").strip()))
        said.put((0, None))

    def do(self, *words):
        self.process.stdin.write((" ".join(str(word) for word in words) + "\n").encode())
        self.process.stdin.flush()

    def end(self):
        self.process.kill()
        self.process.wait()


# loglevel=1: a kernel that complains of a busy host does so in the middle of others' lines.
def memvisor_argv(options, sock, initrd, words, number):
    return [options.memvisor, "run", "-n", "demo-ivshmem-%d-%d" % (os.getpid(), number),
            "-k", GUEST_FILES / "vmlinuz", "-i", initrd, "-m", "256M",
            "-a", "console=ttyS0 loglevel=1 cryptomgr.notests " + words,
            "--ivshmem", "%s,vectors=%d" % (sock, VECTORS)]


def qemu_argv(options, sock, initrd, words, _):
    return [options.qemu, "-accel", "tcg", "-m", "256", "-nic", "none", "-nographic", "-no-reboot",
            "-kernel", GUEST_FILES / "amd64/vmlinuz", "-initrd", initrd,
            # Without it Linux panics where a busy host lets its check of the timer wait too long.
            "-append", "console=ttyS0 loglevel=1 cryptomgr.notests no_timer_check " + words,
            "-chardev", "socket,path=%s,id=shm" % sock,
            "-device", "ivshmem-doorbell,vectors=%d,chardev=shm" % VECTORS]


def wait_for_peers(memvisor, sock, count, guest):
    """Peers get their IDs in the order in which they come."""
    for _ in range(600):
        if guest.process.poll() is not None:
            raise Failure("a guest ended at once: %s" % guest.log.name)
        status = subprocess.run([memvisor, "ivshmem-server", "--status", sock, "--json"],
                                capture_output=True, text=True)
        if status.returncode == 0 and len(re.findall(r'"pid"', status.stdout)) >= count:
            return
        time.sleep(0.1)
    raise Failure("a guest did not join the server: %s" % guest.log.name)


class Talk:
    """What all say, shown as it comes."""

    def __init__(self, said, screen, timeout):
        self.said, self.screen, self.timeout = said, screen, timeout
        self.waits = {} # by column: on how many vectors
        self.off = set()
        self.rung = 0 # how often the host was

    def listen_until(self, enough):
        end = time.monotonic() + self.timeout
        while not enough():
            try:
                column, text = self.said.get(timeout=max(0.1, end - time.monotonic()))
            except queue.Empty:
                raise Failure("nobody has said anything for %g s" % self.timeout) from None
            self.hear(column, text)

    def hear(self, column, text):
        if text is None or text == "powers off":
            self.off.add(column)
        elif text.startswith("waits for vector"):
            self.waits[column] = self.waits.get(column, 0) + 1
        elif column == 0 and not text.startswith("rung:"):
            return
        elif column == 0:
            self.rung += 1
            text = "hears " + text[6:].split(",")[0]
        if text:
            self.screen.say(column, text)


def pass_messages(host, talk, laps, last):
    talk.listen_until(lambda: talk.off or sum(talk.waits.values()) == VECTORS * last)
    if talk.off:
        raise Failure("a guest ended before it was ready")
    for lap in range(laps):
        vector = lap % VECTORS
        text = "lap %d, from the host" % (lap + 1)
        talk.screen.say(0, "writes: %s" % text)
        host.do("write", 0, text)
        talk.screen.say(0, "rings peer 1 on vector %d" % vector)
        host.do("ring", 1, vector)
        host.do("wait", vector)
        talk.listen_until(lambda lap=lap: talk.rung > lap or 0 in talk.off)
        if 0 in talk.off:
            raise Failure("the host's client ended")
    talk.listen_until(lambda: len(talk.off - {0}) == last)
    talk.screen.say(0, "all done: the message went round %d times" % laps)


def demo(options, folder):
    guests, kinds = [], [("memvisor", "aarch64-linux-gnu-", "arm64", GUEST_FILES, memvisor_argv)] * 2
    if options.qemu and (GUEST_FILES / "amd64/vmlinuz").exists():
        kinds.append(("QEMU", "x86_64-linux-gnu-", "x86", GUEST_FILES / "amd64", qemu_argv))
    else:
        print("== no third guest: qemu-system-x86_64 or %s is missing" % (GUEST_FILES / "amd64"))
    images = {}
    print("== building the guests' tool and driver", flush=True)
    for _, cross, arch, files, _ in kinds:
        if arch not in images:
            (folder / arch).mkdir()
            images[arch] = build(folder / arch, cross, arch, files)
    sock, said, host = folder / "shm.sock", queue.Queue(), None
    server = subprocess.Popen([options.memvisor, "ivshmem-server", sock, "--size", "1M",
                               "--vectors", str(VECTORS)],
                              stderr=open(folder / "server.log", "wb"))
    try:
        while not sock.exists():
            if server.poll() is not None:
                raise Failure((folder / "server.log").read_text())
            time.sleep(0.02)
        host = Host(options.memvisor, sock, said)
        screen = Screen(["host: ivshmem-client"] + [
            "%s guest, %s" % (kind[0], PROCESSORS[kind[2]]) for kind in kinds])
        words = "demo.peers=%d demo.laps=%d" % (len(kinds) + 1, options.laps)
        for i, (_, _, arch, _, argv) in enumerate(kinds):
            guests.append(Guest(i + 1, argv(options, sock, images[arch], words, i), said,
                                folder / ("guest%d.log" % (i + 1))))
            wait_for_peers(options.memvisor, sock, i + 2, guests[-1])
        pass_messages(host, Talk(said, screen, options.timeout), options.laps, len(guests))
    finally:
        for guest in guests:
            guest.end()
        if host:
            host.end()
        server.terminate()
        server.wait()


def main(argv):
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--memvisor", default=str(TOP / "build/memvisor"), metavar="PATH")
    parser.add_argument("--qemu", default=shutil.which("qemu-system-x86_64"), metavar="PATH",
                        help="of an x86-64 system emulator; default: the one that is installed")
    parser.add_argument("--no-qemu", dest="qemu", action="store_const", const=None)
    parser.add_argument("--laps", type=int, default=4, help="how often round (4)")
    parser.add_argument("--timeout", type=float, default=180, metavar="SECONDS",
                        help="how long to wait for a word (180)")
    options = parser.parse_args(argv)
    if options.laps < 1:
        parser.error("--laps %d: at least 1" % options.laps)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="memvisor-demo-"))
    try:
        demo(options, folder)
    except (Failure, AssertionError) as failure:
        print("demo-ivshmem: %s" % failure, file=sys.stderr)
        for log in sorted(folder.glob("*.log")):
            print("--- %s\n%s" % (log.name, log.read_text(errors="replace")[-1500:]), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
