# SPDX-License-Identifier: Apache-2.0
"""libFuzzer on the manifest of a state, beginning with what its writer writes."""
import harness
import libfuzzer

LONGEST = 8192
MEMORY = ["-malloc_limit_mb=16", "-rss_limit_mb=512"]


def test_manifest(tmp_path):
    program = libfuzzer.build("fuzz-manifest", ["base", "config", "stream"],
                              ["migration/manifest.c", "migration/manifest-text.c"])
    seeds = tmp_path / "seeds"
    seeds.mkdir()
    made = harness.run([program], env={"MEMVISOR_FUZZ_SEEDS": str(seeds)})
    assert made.code == 0, made
    assert len(list(seeds.iterdir())) == 8
    libfuzzer.run([program], tmp_path, longest=LONGEST, options=[*MEMORY, seeds], seconds=10)
