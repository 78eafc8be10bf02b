# SPDX-License-Identifier: Apache-2.0
"""Programs with libFuzzer, AddressSanitizer and UBSan, made of a target in
tests/fuzz and whole rooms; each runs MEMVISOR_FUZZ_SECONDS (default 20 or what its test
says; 120 in make check-long)."""
import os
import re
import subprocess

import harness

WISHED = os.environ.get("MEMVISOR_FUZZ_SECONDS") or ("120" if os.environ.get("MEMVISOR_LONG") else "")
FLAGS = ["-g", "-O1", "-D_GNU_SOURCE", '-DMV_VERSION="fuzzed"', "-std=gnu11",
         "-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=undefined"]


def build(target, folder, rooms, more=(), libraries=()):
    """The program of tests/fuzz/TARGET.c, in folder, out of all of each room and
    `more` of src/."""
    source = harness.TOP / "src"
    files = [path for room in rooms for path in sorted((source / room).glob("*.c"))]
    files += [source / name for name in more]
    folders = sorted({path.parent for path in files} | {source / "engine/api"})
    made = harness.run(["clang", *FLAGS, *["-I%s" % path for path in folders],
                        harness.TOP / ("tests/fuzz/%s.c" % target), *files,
                        *libraries, "-lpthread", "-o", folder / target], timeout=900)
    assert made.code == 0, made
    return folder / target


def run(programs, folder, longest=256, options=(), seconds=20):
    """All of them side by side; `longest`: the inputs' length in bytes; `options`:
    libFuzzer's, or folders of inputs to begin with."""
    running = []
    seconds = int(WISHED or seconds)
    for program in programs:
        log = folder / (program.name + ".log")
        with open(log, "w") as out:
            running.append((program, log, subprocess.Popen(
                [program, "-max_total_time=%d" % seconds, "-max_len=%d" % longest, "-timeout=20",
                 "-print_final_stats=1", "-artifact_prefix=%s/" % folder, *options],
                stdin=subprocess.DEVNULL, stdout=out, stderr=out)))
    for program, log, process in running:
        process.wait((seconds + 120) * harness.SLOW)
        text = log.read_text(errors="replace")
        assert process.returncode == 0, text[-6000:]
        # Enough to tell a target that does its work from one that does nothing.
        runs = int(re.search(r"number_of_executed_units: (\d+)", text).group(1))
        assert runs > 2 * seconds, text[-2000:]
        print("%s: %d inputs" % (program.name, runs))
