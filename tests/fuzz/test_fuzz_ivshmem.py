# SPDX-License-Identifier: Apache-2.0
"""libFuzzer on both ends of the ivshmem protocol, side by side."""
import libfuzzer


def test_both_ends(tmp_path):
    programs = [libfuzzer.build("fuzz-ivshmem-%s" % end, ["base", "ivshmem"]) for end in ("client", "server")]
    libfuzzer.run(programs, tmp_path)
