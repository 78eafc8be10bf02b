/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest that notices a second one of its kind.  Its bank at 4 GiB is a file that all of
 * them share: a counter, how often one began, and how often the counter was not what this
 * one had left there.  Its own count is in a register, and so moves with it: a copy that
 * goes on from an earlier moment, or one that begins beside another, is noticed by both.
 */
    .globl _start
_start:
    movz x1, #1, lsl #32
    ldr x2, [x1, #8]
    add x2, x2, #1
    str x2, [x1, #8]
    ldr x3, [x1]
1:  ldr x4, [x1]
    cmp x4, x3
    b.eq 2f
    ldr x2, [x1, #16]
    add x2, x2, #1
    str x2, [x1, #16]
    mov x3, x4
2:  add x3, x3, #1
    str x3, [x1]
    wfe
    b 1b
