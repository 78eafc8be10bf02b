# SPDX-License-Identifier: Apache-2.0
"""Programs with libFuzzer, AddressSanitizer and UBSan, made of a target in
tests/fuzz and whole rooms; each runs MEMVISOR_FUZZ_SECONDS (default 20 or what its test
says; 120 in make check-long).

They share what is compiled, in the folder `fuzz` beside the memvisor under test, where
ninja keeps it for the next time, too."""
import fcntl
import os
import pathlib
import re
import subprocess

import harness

WISHED = os.environ.get("MEMVISOR_FUZZ_SECONDS") or ("120" if os.environ.get("MEMVISOR_LONG") else "")
FLAGS = ["-gline-tables-only", "-O1", "-D_GNU_SOURCE", r'-DMV_VERSION=\"fuzzed\"', "-std=gnu11",
         "-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=undefined"]
# What may be in a target; a header is found by its name alone, which no two share.
ROOMS = ["base", "config", "memory", "stream", "bus", "arch", "arch/arm64", "ivshmem", "device",
         "machine", "migration", "engine/api"]
# What rooms are linked with.
LIBRARIES = {"memory": ["numa", "nbd"], "stream": ["xxhash"], "bus": ["fdt"], "ivshmem": ["jansson"],
             "machine": ["fdt", "z", "zstd"], "migration": ["jansson", "xxhash", "zstd"]}
RULES = """rule cc
  command = clang -MD -MF $out.d %s -c $in -o $out
  depfile = $out.d
rule link
  command = clang %s $in $libraries -lpthread -o $out
""" % (" ".join(FLAGS + ["-I%s" % (harness.TOP / "src" / room) for room in ROOMS]), " ".join(FLAGS))


def rules_of(target, sources, libraries):
    objects = ["%s.o" % path.relative_to(harness.TOP) for path in sources]
    return "".join("build %s: cc %s\n" % pair for pair in zip(objects, sources)) + \
        "build %s: link %s\n  libraries = %s\n" % (target, " ".join(objects), " ".join(libraries))


def build(target, rooms, more=()):
    """The program of tests/fuzz/TARGET.c, out of all of each room and `more` of src/."""
    source = harness.TOP / "src"
    sources = [harness.TOP / ("tests/fuzz/%s.c" % target)]
    sources += [path for room in rooms for path in sorted((source / room).glob("*.c"))]
    sources += [source / name for name in more]
    names = {name for path in sources for name in LIBRARIES.get(path.parent.name, [])}
    libraries = ["-l%s" % name for name in sorted(names)]
    folder = pathlib.Path(os.environ.get("MEMVISOR") or harness.TOP / "build/memvisor").resolve().parent / "fuzz"
    folder.mkdir(exist_ok=True)
    # Others that build at the time do it after this one, which takes every processor.
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        rules = folder / ("%s.ninja" % target)
        rules.write_text(RULES + rules_of(target, sources, libraries))
        made = harness.run(["ninja", "-C", folder, "-f", rules, target], timeout=900)
    assert made.code == 0, made
    return folder / target


# What libFuzzer takes for the target's memory begins with the most that who started it ever had,
# and these tests may have had much.
FROM_A_SHELL = ["sh", "-c", '"$@" & wait $!', "sh"]


def run(programs, folder, longest=256, options=(), seconds=20):
    """All of them side by side; `longest`: the inputs' length in bytes; `options`:
    libFuzzer's, or folders of inputs to begin with."""
    running = []
    seconds = int(WISHED or seconds)
    for program in programs:
        log = folder / (program.name + ".log")
        with open(log, "w") as out:
            running.append((program, log, subprocess.Popen(
                [*FROM_A_SHELL, program, "-max_total_time=%d" % seconds, "-max_len=%d" % longest,
                 "-timeout=%d" % (20 * harness.PATIENCE), "-print_final_stats=1", "-artifact_prefix=%s/" % folder, *options],
                stdin=subprocess.DEVNULL, stdout=out, stderr=out)))
    for program, log, process in running:
        process.wait((seconds + 120) * harness.PATIENCE)
        text = log.read_text(errors="replace")
        assert process.returncode == 0, text[-6000:]
        # Enough to tell a target that does its work from one that does nothing.
        runs = int(re.search(r"number_of_executed_units: (\d+)", text).group(1))
        assert runs > 2 * seconds, text[-2000:]
        print("%s: %d inputs" % (program.name, runs))
