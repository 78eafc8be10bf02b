# SPDX-License-Identifier: Apache-2.0
"""ocf:memvisor:guest, each of its actions called as Pacemaker calls them."""
import os
import re
import shutil
import signal
import socket
import subprocess
import time
import xml.etree.ElementTree as ET

import pytest

import harness
import qmp

AGENT = harness.TOP / "data/ocf/guest"
OK, GENERIC, ARGS, UNIMPLEMENTED, INSTALLED, CONFIGURED, NOT_RUNNING = 0, 1, 2, 3, 5, 6, 7


class Resource:
    def __init__(self, memvisor, folder):
        self.memvisor = memvisor
        self.folder = folder
        folder.mkdir(exist_ok=True)
        image = folder / "a guest.bin"
        image.write_bytes(qmp.IDLE)
        self.env = dict(os.environ, XDG_RUNTIME_DIR=str(folder), HA_RSCTMP=str(folder),
                        OCF_ROOT="/usr/lib/ocf", OCF_RESOURCE_INSTANCE="vm1")
        self.set(binary=memvisor.path, options='--firmware "%s" -m 16M' % image,
                 log=folder / "vm1.log", powerdown=0)

    def set(self, **parameters):
        for key, value in parameters.items():
            self.env["OCF_RESKEY_" + key] = str(value)

    def run(self, action, **meta):
        env = dict(self.env, **{"OCF_RESKEY_CRM_meta_" + key: value for key, value in meta.items()})
        return harness.run(["sh", AGENT, action], env=env)

    def does(self, action, code=OK, **meta):
        result = self.run(action, **meta)
        assert result.code == code, (result, self.log())
        return result

    def log(self):
        path = self.folder / "vm1.log"
        return path.read_text() if path.exists() else ""

    def verb(self, *words):
        return harness.run([self.memvisor.path, *words], env=self.env)

    def pid(self):
        return int((self.folder / "memvisor/vm1/pid").read_text())


@pytest.fixture
def resource(memvisor, tmp_path):
    resource = Resource(memvisor, tmp_path / "here")
    yield resource
    resource.run("stop")


def test_start_monitor_stop(resource):
    resource.does("monitor", NOT_RUNNING)
    resource.does("stop")
    resource.does("start")
    resource.does("monitor")
    pid = resource.pid()
    resource.does("start")
    assert resource.pid() == pid, "a second start changes nothing"
    resource.does("stop")
    resource.does("monitor", NOT_RUNNING)
    resource.does("stop")


def test_banks_of_memory(resource):
    resource.set(memory="32M@8G 16M@16G,dump=off")
    resource.does("start")
    said = resource.verb("mem", "vm1").out
    assert "0x200000000" in said and "0x400000000" in said


def test_a_paused_guest_is_there_and_stopped_without_its_power_button(resource):
    resource.set(powerdown=60)
    resource.does("start")
    assert resource.verb("stop", "vm1").code == 0
    resource.does("monitor")
    start = time.monotonic()
    resource.does("stop")
    assert time.monotonic() - start < 60 * harness.SLOW
    resource.does("monitor", NOT_RUNNING)


def test_the_plug_is_pulled_before_the_action_times_out(resource):
    resource.set(powerdown=3600)
    resource.does("start")
    result = resource.does("stop", timeout="41000")
    assert "has not powered itself off within 1 seconds" in result.err


def test_a_killed_guest_is_not_running(resource):
    resource.does("start")
    os.kill(resource.pid(), signal.SIGKILL)
    wait_until(lambda: resource.run("monitor").code == NOT_RUNNING)
    resource.does("start")
    resource.does("monitor")


def wait_until(condition):
    end = time.monotonic() + 60 * harness.SLOW
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_one_that_does_not_answer_has_failed_and_can_be_stopped(resource):
    resource.does("start")
    os.kill(resource.pid(), signal.SIGSTOP)
    resource.does("monitor", GENERIC)
    resource.does("stop")
    resource.does("monitor", NOT_RUNNING)


def test_one_whose_run_time_folder_is_gone_is_not_forgotten(resource):
    resource.does("start")
    pid = resource.pid()
    shutil.rmtree(resource.folder / "memvisor/vm1")
    assert str(pid) in resource.does("monitor", GENERIC).err
    resource.does("stop")
    resource.does("monitor", NOT_RUNNING)
    assert not os.path.exists("/proc/%d" % pid) or "Z" in open("/proc/%d/stat" % pid).read()


def test_memory_that_is_missing_is_a_failure(resource):
    ram = resource.folder / "ram"
    image = resource.folder / "store.bin"
    # b . : the page that it is in goes with the file.
    image.write_bytes(qmp.SPIN)
    resource.set(options="--firmware %s -m 16M,file=%s,create=on --paused" % (image, ram))
    resource.does("start")
    resource.does("monitor")
    os.truncate(ram, 0)
    assert resource.verb("cont", "vm1").code == 0
    wait_until(lambda: resource.run("monitor").code == GENERIC)
    assert "io-error" in resource.run("monitor").err
    resource.does("stop")


@pytest.mark.parametrize("options, code, word", [
    ("--firmware /nonexistent -m 16M", GENERIC, "/nonexistent"),
    ("--firmware x -m 16Q", CONFIGURED, "16Q"),
    ("", CONFIGURED, "options"),
    ("--firmware 'x", CONFIGURED, "quote"),
])
def test_what_cannot_start_says_why(resource, options, code, word):
    resource.set(options=options)
    assert word in resource.does("start", code).err
    resource.does("monitor", CONFIGURED if word in ("options", "quote") else NOT_RUNNING)


def test_options_are_words_and_nothing_is_run(resource):
    trap = resource.folder / "trap"
    resource.set(options='%s -a "$(touch %s) `touch %s`"' % (
        resource.env["OCF_RESKEY_options"], trap, trap))
    resource.does("start")
    assert not trap.exists()
    argv = open("/proc/%d/cmdline" % resource.pid()).read().split("\0")
    assert "$(touch %s) `touch %s`" % (trap, trap) in argv


def test_without_the_program_nothing_runs(resource):
    resource.set(binary="/nonexistent/memvisor")
    resource.does("monitor", NOT_RUNNING)
    resource.does("stop")
    resource.does("validate-all", INSTALLED)
    assert "install memvisor" in resource.does("start", INSTALLED).err


@pytest.mark.parametrize("parameter, value", [
    ("powerdown", "soon"), ("powerdown", "1000000"), ("port", "x"), ("port", "70000")])
def test_validate_refuses(resource, parameter, value):
    resource.does("validate-all")
    resource.set(**{parameter: value})
    assert value in resource.does("validate-all", CONFIGURED).err


def test_reload_keeps_the_guest(resource):
    resource.set(memory="32M@8G")
    resource.does("start")
    pid = resource.pid()
    resource.set(memory="64M@8G")
    assert "next start" in resource.does("reload-agent").err
    assert resource.pid() == pid
    resource.set(memory="lots")
    assert "lots" in resource.does("reload-agent", CONFIGURED).err
    resource.does("monitor")


def test_unknown_actions(resource):
    resource.does("dance", UNIMPLEMENTED)
    assert "usage" in resource.does("usage").err


def test_meta_data_tells_of_all_parameters_and_actions(resource):
    data = ET.fromstring(resource.does("meta-data").out)
    script = AGENT.read_text()
    used = set(re.findall(r"OCF_RESKEY_([a-z_]+)", script))
    assert {p.get("name") for p in data.iterfind("parameters/parameter")} == used
    page = (harness.TOP / "docs/man/ocf_memvisor_guest.7").read_text()
    told = set(re.findall(r"[a-z_]+", " ".join(re.findall(r"^\.It Cm (.*)$", page, re.M))))
    actions = {a.get("name") for a in data.iterfind("actions/action")}
    assert used <= told
    assert actions == {"start", "stop", "monitor", "migrate_to", "migrate_from", "reload-agent",
                       "validate-all", "meta-data"}
    for action in actions:
        assert re.search(r"^%s(\)| \|)|\| %s\b" % (action, action), script, re.M), action
    for parameter in data.iterfind("parameters/parameter"):
        assert parameter.find("longdesc").text.strip() and parameter.find("shortdesc").text.strip()
        assert parameter.find("content").get("type") in ("string", "integer", "boolean")


def test_shellcheck_finds_nothing():
    result = harness.run(["shellcheck", "-s", "sh", AGENT])
    assert result.code == 0, result


def test_a_move_needs_keys(resource):
    resource.does("start")
    assert "insecure=true" in resource.does("migrate_to", CONFIGURED, migrate_target="node2").err
    resource.does("monitor")


def test_a_sender_ends_with_its_guest(resource):
    resource.set(insecure="true", addresses="node2=127.0.0.1", port=1)
    resource.does("migrate_to", NOT_RUNNING, migrate_target="node2")
    resource.does("start")
    resource.does("migrate_to", migrate_target="node2")
    sender = int((resource.folder / "memvisor-vm1.sender").read_text())
    os.kill(sender, 0)
    resource.does("monitor")
    resource.does("stop")
    assert not (resource.folder / "memvisor-vm1.sender").exists()
    wait_until(lambda: not os.path.exists("/proc/%d" % sender) or
                 open("/proc/%d/stat" % sender).read().rsplit(")")[1].split()[0] == "Z")


# --- moves: two nodes are two run-time folders

def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def nodes(memvisor, tmp_path):
    keys = tmp_path / "keys.psk"
    keys.write_text("mover:" + "5e" * 32 + "\n")
    keys.chmod(0o600)
    port = free_port()
    nodes = [Resource(memvisor, tmp_path / name) for name in ("here", "there")]
    for node in nodes:
        node.set(tls="psk=%s" % keys, addresses="node1=127.0.0.1 node2=127.0.0.1", port=port)
    yield nodes
    for node in nodes:
        node.run("stop")


def test_a_move(nodes):
    """As Pacemaker has it: migrate_to returns before the other node's migrate_from begins."""
    here, there = nodes
    here.does("start")
    here.does("migrate_to", migrate_target="node2")
    here.does("monitor")
    there.does("migrate_from", migrate_source="node1")
    there.does("monitor")
    here.does("stop")
    here.does("monitor", NOT_RUNNING)
    there.does("monitor")
    there.does("migrate_to", migrate_target="node1")
    here.does("migrate_from", migrate_source="node2")
    wait_until(lambda: there.run("monitor").code == NOT_RUNNING)
    assert not (there.folder / "memvisor-vm1.sender").exists()
    here.does("monitor")


def test_without_tls_where_that_is_wished(nodes):
    here, there = nodes
    for node in nodes:
        node.set(tls="", insecure="yes")
    here.does("start")
    here.does("migrate_to", migrate_target="node2")
    there.does("migrate_from", migrate_source="node1")
    there.does("monitor")


def test_a_move_that_is_refused_leaves_the_guest(nodes):
    """The other node's banks are others; the guest runs on, and both nodes can be stopped."""
    here, there = nodes
    here.does("start")
    there.set(receive_options="-m 32M")
    here.does("migrate_to", migrate_target="node2")
    assert "ram0" in there.does("migrate_from", GENERIC, migrate_source="node1").err
    here.does("monitor")
    there.does("monitor", NOT_RUNNING)
    there.does("stop")
    here.does("stop")


def test_a_receiver_that_waits_is_no_guest(nodes):
    """Its agent was killed, as by a time-out: the node does not run the guest, and stop ends it."""
    _, there = nodes
    agent = subprocess.Popen(["sh", AGENT, "migrate_from"], env=there.env)
    wait_until(lambda: "inmigrate" in there.verb("ps").out)
    agent.kill()
    agent.wait()
    there.does("monitor", NOT_RUNNING)
    there.does("stop")
    assert "vm1" not in there.verb("ps").out
