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
    """(the export as a file, what reads the export's bytes into a file)"""
    for tool in ("nbdkit", "nbdfuse", "nbdcopy"):
        assert shutil.which(tool), "%s is missing: run scripts/setup.sh check" % tool
    if not os.access("/dev/fuse", os.R_OK | os.W_OK) or os.geteuid() != 0:
        pytest.skip("a FUSE file system cannot be mounted here: it takes root and /dev/fuse")
    socket, folder = tmp_path / "nbd.sock", tmp_path / "mnt"
    uri = "nbd+unix:///?socket=%s" % socket
    folder.mkdir()
    server = subprocess.Popen(["nbdkit", "-f", "-U", socket, "memory", "32M"])
    mount = None

    def wait_for(path, process):
        end = time.monotonic() + 20 * harness.SLOW
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
