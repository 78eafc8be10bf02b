# SPDX-License-Identifier: Apache-2.0
"""memvisor ivshmem-server: the protocol against QEMU's reference server and
client, its options, its status, and peers that misbehave."""
import fcntl
import json
import mmap
import os
import re
import resource
import select
import signal
import socket
import subprocess
import time

import pytest

import harness
import ivshmem

MIB = 1 << 20
F_GET_SEALS = 1034


@pytest.fixture(scope="module")
def tools():
    """QEMU's reference server and client; fetched and built once."""
    return ivshmem.reference_tools()


def history(path):
    """What three peers are told while they come, ring and go."""
    a = ivshmem.Peer(path).knows([0], 2)
    b = ivshmem.Peer(path).knows([0, 1], 2)
    a.knows([0, 1], 2)
    c = ivshmem.Peer(path).knows([0, 1, 2], 2)
    a.knows([0, 1, 2], 2)
    b.knows([0, 1, 2], 2)
    c.ring(0, 1)
    assert a.rung(1) == 1 and a.rung(0, 0.05) == 0
    b.close()
    a.knows([0, 2], 2)
    c.knows([0, 2], 2)
    logs = [a.log, b.log, c.log]
    a.close()
    c.close()
    return logs


def test_same_messages_as_the_reference_server(memvisor, tools, tmp_path):
    with ivshmem.reference_server(tmp_path, vectors=2) as server:
        told = history(server.path)
    assert told[2][:3] == [(0, 0), (2, 0), (-1, 1)] and (1, 0) in told[0]
    with ivshmem.our_server(memvisor, tmp_path, vectors=2) as server:
        assert history(server.path) == told


def test_reference_client_sees_peers_and_rings_them(memvisor, tools, tmp_path):
    with ivshmem.our_server(memvisor, tmp_path, vectors=2) as server:
        client = subprocess.Popen(["stdbuf", "-oL", tools / "ivshmem-client", "-S", server.path],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        peer = None
        try:
            deadline = time.monotonic() + 10 * harness.PATIENCE
            while len(ivshmem.status(memvisor, server.path)["peers"]) < 1:
                assert time.monotonic() < deadline
            peer = ivshmem.Peer(server.path).knows([0, 1], 2)
            peer.ring(0, 1)
            time.sleep(0.3)  # the client reads its command and its messages in turns
            client.stdin.write("dump\nint 1 1\n")
            client.stdin.flush()
            assert peer.rung(1) == 1
        finally:
            client.kill()
            said = client.communicate()[0]
        assert "receive notification from peer_id=0 vector=1" in said
        assert "our_id = 0" in said and "vector 1 is enabled" in said, said
        assert "peer_id = 1" in said, said
        peer.knows([1], 2).close()


def test_memory_is_shared_rounded_and_sealed(memvisor, tmp_path):
    with ivshmem.our_server(memvisor, tmp_path, size="3M") as server:
        a, b = ivshmem.Peer(server.path), ivshmem.Peer(server.path)
        assert os.fstat(a.memory).st_size == 4 * MIB
        with mmap.mmap(a.memory, 4 * MIB) as one, mmap.mmap(b.memory, 4 * MIB) as other:
            one[4 * MIB - 5:] = b"bytes"
            assert other[4 * MIB - 5:] == b"bytes"
        for size in (MIB, 8 * MIB):
            with pytest.raises(PermissionError):
                os.ftruncate(b.memory, size)
        assert fcntl.fcntl(a.memory, F_GET_SEALS) == 7  # seal, shrink, grow
        a.close()
        b.close()
    assert "--size 3 MiB becomes 4 MiB, the next power of two" in server.errors.read_text()


@pytest.mark.parametrize("kind", ["shm", "file"])
def test_restarted_on_named_memory_it_goes_on(memvisor, tmp_path, kind):
    name = "memvisor-test-%d" % os.getpid()
    path = "/dev/shm/" + name if kind == "shm" else str(tmp_path / "bytes")
    mem = "shm:" + name if kind == "shm" else "file:" + path
    try:
        with ivshmem.our_server(memvisor, tmp_path, "--mem", mem, "--mode", "0600") as server:
            peer = ivshmem.Peer(server.path).knows([0])
            os.pwrite(peer.memory, b"kept", 4096)
            assert os.stat(path).st_mode & 0o777 == 0o600
            server.kill()  # its socket file stays
            server.wait()
            with pytest.raises(ivshmem.Gone):
                peer.take()
            peer.close()
        with ivshmem.our_server(memvisor, tmp_path, "--mem", mem) as server:
            time.sleep(0.2)
            peer = ivshmem.Peer(server.path)
            assert os.pread(peer.memory, 4, 4096) == b"kept"
            peer.close()
        result = memvisor.run("ivshmem-server", tmp_path / "other", "--size", "2M", "--mem", mem)
        assert result.code == 1
        assert "it is there with 1 MiB, and --size asks for 2 MiB" in result.err
    finally:
        os.unlink(path)


def test_sockets(memvisor, tmp_path):
    """Permissions, a live server's socket, a file in the way, a clean end."""
    with ivshmem.our_server(memvisor, tmp_path, "--mode", "0640") as server:
        control = tmp_path / "sock.control"
        assert [p.stat().st_mode & 0o777 for p in (server.path, control)] == [0o640, 0o640]
        second = memvisor.run("ivshmem-server", server.path, "--size", "1M")
        assert second.code == 1 and "another process listens there" in second.err
        server.terminate()
        assert server.wait(10) == 0
        assert not server.path.exists() and not control.exists()
    (tmp_path / "file").write_text("mine")
    result = memvisor.run("ivshmem-server", tmp_path / "file", "--size", "1M")
    assert result.code == 1 and "no socket" in result.err
    assert (tmp_path / "file").read_text() == "mine"


def test_owner(memvisor, tmp_path):
    if os.getuid() != 0:
        result = memvisor.run("ivshmem-server", tmp_path / "s", "--size", "1M", "--owner", "root")
        assert result.code == 1 and "--owner root" in result.err
        return
    with ivshmem.our_server(memvisor, tmp_path, "--owner", "nobody:12") as server:
        time.sleep(0.1)
        assert (server.path.stat().st_gid, server.path.stat().st_uid != 0) == (12, True)


def test_status(memvisor, tmp_path):
    with ivshmem.our_server(memvisor, tmp_path, vectors=3) as server:
        peers = [ivshmem.Peer(server.path).knows(range(n + 1), 3) for n in range(2)]
        told = ivshmem.status(memvisor, server.path)
        assert (told["size"], told["memory"], told["vectors"]) == (MIB, "memfd", 3)
        assert told["pid"] == server.pid and told["uptime"] >= 0
        assert [(p["id"], p["pid"], p["uid"], p["vectors"], p["queue"]) for p in told["peers"]] == \
            [(n, os.getpid(), os.getuid(), 3, 0) for n in range(2)]
        text = memvisor.run("ivshmem-server", server.path, "--status").out
        assert "memfd, 1 MiB" in text and str(os.getpid()) in text
        assert ivshmem.status(memvisor, server.path)["joined"] == 2  # asking is no joining
        # Those who do not read the status harm nobody.
        idle = []
        for _ in range(40):
            idle.append(socket.socket(socket.AF_UNIX))
            idle[-1].connect(str(tmp_path / "sock.control"))
        assert len(ivshmem.status(memvisor, server.path)["peers"]) == 2
        for one in idle + peers:
            one.close()
    result = memvisor.run("ivshmem-server", server.path, "--status")
    assert result.code == 1 and "sock.control" in result.err


def test_status_of_a_socket_elsewhere(memvisor, tmp_path):
    control = tmp_path / "elsewhere"
    with ivshmem.our_server(memvisor, tmp_path, "--control", control) as server:
        for words in ([server.path, "--control", control], ["--control", control]):
            result = memvisor.run("ivshmem-server", "--status", "--json", *words)
            assert result.code == 0 and json.loads(result.out)["pid"] == server.pid, result
        assert not (tmp_path / "sock.control").exists()


def test_status_is_watched(memvisor, tmp_path):
    """Again each second, until the server has gone."""
    with ivshmem.our_server(memvisor, tmp_path) as server:
        watch = subprocess.Popen([memvisor.path, "ivshmem-server", server.path, "--status",
                                  "--watch"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                 text=True)
        try:
            said = [watch.stdout.readline() for _ in range(3)]
            assert said[2].startswith("peers    0 of"), said
            peer = ivshmem.Peer(server.path)
            while not watch.stdout.readline().startswith("peers    1 of"):
                assert watch.poll() is None
            server.terminate()
            _, err = watch.communicate(timeout=60 * harness.PATIENCE)
        finally:
            watch.kill()
        assert watch.returncode == 1 and err.count("\n") == 1 and "sock.control" in err
        peer.close()


def test_memory_of_any_size(memvisor, tmp_path):
    """The reference server's ends at 1 GiB; ThreadSanitizer maps no more than a TiB."""
    with ivshmem.our_server(memvisor, tmp_path, size="200G") as server:
        peer = ivshmem.Peer(server.path)
        assert os.fstat(peer.memory).st_size == 256 << 30
        assert memvisor.run("ivshmem-client", server.path, "write", "255G", "far").code == 0
        assert os.pread(peer.memory, 3, 255 << 30) == b"far"
        peer.close()


def test_huge_pages_that_are_not_there(memvisor, tmp_path):
    """Told before anybody connects, and not by SIGBUS in a peer."""
    result = memvisor.run("ivshmem-server", tmp_path / "s", "--size", "1P", "--mem", "hugetlb:2M")
    assert result.code == 1 and "reserve them in /sys/kernel/mm/hugepages/hugepages-2048kB" in \
        result.err, result
    assert not (tmp_path / "s").exists()


def test_hostile_peers(memvisor, tmp_path):
    """Each costs one line at most, and the others see it go."""
    with ivshmem.our_server(memvisor, tmp_path) as server:
        good = ivshmem.Peer(server.path).knows([0])

        def connect():
            sock = socket.socket(socket.AF_UNIX)
            sock.connect(str(server.path))
            return sock

        talker = connect()
        talker.send(b"x")
        passer = connect()
        passer.sendmsg([b"12345678" * 1000], [(socket.SOL_SOCKET, socket.SCM_RIGHTS,
                                              b"\0\0\0\0\1\0\0\0")])
        for _ in range(50):
            connect().close()
        half = [connect() for _ in range(1000)]
        for sock in half:
            sock.close()
        end = time.monotonic() + 60 * harness.PATIENCE
        told = {}
        while told.get("joined") != 1053 or len(told["peers"]) > 1:
            assert time.monotonic() < end
            told = ivshmem.status(memvisor, server.path)
        talker.close()
        passer.close()
        later = ivshmem.Peer(server.path).knows([0, 1053])
        # Who left before the others were told of him is no news; else both are.
        good.until(lambda p: sorted(p.peers) == [0, 1053], 60).ring(1053, 0)
        gone = [who for who, fds in good.log[4:] if not fds]
        assert sorted(gone + [1053]) == sorted(who for who, fds in good.log[4:] if fds)
        assert later.rung(0) == 1
        good.close()
        later.close()
    lines = [line for line in server.errors.read_text().splitlines() if "dropped" in line]
    assert len(lines) == 2 and all("it sent something" in line for line in lines), lines


def holds_nobody_up(slowest, folder):
    """slowest(folder) is what the slowest of many took.  The host may have had something else to
    do just then, so that one time in three counts; somebody who waits does so each time."""
    times = []
    while len(times) < 3 and not (times and min(times) < 0.5 * harness.SLOW):
        place = folder / str(len(times))
        place.mkdir()
        times.append(slowest(place))
    assert min(times) < 0.5 * harness.SLOW, times


def slowest_beside_one_that_does_not_read(memvisor, tmp_path):
    with ivshmem.our_server(memvisor, tmp_path) as server:
        stalled = ivshmem.Peer(server.path)
        watch = ivshmem.Peer(server.path).knows([0, 1])
        slowest = 0
        for number in range(2, 2500):
            start = time.monotonic()
            peer = ivshmem.Peer(server.path)
            slowest = max(slowest, time.monotonic() - start)
            peer.close()
            watch.until(lambda p: p.log[-1] == (number, 0))
        watch.until(lambda p: 0 not in p.peers)
        assert ivshmem.status(memvisor, server.path)["dropped"] == 1
        stalled.close()
        watch.close()
    assert server.errors.read_text().count("it does not read what the server tells it") == 1
    return slowest


def test_a_peer_that_does_not_read_is_dropped(memvisor, tmp_path):
    holds_nobody_up(lambda folder: slowest_beside_one_that_does_not_read(memvisor, folder), tmp_path)


def test_more_than_max_peers_are_turned_away(memvisor, tmp_path):
    with ivshmem.our_server(memvisor, tmp_path, "--max-peers", "2") as server:
        peers = [ivshmem.Peer(server.path) for _ in range(2)]
        for _ in range(5):
            with pytest.raises((ivshmem.Gone, ConnectionError)):
                ivshmem.Peer(server.path)
        peers[0].close()
        peers[1].until(lambda p: p.log[-1] == (0, 0))
        third = ivshmem.Peer(server.path).knows([1, 2])
        third.close()
        peers[1].close()
        assert ivshmem.status(memvisor, server.path)["refused"] == 5
    assert server.errors.read_text().count("turned away") == 1


# Root may have more descriptors than the limit, open and under way.
UNPRIVILEGED = [] if os.getuid() != 0 else [
    "setpriv", "--bounding-set", "-sys_resource,-sys_admin",
    "--inh-caps", "-sys_resource,-sys_admin"]


def limited(descriptors):
    return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))


def test_too_few_descriptors_are_told(memvisor, tmp_path):
    """What is asked for and cannot be is refused; without a wish, what fits is served."""
    argv = UNPRIVILEGED + [memvisor.path, "ivshmem-server", tmp_path / "s", "--size", "1M"]
    result = subprocess.run([str(a) for a in argv + ["--max-peers", "1000"]], text=True,
                            preexec_fn=limited(200), stderr=subprocess.PIPE)
    assert result.returncode == 1
    assert "this process may have 200: raise the limit (ulimit -Hn, LimitNOFILE=) or ask for 68" \
        in result.stderr
    with ivshmem.our_server(memvisor, tmp_path, preexec_fn=limited(200)) as server:
        peers = [ivshmem.Peer(server.path) for _ in range(68)]
        with pytest.raises((ivshmem.Gone, ConnectionError)):
            ivshmem.Peer(server.path)
        assert ivshmem.status(memvisor, server.path)["max-peers"] == 68
        for peer in peers:
            peer.close()
    assert "68 peers are connected and more are turned away: raise the limit of descriptors " \
        "(ulimit -Hn, LimitNOFILE=)" in server.errors.read_text()


def unprivileged_server(memvisor, folder, descriptors, vectors):
    path = folder / "sock"
    return ivshmem.running(UNPRIVILEGED + [memvisor.path, "ivshmem-server", path, "--size", "1M",
                                           "--vectors", vectors],
                           path, folder / "sock.err", preexec_fn=limited(descriptors))


def test_more_descriptors_under_way_than_the_user_may_have(memvisor, tmp_path):
    """Descriptors sent and not read count for the server's user, up to its
    RLIMIT_NOFILE (unix(7), ETOOMANYREFS): news is late then and not lost."""
    count = 60
    with unprivileged_server(memvisor, tmp_path, 256, 1) as server:
        # Nobody reads until all have come, which leaves 61 for each to read.
        socks = [socket.socket(socket.AF_UNIX) for _ in range(count)]
        for sock in socks:
            sock.connect(str(server.path))
        time.sleep(0.3)
        assert server.errors.read_text().count("wait to be read by peers") == 1
        seen = [{} for _ in socks]
        end = time.monotonic() + 30 * harness.PATIENCE
        while any(len(one) < count + 1 for one in seen):  # each other, itself, and -1
            assert time.monotonic() < end, [len(one) for one in seen]
            for sock, one in zip(socks, seen):
                while select.select([sock], [], [], 0)[0]:
                    value, fds = ivshmem.receive(sock)
                    if fds:
                        one[value] = one.get(value, 0) + len(fds)
                    for fd in fds:
                        os.close(fd)
        assert all(one == dict.fromkeys(range(-1, count), 1) for one in seen)
        told = ivshmem.status(memvisor, server.path)
        assert (len(told["peers"]), told["dropped"], told["refused"]) == (count, 0, 0)
        for sock in socks:
            sock.close()
    lines = [line for line in server.errors.read_text().splitlines() if "wait to be read" in line]
    assert len(lines) == 1 and "raise the limit (ulimit -n, LimitNOFILE=)" in lines[0]


def slowest_while_little_may_be_under_way(memvisor, tmp_path):
    with unprivileged_server(memvisor, tmp_path, 256, 16) as server:
        stalled = [socket.socket(socket.AF_UNIX) for _ in range(3)]
        for sock in stalled:
            sock.connect(str(server.path))
        stays = ivshmem.Peer(server.path).knows(range(4), 16)
        slowest = 0
        for number in range(4, 100):
            start = time.monotonic()
            ivshmem.Peer(server.path).until(lambda p: len(p.peers.get(number, ())) == 16).close()
            slowest = max(slowest, time.monotonic() - start)
            stays.until(lambda p: p.log[-1] == (number, 0))
        told = ivshmem.status(memvisor, server.path)
        assert ([p["id"] for p in told["peers"]], told["refused"]) == ([3], 0)
        stays.close()
        for sock in stalled:
            sock.close()
    lines = server.errors.read_text().splitlines()
    assert [line.split(" (")[0] for line in lines if "it does not read" in line] == \
        ["memvisor: ivshmem-server: peer %d" % n for n in range(3)], lines
    return slowest


def test_one_that_does_not_read_uses_up_little_of_what_may_be_under_way(memvisor, tmp_path):
    """Its unread descriptors are under way for as long as it lives, and those of its
    queue are kept until they are needed."""
    holds_nobody_up(lambda folder: slowest_while_little_may_be_under_way(memvisor, folder), tmp_path)


def unit_command(memvisor, name):
    """How the unit of data/systemd starts the server, as systemd.exec(5) reads it."""
    text = (harness.TOP / "data/systemd/memvisor-ivshmem@.service").read_text()
    settings = dict(re.findall(r"^(\w+)=(.*)$", text, re.M))
    values = dict(word.split("=") for word in settings["Environment"].split())
    command = re.sub(r"\$\{(\w+)\}", lambda found: values[found.group(1)], settings["ExecStart"])
    program, *words = command.replace("%i", name).split()
    assert program == "memvisor" and settings["Type"] == "notify"
    return [str(memvisor.path)] + words


def test_socket_activation_and_readiness(memvisor, tmp_path):
    name = "test-%d" % os.getpid()
    notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notify.bind(str(tmp_path / "notify"))
    notify.settimeout(60 * harness.PATIENCE)
    listeners = []
    for name in ("sock", "sock.control"):
        listeners.append(socket.socket(socket.AF_UNIX))
        listeners[-1].bind(str(tmp_path / name))
        listeners[-1].listen()
    first, second = (listener.fileno() for listener in listeners)
    script = 'exec 3<&%d 4<&%d; export LISTEN_FDS=2 LISTEN_PID=$$; exec "$0" "$@"' % (first, second)
    server = subprocess.Popen(
        ["bash", "-c", script] + unit_command(memvisor, name),
        pass_fds=(first, second), env=dict(os.environ, NOTIFY_SOCKET=str(tmp_path / "notify")),
        stderr=subprocess.PIPE, text=True)
    try:
        assert notify.recv(100) == b"READY=1"
        peer = ivshmem.Peer(tmp_path / "sock").knows([0], 2)
        assert os.stat("/dev/shm/memvisor-ivshmem-" + name).st_size == 64 * MIB
        assert len(ivshmem.status(memvisor, tmp_path / "sock")["peers"]) == 1
        server.terminate()
        assert notify.recv(100) == b"STOPPING=1"
        assert server.wait(10) == 0
        assert (tmp_path / "sock").exists()  # the manager's, to go on with
        peer.close()
    finally:
        server.kill()
        server.communicate()
        os.unlink("/dev/shm/memvisor-ivshmem-" + name)


@pytest.mark.parametrize("words, remedy", [
    ([], "SOCKET is missing"),
    (["s"], "--size is missing"),
    (["s", "--size", "0"], "there has to be memory to share"),
    (["s", "--size", "16384P"], "too large"),
    (["s", "--size", "1M", "--vectors", "0"], "--vectors 0: it is a number from 1 to 2048"),
    (["s", "--size", "1M", "--vectors", "2049"], "from 1 to 2048"),
    (["s", "--size", "1M", "--max-peers", "65537"], "from 1 to 65536"),
    (["s", "--size", "1M", "--mode", "888"], "--mode 888: it is octal"),
    (["s", "--size", "1M", "--owner", "no-such-user"], "there is no user 'no-such-user'"),
    (["s", "--size", "1M", "--mem", "disk"], "it is memfd, shm:NAME, file:PATH, hugetlb"),
    (["s", "--size", "1M", "--json"], "--json goes with --status"),
    (["--status"], "--status needs the server's SOCKET, or --control"),
    (["s", "--status", "--control", "none"], "without a status socket cannot be asked"),
    (["s", "--status", "--mem", "memfd"], "--mem is for serving"),
])
def test_wrong_usage(memvisor, tmp_path, words, remedy):
    words = [str(tmp_path / "s") if word == "s" else word for word in words]
    result = memvisor.run("ivshmem-server", *words)
    assert result.code in (1, 2) and remedy in result.err, result
    assert result.err.count("\n") == 1 and not (tmp_path / "s").exists()


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_ends_in_order(memvisor, tmp_path, signum):
    with ivshmem.our_server(memvisor, tmp_path) as server:
        peer = ivshmem.Peer(server.path).knows([0])
        server.send_signal(signum)
        assert server.wait(10) == 0
        with pytest.raises(ivshmem.Gone):
            peer.take()
        peer.close()


def test_ended_as_soon_as_it_is_seen(memvisor, tmp_path):
    """Whoever sees a file of its may end it: in order, and no file stays."""
    for i in range(20):
        folder = tmp_path / str(i)
        folder.mkdir()
        with subprocess.Popen([memvisor.path, "ivshmem-server", folder / "sock", "--size", "1M"],
                              stderr=subprocess.PIPE, text=True) as server:
            end = time.monotonic() + 30 * harness.PATIENCE
            while not os.listdir(folder):
                assert server.poll() is None and time.monotonic() < end, server.stderr.read()
            server.terminate()
            said = server.communicate()[1]
        assert server.returncode == 0 and "ends on SIGTERM" in said, said
        assert not os.listdir(folder)
