# SPDX-License-Identifier: Apache-2.0
"""libFuzzer on a state file and what looks into it, beginning with what its writer writes, and
with the states that are kept."""
import lzma

import harness
import libfuzzer

LONGEST = 48 * 1024  # bytes of an input, of which the header and the status are 1024
# All sections of a state, the largest piece that is asked for at once, have 40 MiB.
MEMORY = ["-malloc_limit_mb=48", "-rss_limit_mb=640"]
INFO = ["migration/%s.c" % name for name in (
    "chain", "diff", "diff-state", "info", "manifest", "manifest-text", "ram-view", "zero-page")]


def test_statefile(tmp_path):
    program = libfuzzer.build("fuzz-statefile", ["base", "stream"], [*INFO, "bus/state.c"])
    seeds = tmp_path / "seeds"
    seeds.mkdir()
    kept = []
    for path in sorted((harness.TOP / "tests/states").glob("*.state.xz")):
        kept.append(tmp_path / path.stem)
        kept[-1].write_bytes(lzma.decompress(path.read_bytes()))
    made = harness.run([program, *kept], env={"MEMVISOR_FUZZ_SEEDS": str(seeds)})
    assert made.code == 0, made
    assert len(list(seeds.iterdir())) == 16 + len(kept)
    libfuzzer.run([program], tmp_path, longest=LONGEST, options=[*MEMORY, seeds], seconds=30)
