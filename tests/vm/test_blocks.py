# SPDX-License-Identifier: Apache-2.0
"""Every block of code in README and manual pages, run as written, in order: what
stays gets a terminal of its own and is stopped there as a user would.

A block that is not run stands in NOT_RUN with the reason; one that is neither
run nor listed fails, and so does a listed one that is not there."""
import os
import re
import subprocess
import time

import pexpect
import pytest

import harness

MAN = harness.TOP / "docs/man"
# page, how the block begins: why it is not run here.
NOT_RUN = {
    ("README.md", "$ make run\n"): "what the next block's first line prints",
    ("README.md", "make run\nmake check\n"): "it ends with this test; .ci/run does both",
    ("README.md", "$ memvisor run -k vmlinuz -m 64M,file=/dev/shm/ram"):
        "what other hosts print: tests/vm/test_limits.py makes such hosts",
    ("README.md", "memvisor run -k vmlinuz -i initrd.cpio -a 'console=ttyS0 nokaslr' --gdb :1234"):
        "port 1234 may be another's: tests/interop/test_gdb.py does the same at free ones",
    ("README.md", "nbdkit -U nbd.sock"): "nbdkit runs it: tests/vm/test_nbd_bank.py has servers",
    ("memvisor-qmp.1", '{"QMP": '): "a form of the protocol: tests/interop/test_qmp.py",
    ("memvisor-qmp.1", '{"execute": "NAME"'): "a form of the protocol: tests/interop/test_qmp.py",
    ("memvisor-qmp.1", '{"return": ...'): "a form of the protocol: tests/interop/test_qmp.py",
    ("memvisor-fork.1", "socat -,raw"): "it is in another folder: tests/vm/test_fork.py talks to it",
    ("memvisor-fork.1", "memvisor stop vm1"): "it goes on from the block before",
    ("memvisor-send.1", "psktool -u mover"):
        "it takes another host: tests/vm/test_send_verbs.py does the same in one",
    ("memvisor-send.1", "memvisor send vm1 'exec:ssh"):
        "it takes another host: tests/vm/test_send_verbs.py does the same without ssh",
    ("memvisor-send.1", "memvisor receive --resume"):
        "it takes a line that broke: tests/vm/test_postcopy.py breaks some",
    ("memvisor-info.1", "memvisor info vm.state"):
        "it takes a state: tests/vm/test_info.py makes some",
    ("README.md", "crm configure primitive"):
        "it takes a cluster: tests/interop/test_cluster.py makes one",
    ("README.md", "echo 'OPTIONS=-k"):
        "it takes systemd and root: tests/vm/test_service.py does what the unit does",
    ("memvisor@.service.5", "cat >/etc/memvisor/vm1.conf"):
        "it takes systemd and root: tests/vm/test_service.py does what the unit does",
    ("ocf_memvisor_guest.7", "crm configure primitive"):
        "it takes a cluster: tests/interop/test_cluster.py makes one",
    ("libmemvisor-ivshmem.3", "#include <memvisor-ivshmem.h>"):
        "tests/house/test_install.py compiles and runs it",
}
# Lines whose exit status is not 0, or another than what stopping them leads to.
REFUSED = {"memvisor run -k vmlinuz -m 256M@0x70000000 -m 256M@2G": 1}
# What a guest that is stopped by the test has printed by then: its kernel's first words, or
# what the next line relies on.
SHELL = "/root # "
READY = {"--device pcie-root-port,id=port0": SHELL}


def blocks(page):
    text = page.read_text()
    if page.suffix == ".md":
        return re.findall(r"^```\w*\n(.*?)^```$", text, re.M | re.S)
    found = re.findall(r"^\.Bd -literal.*?\n(.*?)^\.Ed$", text, re.M | re.S)
    return [block.replace("\\e", "\\").replace("\\&", "") for block in found]


def lines_of(block):
    """Commands without comments; one that goes on in the next line is one."""
    joined = re.sub(r"\\\n\s*", "", block)
    return [re.sub(r"\s+# .*", "", line) for line in joined.splitlines() if line.strip()]


def skipped(page, block):
    return any(name == page.name and block.startswith(begin) for name, begin in NOT_RUN)


class Desk:
    """A user's folder, with the names that the blocks assume, and terminals."""

    def __init__(self, memvisor, folder):
        self.memvisor = memvisor
        self.folder = folder
        files = folder / "guest-files"
        files.mkdir()
        for name in ("vmlinuz", "initrd.cpio"):
            (files / name).symlink_to((harness.GUEST_FILES / name).resolve())
        (folder / "build").symlink_to(memvisor.path.parent)
        # x0 = SYSTEM_OFF; hvc
        (files / "program.bin").write_bytes(bytes.fromhex("000180d2" "0080b0f2" "020000d4"))
        self.env = dict(os.environ, XDG_RUNTIME_DIR=str(folder), TERM="xterm")
        self.prelude = next(block for block in blocks(harness.TOP / "README.md")
                            if block.startswith("cd guest-files\n"))
        self.terminals = []

    def words(self, line):
        """As written, but for sockets that others could have."""
        return ["-euc", self.prelude + line.replace("/tmp/", "%s/" % self.folder)]

    def once(self, line):
        return subprocess.run(
            ["bash", *self.words(line)], cwd=self.folder, env=self.env, errors="replace",
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            timeout=120 * harness.PATIENCE)

    def run(self, line):
        """A guest takes its time over a device; a user does what is said then."""
        end = time.monotonic() + 60 * harness.PATIENCE
        result = self.once(line)
        while "try again later" in result.stdout and time.monotonic() < end:
            time.sleep(0.2)
            result = self.once(line)
        assert result.returncode == REFUSED.get(line, 0), (line, result.stdout)

    def open(self, line, ready, stop):
        """Run it on a terminal until it has printed `ready`, or ended."""
        child = harness.spawn("bash", self.words(line), cwd=str(self.folder), env=self.env,
                              encoding="utf-8", codec_errors="replace", timeout=120 * harness.PATIENCE,
                              dimensions=(25, 200))
        self.terminals.append((line, child, stop))
        if ready is not None:
            child.expect([ready, pexpect.EOF])
        return child

    def have_prompt(self, child):
        """Of a guest that may have printed its prompt before it was saved."""
        for _ in range(int(60 * harness.PATIENCE)):
            child.send("\r")
            if child.expect([SHELL, pexpect.EOF, pexpect.TIMEOUT], timeout=2) < 2:
                return
        raise AssertionError(child)

    def close(self, only=""):
        """End what still runs of lines that begin so; each must leave in order."""
        for terminal in [t for t in self.terminals if t[0].startswith(only)]:
            line, child, stop = terminal
            self.terminals.remove(terminal)
            if child.isalive():
                child.send(stop)
            child.expect(pexpect.EOF)
            child.wait()
            status = child.exitstatus if child.signalstatus is None else 128 + child.signalstatus
            assert status in ({0, 130} if stop == "\x03" else {REFUSED.get(line, 0)}), \
                (line, status, child.before)

    def end(self):
        for _, child, _ in self.terminals:
            child.close(force=True)

    def wait_for(self, condition):
        end = time.monotonic() + 60 * harness.PATIENCE
        while not condition():
            assert time.monotonic() < end
            time.sleep(0.05)

    def do(self, line):
        """A line of a block, as a user would type it, who knows what stays and what ends."""
        line = re.sub(r" &$", "", line)
        if re.match(r"memvisor run .*--dump-dtb", line):
            self.run(line)
        elif line.startswith("memvisor run "):
            self.close("memvisor run ")
            ready = next((text for key, text in READY.items() if key in line), "Linux version")
            self.open(line, ready, "\x01x")
        elif line.startswith("memvisor restore "):
            console = "--serial" not in line
            child = self.open(line, None, "\x01x" if console else "\x03")
            if console:
                self.have_prompt(child)
        elif line.startswith("memvisor receive "):
            self.open(line, "awaited at", "\x03")
        elif line.startswith("memvisor ivshmem-server ") and "--status" not in line:
            self.open(line, None, "\x03")
            self.wait_for((self.folder / "shm.sock").exists)
        elif line.startswith("memvisor ivshmem-client ") and " wait " in line:
            self.open(line, None, "")
            self.wait_for(lambda: '"peers": []' not in harness.run(
                [self.memvisor.path, "ivshmem-server", self.folder / "shm.sock", "--status", "--json"]
            ).out)
        elif "--watch" in line:
            self.open(line, "\033\\[H.*\033\\[H", "\x03")
            self.close(line)
        elif line.startswith("qemu-system-x86_64 "):
            self.open(line, "SeaBIOS", "\x01x")
            self.close(line)
        elif line.startswith("socat - "):
            self.open(line, "QMP", "\x03")
            self.close(line)
        else:
            self.run(line)


@pytest.fixture
def desk(memvisor, kernel, tmp_path):
    desk = Desk(memvisor, tmp_path)
    yield desk
    desk.end()


def assumed(desk, page):
    """What a manual page takes as given."""
    if page.name in ("memvisor-qmp.1", "memvisor-save.1", "memvisor-restore.1", "memvisor-send.1",
                     "memvisor-receive.1"):
        desk.do("memvisor run -n vm1 -k vmlinuz -i initrd.cpio -a console=ttyS0")
    if page.name == "memvisor-restore.1":
        desk.do("memvisor save vm1 vm.state")
    if page.name == "memvisor-ivshmem-client.1":
        desk.do("memvisor ivshmem-server /tmp/shm.sock --size 64M --vectors 2")


# Each block of these leaves without what the page takes as given.
MOVED = {"memvisor-send.1"}


def do_page(desk, page):
    done = 0
    for block in blocks(page):
        if skipped(page, block) or block == desk.prelude:  # which stands before every line
            continue
        if done == 0 or page.name in MOVED:
            assumed(desk, page)
        for line in lines_of(block):
            desk.do(line)
        desk.close("memvisor run ")
        desk.close("memvisor restore ")
        desk.close("memvisor receive ")
        done += 1
    desk.close()
    assert done or all(skipped(page, block) for block in blocks(page))
    return done


def test_blocks_of_the_readme(desk):
    assert do_page(desk, harness.TOP / "README.md") >= 16


@pytest.mark.parametrize("page", sorted(MAN.glob("*.1")), ids=lambda page: page.name)
def test_blocks_of_a_manual_page(desk, page):
    do_page(desk, page)


def test_first_example_does_what_it_says(desk):
    """`cat /proc/iomem` shows both banks, and exit powers the guest off."""
    readme = (harness.TOP / "README.md").read_text()
    line = next(line for line in readme.splitlines() if line.startswith("memvisor run ") and "-c 2" in line)
    child = desk.open(line, SHELL, "\x01x")
    child.sendline("cat /proc/iomem")
    child.expect("80000000-8fffffff : System RAM(?s:.*)200000000-20fffffff : System RAM")
    child.expect(SHELL)
    child.sendline("exit")
    child.expect("Power down")
    desk.close()


def test_all_that_is_left_out_is_there():
    pages = [harness.TOP / "README.md", *MAN.glob("*.[1357]")]
    found = {(page.name, begin) for page in pages for block in blocks(page)
             for name, begin in NOT_RUN if name == page.name and block.startswith(begin)}
    assert found == set(NOT_RUN)
    for reason in NOT_RUN.values():
        for name in re.findall(r"tests/\S+\.py", reason):
            assert (harness.TOP / name).exists()
