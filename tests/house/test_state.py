# SPDX-License-Identifier: Apache-2.0
"""No member of a struct that makes a running machine is forgotten by a save.

struct_coverage.py reads the debug information of memvisor: each member is in a
state table, or state-members.txt has the reason why not.
"""
import json
import pathlib
import re
import shlex
import subprocess

import struct_coverage
from harness import TOP

REASONS = TOP / "tests/house/state-members.txt"

# Whose structs are told about: these rooms', and those of what keeps a machine's state beside.
OURS = re.compile(r"src/(?:device|engine|arch|bus)/|src/machine/(?:hotplug|power-button|vcpu-thread)\.|"
                  r"src/ivshmem/ivshmem-link")


def is_ours(file):
    return bool(OURS.search(str(pathlib.PurePath(file))))


def coverage(path, is_unit_wanted=is_ours, reasons=None, ours=is_ours):
    program = struct_coverage.Program(path, is_unit_wanted)
    return struct_coverage.Coverage(program, REASONS.read_text() if reasons is None else reasons, ours)


def test_no_member_is_forgotten(memvisor):
    found = coverage(memvisor.path)
    assert found.program.tables_seen >= 10, "where are the tables?"
    assert "mv_ns16550a.lcr" in found.carried and "mv_uart_receiver.line" in found.carried
    assert "mv_pci_function.config" in found.carried and "mv_pci_msix_entry.word" in found.carried
    assert not found.problems, "\n".join(found.problems)


# A device of its own, for what the test has to find.
DEVICE = """
#include "device.h"
#include "state.h"
struct part { uint16_t low; uint16_t high; };
struct probe {
    struct mv_device device;
    uint32_t value;
    struct part parts[2];
    %s
};
static const struct mv_state_field fields[] = {
    MV_STATE_ANY("value", struct probe, value, MV_STATE_U32),
    MV_STATE_EACH("low", struct probe, parts, low, MV_STATE_U16, 0xff),
};
extern const struct mv_state_table probe_state;
const struct mv_state_table probe_state = MV_STATE_TABLE(struct probe, "probe", 1, fields);
"""
DEVICE_REASONS = "probe.device: the tree's\npart.high: for the test\n"


def probe_coverage(folder, member, reasons, **substitute):
    text = DEVICE % member
    for old, new in substitute.items():
        text = re.sub(old, new, text)
    source, library = folder / "probe.c", folder / "probe.so"
    source.write_text(text)
    subprocess.run(["cc", "-std=gnu11", "-g", "-shared", "-fPIC", "-I", str(TOP / "src/bus"),
                    "-I", str(TOP / "src/base"), "-I", str(TOP / "src/memory"),
                    "-o", str(library), str(source)], check=True)
    return coverage(library, lambda name: True, reasons, lambda file: file.endswith("probe.c")).problems


def test_what_it_finds(tmp_path):
    assert probe_coverage(tmp_path, "", DEVICE_REASONS) == []
    assert probe_coverage(tmp_path, "bool forgotten;", DEVICE_REASONS) == [
        "probe.forgotten is in no state table, and has no reason for that in the list"]
    assert probe_coverage(tmp_path, "bool forgotten;", DEVICE_REASONS + "probe.forgotten: why\n") == []
    assert probe_coverage(tmp_path, "struct { uint8_t inner; } named; struct { int deep; };", DEVICE_REASONS) == [
        "probe.named is in no state table, and has no reason for that in the list",
        "probe.deep is in no state table, and has no reason for that in the list"]
    assert probe_coverage(tmp_path, "", "probe.device: the tree's\n") == [
        "part.high is in no state table, and has no reason for that in the list"]
    # Half an array is not carried.
    assert probe_coverage(tmp_path, "", DEVICE_REASONS, **{"uint16_t low;": "uint16_t low[2];",
                                                           ", low, MV": ", low[0], MV"}) == [
        "part.low is in no state table, and has no reason for that in the list"]
    # A list that says too much is wrong, too.
    assert probe_coverage(tmp_path, "", DEVICE_REASONS + "probe.gone: why\n") == [
        "probe.gone is in the list, and there is no such member that a table lacks"]
    assert probe_coverage(tmp_path, "", DEVICE_REASONS + "probe.value: why\n") == [
        "probe.value is in the list, and a table carries it"]
    assert "probe.*: its members are a machine's state: tell them one by one" in probe_coverage(
        tmp_path, "", "probe.*: why\npart.high: for the test\n")
    assert probe_coverage(tmp_path, "bool other;", DEVICE_REASONS + "probe.other: as probe.value\n") == []
    assert probe_coverage(tmp_path, "bool other;", DEVICE_REASONS + "probe.other: as probe.device\n") == [
        "probe.other: probe.device is in no state table"]


def test_a_member_more_of_a_real_device(tmp_path, memvisor):
    """edu.c as it is built, with a member more."""
    build = pathlib.Path(memvisor.path).resolve().parent
    entry = next(entry for entry in json.loads((build / "compile_commands.json").read_text())
                 if entry["file"].endswith("src/device/edu.c"))
    text = (TOP / "src/device/edu.c").read_text()
    for member, problems in (("", []), ("    uint32_t forgotten;\n", ["mv_edu.forgotten"])):
        source, library = tmp_path / "src/device/edu.c", tmp_path / "edu.so"
        source.parent.mkdir(parents=True, exist_ok=True)
        source.write_text(text.replace("struct mv_edu {\n", "struct mv_edu {\n" + member, 1))
        words = shlex.split(entry["command"])
        words[words.index("-o") + 1:] = [str(library), str(source)]
        for word in ("-MD", "-MQ", "-MF"):  # the build's own notes stay as they are
            at = words.index(word)
            del words[at:at + (1 if word == "-MD" else 2)]
        subprocess.run(words + ["-shared", "-fPIC"], check=True, cwd=build)
        found = coverage(library, lambda name: True)
        assert [p.split()[0] for p in found.problems if p.startswith("mv_edu.")] == problems
