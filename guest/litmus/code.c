/* SPDX-License-Identifier: Apache-2.0 */
/* Code and mappings that one thread changes while others use them. */
#include "litmus.h"

#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096

static volatile uint64_t version __attribute__((aligned(64)));
static uint64_t stale, rounds;
static volatile bool ended;

/* --- a function that returns its version */

static uint32_t *function;

static void write_function(uint32_t number)
{
    function[0] = 0x52800000 | (number & 0xffff) << 5; /* mov w0, #number */
    function[1] = 0xd65f03c0;                          /* ret */
    __asm__ volatile("dc cvau, %0\n\tdsb ish\n\tic ivau, %0\n\tdsb ish\n\tisb" ::"r"(function)
                     : "memory");
}

static uint32_t call(void)
{
    uint32_t (*fn)(void);
    memcpy(&fn, &function, sizeof fn);
    return fn();
}

/* Thread 0 writes the code and then the version; who saw a version runs that code. */
static void change_code(unsigned number)
{
    if (number == 0) {
        for (uint64_t v = 1; !litmus_over(); v++) {
            write_function((uint32_t)v);
            store_release(&version, v);
            litmus_meet(THREADS);
            litmus_meet(THREADS);
            rounds = v;
        }
        ended = true;
        litmus_meet(THREADS);
        return;
    }
    for (;;) {
        litmus_meet(THREADS);
        if (ended)
            return;
        uint64_t v = load_acquire(&version);
        __asm__ volatile("isb" ::: "memory");
        if (call() != (v & 0xffff))
            __atomic_add_fetch(&stale, 1, __ATOMIC_RELAXED);
        litmus_meet(THREADS);
    }
}

static void code_changes(struct litmus_result *result)
{
    function = mmap(NULL, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (function == MAP_FAILED) {
        perror("litmus: a page for code");
        exit(1);
    }
    version = stale = 0;
    ended = false;
    litmus_threads(change_code);
    result->rounds = rounds;
    result->wrong += stale;
    munmap(function, PAGE);
}

/* --- a mapping that comes and goes */

static volatile uint64_t *page;
static __thread sigjmp_buf fault_return;
static __thread volatile bool expects_fault;

static void on_fault(int number)
{
    (void)number;
    if (!expects_fault)
        _exit(9);
    siglongjmp(fault_return, 1);
}

/* The word at the page's start; 0 where it is not mapped. */
static uint64_t peek(void)
{
    uint64_t value = 0;
    expects_fault = true;
    if (sigsetjmp(fault_return, 1) == 0)
        value = *page;
    expects_fault = false;
    return value;
}

static void poke(uint64_t value)
{
    expects_fault = true;
    if (sigsetjmp(fault_return, 1) == 0)
        *page = value;
    expects_fault = false;
}

static void fail_if(bool wrong)
{
    if (wrong)
        __atomic_add_fetch(&stale, 1, __ATOMIC_RELAXED);
}

/* Each round: mapped and filled; read-only; gone; the others look after each. */
static void change_mapping(void)
{
    static const int phases = 3;
    for (uint64_t v = 1; !litmus_over(); v++) {
        for (int phase = 0; phase < phases; phase++) {
            if (phase == 0) {
                if (mmap((void *)page, PAGE, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
                    _exit(8);
                *page = v;
            } else if (phase == 1) {
                mprotect((void *)page, PAGE, PROT_READ);
            } else {
                mprotect((void *)page, PAGE, PROT_NONE);
            }
            store_release(&version, v * phases + (uint64_t)phase);
            litmus_meet(THREADS);
            litmus_meet(THREADS);
        }
        rounds = v;
    }
    ended = true;
    litmus_meet(THREADS);
}

static void watch_mapping(unsigned number)
{
    for (;;) {
        litmus_meet(THREADS);
        if (ended)
            return;
        uint64_t now = load_acquire(&version), v = now / 3;
        if (now % 3 == 0) {
            fail_if(peek() != v);
        } else if (now % 3 == 1) {
            poke(~v);
            fail_if(peek() != v);
        } else {
            poke(number);
            fail_if(peek() != 0);
        }
        litmus_meet(THREADS);
    }
}

static void use_mapping(unsigned number)
{
    if (number == 0)
        change_mapping();
    else
        watch_mapping(number);
}

static void mapping_changes(struct litmus_result *result)
{
    struct sigaction action = {.sa_handler = on_fault, .sa_flags = SA_NODEFER};
    sigaction(SIGSEGV, &action, NULL);
    page = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    stale = version = 0;
    ended = false;
    litmus_threads(use_mapping);
    signal(SIGSEGV, SIG_DFL);
    result->rounds = rounds;
    result->wrong += stale;
    munmap((void *)page, PAGE);
}

const struct litmus_test litmus_code[] = {
    {"code that changes", code_changes},
    {"mappings that change", mapping_changes},
    {0},
};
