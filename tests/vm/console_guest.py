# SPDX-License-Identifier: Apache-2.0
"""A bare-metal guest for tests of the command line and the console: it says
"ready", echoes what it reads, and obeys a few keys.

    Q  powers off            S  says "tick" a hundred thousand times
    R  resets itself         H  hangs: reads no more
"""

import harness

SOURCE = r"""
#define UART_LSR 5
        .text
        movz    x19, #0x0100, lsl #16        // UART
        adr     x20, ready
        bl      print
next:   ldrb    w0, [x19, #UART_LSR]
        tbnz    w0, #0, input
        wfe                                  // which ends by itself
        b       next
input:  ldrb    w21, [x19]
        movz    w0, #0x8400, lsl #16         // PSCI
        cmp     w21, #'Q'
        b.eq    off
        cmp     w21, #'R'
        b.eq    reset
        cmp     w21, #'H'
        b.eq    .
        cmp     w21, #'S'
        b.eq    stream
        bl      put
        b       next
off:    movk    w0, #8                       // SYSTEM_OFF
        hvc     #0
reset:  movk    w0, #9                       // SYSTEM_RESET
        hvc     #0
stream: movz    w22, #0x1, lsl #16
        movk    w22, #0x86a0                 // 100000
1:      adr     x20, tick
        bl      print
        subs    w22, w22, #1
        b.ne    1b
        b       next

// print the text at x20
print:  mov     x23, x30
1:      ldrb    w21, [x20], #1
        cbz     w21, 2f
        bl      put
        b       1b
2:      ret     x23

// put the byte w21 once the transmitter holds none
put:    ldrb    w24, [x19, #UART_LSR]
        tbz     w24, #5, put
        strb    w21, [x19]
        ret

ready:  .asciz  "ready\r\n"
tick:   .asciz  "tick\r\n"
"""

TICKS = 100000


def build(folder):
    """The path of the flat binary, made in folder."""
    return harness.build_flat(folder, "console-guest", SOURCE)
