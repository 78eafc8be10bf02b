/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entry of a bare-metal test, entered like an arm64 Image: x0 is the device
 * tree, MMU off, EL1.  Relocates itself, so that it runs wherever it is put.
 */
    .section .text.start, "ax"
    .globl _start
_start:
    mov x19, x0
    adrp x1, stacks
    add x1, x1, :lo12:stacks
    add x1, x1, #0x4000
    mov sp, x1
    /* R_AARCH64_RELATIVE: *(base + offset) = base + addend */
    adrp x0, image_start
    add x0, x0, :lo12:image_start
    adrp x1, rela_start
    add x1, x1, :lo12:rela_start
    adrp x2, rela_end
    add x2, x2, :lo12:rela_end
1:  cmp x1, x2
    b.hs 2f
    ldp x3, x4, [x1], #16
    ldr x5, [x1], #8
    add x5, x5, x0
    str x5, [x0, x3]
    b 1b
2:  adrp x0, bss_start
    add x0, x0, :lo12:bss_start
    adrp x1, bss_end
    add x1, x1, :lo12:bss_end
3:  cmp x0, x1
    b.hs 4f
    str xzr, [x0], #8
    b 3b
4:  adrp x0, vectors
    add x0, x0, :lo12:vectors
    msr vbar_el1, x0
    isb
    mov x0, x19
    bl bare_start
5:  b 5b

    /* PSCI's entry of a second CPU: x0 is its number. */
    .globl secondary_start
secondary_start:
    adrp x1, stacks
    add x1, x1, :lo12:stacks
    add x2, x0, #1
    add x1, x1, x2, lsl #14
    mov sp, x1
    adrp x1, vectors
    add x1, x1, :lo12:vectors
    msr vbar_el1, x1
    isb
    bl bare_secondary
1:  b 1b

    /* struct frame: x0-x30, sp_el0, elr, spsr, esr, far */
    .macro vector kind
    .balign 0x80
    sub sp, sp, #0x120
    stp x0, x1, [sp]
    mov x0, #\kind
    b save
    .endm

    .balign 0x800
    .globl vectors
vectors:
    vector 0
    vector 1
    vector 2
    vector 3
    vector 4
    vector 5
    vector 6
    vector 7
    vector 8
    vector 9
    vector 10
    vector 11
    vector 12
    vector 13
    vector 14
    vector 15
    .balign 0x80
save:
    stp x2, x3, [sp, #0x10]
    stp x4, x5, [sp, #0x20]
    stp x6, x7, [sp, #0x30]
    stp x8, x9, [sp, #0x40]
    stp x10, x11, [sp, #0x50]
    stp x12, x13, [sp, #0x60]
    stp x14, x15, [sp, #0x70]
    stp x16, x17, [sp, #0x80]
    stp x18, x19, [sp, #0x90]
    stp x20, x21, [sp, #0xa0]
    stp x22, x23, [sp, #0xb0]
    stp x24, x25, [sp, #0xc0]
    stp x26, x27, [sp, #0xd0]
    stp x28, x29, [sp, #0xe0]
    mrs x2, sp_el0
    stp x30, x2, [sp, #0xf0]
    mrs x2, elr_el1
    mrs x3, spsr_el1
    stp x2, x3, [sp, #0x100]
    mrs x2, esr_el1
    mrs x3, far_el1
    stp x2, x3, [sp, #0x110]
    mov x1, sp
    bl bare_exception
    ldp x2, x3, [sp, #0x100]
    msr elr_el1, x2
    msr spsr_el1, x3
    ldp x30, x2, [sp, #0xf0]
    msr sp_el0, x2
    ldp x2, x3, [sp, #0x10]
    ldp x4, x5, [sp, #0x20]
    ldp x6, x7, [sp, #0x30]
    ldp x8, x9, [sp, #0x40]
    ldp x10, x11, [sp, #0x50]
    ldp x12, x13, [sp, #0x60]
    ldp x14, x15, [sp, #0x70]
    ldp x16, x17, [sp, #0x80]
    ldp x18, x19, [sp, #0x90]
    ldp x20, x21, [sp, #0xa0]
    ldp x22, x23, [sp, #0xb0]
    ldp x24, x25, [sp, #0xc0]
    ldp x26, x27, [sp, #0xd0]
    ldp x28, x29, [sp, #0xe0]
    ldp x0, x1, [sp]
    add sp, sp, #0x120
    eret

    /*
     * int trial(void *code, uint64_t a, uint64_t b, uint64_t *result): run
     * code(a, b) so that an exception in it comes back here: 0 and the result,
     * or 1.  bare_exception goes to trial_fault with the trial's context.
     */
    .globl trial
trial:
    stp x29, x30, [sp, #-0x70]!
    stp x19, x20, [sp, #0x10]
    stp x21, x22, [sp, #0x20]
    stp x23, x24, [sp, #0x30]
    stp x25, x26, [sp, #0x40]
    stp x27, x28, [sp, #0x50]
    str x3, [sp, #0x60]
    mov x9, sp
    adrp x10, trial_sp
    str x9, [x10, :lo12:trial_sp]
    mov x9, x0
    mov x0, x1
    mov x1, x2
    blr x9
    mov x9, #0
    b 1f
    .globl trial_fault
trial_fault:
    mov x0, #0
    mov x9, #1
1:  adrp x10, trial_sp
    ldr x11, [x10, :lo12:trial_sp]
    mov sp, x11
    str xzr, [x10, :lo12:trial_sp]
    ldr x3, [sp, #0x60]
    cbz x3, 2f
    str x0, [x3]
2:  mov x0, x9
    ldp x19, x20, [sp, #0x10]
    ldp x21, x22, [sp, #0x20]
    ldp x23, x24, [sp, #0x30]
    ldp x25, x26, [sp, #0x40]
    ldp x27, x28, [sp, #0x50]
    ldp x29, x30, [sp], #0x70
    ret

    /* The same at EL0: code's address must be mapped for EL0; SVC ends it. */
    .globl trial_el0_enter
trial_el0_enter:
    msr elr_el1, x0
    msr spsr_el1, xzr
    mov x0, x1
    mov x1, x2
    eret

    .bss
    .balign 16
    .globl stacks
stacks:
    .skip 0x4000 * 9
    .globl trial_sp
trial_sp:
    .skip 8
