# SPDX-License-Identifier: Apache-2.0
"""Peers of a move whose memory follows that keep to the frames and to nothing else: the guest at
the receiver stands still then, and waits for a better one; what waits for memory never waits for
ever."""
import socket
import subprocess

import pytest

from gdb_remote import Remote
from move_line import HEAD, Frames, Line, Sender, frame
from qmp import SPIN, Vm

WORD = 8
BASE = 0x80000000


@pytest.fixture(scope="module")
def stream(memvisor, tmp_path_factory):
    """What a sender said, over one channel, frame by frame: up to the permission, and behind it."""
    folder = tmp_path_factory.mktemp("stream")
    image, filled = folder / "guest.bin", folder / "filled"
    image.write_bytes(SPIN)
    filled.write_bytes(b"\7" * (2 << 20))
    boot = [memvisor.path, "run", "--firmware", image, "-m", "2M,file=%s,share=off" % filled]
    with Vm(memvisor, folder, name="here", boot=boot) as here, \
            Vm(memvisor, folder, name="there", boot=[
                memvisor.path, "receive", "unix:%s" % (folder / "back"), "-m", "2M"]), \
            Line(folder / "front", folder / "back") as line, socket.socket(socket.AF_UNIX) as end:
        end.connect(str(folder / "front"))
        subprocess.run([memvisor.path, "send", "here", "fd:%d" % end.fileno(), "--postcopy"], check=True,
                       env=here.env, stdin=subprocess.DEVNULL, pass_fds=[end.fileno()])
        frames = list(Frames().take(line.sent))
    at = [kind for kind, _ in frames].index("RUN")
    assert "ABSENT" in [kind for kind, _ in frames[:at]]
    return [whole for _, whole in frames[:at + 1]], [whole for _, whole in frames[at + 1:]]


@pytest.fixture
def there(memvisor, tmp_path):
    with Vm(memvisor, tmp_path, "--gdb", tmp_path / "gdb", name="there", boot=[
            memvisor.path, "receive", "unix:%s" % (tmp_path / "back"), "-m", "2M"]) as vm:
        yield vm


def handed_over(there, stream):
    """A sender whose guest runs there, without its memory."""
    sender = Sender(there.folder / "back")
    sender.say(*stream[0])
    for answer in ("READY", "LOADED", "RUNNING"):
        assert sender.hear()[0] == answer
    return sender


def status(vm):
    with vm.qmp() as client:
        return client.execute("query-status")["status"], client.execute("query-migrate")["status"]


def stops(there, says):
    there.wait_for(lambda: status(there) == ("paused", "postcopy-paused"))
    assert says in there.output()


LIES = {
    "a pass": (frame("PASS", index=2), "the end of pass 2 came, and the guest runs"),
    "sections": (frame("SECTIONS", b"x" * 64), "SECTIONS at a time when it is not due"),
    "another permission": (frame("RUN", kind=1), "RUN at a time when it is not due"),
    "more that is absent": (frame("ABSENT", b"\1" + bytes(7), size=4096), "ABSENT at a time"),
    "beyond its end": (frame("RAM", kind=2, offset=2 << 20, size=4096), "memory came for 0x1000 bytes"),
    "no block": (frame("RAM", kind=2, index=99, size=4096), "memory of block 99 came"),
    "no frame": (b"GET / HTTP/1.1\r\n" + bytes(64), "no frame begins where one is due"),
}


@pytest.mark.parametrize("lie", sorted(LIES))
def test_memory_that_is_a_lie(there, stream, lie):
    frames, says = LIES[lie]
    with handed_over(there, stream) as sender:
        sender.say(frames)
        stops(there, says)


def test_pages_that_came_before_stay(there, stream):
    """Zeros that come for the page a second time change nothing."""
    with handed_over(there, stream) as sender:
        sender.say(*stream[1][:-1])
        there.wait_for(lambda: there.verb("mem", "there").code == 0)
        with Remote(there.folder / "gdb") as gdb:
            before = gdb.number(BASE + 0x40000)
            assert before == int.from_bytes(b"\7" * WORD, "little")
            sender.say(frame("RAM", kind=2, size=2 << 20))
            sender.say(*stream[1][-1:])
            there.wait_for(lambda: status(there)[1] == "completed" or sender.hear()[0] == "LOADED")
            assert gdb.number(BASE + 0x40000) == before


def test_debugger_that_waits_for_memory(there, stream):
    """The main thread does, so nobody but the line's own thread can end that."""
    with handed_over(there, stream) as sender:
        with Remote(there.folder / "gdb") as gdb:
            gdb.send(b"m%x,8" % (BASE + 0x40000))
            assert sender.hear()[0] == "WANT"
            sender.socket.close()
            assert gdb.receive().startswith(b"E")
        there.wait_for(lambda: status(there)[1] == "postcopy-paused")


def test_page_is_asked_for_once(there, stream):
    """Whoever comes to need it while it is on its way, and however often."""
    with handed_over(there, stream) as sender:
        asked = []
        kind, _ = sender.hear()
        assert kind == "WANT"
        there.wait_for(lambda: there.verb("qmp", "there", "query-status").code == 0)
        with there.qmp() as client:
            client.execute("stop")
            client.execute("cont")
            client.execute("stop")
        sender.socket.setblocking(False)
        try:
            more = sender.socket.recv(1 << 16)
            asked = [name for name, _ in Frames().take(more)]
        except BlockingIOError:
            pass
        assert not asked
        sender.socket.setblocking(True)


# --- who is nobody


def test_resuming_sender_at_a_receiver_that_awaits_a_guest(there, stream):
    hello = stream[0][0]
    again = frame("HELLO", hello[HEAD.size:], kind=1)
    with Sender(there.folder / "back") as nobody:
        nobody.say(again)
        kind, text = nobody.hear()
        assert kind == "REFUSED" and "no guest whose memory is to be taken up is here" in text
    with handed_over(there, stream):
        pass


def test_second_channel_of_nobody(there, stream):
    """It may be of a move whose first one is late, and goes for one that comes."""
    payload = bytearray(stream[0][0][HEAD.size:])
    payload[20:24] = (2, 0, 1, 0)
    with Sender(there.folder / "back") as nobody:
        nobody.say(frame("HELLO", bytes(payload)))
        with handed_over(there, stream):
            assert nobody.socket.recv(1) == b""


def test_stranger_while_a_line_is_awaited(there, stream):
    with handed_over(there, stream):
        pass
    stops(there, "the line to the sender broke")
    back = there.folder / "again"
    assert there.verb("receive", "--resume", "unix:%s" % back, "-n", "there").code == 0
    hello = stream[0][0][HEAD.size:]
    for strange in (frame("HELLO", hello), frame("HELLO", hello[:24] + b"?" * 16 + hello[40:], kind=1)):
        with Sender(back) as nobody:
            nobody.say(strange)
            assert nobody.socket.recv(1) == b""
    with Sender(back) as sender:
        sender.say(frame("HELLO", hello, kind=1))
        kinds = []
        while "READY" not in kinds:
            kinds.append(sender.hear()[0])
        assert set(kinds[:-1]) == {"ABSENT"}
        there.wait_for(lambda: status(there) == ("running", "postcopy-active"))
