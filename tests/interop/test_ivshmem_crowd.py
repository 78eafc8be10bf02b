# SPDX-License-Identifier: Apache-2.0
"""Crowds on memvisor's ivshmem-server: peers that die and return, and IDs that
run out.  The crowd is tests/interop/ivshmem/crowd.c, whose watchers agree on who
is there after each round."""
import json
import os
import pathlib
import time

import pytest

import harness
import ivshmem


def descriptors(process):
    return len(os.listdir("/proc/%d/fd" % process.pid))


def resident_kib(process):
    text = pathlib.Path("/proc/%d/status" % process.pid).read_text()
    return int(text.split("RssAnon:")[1].split()[0])


def churn(memvisor, folder, count, rounds, timeout):
    crowd = memvisor.path.parent / "tests/interop/ivshmem-crowd"
    # AddressSanitizer keeps what is freed, which is not to count as the server's.
    env = dict(os.environ, ASAN_OPTIONS=os.environ.get("ASAN_OPTIONS", "") +
               ":quarantine_size_mb=1:thread_local_quarantine_size_kb=64")
    with ivshmem.our_server(memvisor, folder, env=env) as server:
        ivshmem.status(memvisor, server.path)  # has all that it needs once it answers
        before, memory = descriptors(server), resident_kib(server)
        result = harness.run([crowd, server.path, count, rounds], timeout=timeout)
        assert result.code == 0, result
        end = time.monotonic() + 10 * harness.PATIENCE
        while descriptors(server) != before:
            assert time.monotonic() < end, descriptors(server)
            time.sleep(0.05)
        told = ivshmem.status(memvisor, server.path)
        # The 4 that watch, those that time their joining and the greeting, and the one
        # that does not read.
        assert told["joined"] == rounds * (count + 5 + 16) + 5
        assert (told["peers"], told["refused"]) == ([], 0)
        assert told["left"] + told["dropped"] == told["joined"]
        assert resident_kib(server) < memory + 4096 * harness.SLOW
    # Nobody waits for another, the one that does not read least of all.
    took = json.loads(result.out)
    assert max(took.values()) < 100 * harness.SLOW, took
    return told["dropped"]


def test_peers_die_and_return(memvisor, tmp_path):
    dropped = churn(memvisor, tmp_path, 200, 12, timeout=240)
    assert dropped == 1  # the one that does not read


@pytest.mark.long
def test_a_thousand_peers_die_and_return_ten_times(memvisor, tmp_path):
    dropped = churn(memvisor, tmp_path, 1000, 10, timeout=1200)
    assert dropped == 1


def test_ids_wrap_late_and_are_never_a_live_one(memvisor, tmp_path):
    with ivshmem.our_server(memvisor, tmp_path) as server:
        stays = ivshmem.Peer(server.path).knows([0])
        ids = []
        for _ in range(65540):
            peer = ivshmem.Peer(server.path)
            ids.append(peer.id)
            peer.close()
            stays.until(lambda p: p.log[-1:] == [(peer.id, 0)])
            del stays.log[:]
        assert ids == list(range(1, 65536)) + [1, 2, 3, 4, 5]
        stays.close()
