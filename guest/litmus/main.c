/* SPDX-License-Identifier: Apache-2.0 */
/* The tables, threads, and how long each test lasts: see litmus.h. */
#define _GNU_SOURCE /* sched_setaffinity */
#include "litmus.h"

#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const struct litmus_test *const tables[] = {litmus_ordering, litmus_locks, litmus_atomics,
                                                   litmus_code};
static double end_time;
static bool over;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

static __thread unsigned me;
static uint32_t arrived, phase;

bool litmus_over(void)
{
    if (me == 0 && now() >= end_time)
        __atomic_store_n(&over, true, __ATOMIC_RELEASE);
    return __atomic_load_n(&over, __ATOMIC_ACQUIRE);
}

void litmus_meet(unsigned count)
{
    uint32_t mine = __atomic_load_n(&phase, __ATOMIC_ACQUIRE);
    if (__atomic_add_fetch(&arrived, 1, __ATOMIC_ACQ_REL) == count) {
        __atomic_store_n(&arrived, 0, __ATOMIC_RELAXED);
        __atomic_store_n(&phase, mine + 1, __ATOMIC_RELEASE);
        return;
    }
    /* By WFE, so that a processor that waits leaves the host's to those that work. */
    uint32_t now;
    __asm__ volatile("   sevl\n"
                     "1: wfe\n"
                     "   ldaxr %w0, %1\n"
                     "   cmp %w0, %w2\n"
                     "   b.eq 1b\n"
                     : "=&r"(now)
                     : "Q"(phase), "r"(mine)
                     : "memory", "cc");
}

bool litmus_meet_again(void)
{
    static bool again;
    if (me == 0)
        __atomic_store_n(&again, !litmus_over(), __ATOMIC_RELAXED);
    litmus_meet(THREADS);
    return __atomic_load_n(&again, __ATOMIC_RELAXED);
}

uint32_t litmus_random(void)
{
    static __thread uint32_t state;
    if (state == 0)
        state = 2463534242u + me * 7919;
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state;
}

struct start {
    pthread_t thread;
    void (*fn)(unsigned number);
    unsigned number;
};

static void *start_thread(void *opaque)
{
    struct start *start = opaque;
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(start->number, &set);
    if (sched_setaffinity(0, sizeof set, &set) < 0 && start->number == 0)
        perror("litmus: one processor a thread");
    me = start->number;
    start->fn(start->number);
    return NULL;
}

void litmus_threads(void (*fn)(unsigned number))
{
    struct start starts[THREADS];
    for (unsigned i = 0; i < THREADS; i++) {
        starts[i] = (struct start){.fn = fn, .number = i};
        if (pthread_create(&starts[i].thread, NULL, start_thread, &starts[i]) != 0) {
            perror("litmus: a thread");
            exit(1);
        }
    }
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(starts[i].thread, NULL);
}

void litmus_begin(double seconds)
{
    arrived = phase = 0;
    over = false;
    end_time = now() + seconds;
}

static bool run_test(const struct litmus_test *test, double seconds)
{
    struct litmus_result result = {0};
    litmus_begin(seconds);
    test->run(&result);
    printf("%s %s: %" PRIu64 " wrong", result.wrong ? "BAD" : "ok ", test->name, result.wrong);
    if (result.rounds)
        printf(", %" PRIu64 " rounds", result.rounds);
    if (result.weak)
        printf(", %" PRIu64 " weak ones seen", result.weak);
    printf("\n");
    fflush(stdout);
    return result.wrong == 0;
}

static unsigned count_tests(const char *only)
{
    unsigned count = 0;
    for (size_t t = 0; t < sizeof tables / sizeof tables[0]; t++) {
        for (const struct litmus_test *test = tables[t]; test->name; test++)
            count += !only || strstr(test->name, only) != NULL;
    }
    return count;
}

static int usage(void)
{
    fputs("Usage: litmus SECONDS [NAME]   run all tests, or those whose name has NAME in it\n"
          "       litmus --share SECONDS  increment a word together with the host\n",
          stderr);
    return 2;
}

int main(int argc, char **argv)
{
    bool share = argc == 3 && strcmp(argv[1], "--share") == 0;
    double seconds = argc < 2 ? 0 : atof(argv[share ? 2 : 1]);
    const char *only = !share && argc == 3 ? argv[2] : NULL;
    if (seconds <= 0 || argc > 3)
        return usage();
    if (sysconf(_SC_NPROCESSORS_ONLN) < THREADS)
        fprintf(stderr, "litmus: %ld processors: give it %d\n", sysconf(_SC_NPROCESSORS_ONLN), THREADS);
    if (share)
        return litmus_share(seconds);
    unsigned count = count_tests(only), failed = 0;
    for (size_t t = 0; t < sizeof tables / sizeof tables[0] && count > 0; t++) {
        for (const struct litmus_test *test = tables[t]; test->name; test++) {
            if (!only || strstr(test->name, only))
                failed += !run_test(test, seconds / count);
        }
    }
    printf("litmus: %u of %u tests failed\n", failed, count);
    return failed > 0;
}
