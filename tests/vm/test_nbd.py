# SPDX-License-Identifier: Apache-2.0
"""RAM that something else serves is RAM in a file: a bank on an NBD export."""
import os
import shutil
import subprocess
import time

import pytest

import harness
from memory_guest import Guest, build

MIB = 1 << 20
BASE = 0x200000000


@pytest.fixture
def export(tmp_path):
    """(the export as a file, what reads the export's bytes into a file).  While
    there is a file named `fail`, the server fails to read."""
    for tool in ("nbdkit", "nbdfuse", "nbdcopy"):
        assert shutil.which(tool), "%s is missing: run scripts/setup.sh check" % tool
    if not os.access("/dev/fuse", os.R_OK | os.W_OK) or os.geteuid() != 0:
        pytest.skip("a FUSE file system cannot be mounted here: it takes root and /dev/fuse")
    socket, folder = tmp_path / "nbd.sock", tmp_path / "mnt"
    uri = "nbd+unix:///?socket=%s" % socket
    folder.mkdir()
    server = subprocess.Popen(["nbdkit", "-f", "-U", socket, "--filter=error", "memory", "32M",
                               "error-pread=EIO", "error-pread-rate=100%",
                               "error-pread-file=%s" % (tmp_path / "fail")])
    mount = None

    def wait_for(path, process):
        end = time.monotonic() + 20 * harness.PATIENCE
        while not path.exists() and time.monotonic() < end and process.poll() is None:
            time.sleep(0.05)
        return path.exists()

    try:
        assert wait_for(socket, server)
        mount = subprocess.Popen(["nbdfuse", folder, uri], stderr=subprocess.PIPE, text=True)
        if not wait_for(folder / "nbd", mount):
            mount.kill()
            pytest.skip("nbdfuse cannot mount here: %s" % mount.stderr.read().strip())

        def copy(path):
            subprocess.run(["umount", folder], check=True)
            mount.wait(20)
            subprocess.run(["nbdcopy", uri, path], check=True)
            return path.read_bytes()

        yield folder / "nbd", copy
    finally:
        if mount is not None and mount.poll() is None:
            subprocess.run(["umount", "-l", folder], stderr=subprocess.DEVNULL)
            mount.kill()
            mount.wait()
        server.kill()
        server.wait()


def test_a_bank_on_an_export(memvisor, tmp_path, export):
    file, copy = export
    with Guest(memvisor, tmp_path, "-m", "16M", "-m", "32M@8G,file=%s" % file,
               binary=build(tmp_path)) as guest:
        guest.do("w", BASE, 0x1122334455667788)
        guest.do("t", BASE + 20 * MIB + 5, "written by the guest")
        guest.do("f", BASE + 8 * MIB, 256, 7)
        assert guest.do("s", BASE + 8 * MIB, 256) == 7 * 256
        assert guest.do("r", BASE + 31 * MIB) == 0
        assert guest.end() == 0
    served = copy(tmp_path / "copy")
    assert len(served) == 32 * MIB
    assert int.from_bytes(served[:8], "little") == 0x1122334455667788
    assert served[20 * MIB + 5:][:20] == b"written by the guest"
    assert all(served[8 * MIB + i * 4096] == 7 for i in range(256))


def test_a_server_that_fails(memvisor, tmp_path, export):
    """The guest waits for a byte that cannot be read, and has it when it can."""
    file, _ = export
    fail = tmp_path / "fail"
    with Guest(memvisor, tmp_path, "-m", "16M", "-m", "32M@8G,file=%s" % file,
               binary=build(tmp_path)) as guest, guest.qmp() as qmp:
        guest.do("w", BASE, 5)
        fail.touch()
        guest.send("r", BASE + 31 * MIB)
        event = qmp.event("X_BLOCK_ERROR")["data"]
        qmp.event("STOP")
        assert (event["id"], event["reason"], event["offset"]) == ("ram1", "io-error", 31 * MIB)
        assert "block ram1: the host can neither read nor write byte 0x1f00000 of %s" % file \
            in guest.errors()
        fail.unlink()
        qmp.execute("cont")
        assert guest.answer() == 0
        assert guest.do("r", BASE) == 5
        assert guest.end() == 0


def test_a_server_that_fails_at_once(memvisor, tmp_path, export):
    """Where there is no guest yet that could wait, memvisor ends."""
    file, _ = export
    (tmp_path / "fail").touch()
    result = memvisor.run("run", "--firmware", build(tmp_path), "-m", "32M,file=%s" % file)
    assert result.code == 1 and len(result.err.splitlines()) == 1, result
    assert "block ram0: the host can neither read nor write byte 0x80000 of %s" % file \
        in result.err, result
