/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The peer that executes the instructions themselves, every register of theirs
 * loaded: arm64 programs only.
 */
#include "peer.h"

#include <setjmp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

/* Stands at AREA_BASE, which the assembly below has as a constant. */
struct area {
    struct state state;
    uint64_t slot;
    uint64_t host_sp;
    uint64_t host_tls;
};
#define AREA ((struct area *)AREA_BASE)

_Static_assert(AREA_BASE == 0x40088000 && offsetof(struct area, state.sp) == 248 &&
                   offsetof(struct area, state.v) == 256 &&
                   offsetof(struct area, state.nzcv) == 768 &&
                   offsetof(struct area, slot) == 792 && offsetof(struct area, host_sp) == 800,
               "the numbers in the assembly below");

#define LIST_X(X)                                                                                  \
    X(0, 1) X(2, 3) X(4, 5) X(6, 7) X(8, 9) X(10, 11) X(12, 13) X(14, 15) X(16, 17) X(18, 19)      \
    X(20, 21) X(22, 23) X(24, 25) X(26, 27) X(28, 29)
#define LIST_V(V)                                                                                  \
    V(0, 1) V(2, 3) V(4, 5) V(6, 7) V(8, 9) V(10, 11) V(12, 13) V(14, 15) V(16, 17) V(18, 19)      \
    V(20, 21) V(22, 23) V(24, 25) V(26, 27) V(28, 29) V(30, 31)
#define LOAD_X(a, b) "ldp x" #a ", x" #b ", [x30, #8 * " #a "]\n"
#define STORE_X(a, b) "stp x" #a ", x" #b ", [x30, #8 * " #a "]\n"
#define LOAD_V(a, b) "ldp q" #a ", q" #b ", [x29, #16 * " #a "]\n"
#define STORE_V(a, b) "stp q" #a ", q" #b ", [x29, #16 * " #a "]\n"

void run_slot(void);
void leave_slot(void);

/* The thread pointer holds x30 for a moment; it is put back before any C runs. */
__asm__(".text\n"
        ".globl run_slot, leave_slot\n"
        "run_slot:\n"
        "stp x29, x30, [sp, #-160]!\n"
        "stp x19, x20, [sp, #16]\n"
        "stp x21, x22, [sp, #32]\n"
        "stp x23, x24, [sp, #48]\n"
        "stp x25, x26, [sp, #64]\n"
        "stp x27, x28, [sp, #80]\n"
        "stp d8, d9, [sp, #96]\n"
        "stp d10, d11, [sp, #112]\n"
        "stp d12, d13, [sp, #128]\n"
        "stp d14, d15, [sp, #144]\n"
        "movz x30, #0x4008, lsl #16\n"
        "movk x30, #0x8000\n"
        "add x29, x30, #256\n" LIST_V(LOAD_V)
        "add x29, x30, #768\n"
        "mov x0, sp\n"
        "mrs x1, tpidr_el0\n"
        "stp x0, x1, [x29, #32]\n"
        "ldp x0, x1, [x29]\n"
        "ldr x2, [x29, #16]\n"
        "msr nzcv, x0\n"
        "msr fpcr, x1\n"
        "msr fpsr, x2\n"
        "ldr x0, [x30, #248]\n"
        "mov sp, x0\n" LIST_X(LOAD_X)
        "ldr x30, [x30, #792]\n"
        "br x30\n"
        "leave_slot:\n"
        "movz x30, #0x4008, lsl #16\n"
        "movk x30, #0x8000\n" LIST_X(STORE_X)
        "add x29, x30, #256\n" LIST_V(STORE_V)
        "add x29, x30, #768\n"
        "mrs x0, tpidr_el0\n"
        "mov x1, sp\n"
        "stp x0, x1, [x30, #240]\n"
        "mrs x0, nzcv\n"
        "mrs x1, fpcr\n"
        "mrs x2, fpsr\n"
        "stp x0, x1, [x29]\n"
        "str x2, [x29, #16]\n"
        "ldp x0, x1, [x29, #32]\n"
        "mov sp, x0\n"
        "msr tpidr_el0, x1\n"
        "msr fpcr, xzr\n"
        "ldp x19, x20, [sp, #16]\n"
        "ldp x21, x22, [sp, #32]\n"
        "ldp x23, x24, [sp, #48]\n"
        "ldp x25, x26, [sp, #64]\n"
        "ldp x27, x28, [sp, #80]\n"
        "ldp d8, d9, [sp, #96]\n"
        "ldp d10, d11, [sp, #112]\n"
        "ldp d12, d13, [sp, #128]\n"
        "ldp d14, d15, [sp, #144]\n"
        "ldp x29, x30, [sp], #160\n"
        "ret\n");

static sigjmp_buf after_signal;

static void on_signal(int number)
{
    siglongjmp(after_signal, number == SIGILL ? OUTCOME_UNDEF : OUTCOME_FAULT);
}

/* The stack pointer may be anything, so signals have a stack of their own. */
static void catch_signals(void)
{
    static uint8_t stack[65536];
    const stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK | SA_NODEFER};
    sigaltstack(&alternate, NULL);
    sigaction(SIGILL, &action, NULL);
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
    sigaction(SIGTRAP, &action, NULL);
}

static void *map(uint64_t address, size_t size)
{
    void *memory = mmap((void *)address, size, PROT_READ | PROT_WRITE | PROT_EXEC,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (memory == MAP_FAILED)
        perror("mmap");
    return memory;
}

static uint32_t branch(uint64_t from, uint64_t to)
{
    return 0x14000000 | ((uint32_t)((to - from) / 4) & 0x3ffffff);
}

bool peer_start(const struct test_case *cases, unsigned count, uint8_t **ret_memory)
{
    uint32_t *code = map(CODE_BASE, BUFFER_BASE - CODE_BASE);
    uint8_t *memory = map(BUFFER_BASE, BUFFER_SIZE);
    void *area = map(AREA_BASE, sizeof(struct area));
    if (code == MAP_FAILED || memory == MAP_FAILED || area == MAP_FAILED)
        return false;
    /* The program's text is too far away for a branch. */
    uint64_t stub = BUFFER_BASE - 64;
    uint64_t leave = (uint64_t)leave_slot;
    const uint32_t stub_code[] = {
        0xd51bd05e,                           /* msr tpidr_el0, x30 */
        0x58000000 | 2 << 5 | 30,             /* ldr x30, the words below */
        0xd61f03c0,                           /* br x30 */
        (uint32_t)leave, (uint32_t)(leave >> 32),
    };
    memcpy((void *)stub, stub_code, sizeof stub_code);
    for (unsigned i = 0; i < count; i++) {
        uint64_t slot = case_pc(i) - 4;
        uint64_t x30 = AREA_BASE + offsetof(struct area, state.x[30]);
        uint32_t *words = (uint32_t *)slot;
        words[0] = 0x58000000 | ((uint32_t)((x30 - slot) / 4) & 0x7ffff) << 5 | 30;
        for (unsigned k = 0; k < CASE_WORDS; k++)
            words[1 + k] = cases[i].words[k];
        words[SLOT_WORDS - 1] = branch(slot + SLOT_SIZE - 4, stub);
    }
    __builtin___clear_cache((char *)code, (char *)code + (BUFFER_BASE - CODE_BASE));
    catch_signals();
    *ret_memory = memory;
    return true;
}

enum outcome peer_execute(unsigned index, struct state *state)
{
    int outcome = sigsetjmp(after_signal, 1);
    if (outcome == 0) {
        AREA->state = *state;
        AREA->slot = case_pc(index) - 4;
        run_slot();
        *state = AREA->state;
    }
    return (enum outcome)outcome;
}
