# SPDX-License-Identifier: Apache-2.0
"""A host that says no while a saved guest is made to go on: with the Nth call of a kind
failing, it goes on all the same and lacks nothing, or memvisor ends with one line that says
why.  It leaves nothing behind, and the state as it was.
"""
import pytest

import faults
import harness
import qmp
from test_nth_start import OK, STEPS, Start, try_each


class Restore(Start):
    """One memvisor restore of a guest that had not run; memory in each way that there is."""

    BLOCKS = 5

    def __init__(self, memvisor, folder, ram):
        (folder / "run/memvisor").mkdir(parents=True, mode=0o700)
        (folder / "banks").mkdir()
        (folder / "shared").write_bytes(bytes(1 << 20))
        state = folder / "ok.state"
        options = ("-m", "4M,thp=off", "-m", "4M,memfd=on", "-m", "2M,lock=on",
                   "--ivshmem", "mem=%s,size=1M" % (folder / "shared"),
                   "--device", "pcie-root-port,id=port", "--device", "edu,bus=port,id=edu")
        with qmp.Vm(memvisor, folder, "-m", "2M", "-c", "2", "--paused", *options, guest=OK,
                    name="ok", boot=self.boot(memvisor, folder)) as vm:
            assert vm.verb("save", "ok", state).code == 0
        self.folder = folder
        self.faults = faults.Faults(memvisor, folder)
        self.env = {"XDG_RUNTIME_DIR": str(folder / "run")}
        self.state, self.bytes = state, state.read_bytes()
        # Whose working set each of the others brings in, and writes anew.
        first = harness.run([memvisor.path, "restore", state, "--ram", ram], env=self.env)
        assert (first.code, first.out) == (0, "ok\n"), first
        self.before = self.files()
        assert (folder / "ok.state.ws").exists() == (ram == "private")
        self.argv = [str(word) for word in (
            memvisor.path, "restore", state, "-n", "vm", "--ram", ram, "--paused",
            "--qmp", folder / "qmp", "--gdb", folder / "gdb")]

    @staticmethod
    def boot(memvisor, folder):
        (folder / "ok.bin").write_bytes(OK)
        return [memvisor.path, "run", "--firmware", folder / "ok.bin"]

    def check(self, kind, n, code, served):
        super().check(kind, n, code, served)
        assert self.state.read_bytes() == self.bytes, self.story(kind, n)


# What memory that is copied asks of the host besides.
WAYS = [("private", kind) for kind in faults.KINDS] + [
    ("copy", kind) for kind in ("alloc", "mmap", "thread")]


@pytest.mark.parametrize("ram, kind", WAYS)
def test_restore(memvisor, tmp_path, ram, kind):
    try_each(Restore(memvisor, tmp_path, ram), kind, STEPS.get(kind, 1))


@pytest.mark.long
@pytest.mark.parametrize("ram", ["private", "copy"])
@pytest.mark.parametrize("kind", sorted(STEPS))
def test_restore_every_call(memvisor, tmp_path, kind, ram):
    try_each(Restore(memvisor, tmp_path, ram), kind, 1)
