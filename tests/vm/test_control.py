# SPDX-License-Identifier: Apache-2.0
"""The control socket of a VM: run states, events, and guests that really stop."""
import os
import threading
import time

import pytest

import harness
from qmp import SPIN, Qmp, Vm


@pytest.fixture
def vm(memvisor, tmp_path):
    with Vm(memvisor, tmp_path, guest=SPIN) as vm:
        yield vm


def test_greets_and_tells_its_state(vm):
    with vm.qmp(negotiate=False) as qmp:
        assert qmp.greeting["QMP"]["capabilities"] == []
        assert qmp.greeting["QMP"]["version"]["package"].startswith("memvisor ")
        assert qmp.command("query-status")["error"]["class"] == "CommandNotFound"
        assert qmp.execute("qmp_capabilities") == {}
        assert qmp.execute("query-status") == {
            "running": True, "singlestep": False, "status": "running"}


def test_another_socket(memvisor, tmp_path):
    path = tmp_path / "ctl.sock"
    with Vm(memvisor, tmp_path, "--qmp", path, "--paused") as vm:
        with Qmp(path) as one, vm.qmp() as two:
            assert one.execute("query-status")["status"] == "prelaunch"
            one.execute("cont")
            two.event("RESUME")
            two.execute("quit")
            one.event("SHUTDOWN")
        assert vm.end() == 0
        assert not path.exists()
        assert not vm.rundir.exists()


def test_socket_that_cannot_be(memvisor, tmp_path):
    result = memvisor.run("run", "--firmware", "/dev/null", "--qmp", "/nonexistent/x")
    assert result.code == 1
    taken = tmp_path / "file"
    taken.write_text("precious")
    image = tmp_path / "image"
    image.write_bytes(b"\0\0\0\x14")
    result = memvisor.run("run", "--firmware", image, "--qmp", taken)
    assert result.code == 1, result
    assert result.err.count("\n") == 1 and str(taken) in result.err, result
    assert taken.read_text() == "precious"


def cpu_seconds(pid):
    with open("/proc/%d/stat" % pid) as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_a_stopped_guest_uses_no_processor(vm):
    with vm.qmp() as qmp:
        qmp.execute("stop")
        before = cpu_seconds(vm.process.pid)
        time.sleep(0.5)
        assert cpu_seconds(vm.process.pid) - before < 0.1
        qmp.execute("cont")
        vm.wait_for(lambda: cpu_seconds(vm.process.pid) - before > 0.2)


def test_quit_ends_it(vm):
    with vm.qmp() as qmp:
        qmp.execute("quit")
        assert qmp.event("SHUTDOWN")["data"] == {"guest": False, "reason": "host-qmp-quit"}
        assert qmp.read() is None
    assert vm.end() == 0
    assert "quit" in vm.output()


def test_linux_guest(memvisor, initrd, tmp_path):
    """Linux, two CPUs: powered down by the button, reset in between, four
    clients that pause and continue it meanwhile."""
    script = """
echo up: yes
read -r line < /dev/ttyS0
"""
    boot = memvisor.boot_argv(initrd(script), "-m", "256M", "-c", "2")
    with Vm(memvisor, tmp_path, boot=boot) as vm:
        failures = []

        def pester(number):
            try:
                with vm.qmp() as qmp:
                    for turn in range(25):
                        qmp.execute(("stop", "cont", "query-status", "query-cpus-fast")[
                            (turn + number) % 4])
                    qmp.execute("cont")
            except Exception as error:  # pylint: disable=broad-except
                failures.append(error)

        threads = [threading.Thread(target=pester, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failures
        vm.wait_for(lambda: "up: yes" in vm.output(), 120)
        with vm.qmp() as qmp:
            qmp.execute("system_reset")
            assert qmp.event("RESET")["data"]["reason"] == "host-qmp-system-reset"
            vm.wait_for(lambda: vm.output().count("up: yes") == 2, 120)
            assert len(qmp.execute("query-cpus-fast")) == 2
            qmp.execute("quit")
        assert vm.end() == 0


def test_guest_powers_off(memvisor, initrd, tmp_path):
    boot = memvisor.boot_argv(initrd(""), "-m", "256M", "--paused")
    with Vm(memvisor, tmp_path, boot=boot) as vm:
        with vm.qmp() as qmp:
            qmp.socket.settimeout(120 * harness.PATIENCE)
            qmp.execute("cont")
            assert qmp.event("SHUTDOWN")["data"] == {"guest": True, "reason": "guest-shutdown"}
        assert vm.end() == 0
