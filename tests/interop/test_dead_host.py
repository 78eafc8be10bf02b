# SPDX-License-Identifier: Apache-2.0
"""A host that goes without a word: its peers notice, whether they send or wait."""
import pathlib
import subprocess

import pytest

import harness
import relay

LISTEN = "listen tcp:10.99.0.2:4444"
SEND = "send tcp:10.99.0.2:4444"


class Side:
    def __init__(self, memvisor, link, host, words):
        program = pathlib.Path(memvisor.path).parent / "tests/fault/channel-user"
        self.process = subprocess.Popen(link.on(host, [program]), stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, bufsize=1)
        self.process.stdin.write(words + "\n")

    def line(self):
        return self.process.stdout.readline().rstrip("\n")


@pytest.mark.long
@pytest.mark.skipif(harness.SLOW > 1, reason="the program has a sanitizer's calls for itself")
def test_both_sides_notice_within_a_minute(memvisor):
    with relay.Link(memvisor, rate=10**8, delay=1000) as link:
        server = Side(memvisor, link, 1, LISTEN)
        assert server.line() == "listening"
        client = Side(memvisor, link, 0, SEND)
        assert server.line() == client.line() == "connected"
        while link.count()[0] < 1000:
            pass
        link.say("down")
        # The harness's limit of a test is far beyond; without keepalive the one that waits
        # would wait for ever.
        for side, peer in (client, "tcp:10.99.0.2:4444"), (server, "tcp:10.99.0.1:"):
            told = side.line()
            assert told.startswith(peer) and told.endswith("does not answer any more"), told
            assert side.line() == "done"
            side.process.stdin.close()
            assert side.process.wait(60) == 0
