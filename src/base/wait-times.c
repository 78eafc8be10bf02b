/* SPDX-License-Identifier: Apache-2.0 */
#include "wait-times.h"

/* The three bits behind the highest one say which eighth it is. */
static unsigned step_of(uint64_t ns)
{
    if (ns < 8)
        return (unsigned)ns;
    unsigned top = 63 - (unsigned)__builtin_clzll(ns);
    return (top - 2) * 8 + (unsigned)(ns >> (top - 3) & 7);
}

/* The longest time of that step. */
static uint64_t end_of(unsigned step)
{
    if (step < 8)
        return step;
    unsigned top = step / 8 + 2;
    uint64_t width = UINT64_C(1) << (top - 3);
    return (UINT64_C(1) << top) + (step % 8) * width + width - 1;
}

void mv_wait_times_add(struct mv_wait_times *times, uint64_t ns)
{
    times->count++;
    times->total_ns += ns;
    times->worst_ns = ns > times->worst_ns ? ns : times->worst_ns;
    times->steps[step_of(ns)]++;
}

void mv_wait_times_join(struct mv_wait_times *times, const struct mv_wait_times *other)
{
    times->count += other->count;
    times->total_ns += other->total_ns;
    times->worst_ns = other->worst_ns > times->worst_ns ? other->worst_ns : times->worst_ns;
    for (unsigned i = 0; i < MV_WAIT_STEPS; i++)
        times->steps[i] += other->steps[i];
}

uint64_t mv_wait_times_median(const struct mv_wait_times *times)
{
    uint64_t seen = 0;
    for (unsigned i = 0; i < MV_WAIT_STEPS; i++) {
        seen += times->steps[i];
        if (seen * 2 >= times->count && times->count > 0)
            return end_of(i) < times->worst_ns ? end_of(i) : times->worst_ns;
    }
    return 0;
}
