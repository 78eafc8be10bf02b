# SPDX-License-Identifier: Apache-2.0
"""Peers of a move that keep to the frames and to nothing else: a receiver that is lied to says
what is wrong and never runs, a sender that is lied to lets its guest go on.  And peers of other
versions: tests/states has what they sent, named after the version and compressed, each of

    memvisor run --firmware SPIN -m 2M,id=one -m 1M@8G,id=two -c 2 --device edu

where SPIN is qmp.py's; a version that sends something else adds its own."""
import contextlib
import json
import lzma
import re
import socket
import struct
import threading

import pytest

import harness
from move_line import HEAD, Frames, Line, Sender, frame
from qmp import IDLE, SPIN, Vm

MIB = 1 << 20


@pytest.fixture(scope="module")
def stream(memvisor, tmp_path_factory):
    """What a sender said, frame by frame."""
    folder = tmp_path_factory.mktemp("stream")
    image = folder / "guest.bin"
    image.write_bytes(IDLE)
    boot = [memvisor.path, "run", "--firmware", image, "-m", "2M,id=one", "-m", "1M,id=two"]
    with Vm(memvisor, folder, name="here", boot=boot) as here, \
            Vm(memvisor, folder, name="there", boot=[
                memvisor.path, "receive", "unix:%s" % (folder / "back")]), \
            Line(folder / "front", folder / "back") as line:
        assert here.verb("send", "here", "unix:%s" % (folder / "front")).code == 0
        return list(Frames().take(line.sent))


@contextlib.contextmanager
def receiver(memvisor, folder, *options):
    with Vm(memvisor, folder, name="there", boot=[
            memvisor.path, "receive", "unix:%s" % (folder / "back"), *options]) as there:
        yield there


def upto(stream, kind):
    """The frames before the first of this type; PASS means the first that ends a pass of memory."""
    found = []
    passes = 0
    for now, whole in stream:
        passes += now == "PASS"
        if now == kind and (kind != "PASS" or passes == 2):
            break
        found.append(whole)
    return found


def ram(index, offset, size, payload=b"", kind=2):
    return frame("RAM", payload, kind=kind, index=index, offset=offset, size=size)


BLOCKS = ["one", "two", "boot/kernel"]
LIES = {
    "no such block": (lambda at: ram(77, 0, 4096), "memory of block 77 came, and there are"),
    "behind its end": (lambda at: ram(at("two"), MIB, 4096), "block two: memory came for 0x1000 bytes"),
    "beyond its end": (lambda at: ram(at("two"), 4096, MIB), "block two: memory came for 0x100000 bytes"),
    "around the end": (lambda at: ram(at("two"), (1 << 64) - 4096, 8192), "block two: memory came"),
    "no page": (lambda at: ram(at("one"), 2048, 4096), "block one: memory came that is no pages"),
    "a part": (lambda at: ram(at("one"), 0, 2048, bytes(2048), 1), "block one: memory came that is no pages"),
    "what boots": (lambda at: ram(at("boot/kernel"), 0, 4), "block boot/kernel: memory came"),
    "no zstd": (lambda at: ram(at("one"), 0, 4096, b"nothing", 4), "cannot be unpacked"),
    "short zstd": (lambda at: ram(at("one"), 0, 4096, bytes.fromhex("28b52ffd200141000078"), 4),
                   "cannot be unpacked"),
    "another pass": (lambda at: frame("PASS", index=2), "the end of pass 2 came where that of 1"),
    "pass 0 again": (lambda at: frame("PASS", index=0), "the end of pass 0 came where that of 1"),
    "too early an end": (lambda at: frame("END"), "END at a time when it is not due"),
    "permission at once": (lambda at: frame("RUN", kind=1), "RUN at a time when it is not due"),
    "hello again": (lambda at: frame("HELLO", bytes(128)), "HELLO at a time when it is not due"),
    "an answer": (lambda at: frame("LOADED"), "LOADED at a time when it is not due"),
    "a wrong sum": (lambda at: ram(at("one"), 0, 4096)[:-1] + b"?", "the sum of RAM is wrong"),
    "no frame": (lambda at: b"GET / HTTP/1.1\r\n" + bytes(64), "no frame begins where one is due"),
}


def index_of(stream, block):
    manifest = json.loads(next(whole for kind, whole in stream if kind == "MANIFEST")[HEAD.size:])
    ids = [entry["id"] for entry in manifest["blocks"]]
    return ids.index(block)


@pytest.mark.parametrize("lie", sorted(LIES))
def test_memory_that_is_a_lie(memvisor, tmp_path, stream, lie):
    make, says = LIES[lie]
    with receiver(memvisor, tmp_path) as there:
        sender = Sender(tmp_path / "back")
        sender.say(*upto(stream, "PASS")[:len(upto(stream, "PASS"))])
        assert sender.hear()[0] == "READY"
        sender.say(make(lambda block: index_of(stream, block)))
        kind, text = sender.hear()
        assert kind == "FAILED" and says in text, (kind, text)
        sender.socket.close()
        assert there.end() == 1
        assert says in there.output()


def test_pages_that_were_not_sent_are_missed(memvisor, tmp_path, stream):
    with receiver(memvisor, tmp_path) as there:
        sender = Sender(tmp_path / "back")
        at = index_of(stream, "one")
        frames = [whole for kind, whole in stream
                  if kind not in ("RUN",) and not (kind == "RAM" and HEAD.unpack_from(whole)[4] == at)]
        sender.say(*frames)
        assert sender.hear()[0] == "READY"
        kind, text = sender.hear()
        assert kind == "FAILED" and "bytes of memory were sent, and" in text, text
        sender.socket.close()
        assert there.end() == 1


def test_a_state_that_is_a_lie(memvisor, tmp_path, stream):
    """Sections that are whole, and not the machine's."""
    with receiver(memvisor, tmp_path) as there:
        sender = Sender(tmp_path / "back")
        sections = b"".join(whole[HEAD.size:] for kind, whole in stream if kind == "SECTIONS")
        changed = sections.replace(b"gicv3", b"gicv9")
        assert changed != sections
        sender.say(*upto(stream, "SECTIONS"), frame("SECTIONS", changed))
        assert sender.hear()[0] == "READY"
        kind, text = sender.hear()
        assert kind == "FAILED" and "section " in text, (kind, text)
        sender.socket.close()
        assert there.end() == 1


MANIFESTS = {
    "no json": (lambda text: b"{", "manifest: "),
    "too large": (lambda text: re.sub(rb'"size": ?(1048576)', b'"size": 9223372036854771712', text, 1), None),
    "another board": (lambda text: text.replace(b'"arm64"', b'"pc"', 1), "pc"),
    "many CPUs": (lambda text: re.sub(rb'"cpus": ?1', b'"cpus": 65', text), "65 CPUs: 64 are the most"),
}


@pytest.mark.parametrize("lie", sorted(MANIFESTS))
def test_a_machine_that_is_a_lie(memvisor, tmp_path, stream, lie):
    change, says = MANIFESTS[lie]
    with receiver(memvisor, tmp_path) as there:
        sender = Sender(tmp_path / "back")
        for kind, whole in stream:
            if kind == "MANIFEST":
                text = whole[HEAD.size:]
                changed = change(text)
                assert changed != text
                whole = frame("MANIFEST", changed, size=HEAD.unpack_from(whole)[6])
            sender.say(whole)
            if kind == "PASS" or (kind == "MANIFEST" and says == "manifest: "):
                break
        kind, text = sender.hear()
        assert kind == "REFUSED" and (says is None or says in text), (kind, text)
        sender.socket.close()
        assert there.end() == 1


def peak(pid):
    return int(re.search(r"VmHWM:\s*(\d+)", open("/proc/%d/status" % pid).read()).group(1)) * 1024


def test_what_comes_costs_no_memory(memvisor, tmp_path, stream):
    """Many sections, as large as they may be, and memory for a block again and again."""
    with receiver(memvisor, tmp_path) as there:
        sender = Sender(tmp_path / "back")
        at = index_of(stream, "one")
        sender.say(*upto(stream, "PASS"))
        assert sender.hear()[0] == "READY"
        before = peak(there.process.pid)
        page = ram(at, 0, 1 << 18, b"x" * (1 << 18), 1)
        for _ in range(400):
            sender.say(page)
        sender.say(frame("PASS", index=1))
        head = struct.pack("<4sHHHHIQ", b"mSEC", 1, 1, 1, 0, 1, 1 << 40) + b"ab"
        sender.say(frame("SECTIONS", head))
        kind, text = sender.hear()
        assert kind == "FAILED" and "section 1" in text, (kind, text)
        assert peak(there.process.pid) < before + 2 * MIB + 64 * MIB
        sender.socket.close()
        assert there.end() == 1


# --- other versions


@pytest.mark.parametrize("kept", sorted((harness.TOP / "tests/states").glob("*.stream.xz")),
                         ids=lambda path: path.name)
def test_what_an_earlier_version_sent(memvisor, tmp_path, kept):
    with receiver(memvisor, tmp_path) as there:
        sender = Sender(tmp_path / "back")
        sender.say(lzma.decompress(kept.read_bytes()))
        assert [sender.hear()[0] for _ in range(3)] == ["READY", "LOADED", "RUNNING"]
        with there.qmp() as client:
            assert client.execute("query-status")["running"]
            path = tmp_path / "bytes"
            client.execute("pmemsave", val=0x80080000, size=4, filename=str(path))
            assert path.read_bytes() == SPIN


def test_a_later_version_is_refused_with_both_named(memvisor, tmp_path, stream):
    with receiver(memvisor, tmp_path) as there:
        sender = Sender(tmp_path / "back")
        hello = stream[0][1][HEAD.size:]
        later = hello[:16] + struct.pack("<I", 3) + hello[20:64] + b"memvisor 9.9".ljust(64, b"\0")
        sender.say(frame("HELLO", later))
        kind, text = sender.hear()
        assert kind == "REFUSED" and "'memvisor 9.9', sends in format 3" in text, text
        assert "this memvisor (0.1.0) knows those up to 2" in text, text
        assert "sends in format 3" in there.output()


def test_a_sender_that_waits_is_not_displaced(memvisor, tmp_path, stream):
    """It has said more than its HELLO, and waits for a channel of its own."""
    hello, manifest = stream[0][1], stream[1][1]
    payload = bytearray(hello[HEAD.size:])
    payload[20:22] = (2, 0)
    other = payload[:24] + b"?" * 16 + payload[40:]
    with receiver(memvisor, tmp_path) as there:
        first = Sender(tmp_path / "back")
        first.say(frame("HELLO", bytes(payload)), manifest)
        second = Sender(tmp_path / "back")
        second.say(frame("HELLO", bytes(other)))
        assert second.socket.recv(1) == b""
        assert "is no channel of the move that is under way" in there.output()
        first.socket.close()
        third = Sender(tmp_path / "back")
        third.say(*upto(stream, "PASS"))
        assert third.hear()[0] == "READY"


# --- receivers


def answers(folder, *frames):
    """A receiver that answers so whatever it hears, once something came."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(folder / "front"))
    listener.listen()

    def serve():
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(20)
            heard, passes = Frames(), 0
            rest = list(frames)
            with contextlib.suppress(OSError):
                while more := connection.recv(1 << 20):
                    for kind, _ in heard.take(more):
                        passes += kind == "PASS"
                        due = (kind == "PASS" and passes == 1) or kind in ("END", "RUN")
                        if due and rest:
                            connection.sendall(rest.pop(0))
    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    return listener


WORDS = {
    "running at once": ([frame("RUNNING")], "RUNNING at a time when it is not due"),
    "loaded at once": ([frame("LOADED")], "LOADED at a time when it is not due"),
    "nonsense": ([b"220 mail.example ESMTP\r\n" + bytes(64)], "no frame begins"),
    "refused": ([frame("REFUSED", b"\x1b[2J" + b"x" * 1000)], "refuses the guest: ?[2Jxxx"),
    "failed in between": ([frame("READY") + frame("FAILED", b"the disk is full")],
                          "the receiver failed: the disk is full"),
    "running before it may": ([frame("READY"), frame("RUNNING")], "RUNNING at a time when"),
    "failed at the end": ([frame("READY"), frame("FAILED", b"no")], "the receiver failed: no"),
    "failed with permission": ([frame("READY"), frame("LOADED"), frame("FAILED", b"locked")],
                               "the receiver failed: locked"),
}


@pytest.mark.parametrize("word", sorted(WORDS))
def test_a_receiver_that_says_what_it_should_not(memvisor, tmp_path, word):
    frames, says = WORDS[word]
    image = tmp_path / "guest.bin"
    image.write_bytes(SPIN)
    boot = [memvisor.path, "run", "--firmware", image, "-m", "2M"]
    with Vm(memvisor, tmp_path, name="here", boot=boot) as here, \
            contextlib.closing(answers(tmp_path, *frames)), here.qmp() as client:
        sent = here.verb("send", "here", "unix:%s" % (tmp_path / "front"))
        assert sent.code == 1 and says in sent.err, sent
        here.wait_for(lambda: client.execute("query-status")["running"])


def test_nonsense_after_the_permission_leaves_the_guest_paused(memvisor, tmp_path):
    image = tmp_path / "guest.bin"
    image.write_bytes(SPIN)
    boot = [memvisor.path, "run", "--firmware", image, "-m", "2M"]
    with Vm(memvisor, tmp_path, name="here", boot=boot) as here, here.qmp() as client, \
            contextlib.closing(answers(tmp_path, frame("READY"), frame("LOADED"), b"?" * 80)):
        sent = here.verb("send", "here", "unix:%s" % (tmp_path / "front"))
        assert sent.code == 1 and "let it go on with 'memvisor cont'" in sent.err, sent
        assert client.execute("query-status")["status"] == "postmigrate"
