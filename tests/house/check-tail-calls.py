#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Every handler of the interpreter must go to the next one by a jump.

A handler with an address-taken local keeps its stack frame, so the compiler
makes a call of the dispatch, and a guest's loop overflows the host's stack.
This looks for indirect calls in the handlers of an optimised libengine.a.
"""
import re
import subprocess
import sys


def main():
    listing = subprocess.run(["objdump", "-d", "--no-show-raw-insn", sys.argv[1]],
                             check=True, capture_output=True, text=True).stdout
    handlers, bad, name = 0, set(), None
    for line in listing.splitlines():
        head = re.match(r"[0-9a-f]+ <(\w+)(?:\.\w+)*>:", line)
        if head:
            name = head.group(1) if head.group(1).startswith("mv_op_") else None
            handlers += name is not None
        elif name and re.search(r"\bcall\s+\*", line):
            bad.add(name)
    if handlers < 100:
        sys.exit(f"{sys.argv[1]}: only {handlers} handlers found; is it the engine's library?")
    if bad:
        sys.exit(f"handlers that call the next one: {' '.join(sorted(bad))}")
    print(f"{handlers} handlers, all jump")


if __name__ == "__main__":
    main()
