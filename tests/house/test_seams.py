# SPDX-License-Identifier: Apache-2.0
"""The seam between architectures, engines and the rest: registers are named where an
architecture stands, and engine.h has what docs/DESIGN.md says of it."""
import re

import harness

# What arm64 calls its registers; not x86 and the like, and not "\x28" in a string.
REGISTER = re.compile(r"(?<![\\\w])(x([0-9]|[12][0-9]|30)|sp_el[01]|[a-z]+_el[01]|esr|mpidr|"
                      r"spsr|icc_\w+)(?!\w)", re.IGNORECASE)
# The architecture's own rooms, the engines that run it, and its interrupt controller.
THEIRS = re.compile(r"src/(arch|engine)/|src/device/gic")


def names(text):
    return [match.group(0) for match in REGISTER.finditer(text)]


def test_the_pattern():
    assert names("regs.x[1] mov x0, X30") == ["x0", "X30"]
    assert names("SP_EL0 mpidr SPSR_EL1 ICC_PMR icc_read") == [
        "SP_EL0", "mpidr", "SPSR_EL1", "ICC_PMR", "icc_read"]
    assert names(r'x86 "ARM\x64" "\x28" 0x10 x31 max0 mv_icc_reg') == []


def test_no_room_names_a_register():
    found = []
    for path in sorted((harness.TOP / "src").rglob("*.[ch]")):
        name = str(path.relative_to(harness.TOP))
        if THEIRS.match(name):
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            found += ["%s:%d: %s" % (name, number, word) for word in names(line)]
    assert not found, "\n".join(found)


def test_engine_h_is_what_the_design_says():
    header = next((harness.TOP / "src/engine").rglob("engine.h")).read_text()
    ops = re.search(r"^struct mv_engine_ops \{\n(.*?)^\};", header, re.M | re.S).group(1)
    ops = re.sub(r"/\*.*?\*/", "", ops, flags=re.S)
    has = re.findall(r"\(\*(\w+)\)\(|^    const [^(;]*?(\w+);", ops, re.M)
    design = (harness.TOP / "docs/DESIGN.md").read_text()
    says = re.search(r"^`engine.h` is small, and this is all of it:(.*?\.) ", design, re.M).group(1)
    assert sorted(a or b for a, b in has) == sorted(re.findall(r"`(\w+)`", says))


def test_what_is_arm64s_alone_in_machine_has_that_in_its_name():
    """Another board comes in beside it, and changes none of the rest."""
    machine = harness.TOP / "src/machine"
    wrong = [path.name for path in sorted(machine.glob("*.[ch]"))
             if "arm64" not in path.name and path.name != "boards.c"
             and re.search(r'#include "[a-z0-9-]*arm64\.h"', path.read_text())]
    assert not wrong
