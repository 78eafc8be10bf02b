# SPDX-License-Identifier: Apache-2.0
"""What a reset boots: the bytes of the start, whatever has become of the files
(--reload off), or what the files hold by then (--reload on)."""
import os
import shutil

import pexpect
import pytest

import console_guest
import harness
import qmp

FIRST, OTHER = b"ready", b"other"


@pytest.fixture(scope="module")
def binary(tmp_path_factory):
    """A bare-metal guest that says "ready" and resets itself at R; its bytes."""
    return console_guest.build(tmp_path_factory.mktemp("guest")).read_bytes()


class Guest:
    """That guest at a terminal, from a copy of its file, with a QMP client."""

    def __init__(self, memvisor, folder, data, *options, path=None):
        self.file = path or folder / "guest.bin"
        if path is None:
            self.file.write_bytes(data)
        self.child = harness.spawn(
            str(memvisor.path), ["run", "--firmware", str(self.file), "-m", "16M", "--qmp",
                                 str(folder / "qmp"), "-n", "reload-%d" % os.getpid(), *options],
            timeout=60 * harness.PATIENCE, encoding="utf-8", dimensions=(25, 200))
        self.child.expect("ready")
        self.qmp = qmp.Qmp(folder / "qmp")

    def resets_itself(self, says):
        self.child.send("R")
        self.child.expect(says)

    def is_reset(self, says):
        self.qmp.execute("system_reset")
        self.child.expect(says)

    def status(self):
        return self.qmp.execute("query-status")["status"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.qmp.close()
        self.child.close(force=True)


def overwrite(path, data):
    with open(path, "r+b") as file:
        file.write(data)


def replace(path, data):
    path.with_suffix(".new").write_bytes(data)
    path.with_suffix(".new").rename(path)


@pytest.mark.parametrize("options", [[], ["--reload", "off"]])
def test_the_bytes_of_the_start(memvisor, tmp_path, binary, options):
    other = binary.replace(FIRST, OTHER)
    with Guest(memvisor, tmp_path, binary, *options) as guest:
        for change in (lambda: overwrite(guest.file, other), lambda: os.truncate(guest.file, 10),
                       lambda: os.truncate(guest.file, 0), lambda: replace(guest.file, other),
                       guest.file.unlink):
            change()
            guest.resets_itself("ready")
            guest.is_reset("ready")


def test_linux_reboots_from_the_bytes_of_the_start(memvisor, kernel, initrd, tmp_path):
    """Kernel and initrd are overwritten in place, as cp does it, and cut off."""
    files = [tmp_path / "kernel", tmp_path / "initrd"]
    shutil.copy(kernel, files[0])
    shutil.copy(initrd("echo up: yes\nread line\nreboot -f"), files[1])
    with memvisor.spawn(files[1], "-m", "128M", kernel=files[0]) as child:
        for change in (lambda path: overwrite(path, bytes(1 << 20)),
                       lambda path: os.truncate(path, 100)):
            child.expect("up: yes")
            for path in files:
                change(path)
            child.send("\n")
        child.expect("up: yes")


def test_reload_takes_the_new_files(memvisor, kernel, initrd, tmp_path):
    """Another initrd of another size, and the kernel in another form."""
    files = [tmp_path / "kernel", tmp_path / "initrd"]
    shutil.copy(kernel, files[0])
    shutil.copy(initrd("echo up: first\nread line\nreboot -f"), files[1])
    with memvisor.spawn(files[1], "-m", "128M", "--reload", "on", kernel=files[0]) as child:
        child.expect("up: first")
        files[1].write_bytes(initrd("echo up: second").read_bytes() + bytes(1 << 20))
        os.truncate(files[0], 1000)
        child.send("\n")
        child.expect("memvisor: cannot reset the guest: the kernel '%s' is truncated: [^\n]*; the "
                     "guest is paused: once that is mended, type 'memvisor cont (vm-[0-9]*)'"
                     % files[0])
        name = child.match.group(1)
        again = memvisor.run("cont", name)
        assert again.code == 1 and "is truncated" in again.err, again
        shutil.copy(kernel, files[0])
        assert memvisor.run("cont", name).code == 0
        child.expect("up: second")
        child.expect(pexpect.EOF)
    assert child.exitstatus == 0


def test_reload_when_it_is_reset(memvisor, tmp_path, binary):
    other = binary.replace(FIRST, OTHER)
    with Guest(memvisor, tmp_path, binary, "--reload", "on") as guest:
        replace(guest.file, other)
        guest.is_reset("other")
        overwrite(guest.file, binary)
        guest.resets_itself("ready")
        # One that cannot be booted: a reset from outside is refused, and the guest goes on.
        for change, word in ((lambda: os.truncate(guest.file, 0), "is empty"),
                             (lambda: os.truncate(guest.file, 17 << 20), "no place in RAM"),
                             (guest.file.unlink, "No such file"),
                             (guest.file.mkdir, "is a directory")):
            change()
            refused = guest.qmp.command("system_reset")["error"]["desc"]
            assert str(guest.file) in refused or word == "no place in RAM", refused
            assert word in refused, refused
            assert guest.status() == "running"
            guest.child.send("x")
            guest.child.expect("x")
        # The guest's own leaves it nothing to go on with.
        guest.resets_itself("memvisor: cannot reset the guest: the firmware [^\n]* is a directory")
        guest.child.expect("the guest is paused")
        assert guest.status() == "io-error"
        assert "is a directory" in guest.qmp.command("cont")["error"]["desc"]
        guest.file.rmdir()
        guest.file.write_bytes(other)
        guest.qmp.execute("cont")
        guest.child.expect("other")
        assert guest.status() == "running"
        # Or it is reset from outside meanwhile, and stays paused until it is told.
        guest.file.write_bytes(b"")
        guest.resets_itself("the guest is paused")
        guest.file.write_bytes(binary)
        guest.qmp.execute("system_reset")
        assert guest.status() == "io-error"
        guest.qmp.execute("cont")
        guest.child.expect("ready")


def test_a_stream_cannot_be_read_anew(memvisor, kernel, tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    writer = os.open(fifo, os.O_RDWR)
    result = memvisor.run("run", "-k", fifo, "--reload", "on")
    os.close(writer)
    assert result.code == 1 and result.err.count("\n") == 1, result
    assert "the kernel '%s' is no file" % fifo in result.err and "--reload" in result.err, result


def test_words(memvisor, kernel):
    for value in ("yes", "", "On"):
        result = memvisor.run("run", "-k", kernel, "--reload=" + value)
        assert result.code == 2 and "choose" in result.err and "--reload" in result.err, result
