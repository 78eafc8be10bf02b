# SPDX-License-Identifier: Apache-2.0
"""Channels with other programs at the other end: OpenSSL speaks TLS 1.3 with them, and only
who shows what is asked for; a host that goes without a word is noticed."""
import fcntl
import pathlib
import re
import socket
import struct
import subprocess
import termios
import time

import pytest

import harness
import relay

KEY = "000102030405060708090a0b0c0d0e0f"
# A key that both have goes with a hash, and that of OpenSSL's is SHA-256.
PSK = ["-psk_identity", "alice", "-psk", KEY, "-ciphersuites", "TLS_AES_128_GCM_SHA256"]

pytestmark = pytest.mark.skipif(harness.SLOW > 1, reason="the program is not built for sanitizers")


class Side:
    """tests/fault/channel-user, told what to do in a line; before it goes `prefix`."""

    def __init__(self, memvisor, words, prefix=lambda argv: argv):
        program = pathlib.Path(memvisor.path).parent / "tests/fault/channel-user"
        self.process = subprocess.Popen(prefix([program]), stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, bufsize=1)
        self.process.stdin.write(words + "\n")

    def line(self):
        return self.process.stdout.readline().rstrip("\n")

    def end(self):
        """What was said before it ended in order."""
        said = self.line()
        assert self.line() == "done"
        self.process.stdin.close()
        assert self.process.wait(60 * harness.SLOW) == 0
        return said


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A folder with a key that both have, and certificates for both sides."""
    folder = tmp_path_factory.mktemp("tls")

    def run(*words):
        made = harness.run(["openssl", *words])
        assert made.code == 0, made
    new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    run("req", "-x509", *new, "-keyout", folder / "ca-key.pem", "-out", folder / "ca-cert.pem",
            "-subj", "/CN=ours", "-days", "30")
    for side in "server", "client":
        names = folder / (side + ".ext")
        names.write_text("subjectAltName=IP:127.0.0.1\nextendedKeyUsage=%sAuth\n" % side)
        run("req", *new, "-keyout", folder / (side + "-key.pem"), "-out", folder / "request",
                "-subj", "/CN=" + side)
        run("x509", "-req", "-in", folder / "request", "-CA", folder / "ca-cert.pem", "-CAkey",
                folder / "ca-key.pem", "-CAcreateserial", "-days", "30", "-extfile", names, "-out",
                folder / (side + "-cert.pem"))
        (folder / (side + "-key.pem")).chmod(0o600)
    (folder / "psk").write_text("alice:%s\n" % KEY)
    (folder / "psk").chmod(0o600)
    return folder


def write_alone(pipe, text):
    """So that it is read by itself: a command of OpenSSL's stands at the start of what it reads."""
    pipe.write(text)
    pipe.flush()
    while struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)))[0]:
        time.sleep(0.001)


def certificate(files, side):
    return ["-cert", files / (side + "-cert.pem"), "-key", files / (side + "-key.pem"), "-CAfile",
            files / "ca-cert.pem"]


def openssl(*words):
    return subprocess.Popen(["openssl", *[str(word) for word in words]], stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)


def read_until(stream, text):
    """What a program wrote up to the text."""
    got = b""
    while not got.endswith(text):
        byte = stream.read(1)
        assert byte, got
        got += byte
    return got


def listen(memvisor, tls):
    """A side that listens, and where."""
    side = Side(memvisor, "listen tcp:127.0.0.1:0 " + tls)
    return side, re.fullmatch(r"listening tcp:(.*)", side.line()).group(1)


@pytest.mark.parametrize("kind", ["psk", "x509"])
def test_openssl_connects(memvisor, files, kind):
    side, address = listen(memvisor, "psk=%s" % (files / "psk") if kind == "psk" else
                           "x509=%s" % files)
    words = PSK if kind == "psk" else certificate(files, "client")
    with relay.StreamRelay(memvisor, "tcp:127.0.0.1:0", "tcp:" + address) as line, \
            openssl("s_client", "-connect", line.address[4:], "-verify_return_error", *words) as client:
        # The byte by which a side says that it has accepted the other, behind OpenSSL's words.
        read_until(client.stdout, b"\n---\nm")
        assert side.line() == "connected"
        # All that follows comes at once.
        line.say("hold")
        line.wait("held")
        # K: new keys from here on, and the other side is to have some, too.
        for text in b"x" * 499 + b"\n", b"K\n", b"x" * 499 + b"\n":
            write_alone(client.stdin, text)
        client.stdin.close()
        client.wait(60 * harness.SLOW)
        line.say("go")
        said = side.end()
        assert "the other side closed after 1000 of " in said and "TLS" not in said


@pytest.mark.parametrize("kind, words, says", [
    ("psk", ["-psk_identity", "alice", "-psk", KEY[::-1], *PSK[4:]],
     "the other side's key of 'alice' is another"),
    ("psk", ["-psk_identity", "a\x1b[31mb", *PSK[2:]], "shows the identity 'a?[31mb', which has no"),
    ("psk", [], "both have to be given psk=, or both x509="),
    ("x509", [], "the other side shows no certificate"),
    ("x509", ["-tls1_2"], "TLS"),
])
def test_openssl_is_refused(memvisor, files, kind, words, says):
    side, address = listen(memvisor, "psk=%s" % (files / "psk") if kind == "psk" else
                           "x509=%s" % files)
    with openssl("s_client", "-connect", address, "-quiet", "-no_ign_eof", *words) as client:
        said = side.end()
        assert says in said and "TLS" in said and "connected" not in said
        assert client.stdout.read() == b""
        client.stdin.close()


@pytest.mark.parametrize("kind", ["psk", "x509"])
def test_openssl_listens(memvisor, files, kind):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    words = [*PSK, "-nocert"] if kind == "psk" else [*certificate(files, "server"), "-Verify", "1",
                                                    "-verify_return_error"]
    tls = "psk=%s" % (files / "psk") if kind == "psk" else "x509=%s" % files
    # It sends tickets, too, which are not ours to read.
    with openssl("s_server", "-accept", "127.0.0.1:%d" % port, "-tls1_3", *words) as server:
        read_until(server.stdout, b"ACCEPT\n")
        side = Side(memvisor, "send tcp:127.0.0.1:%d %s" % (port, tls))
        read_until(server.stdout, b"CIPHER is ")
        server.stdin.write(b"m\n")
        server.stdin.flush()
        assert side.line() == "connected"
        read_until(server.stdout, bytes(100_000))
        server.kill()
        assert "tcp:127.0.0.1:%d: " % port in side.end()


@pytest.mark.long
def test_a_dead_host_is_noticed_within_a_minute(memvisor):
    with relay.Link(memvisor, rate=10**8, delay=1000) as link:
        server = Side(memvisor, "listen tcp:10.99.0.2:4444", lambda argv: link.on(1, argv))
        assert server.line() == "listening tcp:10.99.0.2:4444"
        client = Side(memvisor, "send tcp:10.99.0.2:4444", lambda argv: link.on(0, argv))
        assert server.line() == client.line() == "connected"
        while link.count()[0] < 1000:
            pass
        link.say("down")
        # Whether it sends or waits; with nothing to notice it the one that waits would for ever.
        for side, peer in (client, "tcp:10.99.0.2:4444"), (server, "tcp:10.99.0.1:"):
            told = side.end()
            assert told.startswith(peer) and told.endswith("does not answer any more"), told
