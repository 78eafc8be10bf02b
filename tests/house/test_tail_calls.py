# SPDX-License-Identifier: Apache-2.0
"""Every handler of the interpreter goes to the next one by a jump.

A handler with an address-taken local keeps its stack frame, so the compiler
makes a call of the dispatch, and a guest's loop overflows the host's stack.
This looks for indirect calls in the handlers of an optimised memvisor.
"""
import re
import subprocess

import pytest


def test_handlers_jump(memvisor):
    command = ["objdump", "-d", "--no-show-raw-insn", memvisor.path]
    listing = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    if "__asan_init" in listing or "__tsan_init" in listing:
        pytest.skip("a sanitizer's build keeps frames: the plain build is what counts")
    handlers, calling, name = set(), set(), None
    for line in listing.splitlines():
        head = re.match(r"[0-9a-f]+ <(\w+)(?:\.\w+)*>:", line)
        if head:
            name = head.group(1) if head.group(1).startswith("mv_op_") else None
            handlers |= {name} - {None}
        elif name and re.search(r"\bcall\s+\*", line):
            calling.add(name)
    assert len(handlers) > 100, "where are the handlers?"
    assert not calling
