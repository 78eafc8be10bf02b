/* SPDX-License-Identifier: Apache-2.0 */
/* Atomics of both kinds, by one thread and by two, whose word is the same one. */
#define _GNU_SOURCE
#include "compute.h"

#include <pthread.h>
#include <unistd.h>

static uint64_t word __attribute__((aligned(128)));

static void increment_exclusive(unsigned long n)
{
    while (n-- > 0) {
        uint64_t old;
        uint32_t failed;
        __asm__ volatile("1: ldxr %0, [%2]\n add %0, %0, #1\n stxr %w1, %0, [%2]\n cbnz %w1, 1b"
                         : "=&r"(old), "=&r"(failed)
                         : "r"(&word)
                         : "memory");
    }
}

static __attribute__((target("+lse"))) void increment_lse(unsigned long n)
{
    uint64_t old;
    while (n-- > 0)
        __asm__ volatile("ldaddal %1, %0, [%2]" : "=r"(old) : "r"(1ul), "r"(&word) : "memory");
    result = word;
}

static __attribute__((target("+lse"))) void swap_lse(unsigned long n)
{
    uint64_t old = 0;
    while (n-- > 0)
        __asm__ volatile("casal %0, %1, [%2]" : "+r"(old) : "r"(old + 1), "r"(&word) : "memory");
    result = old;
}

static void ordered(unsigned long n)
{
    while (n-- > 0) {
        uint64_t value;
        __asm__ volatile("ldar %0, [%1]\n stlr %0, [%1]" : "=&r"(value) : "r"(&word) : "memory");
    }
}

/* --- two threads, each n rounds; one where there is one processor */

struct task {
    void (*run)(unsigned long n);
    unsigned long n;
};

static void *run_task(void *argument)
{
    const struct task *task = argument;
    task->run(task->n);
    return NULL;
}

static void both(void (*run)(unsigned long n), unsigned long n)
{
    struct task task = {run, n};
    pthread_t other;
    int two = sysconf(_SC_NPROCESSORS_ONLN) > 1 &&
              pthread_create(&other, NULL, run_task, &task) == 0;
    run(n);
    if (two)
        pthread_join(other, NULL);
}

static void increment_exclusive_both(unsigned long n)
{
    both(increment_exclusive, n);
}

static void increment_lse_both(unsigned long n)
{
    both(increment_lse, n);
}

const struct work atomic_works[] = {
    {"exclusives", "ldxr-stxr", increment_exclusive, 0},
    {"lse", "ldadd", increment_lse, 0},
    {"lse", "cas", swap_lse, 0},
    {"lse", "ldar-stlr", ordered, 0},
    {"two", "ldxr-stxr-both", increment_exclusive_both, 100000},
    {"two", "ldadd-both", increment_lse_both, 100000},
    {NULL, NULL, NULL, 0},
};
