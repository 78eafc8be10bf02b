# SPDX-License-Identifier: Apache-2.0
"""A cluster on this host: nodes with corosync and Pacemaker of Debian
(scripts/cluster-root.sh), each in namespaces of its own, on one bridge.

A node's root is Debian's folder below a layer of its own.  What a node and the
test have in common is /shared.  Fencing a node is the end of its first process,
with which all that runs there ends; fence_namespace, a fence agent of ours, asks
the test for that, by files in /shared/fence."""
import os
import pathlib
import re
import shutil
import signal
import subprocess
import threading
import time
import xml.etree.ElementTree as ET

import harness

ROOT = harness.GUEST_FILES / "cluster"
AGENT = harness.TOP / "data/ocf/guest"
NET = "10.77.0."

# What makes a node: as the first process of namespaces, with mounts of its own.
INIT = r"""
set -eu
name=$1 base=$2 lower=$3 memvisor=$4 agent=$5
mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs "$base/$name"
cd "$base/$name"
mkdir upper work root
mount -t overlay -o "lowerdir=$lower,upperdir=upper,workdir=work" overlay root
cd root
mount -t proc proc proc
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=755 tmpfs dev
mount -t tmpfs -o mode=1777 tmpfs tmp
mkdir -m 1777 dev/shm
mkdir shared
for node in null zero full random urandom; do
    : >dev/$node
    mount --bind /dev/$node dev/$node
done
ln -s /proc/self/fd dev/fd
mount --bind "$base/shared" shared
: >usr/bin/memvisor
mount --bind "$memvisor" usr/bin/memvisor
mkdir -p usr/lib/ocf/resource.d/memvisor run/resource-agents
cp "$agent" usr/lib/ocf/resource.d/memvisor/guest
cp "$base/shared/fence_namespace" usr/sbin/
hostname "$name"
exec chroot . /bin/sh /shared/node.sh "$name"
"""

NODE = r"""
export PATH=/usr/sbin:/usr/bin:/sbin:/bin PCMK_logfile=/shared/$1/pacemaker.log PCMK_logpriority=info
mkdir -p /shared/$1 /var/lib/corosync /var/log/pacemaker /etc/corosync
for folder in blackbox cib cores pengine; do mkdir -p /var/lib/pacemaker/$folder; done
chown -R hacluster:haclient /var/lib/pacemaker /var/log/pacemaker
cp /shared/hosts /etc/hosts
sed "s,NODE,$1," /shared/corosync.conf >/etc/corosync/corosync.conf
until [ -e /shared/$1/network ]; do sleep 0.1; done
corosync -f </dev/null >/shared/$1/corosync.out 2>&1 &
until corosync-cfgtool -s >/dev/null 2>&1; do sleep 0.2; done
pacemakerd -f </dev/null >/shared/$1/pacemakerd.out 2>&1 &
while :; do wait; sleep 1; done
"""

FENCE = r"""#!/bin/sh
# A fence agent: options come as lines on standard input.
while IFS== read -r key value; do
    case $key in
    action) action=$value ;;
    nodename | port | plug) node=$value ;;
    esac
done
case ${action:-off} in
metadata)
    cat <<'END'
<?xml version="1.0"?>
<resource-agent name="fence_namespace" shortdesc="Ends a node's namespaces">
<longdesc>Ends a node's namespaces.</longdesc>
<parameters>
<parameter name="action" required="1"><content type="string" default="off"/></parameter>
<parameter name="port" required="1"><content type="string"/></parameter>
</parameters>
<actions>
<action name="off"/><action name="reboot"/><action name="on" automatic="0"/><action name="status"/>
<action name="monitor"/><action name="list"/><action name="metadata"/>
</actions>
</resource-agent>
END
    ;;
off | reboot)
    : >"/shared/fence/$node.wanted"
    until [ -e "/shared/fence/$node.done" ]; do sleep 0.1; done
    ;;
list) printf '%s\n' node1 node2 node3 ;;
esac
exit 0
"""

COROSYNC = """
totem {
    version: 2
    cluster_name: test
    transport: udpu
    crypto_cipher: none
    crypto_hash: none
    token: %d
}
nodelist {
%s}
quorum {
    provider: corosync_votequorum
}
logging {
    to_syslog: no
    to_stderr: yes
    timestamp: on
}
"""


def nsenter(pid, *words, spaces="-n"):
    return harness.run(["nsenter", "-t", str(pid), *spaces.split(), "--", *words])


class Node:
    def __init__(self, cluster, number):
        self.cluster = cluster
        self.number = number
        self.name = "node%d" % number
        self.process = None

    def start(self):
        folder = self.cluster.shared / self.name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        (self.cluster.folder / self.name).mkdir(exist_ok=True)
        for word in ("wanted", "done"):
            (self.cluster.shared / "fence" / ("%s.%s" % (self.name, word))).unlink(missing_ok=True)
        # The parent is killed with the test; the namespaces' first process goes with it.
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--uts", "--ipc", "--pid", "--net",
             "--cgroup", "--fork", "--kill-child", "sh", "-c", INIT, "node", self.name, self.cluster.folder,
             ROOT.resolve(), self.cluster.memvisor.path, AGENT],
            stdin=subprocess.DEVNULL, stdout=open(folder / "init.out", "w"), stderr=subprocess.STDOUT)
        self.cluster.wait_for(lambda: self.first() is not None, "%s to start" % self.name)
        self.plug_in()

    def first(self):
        """The process ID, here, of the first process in the namespaces."""
        text = pathlib.Path("/proc/%d/task/%d/children" % (self.process.pid, self.process.pid)).read_text()
        return int(text.split()[0]) if text.split() else None

    def plug_in(self):
        hub, link = self.cluster.hub.pid, "veth%d" % self.number
        # The kernel takes its time over what is left of a node that was killed.
        nsenter(hub, "ip", "link", "delete", link)
        made = nsenter(hub, "ip", "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns",
                       str(self.first()))
        assert made.code == 0, made
        made = nsenter(hub, "ip", "link", "set", link, "master", "br0", "up")
        assert made.code == 0, made
        for words in ("link set lo up", "addr add %s%d/24 dev eth0" % (NET, self.number), "link set eth0 up"):
            assert nsenter(self.first(), "ip", *words.split()).code == 0
        (self.cluster.shared / self.name / "network").touch()

    def cut(self, cut=True):
        """Pulls the cable, or puts it back."""
        nsenter(self.cluster.hub.pid, "ip", "link", "set", "veth%d" % self.number, "down" if cut else "up")

    def run(self, *words, timeout=60):
        """A command in the node."""
        return harness.run(["nsenter", "-t", str(self.first()), "-m", "-u", "-i", "-n", "-p", "-r", "-w", "--",
                            "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", *words], timeout)

    def kill(self):
        """As if its plug were pulled."""
        if self.process is not None:
            first = self.first() if self.process.poll() is None else None
            if first is not None:
                os.kill(first, signal.SIGKILL)
            self.process.kill()
            self.process.wait()
        self.process = None

    @property
    def alive(self):
        return self.process is not None and self.process.poll() is None


class Cluster:
    def __init__(self, memvisor, folder, count=3, token=20):
        self.memvisor = memvisor
        self.folder = pathlib.Path(folder)
        self.shared = self.folder / "shared"
        (self.shared / "fence").mkdir(parents=True)
        self.nodes = [Node(self, number + 1) for number in range(count)]
        self.fenced = []
        self.ended = threading.Event()
        self.write_files(int(token * 1000 * harness.SLOW))
        self.hub = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "unshare", "--net", "sleep", "infinity"])
        self.fencer = threading.Thread(target=self.fence)

    def write_files(self, token):
        (self.shared / "node.sh").write_text(NODE)
        (self.shared / "fence_namespace").write_text(FENCE)
        (self.shared / "fence_namespace").chmod(0o755)
        (self.shared / "hosts").write_text("127.0.0.1 localhost\n" + "".join(
            "%s%d %s\n" % (NET, node.number, node.name) for node in self.nodes))
        (self.shared / "corosync.conf").write_text(COROSYNC % (token, "".join(
            "    node {\n        ring0_addr: %s%d\n        name: %s\n        nodeid: %d\n    }\n" % (
                NET, node.number, node.name, node.number) for node in self.nodes)))

    def __enter__(self):
        try:
            self.wait_for(lambda: os.readlink("/proc/%d/ns/net" % self.hub.pid) != os.readlink(
                "/proc/self/ns/net"), "the network")
            for words in ("link add br0 type bridge", "link set br0 up"):
                assert nsenter(self.hub.pid, "ip", *words.split()).code == 0
            self.fencer.start()
            for node in self.nodes:
                node.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.ended.set()
        if self.fencer.is_alive():
            self.fencer.join()
        for node in self.nodes:
            node.kill()
        self.hub.kill()
        self.hub.wait()

    def fence(self):
        """Serves the fence agents."""
        while not self.ended.wait(0.05):
            for node in self.nodes:
                wanted = self.shared / "fence" / (node.name + ".wanted")
                if wanted.exists():
                    node.kill()
                    self.fenced.append(node.name)
                    wanted.unlink()
                    (self.shared / "fence" / (node.name + ".done")).touch()

    def node(self, name):
        return next(node for node in self.nodes if node.name == name)

    def wait_for(self, condition, what, seconds=240):
        end = time.monotonic() + seconds * harness.SLOW
        while not (value := condition()):
            assert time.monotonic() < end, "waited in vain for %s\n%s" % (what, self.logs())
            time.sleep(0.2)
        return value

    def logs(self):
        texts = []
        for path in sorted(self.shared.glob("node*/*")):
            if path.suffix in (".log", ".out"):
                lines = path.read_text(errors="replace").splitlines()
                keep = [line for line in lines if re.search("error|warning|notice", line)] or lines
                texts.append("--- %s\n%s" % (path.relative_to(self.shared), "\n".join(keep[-25:])))
        return "\n".join(texts)

    def logs_of(self, name):
        return (self.shared / name / "pacemaker.log").read_text(errors="replace")

    def one(self, *names):
        """Some node that is alive."""
        return next(node for node in self.nodes if node.alive and node.name not in names)

    def status(self, node=None):
        """What crm_mon says, parsed; None where it says nothing."""
        result = (node or self.one()).run("crm_mon", "--output-as=xml")
        try:
            return ET.fromstring(result.out)
        except ET.ParseError:
            return None

    def online(self, node=None):
        status = self.status(node)
        if status is None:
            return set()
        return {n.get("name") for n in status.iterfind("nodes/node") if n.get("online") == "true" and
                n.get("pending") != "true"}

    def where(self, resource, node=None):
        """The names of nodes on which the cluster has the resource, or None."""
        status = self.status(node)
        if status is None:
            return None
        return [n.get("name") for r in status.iter("resource") if r.get("id") == resource
                and r.get("active") == "true" and r.get("failed") != "true" and r.get("pending") is None
                for n in r.iterfind("node")]

    def configure(self, *xml, scope="resources"):
        for text in xml:
            result = self.one().run("cibadmin", "--create", "-o", scope, "--xml-text", text)
            assert result.code == 0, result

    def set_property(self, name, value):
        result = self.one().run("crm_attribute", "--name", name, "--update", value)
        assert result.code == 0, result
