/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bare-metal guest for bench/move.py, without stack or data: each millisecond of its clock it
 * writes PAGES words, each in the next page of a region, and a byte to the UART.  UART and REGION
 * are the machine's; a byte at the start of either kind of UART is sent.  tests/vm/test_move.py uses
 * it, too.
 */
    .globl _start
_start:
    mrs x20, cntfrq_el0
    mov x21, #1000
    udiv x20, x20, x21 // ticks of a millisecond
    ldr x10, =UART
    ldr x11, =REGION
    ldr x12, =SIZE
    mov x13, #0 // where in it
    mrs x22, cntvct_el0
    mov w15, #'.'
loop:
    mrs x0, cntvct_el0
    cmp x0, x22
    b.lo loop
    add x22, x22, x20
    ldr x14, =PAGES
writes:
    cbz x14, print
    str x0, [x11, x13]
    add x13, x13, #4096
    cmp x13, x12
    csel x13, xzr, x13, hs
    sub x14, x14, #1
    b writes
print:
    strb w15, [x10]
    b loop
