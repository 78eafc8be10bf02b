/* SPDX-License-Identifier: Apache-2.0 */
/*
 * litmus: does this arm64 machine with several processors keep the
 * architecture's promises (Arm ARM B2.3)?  A static program for a guest.
 *
 * ordering.c has the tests of two to four short threads whose forbidden
 * outcomes are counted, locks.c those of locks and wake-ups, atomics.c those of
 * exclusives and LSE, code.c those of changed code and mappings.
 */
#ifndef GUEST_LITMUS_H
#define GUEST_LITMUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define THREADS 4

struct litmus_result {
    uint64_t rounds;
    uint64_t wrong;
    uint64_t weak; /* outcomes that are allowed, and that a strong machine does not show */
};

/* Runs until litmus_over(); prints what is wrong besides counting it. */
typedef void litmus_fn(struct litmus_result *result);

struct litmus_test {
    const char *name;
    litmus_fn *run;
};
extern const struct litmus_test litmus_ordering[], litmus_locks[], litmus_atomics[], litmus_code[];

/* A test's time begins. */
void litmus_begin(double seconds);
/* Whether it is over.  Any thread, but each learns it at a moment of its own. */
bool litmus_over(void);

/* Runs fn(number) in THREADS threads, each on a processor of its own. */
void litmus_threads(void (*fn)(unsigned number));

/* All threads of litmus_threads() meet here; `count` of them. */
void litmus_meet(unsigned count);

/*
 * All meet, and learn alike whether there is to be another round.  There must be
 * another meeting between two of these.
 */
bool litmus_meet_again(void);

/* The thread's own random numbers. */
uint32_t litmus_random(void);

/* --share: see share.c. */
int litmus_share(double seconds);

static inline uint64_t load(const volatile uint64_t *p)
{
    return *p;
}
static inline void store(volatile uint64_t *p, uint64_t value)
{
    *p = value;
}
static inline uint64_t load_acquire(const volatile uint64_t *p)
{
    uint64_t value;
    __asm__ volatile("ldar %0, %1" : "=r"(value) : "Q"(*p) : "memory");
    return value;
}
static inline void store_release(volatile uint64_t *p, uint64_t value)
{
    __asm__ volatile("stlr %1, %0" : "=Q"(*p) : "r"(value) : "memory");
}
#define dmb(kind) __asm__ volatile("dmb " #kind ::: "memory")

#endif
