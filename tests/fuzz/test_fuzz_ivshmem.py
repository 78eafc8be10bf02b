# SPDX-License-Identifier: Apache-2.0
"""libFuzzer on both ends of the ivshmem protocol, with AddressSanitizer and
UBSan, MEMVISOR_FUZZ_SECONDS each (default 60), side by side."""
import os
import re
import subprocess

import harness

SECONDS = int(os.environ.get("MEMVISOR_FUZZ_SECONDS", "60"))
ROOMS = ["base", "ivshmem"]
FLAGS = ["-g", "-O1", "-D_GNU_SOURCE", "-std=gnu11",
         "-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=undefined"]


def build(end, folder):
    sources = [path for room in ROOMS for path in sorted((harness.TOP / "src" / room).glob("*.c"))]
    made = harness.run(["clang", *FLAGS, *["-I%s" % (harness.TOP / "src" / room) for room in ROOMS],
                        harness.TOP / ("tests/fuzz/fuzz-ivshmem-%s.c" % end), *sources,
                        "-ljansson", "-lpthread", "-o", folder / end], timeout=120)
    assert made.code == 0, made
    return folder / end


def test_both_ends(tmp_path):
    running = {}
    for end in ("client", "server"):
        program = build(end, tmp_path)
        log = open(tmp_path / (end + ".log"), "w")
        running[end] = (log, subprocess.Popen(
            [program, "-max_total_time=%d" % SECONDS, "-max_len=256", "-timeout=20",
             "-print_final_stats=1", "-artifact_prefix=%s/" % tmp_path],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log))
    for end, (log, process) in running.items():
        process.wait((SECONDS + 60) * harness.SLOW)
        log.close()
        text = (tmp_path / (end + ".log")).read_text(errors="replace")
        assert process.returncode == 0, text[-6000:]
        runs = int(re.search(r"number_of_executed_units: (\d+)", text).group(1))
        assert runs > 20 * SECONDS, text[-2000:]
        print("%s: %d inputs" % (end, runs))
