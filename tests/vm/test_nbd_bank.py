# SPDX-License-Identifier: Apache-2.0
"""nbd=: a bank whose pages come from an NBD export when they are first needed, and go back
to it where that is wanted; servers that are slow, that fail and that die."""
import contextlib
import hashlib
import random
import time

import pytest

import harness
from memory_guest import Guest, build
from nbd import Server
from qmp import Vm

MIB = 1 << 20
BASE = 0x200000000
PAGES = 32 * MIB // 4096


def numbers(count=PAGES, seed=1):
    """The first doubleword of each page."""
    return [random.Random(seed * 1000003 + page).getrandbits(40) for page in range(count)]


def write(path, values):
    with open(path, "wb") as file:
        for value in values:
            file.write(value.to_bytes(8, "little") + b"\x55" * 4088)
    return path


@pytest.fixture
def image(tmp_path):
    return write(tmp_path / "image", numbers())


def serve(image, *options, **words):
    return Server(image, image.with_suffix(".sock"), *options, **words)


def guest(memvisor, folder, server, *keys, size="32M", name="vm", before=("-m", "16M")):
    return Guest(memvisor, folder, *before, "-m",
                 ",".join(["%s@8G" % size, "nbd=" + server.uri, *keys]), name=name,
                 binary=build(folder))


def digest(path):
    return hashlib.sha256(path.read_bytes()).digest()


def block(qmp, name="ram1"):
    return next(b for b in qmp.execute("x-query-blocks") if b["id"] == name)


@pytest.mark.parametrize("program", ["nbdkit", "qemu-nbd"])
def test_it_reads_what_is_there(memvisor, tmp_path, image, program):
    values, before = numbers(), digest(image)
    with serve(image, program=program) as server, guest(memvisor, tmp_path, server) as vm, \
            vm.qmp() as qmp:
        seen = block(qmp)
        assert (seen["backing"], seen["path"], seen["share"]) == ("nbd", server.uri, False)
        assert seen["absent"] == 32 * MIB
        assert vm.do("r", BASE + 20 * MIB) == values[20 * MIB // 4096]
        assert 0 < block(qmp)["absent"] < 32 * MIB
        vm.do("w", BASE + 20 * MIB, 5)
        vm.do("t", BASE + 30 * MIB - 3, "over the end of a page")
        vm.do("a", BASE + 4096, 7)
        assert vm.do("r", BASE + 4096) == values[1] + 7
        want = sum(values) - values[20 * MIB // 4096] + 5 + 7 - values[30 * MIB // 4096]
        have = vm.do("s", BASE, PAGES) - vm.do("r", BASE + 30 * MIB)
        assert have == want
        assert block(qmp)["absent"] == 0
        assert vm.end() == 0
    assert digest(image) == before


def test_it_is_written_back(memvisor, tmp_path, image):
    values = numbers()
    with serve(image) as server:
        with guest(memvisor, tmp_path, server, "share=on") as vm, vm.qmp() as qmp:
            assert block(qmp)["share"]
            vm.do("w", BASE, 0x1122334455667788)
            vm.do("f", BASE + 8 * MIB, 256, 7)
            before = digest(image)
            qmp.execute("x-block-sync", id="ram1")
            data = image.read_bytes()
            assert data[:8] == (0x1122334455667788).to_bytes(8, "little")
            assert all(data[8 * MIB + i * 4096] == 7 for i in range(256))
            assert data[4096:4104] == values[1].to_bytes(8, "little")
            assert digest(image) != before
            qmp.execute("x-block-sync")
            vm.do("t", BASE + 20 * MIB + 5, "written by the guest")
            assert vm.end() == 0
        assert image.read_bytes()[20 * MIB + 5:][:20] == b"written by the guest"
        with guest(memvisor, tmp_path, server, "share=on", name="again") as vm:
            assert vm.do("r", BASE) == 0x1122334455667788
            assert vm.do("s", BASE + 8 * MIB, 256) == 7 * 256
            assert vm.end() == 0


def test_two_banks_and_a_part(memvisor, tmp_path, image):
    values = numbers()
    other = write(tmp_path / "other", numbers(16 * MIB // 4096, 2))
    with serve(image) as one, serve(other, "--filter=delay", "rdelay=30ms") as two:
        with guest(memvisor, tmp_path, one, "offset=8M", size="16M",
                   before=("-m", "16M", "-m", "16M@12G,id=slow",
                           "--back", "slow=" + two.uri)) as vm:
            assert vm.do("s", BASE, 4096) == sum(values[2048:6144])
            assert vm.do("s", 0x300000000, 4096, seconds=120) == \
                sum(numbers(16 * MIB // 4096, 2))
            assert vm.end() == 0


@pytest.mark.parametrize("share", ["off", "on"])
def test_as_much_as_the_cache_has(memvisor, tmp_path, image, share):
    """All of it goes through 6 MiB, twice, and comes back as it was left."""
    values = numbers()
    with serve(image) as server:
        with guest(memvisor, tmp_path, server, "cache=6M", "share=" + share) as vm, \
                vm.qmp() as qmp:
            def fits():
                end = time.monotonic() + 60 * harness.SLOW
                while block(qmp)["absent"] < 26 * MIB:
                    assert time.monotonic() < end, block(qmp)
                    time.sleep(0.05)
                assert block(qmp)["resident"] <= 7 * MIB

            assert vm.do("s", BASE, PAGES, seconds=60) == sum(values)
            fits()
            vm.do("f", BASE + 8 * MIB, 512, 7, seconds=60)
            assert vm.do("s", BASE, PAGES, seconds=60) == \
                sum(values) - sum(values[2048:2560]) + 512 * 7
            fits()
            if share == "on":
                vm.do("f", BASE, PAGES, 9, seconds=120)  # more than there is room for
                fits()
                assert vm.do("s", BASE, PAGES, seconds=60) == 9 * PAGES
            assert vm.end() == 0
    if share == "on":
        data = image.read_bytes()
        assert all(data[i * 4096] == 9 and data[i * 4096 + 8] == 0x55 for i in range(PAGES))


REFUSED = [
    (["nbd=%(uri)s"], "16M", "has 32 MiB, and the block has 16 MiB: say -m 32M, or offset=0"),
    (["nbd=%(uri)s"], "64M", "has 32 MiB, and the block has 64 MiB: give a bank of that size"),
    (["nbd=%(uri)s", "offset=4M"], "32M", "from offset 0x400000 on: give a lower offset="),
    (["nbd=%(uri)s", "offset=100"], "16M", "no multiple of 4 KiB: make it 0x0"),
    (["nbd=%(uri)s", "share=on"], "32M", "is read-only, but share=on writes"),
    (["nbd=%(uri)s.not"], "32M", "cannot be opened"),
    (["nbd=host"], "32M", "is no URI of an NBD export: write nbd://"),
    (["nbd=%(uri)s", "memfd=on"], "32M", "nbd= excludes file=, fd=, memfd=on and hugetlb="),
    (["nbd=%(uri)s", "create=on"], "32M", "create=on makes a file"),
    (["nbd=%(uri)s", "prealloc=on"], "32M", "nbd= and prealloc=on exclude each other"),
    (["nbd=%(uri)s", "cache=1M"], "32M", "1 MiB is too little to run with: 4 MiB is the least"),
    (["nbd=%(uri)s", "cache=8M", "lock=on"], "32M", "cache= and lock=on exclude each other"),
]


def test_what_cannot_be_is_refused(memvisor, tmp_path, image):
    with serve(image, "-r") as server:
        for keys, size, said in REFUSED:
            text = ",".join([size, *keys]) % {"uri": server.uri}
            result = memvisor.run("run", "--firmware", build(tmp_path), "-m", text)
            assert result.code == (2 if "excludes" in said or "URI" in said or "exclude" in said
                                   or "create" in said else 1), result
            assert said in result.err and len(result.err.splitlines()) == 1, result
    with serve(image, "--filter=blocksize-policy", "blocksize-minimum=64K",
               "blocksize-preferred=64K", "blocksize-error-policy=error") as server:
        result = memvisor.run("run", "--firmware", build(tmp_path), "-m",
                              "32M,nbd=%s,share=on" % server.uri)
        assert result.code == 1 and "takes requests of 64 KiB at least" in result.err, result
        with guest(memvisor, tmp_path, server) as vm:
            assert vm.do("s", BASE, PAGES) == sum(numbers())
            assert vm.end() == 0


def test_a_server_that_dies(memvisor, tmp_path, image):
    values = numbers()
    with serve(image) as server, guest(memvisor, tmp_path, server, "share=on") as vm, \
            vm.qmp() as qmp:
        vm.do("w", BASE, 5)
        server.kill()
        vm.send("r", BASE + 31 * MIB)
        event = qmp.event("X_BLOCK_ERROR")["data"]
        qmp.event("STOP")
        assert (event["id"], event["reason"], event["offset"]) == \
            ("ram1", "source-lost", 31 * MIB)
        said = "block ram1 has no byte 0x1f00000: %s: " % server.uri
        line = next(line for line in vm.errors().splitlines() if said in line)
        assert line.endswith("the guest is paused: have the server run again, then type "
                             "'memvisor cont vm'"), line
        assert qmp.execute("query-status")["status"] == "io-error"
        # Nothing is lost meanwhile, and what is here can be looked at.
        answer = qmp.command("x-block-sync")
        assert "4 KiB of it cannot be written to export" in answer["error"]["desc"], answer
        qmp.execute("cont")
        qmp.event("STOP")
        server.start()
        qmp.execute("cont")
        assert vm.answer() == values[31 * MIB // 4096]
        qmp.execute("x-block-sync")
        assert image.read_bytes()[:8] == (5).to_bytes(8, "little")
        # One that is there again before anybody needs it is not missed.
        server.kill()
        server.start()
        assert vm.do("r", BASE + 16 * MIB) == values[4096]
        vm.do("w", BASE, 6)
        server.kill()
        vm.send("q")
        assert vm.wait() == 1
        assert "the guest's changes are lost: block ram1: 4 KiB of it cannot be written" \
            in vm.errors()


def test_a_server_that_fails(memvisor, tmp_path, image):
    values, fail = numbers(), tmp_path / "fail"
    with serve(image, "--filter=error", "error-pread=EIO", "error-pread-rate=100%",
               "error-pread-file=%s" % fail) as server, \
            guest(memvisor, tmp_path, server) as vm, vm.qmp() as qmp:
        vm.do("r", BASE)
        fail.touch()
        vm.send("r", BASE + 31 * MIB)
        assert qmp.event("X_BLOCK_ERROR")["data"]["reason"] == "source-lost"
        qmp.event("STOP")
        assert "the server does not give byte 0x1f00000: Input/output error" in vm.errors()
        fail.unlink()
        qmp.execute("cont")
        assert vm.answer() == values[31 * MIB // 4096]
        assert vm.end() == 0


def test_a_server_that_is_not_there(memvisor, tmp_path):
    result = memvisor.run("run", "--firmware", build(tmp_path), "-m",
                          "32M,nbd=nbd+unix:///?socket=%s/none" % tmp_path)
    assert result.code == 1 and len(result.err.splitlines()) == 1, result
    assert "block ram0: export 'nbd+unix:///?socket=%s/none' cannot be opened: " % tmp_path \
        in result.err


def test_save_and_restore(memvisor, tmp_path, image):
    """What was absent is in the state; what is restored needs no server."""
    values, state = numbers(), tmp_path / "state"
    with serve(image) as server, guest(memvisor, tmp_path, server) as vm, vm.qmp() as qmp:
        vm.do("w", BASE + 4096, 5)
        assert block(qmp)["absent"] > 0
        saved = harness.run([memvisor.path, "save", "vm", state], env=vm.env)
        assert saved.code == 0, saved
        assert block(qmp)["absent"] == 0
        vm.process.kill()
        vm.wait()
    with Guest(memvisor, tmp_path, state=state, name="restored") as vm:
        assert vm.do("s", BASE, PAGES) == sum(values) - values[1] + 5
        assert vm.end() == 0


def test_fork(memvisor, tmp_path, image):
    values = numbers()
    with serve(image) as server, guest(memvisor, tmp_path, server) as vm:
        vm.do("w", BASE + 4096, 5)
        forked = harness.run([memvisor.path, "fork", "vm", "-n", "clone"], env=vm.env)
        assert forked.code == 0, forked
        server.kill()
        assert vm.do("s", BASE, PAGES) == sum(values) - values[1] + 5
        quit_ = harness.run([memvisor.path, "quit", "clone"], env=vm.env)
        assert quit_.code == 0, quit_
        assert vm.end() == 0


def test_a_shared_one_is_not_forked(memvisor, tmp_path, image):
    with serve(image) as server, guest(memvisor, tmp_path, server, "share=on") as vm:
        for share in ([], ["--share", "keep"]):
            forked = harness.run([memvisor.path, "fork", "vm", "-n", "clone", *share], env=vm.env)
            assert forked.code == 1 and "is written back to export" in forked.err, forked
        assert vm.end() == 0


LINUX = """
dd if=/dev/urandom of=/one bs=1M count=6 2> /dev/null
cp /one /two
sync
[ "$(md5sum < /one)" = "$(md5sum < /two)" ] && echo "copies: equal"
"""


def test_linux_on_a_server_that_dies(memvisor, tmp_path):
    """All of its memory is in an export, of which most is absent when the server dies."""
    image = tmp_path / "ram"
    with open(image, "wb") as file:
        file.truncate(160 * MIB)
    with serve(image) as server:
        argv = memvisor.boot_argv(harness.build_initrd(LINUX, tmp_path), "-m",
                                  "160M,share=on,nbd=" + server.uri, "-c", "2",
                                  append="earlycon=uart8250,mmio,0x1000000")
        with Vm(memvisor, tmp_path, boot=argv) as vm, vm.qmp() as qmp:
            vm.wait_for(lambda: "Booting Linux" in vm.output())
            server.kill()
            qmp.event("STOP")
            assert "the guest is paused: have the server run again" in vm.output()
            server.start()
            qmp.execute("cont")
            assert vm.process.wait(240 * harness.SLOW) == 0, vm.output()
            assert "copies: equal" in vm.output()
    with open(image, "rb") as file:
        assert b"copies: equal" in file.read()  # the script, at least


# --- a state in an export


def write_state(memvisor, folder, image, *keys):
    state = folder / "saved.state"
    with serve(image) as server, guest(memvisor, folder, server, *keys, name="saved") as vm:
        vm.do("w", BASE + 4096, 5)
        saved = harness.run([memvisor.path, "save", "saved", state], env=vm.env)
        assert saved.code == 0, saved
        vm.process.kill()
        vm.wait()
    return state


def test_restore_from_an_export(memvisor, tmp_path, image):
    values = numbers()
    state = write_state(memvisor, tmp_path, image)
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(serve(state, "-r"))
        vm = stack.enter_context(Guest(memvisor, tmp_path, state=server.uri))
        vm.do("w", BASE, values[0], seconds=60)  # tables and code came, too
        qmp = stack.enter_context(vm.qmp())
        seen = block(qmp)
        assert 0 < seen["absent"] < seen["size"] and seen["path"] == server.uri, seen
        assert qmp.execute("x-restore-info")["file"] == server.uri
        server.kill()
        vm.send("r", BASE + 31 * MIB)
        event = qmp.event("X_BLOCK_ERROR")["data"]
        assert (event["id"], event["offset"]) == ("ram1", 31 * MIB)
        qmp.event("STOP")
        server.start()
        qmp.execute("cont")
        assert vm.answer() == values[31 * MIB // 4096]
        assert vm.do("s", BASE, PAGES) == sum(values) - values[1] + 5
        qmp.execute("system_reset")  # what it boots was fetched
        words = vm.line(60).split()
        assert int(words[1], 16) == 0x80000000
        # A state of it is whole, and needs no server.
        again = harness.run([memvisor.path, "save", "vm", tmp_path / "again"], env=vm.env)
        assert again.code == 0, again
        assert vm.end() == 0
    with Guest(memvisor, tmp_path, state=tmp_path / "again", name="again") as vm:
        assert vm.do("s", BASE, PAGES) == sum(values) - values[1] + 5
        assert vm.end() == 0


def test_states_that_are_no_good(memvisor, tmp_path, image):
    """As files, but for what would have to be written, or is beside them."""
    env = {"XDG_RUNTIME_DIR": str(tmp_path)}
    state = write_state(memvisor, tmp_path, image)

    def refuse(server, *options):
        result = harness.run([memvisor.path, "restore", server.uri, *options], env=env)
        assert result.code == 1 and len(result.err.splitlines()) == 1, result
        return result.err

    with serve(state) as server:
        assert "--ram copy: memory comes from an export page by page" in \
            refuse(server, "--ram", "copy")
    with serve(image) as server:
        assert "this is no state file of memvisor's" in refuse(server)
    data = state.read_bytes()
    short = tmp_path / "short"
    short.write_bytes(data[:-4096])
    with serve(short) as server:
        assert "the file was written with %d bytes" % len(data) in refuse(server)
    damaged = tmp_path / "damaged"
    damaged.write_bytes(data[:-40] + bytes([data[-40] ^ 1]) + data[-39:])
    with serve(damaged) as server:
        assert "damaged" in refuse(server)
    assert "the export cannot be opened: " in refuse(Server(state, tmp_path / "nobody.sock"))
