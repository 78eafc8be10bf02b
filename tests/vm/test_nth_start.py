# SPDX-License-Identifier: Apache-2.0
"""A host that says no while a VM starts: with the Nth call of a kind failing, it runs
all the same and lacks nothing, or ends with one line that says why.  It leaves
nothing behind in either case.
"""
import os
import struct
import subprocess
import time

import pytest

import faults
import harness
import qmp

# Prints "ok" and powers the machine off.
OK = struct.pack("<10I", 0xd2a02001, 0x52800de2, 0x39000022, 0x52800d62, 0x39000022, 0x52800142,
                 0x39000022, 0x52b08000, 0x72800100, 0xd4000002)


class Start:
    """One memvisor run with a bit of everything."""

    BLOCKS = 6

    def __init__(self, memvisor, folder):
        self.folder = folder
        self.faults = faults.Faults(memvisor, folder)
        (folder / "ok.bin").write_bytes(OK)
        (folder / "run/memvisor").mkdir(parents=True, mode=0o700)
        (folder / "banks").mkdir()
        for name in ("bank", "shared"):
            with open(folder / name, "wb") as file:
                file.truncate(1 << 20)
        self.env = {"XDG_RUNTIME_DIR": str(folder / "run")}
        self.before = self.files()
        self.argv = [str(word) for word in (
            memvisor.path, "run", "--firmware", folder / "ok.bin", "-n", "vm", "-c", "2",
            "-m", "16M,prealloc=on", "-m", "1M,file=%s" % (folder / "bank"),
            "-m", "4M,memfd=on,thp=off", "-m", "2M,lock=on", "-m", "2M",
            "--mem-dir", folder / "banks",
            "--ivshmem", "mem=%s,size=1M" % (folder / "shared"), "--ivshmem", "mem-id=ram2",
            "--device", "pcie-root-port,id=port", "--device", "edu,bus=port,id=edu",
            "--qmp", folder / "qmp", "--gdb", folder / "gdb", "--paused")]

    def files(self):
        """All but the page and what was said."""
        return sorted(os.path.join(path, name) for path, folders, names in os.walk(self.folder)
                      for name in folders + names
                      if name not in ("faults", "out", "err"))

    def once(self, kind, n, times=1):
        """Whether the failure came."""
        with open(self.folder / "out", "w+") as out, open(self.folder / "err", "w+") as err:
            self.faults.arm(kind, n, times)
            process = subprocess.Popen(
                self.argv, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                env=dict(os.environ, **self.faults.env, **self.env))
            try:
                served = self.serve(process)
                code = process.wait(60 * harness.PATIENCE)
            except subprocess.TimeoutExpired:
                raise AssertionError("it does not end: " + self.story(kind, n)) from None
            finally:
                if process.poll() is None:
                    process.kill()
                    process.wait()
        self.check(kind, n, code, served)
        return self.faults.fired > 0

    def serve(self, process):
        """Whether it let us speak to it, and did what it was told."""
        end = time.monotonic() + 60 * harness.PATIENCE
        while process.poll() is None and time.monotonic() < end:
            try:
                with qmp.Qmp(self.folder / "qmp") as client:
                    assert client.execute("query-status")["status"] == "prelaunch"
                    assert len(client.execute("x-query-blocks")) == self.BLOCKS
                    assert len(client.execute("query-cpus-fast")) == 2
                    client.execute("cont")
                    return True
            except (OSError, AssertionError):
                time.sleep(0.005)
        return False

    def story(self, kind, n):
        return "%s %d\n%s\n%s--- stdout\n%s" % (
            kind, n, self.faults.where(), (self.folder / "err").read_text(),
            (self.folder / "out").read_text())

    def check(self, kind, n, code, served):
        lines = (self.folder / "err").read_text().splitlines()
        out = (self.folder / "out").read_text()
        story = self.story(kind, n)
        said = [line for line in lines
                if not line.startswith(("memvisor: warning: ", "memvisor: the virtual CPUs are"))]
        if code == 0:
            served |= "a client is dropped" in story
            assert served and out == "ok\n" and not said, story
        else:
            assert code == 1 and out in ("", "ok\n"), "%d: %s" % (code, story)
            assert len(said) == 1 and said[0].startswith("memvisor: "), story
        if "warning: the folder" in story:
            # The host had nothing left at the very end; the next look at it tidies up.
            harness.run([self.argv[0], "ps"], env=self.env)
        assert self.files() == self.before, (story, self.files())


# Of the many calls of these kinds `make check` takes one in so many.
STEPS = {"alloc": 37, "open": 7}


def try_each(start, kind, step):
    n = 1
    while start.once(kind, n):
        n += step
    # An ordinary start duplicates no descriptor.
    assert n > 1 or kind == "dup", "no call of the kind was seen"


@pytest.mark.parametrize("kind", faults.KINDS)
def test_start(memvisor, tmp_path, kind):
    try_each(Start(memvisor, tmp_path), kind, STEPS.get(kind, 1))


@pytest.mark.long
@pytest.mark.parametrize("kind", sorted(STEPS))
def test_start_every_call(memvisor, tmp_path, kind):
    try_each(Start(memvisor, tmp_path), kind, 1)
