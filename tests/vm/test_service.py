# SPDX-License-Identifier: Apache-2.0
"""A VM under a service manager: what it is told (sd_notify(3)), and the unit."""
import os
import re
import shlex
import signal
import socket
import subprocess

import pytest

import harness
from qmp import Vm

UNIT = harness.TOP / "data/systemd/memvisor@.service"
CONF = harness.TOP / "data/examples/guest.conf"


class Manager:
    """Hears what services say, at a path or under an abstract name."""

    def __init__(self, address):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address.replace("@", "\0"))
        self.socket.settimeout(60 * harness.SLOW)
        self.env = {"NOTIFY_SOCKET": address}

    def heard(self):
        return self.socket.recv(4096).decode().split("\n")

    def silent(self):
        self.socket.setblocking(False)
        try:
            return self.heard()
        except BlockingIOError:
            return None
        finally:
            self.socket.settimeout(60 * harness.SLOW)

    def close(self):
        self.socket.close()


@pytest.fixture(params=["path", "abstract"])
def manager(request, tmp_path):
    manager = Manager(str(tmp_path / "notify") if request.param == "path"
                      else "@memvisor-test-%d" % os.getpid())
    yield manager
    manager.close()


def test_what_a_manager_hears(memvisor, tmp_path, manager):
    with Vm(memvisor, tmp_path, name="one", env=manager.env) as vm:
        assert manager.heard() == ["READY=1", "STATUS=the guest runs"]
        # The control socket answers by then.
        assert vm.verb("stop", "one").code == 0
        assert manager.heard() == ["STATUS=the guest is paused"]
        assert vm.verb("cont", "one").code == 0
        assert manager.heard() == ["STATUS=the guest runs"]
        assert vm.verb("qmp", "one", "system_powerdown").code == 0
        assert manager.heard() == ["STATUS=the power button was pressed"]
        assert vm.verb("quit", "one").code == 0
        assert manager.heard() == ["STATUS=the guest has ended"]
        assert manager.heard() == ["STOPPING=1"]
        assert vm.end() == 0
    assert manager.silent() is None


def test_one_that_is_paused_is_ready(memvisor, tmp_path, manager):
    with Vm(memvisor, tmp_path, "--paused", name="one", env=manager.env):
        assert manager.heard() == ["READY=1", "STATUS=the guest waits to be started"]


def test_one_that_cannot_start_is_not_ready(memvisor, tmp_path, manager):
    result = harness.run([memvisor.path, "run", "--firmware", tmp_path / "none"], env=manager.env)
    assert result.code == 1
    assert manager.silent() is None


def test_a_restored_guest_tells_too_and_a_clone_does_not(memvisor, tmp_path, manager):
    state = tmp_path / "one.state"
    with Vm(memvisor, tmp_path, name="one", env=manager.env) as vm:
        assert manager.heard()[0] == "READY=1"
        assert vm.verb("fork", "one", "-n", "clone", "--serial", "none").code == 0
        assert vm.verb("quit", "clone").code == 0
        assert vm.verb("save", "one", str(state)).code == 0
        assert vm.verb("quit", "one").code == 0
        heard = []
        while heard[-1:] != ["STOPPING=1"]:
            heard += manager.heard()
        assert heard.count("STOPPING=1") == 1 and "READY=1" not in heard
    with Vm(memvisor, tmp_path, name="two", env=manager.env,
            boot=[memvisor.path, "restore", state]):
        assert manager.heard() == ["READY=1", "STATUS=the guest runs"]


def test_a_receiver_is_ready_before_its_guest_is_there(memvisor, tmp_path, manager):
    """A manager's patience with a start must not end the wait."""
    where = "unix:%s" % (tmp_path / "move")
    with Vm(memvisor, tmp_path, name="there", env=manager.env,
            boot=[memvisor.path, "receive", where, "--serial", "none"]) as there:
        assert manager.heard() == ["READY=1", "STATUS=a guest is awaited"]
        assert there.verb("ps").out.count("inmigrate") == 1
        with Vm(memvisor, tmp_path, name="here") as here:
            assert here.verb("send", "here", where).code == 0
            heard = []
            while heard[-1:] != ["STATUS=the guest runs"]:
                heard += manager.heard()
            assert not [line for line in heard if not line.startswith(("READY", "STATUS"))]
            assert here.end() == 0


def test_a_receiver_in_vain_says_that_it_ends(memvisor, tmp_path, manager):
    with Vm(memvisor, tmp_path, name="there", env=manager.env,
            boot=[memvisor.path, "receive", "unix:%s" % (tmp_path / "move"), "--serial",
                  "none"]) as there:
        assert manager.heard()[0] == "READY=1"
        assert there.verb("quit", "there").code == 0
        assert manager.heard() == ["STOPPING=1"]


def test_memory_that_is_missing_is_named(memvisor, tmp_path, manager):
    """The firmware spins in a file that is cut behind its back."""
    ram = tmp_path / "ram"
    with Vm(memvisor, tmp_path, "--paused", name="one", env=manager.env,
            boot=[memvisor.path, "run", "--firmware", firmware(tmp_path), "-m",
                  "16M,file=%s,create=on" % ram]) as vm:
        assert manager.heard()[0] == "READY=1"
        os.truncate(ram, 0)
        assert vm.verb("cont", "one").code == 0
        assert manager.heard() == ["STATUS=the guest runs"]
        assert re.fullmatch(
            "STATUS=the guest is paused: the host has not got byte 0x[0-9a-f]+ of block ram0",
            *manager.heard())


def firmware(folder):
    path = folder / "spin.bin"
    path.write_bytes(bytes.fromhex("00000014"))  # b .
    return path


# --- quit --powerdown, with which a unit is stopped

def test_quit_gives_the_guest_time(memvisor, tmp_path):
    """A guest that does not see its power button has its plug pulled after that, which is said;
    one that stands still is not waited for."""
    with Vm(memvisor, tmp_path, name="one") as vm, Vm(memvisor, tmp_path, name="two") as two:
        assert vm.verb("stop", "two").code == 0
        result = vm.verb("quit", "--powerdown", "1", "one", "two")
        assert result.code == 0
        assert result.err.splitlines() == [
            "memvisor: one: the guest has not powered itself off within 1 seconds: its plug is "
            "pulled",
            "memvisor: two: the guest stands still and cannot power itself off: its plug is pulled"]
        assert (vm.end(), two.end()) == (0, 0)


# What a guest does that sees its power button, which is line 3 of the GPIO.
BUTTON = """
chip=$(grep -l pl061 /sys/class/gpio/gpiochip*/device/of_node/compatible /dev/null | head -n 1)
base=$(cat ${chip%%/device*}/base)
echo $((base + 3)) > /sys/class/gpio/export
echo rising > /sys/class/gpio/gpio$((base + 3))/edge
echo ready: yes
until grep -q ': *[1-9][0-9]* .*gpiolib' /proc/interrupts; do :; done
echo pressed: yes
"""


def test_quit_waits_for_a_guest_that_powers_itself_off(memvisor, initrd, kernel, tmp_path):
    with Vm(memvisor, tmp_path, name="one", boot=[
            memvisor.path, "run", "-k", kernel, "-i", initrd(BUTTON), "-a", harness.CMDLINE]) as vm:
        vm.wait_for(lambda: "ready: yes" in vm.output(), 120)
        assert "pressed" not in vm.output()
        result = vm.verb("quit", "--powerdown", "600", "one")
        assert (result.code, result.err) == (0, "")
        assert "pressed: yes" in vm.output()
        assert vm.end() == 0


@pytest.mark.parametrize("seconds", ["x", "-1", "", "1000000", "1.5"])
def test_quit_refuses_what_is_no_time(memvisor, seconds):
    result = memvisor.run("quit", "--powerdown=" + seconds, "one")
    assert (result.code, result.err.count("\n")) == (2, 1)
    assert "--powerdown" in result.err


# --- the unit

def commands(memvisor, conf, name):
    """ExecStart= and ExecStop= as systemd would have them, with what is in conf."""
    unit = UNIT.read_text()
    values = dict(re.findall(r"(\w+)=(\S+)", re.search(r"^Environment=(.*)$", unit, re.M)[1]))
    values.update(re.findall(r"^(\w+)=(.*)$", conf, re.M))
    found = []
    for key in ("ExecStart", "ExecStop"):
        argv = []
        for word in shlex.split(re.search(r"^%s=-?(.*)$" % key, unit, re.M)[1]):
            braced = re.fullmatch(r"\$\{(\w+)\}", word)
            if braced:
                argv.append(values.get(braced[1], ""))
            elif word.startswith("$"):
                argv += shlex.split(values.get(word[1:], ""))
            else:
                argv.append(word)
        found.append([word.replace("%i", name) for word in argv])
    assert {argv[0] for argv in found} == {"memvisor"}
    return [[str(memvisor.path), *argv[1:]] for argv in found]


def test_the_unit_starts_and_stops_a_guest(memvisor, tmp_path, manager):
    conf = 'SERIAL=unix:%s\nPOWERDOWN=1\nOPTIONS=--firmware "%s" -m 16M -m 16M@8G\n' % (
        tmp_path / "serial.sock", firmware(tmp_path))
    start, stop = commands(memvisor, conf, "unit")
    env = dict(os.environ, XDG_RUNTIME_DIR=str(tmp_path), **manager.env)
    with subprocess.Popen(start, env=env, stderr=subprocess.PIPE, text=True) as service:
        try:
            assert manager.heard() == ["READY=1", "STATUS=the guest runs"]
            assert (tmp_path / "serial.sock").is_socket()
            assert harness.run(stop, env=env).code == 0
            assert service.wait(60 * harness.SLOW) == 0
        finally:
            service.kill()


def test_sigterm_ends_with_a_status_that_the_unit_knows(memvisor, tmp_path):
    known = re.search(r"^SuccessExitStatus=(.*)$", UNIT.read_text(), re.M)[1].split()
    with Vm(memvisor, tmp_path, name="one") as vm:
        vm.process.send_signal(signal.SIGTERM)
        assert str(vm.end()) in known


def test_systemd_finds_no_fault_with_the_units(tmp_path):
    """It looks for the program, so that a root has one."""
    root = tmp_path / "root"
    for name in ("usr/bin/memvisor",):
        (root / name).parent.mkdir(parents=True)
        (root / name).write_text("#!/bin/sh\n")
        (root / name).chmod(0o755)
    folder = root / "usr/lib/systemd/system"
    folder.mkdir(parents=True)
    names = []
    for unit in sorted((harness.TOP / "data/systemd").iterdir()):
        instance = unit.name.replace("@", "@vm1")
        text = unit.read_text().replace("=memvisor ", "=/usr/bin/memvisor ").replace(
            "=-memvisor ", "=-/usr/bin/memvisor ")
        (folder / instance).write_text(text)
        names.append(instance)
    for target in ("sysinit", "basic", "shutdown", "network-online", "remote-fs", "nss-lookup",
                   "sockets"):
        (folder / (target + ".target")).write_text("[Unit]\nDescription=x\n")
    result = harness.run(["systemd-analyze", "--root=%s" % root, "--man=no",
                          "--recursive-errors=yes", "verify", *names])
    assert (result.code, result.out, result.err) == (0, "", ""), result


def test_the_example_is_a_guest(memvisor, kernel, shell_initrd, tmp_path):
    start, _ = commands(memvisor, CONF.read_text(), "vm1")
    files = {"/var/lib/memvisor/vmlinuz": kernel, "/var/lib/memvisor/initrd": shell_initrd,
             "unix:/run/memvisor/vm1/serial.sock": "none"}
    argv = [str(files.get(word, word)) for word in start]
    assert argv != start
    dtb = tmp_path / "dtb"
    assert harness.run([*argv, "--dump-dtb", dtb]).code == 0
    assert b"console=ttyS0 quiet" in dtb.read_bytes()
