# SPDX-License-Identifier: Apache-2.0
"""What a debugger is told of breakpoints, watchpoints, threads and devices, and
what becomes of it when others stop the machine or let it go."""
import re
import shutil
import socket
import time

import pytest

import harness
import memory_guest
from gdb_remote import Remote

SOURCE = harness.TOP / "tests/interop/gdb/guest.c"
PC = 32


class Guest(memory_guest.Guest):
    """The guest of gdb/guest.c; `at` has its addresses by name."""

    def line(self, seconds=20):
        line = super().line(seconds)
        words = line.split()
        if words[:1] == ["ram"]:
            self.at = {name: int(value, 16) for name, value in zip(words[5::2], words[6::2])}
        return line


@pytest.fixture
def guest(engines, tmp_path):
    binary = memory_guest.build(tmp_path, SOURCE)
    with Guest(engines, tmp_path, "-m", "64M", "-c", "4", "--gdb", tmp_path / "gdb",
               binary=binary) as guest:
        guest.gdb = tmp_path / "gdb"
        yield guest


def stop_of(answer):
    """Thread and the rest of a T05."""
    found = re.fullmatch(rb"T05thread:(\w+);(.*)", answer)
    assert found, answer
    return int(found.group(1), 16), found.group(2)


def start(remote, guest):
    assert remote.ask(b"M%x,8:0100000000000000" % guest.at["go"]) == b"OK"


def at_store(remote, guest):
    """Stand at the store, by a breakpoint that is gone then."""
    start(remote, guest)
    assert remote.ask(b"Z0,%x,4" % guest.at["store"]) == b"OK"
    assert stop_of(remote.ask(b"c")) == (1, b"")
    assert remote.register(PC) == guest.at["store"]
    assert remote.ask(b"z0,%x,4" % guest.at["store"]) == b"OK"


@pytest.mark.parametrize("way", [b"c", b"vCont;c", b"vCont;s:1"])
def test_watchpoint_after_a_breakpoint(guest, way):
    """Only the point that stopped it is passed, and for one instruction: the
    watchpoint that the same instruction meets is another."""
    watch = b"watch:%x;" % guest.at["value"]
    with Remote(guest.gdb) as remote:
        at_store(remote, guest)
        assert remote.ask(b"Z2,%x,8" % guest.at["value"]) == b"OK"
        for _ in range(3):
            before = remote.number(guest.at["value"])
            assert stop_of(remote.ask(way)) == (1, watch)
            assert remote.register(PC) == guest.at["store"]
            # It is told before the store is done; what goes on from there does it.
            assert remote.number(guest.at["value"]) == before
            assert stop_of(remote.ask(b"vCont;s:1")) == (1, b"")
            assert remote.number(guest.at["value"]) == before + 1
            assert remote.register(PC) == guest.at["store"] + 4
            if way.startswith(b"vCont;s"):
                break
        # One point passed does not pass the next.
        assert remote.ask(b"Z0,%x,4" % guest.at["next"]) == b"OK"
        if not way.startswith(b"vCont;s"):
            assert stop_of(remote.ask(way))[1] == b"" # the breakpoint, where it stands
            assert stop_of(remote.ask(way)) == (1, watch)
            assert stop_of(remote.ask(way)) == (1, b"")
            assert remote.register(PC) == guest.at["next"]


def test_an_interrupt_names_a_thread_that_ran(guest):
    with Remote(guest.gdb) as remote:
        remote.send(b"vCont;c")
        time.sleep(0.1)
        assert remote.interrupt().startswith(b"T02thread:")
        for thread in (2, 4, 3):
            remote.send(b"vCont;c:%x" % thread)
            time.sleep(0.1)
            assert remote.interrupt().startswith(b"T02thread:%x;" % thread)


def test_qmp_goes_on_and_the_debugger_is_there(guest):
    """The debugger's stop and the control socket's are one state."""
    value, store = guest.at["value"], guest.at["store"]
    with Remote(guest.gdb) as remote, guest.qmp() as qmp:
        start(remote, guest)
        assert remote.ask(b"?").startswith(b"T05")
        qmp.execute("cont")
        assert qmp.execute("query-status")["status"] == "running"
        # What needs vCPUs that stand is refused, and changes nothing.
        for packet in (b"g", b"p20", b"P5=0000000000000000", b"m%x,8" % value,
                       b"M%x,8:0000000000000000" % value, b"X%x,1:a" % value, b"Z0,%x,4" % store,
                       b"z0,%x,4" % store, b"Z2,%x,8" % value):
            assert remote.ask(packet) == b"E10", packet
        assert remote.ask(b"qfThreadInfo") == b"m1,2,3,4"
        assert qmp.execute("query-status")["status"] == "running"
        # Stopped by the control socket, it can be looked at.
        qmp.execute("stop")
        qmp.event("STOP")
        assert remote.ask(b"?").startswith(b"T02")
        before = remote.number(value)
        assert remote.ask(b"Z0,%x,4" % store) == b"OK"
        # At a breakpoint it stops also when nobody waits, and that is told when asked.
        qmp.execute("cont")
        qmp.event("STOP")
        assert stop_of(remote.ask(b"?")) == (1, b"")
        assert remote.register(PC) == store and remote.number(value) >= before
        # On from there it meets the breakpoint of the next round, not the same again.
        before = remote.number(value)
        qmp.execute("cont")
        qmp.event("STOP")
        assert remote.number(value) == before + 1
        # A debugger that goes on finds it running, and waits for the next stop.
        assert remote.ask(b"z0,%x,4" % store) == b"OK"
        qmp.execute("cont")
        remote.send(b"vCont;c")
        time.sleep(0.1)
        qmp.execute("stop")
        assert remote.receive().startswith(b"T02")
        qmp.execute("cont")
        assert stop_of(remote.ask(b"vCont;s:2"))[0] == 2


def test_answers_come_at_once(engines, tmp_path):
    """To a client that acknowledges, over TCP: no answer waits for an acknowledgement."""
    with socket.socket() as chooser:
        chooser.bind(("127.0.0.1", 0))
        port = chooser.getsockname()[1]
    with Guest(engines, tmp_path, "-m", "64M", "-c", "4", "--gdb", "127.0.0.1:%d" % port,
               binary=memory_guest.build(tmp_path, SOURCE)) as guest, Remote(port) as remote:
        remote.ask(b"?")
        times = []
        for _ in range(50):
            before = time.monotonic()
            remote.ask(b"m%x,8" % guest.ram)
            times.append(time.monotonic() - before)
        # A delayed acknowledgement takes 40 ms.
        assert sorted(times)[len(times) // 2] < 0.02, times


def test_registers_of_devices(guest):
    with Remote(guest.gdb) as remote:
        assert remote.ask(b"Qqemu.PhyMemMode:1") == b"OK"
        typer = int.from_bytes(bytes.fromhex(remote.ask(b"m3fff0004,4").decode()), "little")
        assert typer & 31 == 29, hex(typer) # ITLinesNumber: up to INTID 959
        both = remote.ask(b"m3fff0000,8")
        assert both[8:] == remote.ask(b"m3fff0004,4")
        assert remote.ask(b"m1010fe0,1") == b"31" # the clock's identification
        assert int(remote.ask(b"m1010000,4"), 16) != 0
        # What a guest was sent stays for it to read.
        guest.process.stdin.write(b"k")
        guest.process.stdin.flush()
        end = time.monotonic() + 60 * harness.PATIENCE
        while remote.ask(b"m1000005,1") != b"61":
            assert time.monotonic() < end
            time.sleep(0.02)
        assert remote.ask(b"m1000000,1") == remote.ask(b"m1000000,1") == b"6b"
        assert remote.ask(b"m1000005,1") == b"61"
        assert remote.ask(b"M1000000,1:41").startswith(b"E")
        assert remote.ask(b"m2000000,4").startswith(b"E") # nothing is there


def test_vector_registers_as_gdb_has_them(guest):
    """The names of GDB's own type: a size, then what its elements are taken for."""
    gdb = shutil.which("gdb-multiarch")
    assert gdb, "gdb-multiarch is missing: run scripts/setup.sh check"
    commands = ["set architecture aarch64", "target remote %s" % guest.gdb,
                "set $v0.d.u[1] = 0x400921fb54442d18", "set $v1.s.f[2] = 0.5",
                "print/x $v0.q.u[0]", "print $v0.d.f[1]", "print/x $v1.s.u[2]",
                "print/x $v1.h.u[5]", "print $v1.b.s[11]", "print $v1.h.f[5]",
                "x/2xw 0x3fff0000", "detach"]
    result = harness.run([gdb, "-nx", "-batch", *(word for c in commands for word in ("-ex", c))],
                         timeout=60)
    said = result.out + result.err
    for answer in ("= 0x400921fb54442d18" + "0" * 16, "= 3.14159265", "= 0x3f000000", "= 0x3f00",
                   "= 63", "= 1.75"):
        assert answer in said, said
    assert re.search(r"0x3fff0000:\s+0x000000[0-9a-f]{2}\s+0x0149001d", said), said


# What another debugger does, which steps over a watchpoint's access before it looks at the value.
LLDB = """
process connect --plugin gdb-remote unix-connect://{gdb}
memory write --size 8 {go:#x} 1
breakpoint set --address {store:#x}
continue
register read pc x1
breakpoint delete --force
thread step-inst
register read pc
watchpoint set expression -w write -s 8 -- {value:#x}
continue
watchpoint delete --force
register write x1 0x77
thread list
memory read --size 8 --count 1 --format x {value:#x}
process detach
"""


def test_lldb(guest):
    if not shutil.which("lldb"):
        pytest.fail("lldb is missing: run scripts/setup.sh check", pytrace=False)
    lines = LLDB.format(gdb=guest.gdb, **guest.at).strip().splitlines()
    argv = ["lldb", "--no-lldbinit", "--batch"]
    for line in lines:
        argv += ["--one-line", line]
    result = harness.run(argv, 60)
    said = re.split(r"^\(lldb\) ", result.out, flags=re.M)
    answers = {line: text for line, text in ((part.split("\n", 1) + [""])[:2] for part in said)}
    assert set(lines) <= set(answers), result
    store, after = "pc = 0x%016x" % guest.at["store"], "pc = 0x%016x" % guest.at["next"]
    assert store in answers["register read pc x1"], result
    assert "stop reason = breakpoint" in result.out
    assert after in answers["register read pc"], result
    values = re.search(r"old value: (\d+)\s+new value: (\d+)", result.out)
    assert values and int(values[2]) == int(values[1]) + 1, result
    assert "stop reason = watchpoint" in result.out
    assert len(re.findall(r"thread #\d", answers["thread list"])) == 4, result
    # It let go: the guest runs on.
    with guest.qmp() as qmp:
        assert qmp.execute("query-status")["status"] == "running"
