# SPDX-License-Identifier: Apache-2.0
"""Guests in a cluster of three nodes, with Debian's corosync and Pacemaker: moved, killed, cut
off, fenced.  Whatever happens, none runs twice: a witness, which is the guest itself, sees it
(witness.S)."""
import json
import os
import pathlib
import random
import struct
import subprocess
import time

import pytest

import cluster
import harness
from qmp import Vm

WITNESS = pathlib.Path(__file__).with_name("witness.S")
KEYS = "mover:" + "5e" * 32 + "\n"

FENCE = """
<primitive id="fence" class="stonith" type="fence_namespace">
  <instance_attributes id="fence-a">
    <nvpair id="fence-a1" name="pcmk_host_list" value="node1 node2 node3"/>
    <nvpair id="fence-a2" name="pcmk_host_check" value="static-list"/>
  </instance_attributes>
</primitive>"""
GUEST = """
<primitive id="vm" class="ocf" provider="memvisor" type="guest">
  <meta_attributes id="vm-m"><nvpair id="vm-m1" name="allow-migrate" value="true"/></meta_attributes>
  <instance_attributes id="vm-a">
    <nvpair id="vm-a1" name="options"
      value="--firmware /shared/witness.bin -m 16M@2G -m 64K@4G,file=/shared/witness,create=on,same-file=ok"/>
    <nvpair id="vm-a2" name="log" value="/shared/vm.log"/>
    <nvpair id="vm-a3" name="powerdown" value="0"/>
    <nvpair id="vm-a4" name="tls" value="psk=/shared/keys.psk"/>
    <nvpair id="vm-a5" name="memory" value="32M@8G"/>
  </instance_attributes>
  <operations>
    <op id="vm-o1" name="monitor" interval="3s" timeout="120s"/>
    <op id="vm-o2" name="start" interval="0" timeout="240s"/>
    <op id="vm-o3" name="stop" interval="0" timeout="240s"/>
    <op id="vm-o4" name="migrate_to" interval="0" timeout="120s"/>
    <op id="vm-o5" name="migrate_from" interval="0" timeout="240s"/>
  </operations>
</primitive>"""



def in_cluster(test):
    return pytest.mark.long(pytest.mark.skipif(
        os.geteuid() != 0, reason="nodes are namespaces with several users: run as root")(test))


def build(folder):
    """The guest's binary."""
    module, binary = folder / "witness.o", folder / "witness.bin"
    for command in (["gcc", "-c", WITNESS, "-o", module], ["objcopy", "-O", "binary", module, binary]):
        subprocess.run(["aarch64-linux-gnu-" + command[0], *command[1:]], check=True)
    return binary


def read(folder):
    """The counter, how often a guest began, and how often one saw another."""
    path = folder / "witness"
    return struct.unpack("<QQQ", path.read_bytes()[:24]) if path.exists() else (0, 0, 0)


class World:
    """A cluster with the guest in it, and what the guest has noted."""

    def __init__(self, nodes):
        self.cluster = nodes
        self.shared = nodes.shared

    def noted(self):
        return read(self.shared)

    def beats(self):
        """The guest runs: its counter does."""
        before = self.noted()[0]
        self.cluster.wait_for(lambda: self.noted()[0] > before, "the guest's counter")

    def place(self, but=()):
        """The node that has the guest, once the cluster says so and it is one."""
        def look():
            node = self.cluster.one(*but)
            found = self.cluster.where("vm", node)
            return found if found and len(found) == 1 and found[0] not in but else None
        return self.cluster.wait_for(look, "the guest to be on one node but %s" % (but,))[0]

    def settled(self):
        """All nodes are there, and the guest is on one."""
        for node in self.cluster.nodes:
            node.cut(False)
            if not node.alive:
                node.start()
        everyone = {node.name for node in self.cluster.nodes}
        self.cluster.wait_for(lambda: self.cluster.online() == everyone, "all nodes to be online")
        self.cluster.fenced.clear()
        place = self.place()
        self.beats()
        return place

    def other(self, *names):
        return self.cluster.one(*names).name

    def move(self, target):
        result = self.cluster.one().run("crm_resource", "--move", "-r", "vm", "-N", target)
        assert result.code == 0, result

    def clear(self):
        self.cluster.one().run("crm_resource", "--clear", "-r", "vm")

    def processes(self):
        """On which nodes there is a memvisor that runs the guest."""
        found = []
        for node in self.cluster.nodes:
            if node.alive:
                said = node.run("memvisor", "ps", "--json").out
                found += [node.name for row in json.loads(said or "[]") if row["status"] == "running"]
        return found

    def never_twice(self):
        assert self.noted()[2] == 0, "two guests ran at once\n" + self.cluster.logs()


@pytest.fixture(scope="module")
def world(memvisor, tmp_path_factory):
    assert (cluster.ROOT / "etc/passwd").exists(), \
        "%s is missing: run scripts/cluster-root.sh" % cluster.ROOT
    folder = tmp_path_factory.mktemp("cluster")
    nodes = cluster.Cluster(memvisor, folder)
    build(nodes.shared)
    (nodes.shared / "keys.psk").write_text(KEYS)
    (nodes.shared / "keys.psk").chmod(0o600)
    with nodes:
        nodes.wait_for(lambda: len(nodes.online()) == 3, "three nodes")
        nodes.set_property("stonith-enabled", "true")
        nodes.configure(FENCE, GUEST)
        world = World(nodes)
        world.settled()
        yield world
        world.never_twice()


def test_the_witness_sees_a_second_guest(memvisor, tmp_path):
    """One alone counts in peace, also after another's end; two at once do not."""
    boot = [memvisor.path, "run", "--firmware", build(tmp_path), "-m", "16M@2G", "-m",
            "64K@4G,file=%s,create=on,same-file=ok" % (tmp_path / "witness")]

    def counts(vm):
        before = read(tmp_path)[0]
        vm.wait_for(lambda: read(tmp_path)[0] > before + 100)

    for name in ("one", "two"):
        with Vm(memvisor, tmp_path, name=name, boot=boot) as vm:
            counts(vm)
    assert read(tmp_path)[1:] == (2, 0)
    with Vm(memvisor, tmp_path, name="three", boot=boot), Vm(memvisor, tmp_path, name="four",
                                                             boot=boot) as vm:
        vm.wait_for(lambda: read(tmp_path)[2] > 0)
    assert read(tmp_path)[1] == 4


@in_cluster
def test_a_guest_is_somewhere_once(world):
    place = world.settled()
    assert world.processes() == [place]
    assert world.noted()[1] == 1
    world.never_twice()


@in_cluster
def test_a_live_move(world):
    """Its count moves with it: nothing begins anew, and nothing is counted twice."""
    begun = world.noted()[1]
    for _ in range(3):
        source = world.settled()
        target = world.other(source)
        world.move(target)
        world.cluster.wait_for(lambda: world.place() == target, "the move")
        world.beats()
        assert world.processes() == [target]
        world.clear()
    assert world.noted()[1] == begun
    assert world.cluster.fenced == []
    world.never_twice()


@in_cluster
def test_new_sizes_of_memory_do_not_end_the_guest(world):
    begun = world.noted()[1]
    place = world.settled()
    result = world.cluster.one().run("crm_resource", "-r", "vm", "--set-parameter", "memory",
                                     "--parameter-value", "64M@8G")
    assert result.code == 0, result
    world.cluster.wait_for(lambda: "next start" in world.cluster.logs_of(place), "the reload")
    world.beats()
    assert (world.noted()[1], world.place()) == (begun, place)


@in_cluster
def test_a_guest_that_dies_is_started_again(world):
    begun = world.noted()[1]
    place = world.settled()
    node = world.cluster.node(place)
    rows = json.loads(node.run("memvisor", "ps", "--json").out)
    assert node.run("kill", "-KILL", str(rows[0]["pid"])).code == 0
    world.cluster.wait_for(lambda: world.noted()[1] == begun + 1, "the guest to begin again")
    world.settled()
    world.never_twice()


@in_cluster
def test_a_node_is_killed(world):
    begun = world.noted()[1]
    place = world.settled()
    world.cluster.node(place).kill()
    elsewhere = world.place(but=[place])
    world.beats()
    assert place in world.cluster.fenced, "its node was fenced before"
    assert world.processes() == [elsewhere]
    assert world.noted()[1] == begun + 1
    world.never_twice()


@in_cluster
def test_the_guests_node_is_cut_off(world):
    """It goes on by itself until it is fenced, and the guest begins elsewhere only then."""
    begun = world.noted()[1]
    place = world.settled()
    node = world.cluster.node(place)
    node.cut()
    elsewhere = world.place(but=[place])
    assert place in world.cluster.fenced and not node.alive
    world.beats()
    assert world.processes() == [elsewhere]
    assert world.noted()[1] == begun + 1
    world.never_twice()


@in_cluster
def test_another_node_is_cut_off(world):
    """It is fenced, and the guest hears nothing of it."""
    begun = world.noted()[1]
    place = world.settled()
    away = world.other(place)
    world.cluster.node(away).cut()
    world.cluster.wait_for(lambda: away in world.cluster.fenced, "the fence")
    world.beats()
    assert world.noted()[1] == begun
    assert world.processes() == [place]
    world.never_twice()


@pytest.mark.parametrize("victim", ["source", "target"])
@pytest.mark.parametrize("how", ["killed", "cut"])
@in_cluster
def test_a_node_is_lost_in_a_move(world, victim, how):
    """Whoever is lost, and whenever (before the move, in it, after it): in the end the guest is
    somewhere, once."""
    source = world.settled()
    target = world.other(source)
    lost = world.cluster.node(source if victim == "source" else target)
    begun = world.noted()[1]
    world.move(target)
    moment = random.uniform(0, 2)
    print("%.3f s after the move was asked for" % moment)
    time.sleep(moment)
    lost.kill() if how == "killed" else lost.cut()
    world.cluster.wait_for(lambda: lost.name in world.cluster.fenced, "the fence")
    world.clear()
    place = world.place(but=[lost.name])
    world.beats()
    assert world.processes() == [place]
    assert world.noted()[1] <= begun + 1
    world.never_twice()
