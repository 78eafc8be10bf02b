# SPDX-License-Identifier: Apache-2.0
"""Guests whose code is translated (--engine emulator,jit=on): what is theirs alone.  That they do
what interpreted ones do is seen by tests of either engine (the fixture `engines`)."""
import platform
import re

import pytest

from qmp import Vm

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64",
                                reason="code is translated for x86-64 alone")

# Files, processes, pages that are copied, and a program that is read again and again.
LINUX = """
i=0
while [ $i -lt 20 ]; do
    i=$((i + 1))
    busybox dd if=/dev/urandom of=/f bs=4k count=16 2> /dev/null
    a=$(busybox sha256sum < /f); busybox cp /f /g; b=$(busybox sha256sum < /g)
    [ "$a" = "$b" ] || echo "they differ: $a $b"
done
echo "rounds: $i"
echo "complaints: $(busybox dmesg | busybox grep -ciE 'stall|BUG|WARNING|Oops|segfault')"
"""


@pytest.mark.parametrize("keys, cpus", [
    ("jit-after=1", 1),
    ("jit-after=1,jit-cache=64K", 1), # it is full again and again
    ("jit-after=2,jit-cache=256K", 2),
    ("jit-after=200", 2),
])
def test_linux(memvisor, initrd, keys, cpus):
    result = memvisor.boot(initrd(LINUX), "-m", "128M", "-c", cpus, "--engine",
                           "emulator,jit=on,%s" % keys)
    assert result.code == 0 and "differ" not in result.out, result
    assert (result.value("rounds"), result.value("complaints")) == ("20", "0")


def test_no_page_is_written_and_run(memvisor, initrd, tmp_path):
    argv = memvisor.boot_argv(initrd("echo up\nread line\n"), "-m", "64M", "--engine",
                              "emulator,jit=on,jit-cache=4M")
    with Vm(memvisor, tmp_path, boot=argv) as vm:
        vm.wait_for(lambda: re.search(r"^up\r?$", vm.output(), re.M))
        maps = open("/proc/%d/maps" % vm.process.pid).read().splitlines()
    code = [line.split()[1] for line in maps if "memvisor-jit" in line]
    assert sorted(code) == ["r-xs", "rw-s"], "\n".join(maps)
    assert not [line for line in maps if "wx" in line.split()[1]]


def test_it_tells_of_itself(memvisor, initrd, tmp_path):
    argv = memvisor.boot_argv(initrd("echo up\nread line\n"), "-m", "64M", "-c", "2")
    with Vm(memvisor, tmp_path, boot=argv, name="plain") as vm, vm.qmp() as qmp:
        assert qmp.execute("x-query-jit") == {"on": False}
    argv += ["--engine", "emulator,jit=on,jit-cache=512K,jit-after=2"]
    with Vm(memvisor, tmp_path, boot=argv) as vm, vm.qmp() as qmp:
        vm.wait_for(lambda: re.search(r"^up\r?$", vm.output(), re.M))
        told = qmp.execute("x-query-jit")
    assert told["on"] and told["size"] == 512 << 10 and 0 < told["used"] <= told["size"], told
    assert told["units"] > 1000 and told["evictions"] > 0 and told["refused"] == 0, told
    assert told["entries"] >= sum(told["exits"].values()) > 10000, told
