# SPDX-License-Identifier: Apache-2.0
"""libFuzzer on the container of a state file, beginning with what its writer writes."""
import harness
import libfuzzer

LONGEST = 4096  # bytes of an input, of which the header and the status are 1024
# All sections of a state, the largest piece that is asked for at once, have 40 MiB.
MEMORY = ["-malloc_limit_mb=48", "-rss_limit_mb=640"]


def test_statefile(tmp_path):
    program = libfuzzer.build("fuzz-statefile", tmp_path, ["base", "stream"], libraries=["-lxxhash"])
    seeds = tmp_path / "seeds"
    seeds.mkdir()
    made = harness.run([program], env={"MEMVISOR_FUZZ_SEEDS": str(seeds)})
    assert made.code == 0, made
    assert len(list(seeds.iterdir())) == 16
    libfuzzer.run([program], tmp_path, longest=LONGEST, options=[*MEMORY, seeds])
