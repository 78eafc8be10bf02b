# SPDX-License-Identifier: Apache-2.0
"""make demo-ivshmem: a message goes round from the host through three guests."""
import os
import re
import subprocess

import harness

# Which guest is which peer is a matter of who came first.
HEARD = ["lap %d, from the host", r"\w+, peer 1, rung by 0", r"\w+, peer 2, rung by 1"]


def test_message_goes_round(memvisor, kernel):
    result = subprocess.run(
        [harness.TOP / "scripts/demo-ivshmem.py", "--memvisor", memvisor.path, "--laps", "2"],
        capture_output=True, text=True, timeout=200 * harness.PATIENCE,
        env=dict(os.environ, COLUMNS="400"))
    assert result.returncode == 0, result.stdout + result.stderr
    assert "QEMU guest, x86-64" in result.stdout and "\033" not in result.stdout
    said = [line.strip() for line in result.stdout.splitlines()]
    for vector in (0, 1):
        for words in HEARD:
            heard = "hears vector %d and reads: %s" % (vector, words.replace("%d", str(vector + 1)))
            assert any(re.search(heard, line) for line in said), "%s\n%s" % (heard, result.stdout)
        written = re.findall(r"reads: (\w+), peer [12], rung", result.stdout)
        assert set(written) <= {"aarch64", "x86_64"} and "aarch64" in written, result.stdout
    assert said.count("hears vector 0") == said.count("hears vector 1") == 1, result.stdout
    assert re.search("all done: the message went round 2 times", result.stdout)
