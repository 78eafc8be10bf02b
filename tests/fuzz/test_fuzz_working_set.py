# SPDX-License-Identifier: Apache-2.0
"""libFuzzer on a working set, the file beside a state that names pages to bring in, beginning
with what its writer writes."""
import harness
import libfuzzer

# A reader asks for no more than the file has, and for the runs that are in it.
MEMORY = ["-malloc_limit_mb=16", "-rss_limit_mb=512"]


def test_working_set(tmp_path):
    program = libfuzzer.build("fuzz-working-set", ["base", "stream"],
                              ["migration/working-set.c", "migration/output-file.c"])
    seeds = tmp_path / "seeds"
    seeds.mkdir()
    made = harness.run([program], env={"MEMVISOR_FUZZ_SEEDS": str(seeds)})
    assert made.code == 0, made
    assert len(list(seeds.iterdir())) == 6
    libfuzzer.run([program], tmp_path, longest=8192, options=[*MEMORY, seeds], seconds=5)
