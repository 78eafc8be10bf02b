/* SPDX-License-Identifier: Apache-2.0 */
/* What bench/compute.py times in guests: each work does n rounds of one thing. */
#ifndef COMPUTE_H
#define COMPUTE_H

#include <stddef.h>
#include <stdint.h>

struct work {
    const char *group, *name;
    void (*run)(unsigned long n);
    unsigned long first; /* so many at first, where to begin takes long; 0: one */
};

/* Each file's; one without a name ends a list. */
extern const struct work integer_works[], memory_works[], float_works[], atomic_works[],
    system_works[];

/* What is computed goes here, so that it is. */
extern volatile uint64_t result;

/* As the first argument: do nothing, for that fork and exec are timed with. */
#define CHILD_WORD "--child"

/* A sequence of numbers that repeats after 2^64. */
static inline uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

#endif
