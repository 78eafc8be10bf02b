# SPDX-License-Identifier: Apache-2.0
"""Sockets that clients come to when the process has no descriptor left."""
import os
import resource
import signal
import socket
import subprocess
import time

import pytest

import harness
from qmp import SPIN


@pytest.mark.parametrize("server", ["gdb", "serial", "control"])
def test_listeners_without_descriptors(memvisor, tmp_path, server):
    """A client that comes when there is no descriptor left is refused; nothing spins,
    and who comes later is served."""
    path = tmp_path / "socket"
    control = path if server == "control" else tmp_path / "qmp"
    options = {"gdb": ["--gdb", path], "serial": ["--serial", "unix:%s" % path],
               "control": []}[server] + ["--qmp", control]
    image = tmp_path / "spin"
    image.write_bytes(SPIN)
    process = subprocess.Popen(
        [memvisor.path, "run", "--firmware", image, "-m", "64M", "--paused",
         *map(str, options)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE)
    try:
        end = time.monotonic() + 60 * harness.PATIENCE
        while not control.exists():
            assert time.monotonic() < end
            time.sleep(0.02)
        # Who is greeted knows that the start is over, and needs no more descriptors.
        greeted = socket.socket(socket.AF_UNIX)
        greeted.settimeout(60 * harness.PATIENCE)
        greeted.connect(str(control))
        assert greeted.recv(100)
        used = max(int(name) for name in os.listdir("/proc/%d/fd" % process.pid)) + 1
        before = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (used, before[1]))
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(60 * harness.PATIENCE)
            client.connect(str(path))
            assert client.recv(100) == b"" # refused
        with open("/proc/%d/stat" % process.pid) as stat:
            start_ticks = sum(map(int, stat.read().rsplit(")", 1)[1].split()[11:13]))
        time.sleep(0.5)
        with open("/proc/%d/stat" % process.pid) as stat:
            ticks = sum(map(int, stat.read().rsplit(")", 1)[1].split()[11:13])) - start_ticks
        assert ticks <= 10, "it spins"
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, before)
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(60 * harness.PATIENCE)
            client.connect(str(path))
            if server == "gdb":
                client.sendall(b"$?#3f")
            if server == "serial":
                client.settimeout(0.5)
                with pytest.raises(socket.timeout):
                    client.recv(100)
            else:
                assert client.recv(100)
        greeted.close()
    finally:
        process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=60 * harness.PATIENCE)[1].decode()
    assert said.count("too many open files") == 1, said
