# SPDX-License-Identifier: Apache-2.0
"""A bare-metal guest that says which process has it: it counts, every other millisecond of its
own clock, and writes each number as a line of eight digits.  The count is in memory and in a
register; where those differ it says so and counts no more."""
import re

import harness

# The least that something boots from.
MEMORY = "1M"
SOURCE = r"""
        .text
start:  movz    x19, #0x0100, lsl #16        // UART
        adr     x20, start
        orr     x20, x20, #0x8000            // the count in memory
        mov     x22, #0
        str     x22, [x20]
        mrs     x23, cntfrq_el0
        mov     x0, #500
        udiv    x23, x23, x0
count:  ldr     x0, [x20]
        cmp     x0, x22
        b.ne    wrong
        add     x22, x22, #1
        str     x22, [x20]
        mov     x25, #28
digit:  lsr     x0, x22, x25
        and     x0, x0, #15
        add     x1, x0, #'0'
        add     x2, x0, #'a' - 10
        cmp     x0, #10
        csel    x21, x1, x2, lo
        bl      put
        subs    x25, x25, #4
        b.ge    digit
        mov     x21, #'\n'
        bl      put
        mrs     x24, cntvct_el0
        add     x24, x24, x23
wait:   wfe                                  // which ends by itself
        mrs     x0, cntvct_el0
        cmp     x0, x24
        b.lo    wait
        b       count
wrong:  mov     x21, #'!'
        bl      put
        b       .

// put the byte w21 once the transmitter holds none
put:    ldrb    w26, [x19, #5]
        tbz     w26, #5, put
        strb    w21, [x19]
        ret
"""


def build(folder):
    """The path of the flat binary, made in folder."""
    return harness.build_flat(folder, "counting-guest", SOURCE)


def numbers_of(text):
    """Of all whole lines."""
    return [int(word, 16) for word in re.findall(rb"(?:^|\n)([0-9a-f]{8})(?=\n)", text)]


def first(text):
    return numbers_of(text)[0]


def check(text, begins=None):
    """That a console's text is one count, from `begins` on (None: from anywhere, also within a
    line).  Gives the last whole number, 0 if there is none."""
    numbers = numbers_of(text)
    if not numbers:
        assert re.fullmatch(rb"[0-9a-f\n]{0,17}", text), text
        return 0
    assert begins in (None, numbers[0]), "it begins with %d, and not with %d" % (numbers[0], begins)
    lines = b"".join(b"%08x\n" % number for number in range(numbers[0] - 1, numbers[-1] + 2))
    assert text in lines, "it is not one count: %r" % text
    return numbers[-1]
