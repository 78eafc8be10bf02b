/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_wait_times: how long something was waited for, each time: enough of it to tell the
 * median and the longest.  Times are counted in steps that are an eighth of what they tell
 * wide at most.  Its owner's lock guards it; zeros are a beginning.
 */
#ifndef MV_BASE_WAIT_TIMES_H
#define MV_BASE_WAIT_TIMES_H

#include <stdint.h>

/* Eight steps for each doubling of 64 bits of nanoseconds. */
#define MV_WAIT_STEPS (64 * 8)

struct mv_wait_times {
    uint64_t count, total_ns, worst_ns;
    uint32_t steps[MV_WAIT_STEPS];
};

void mv_wait_times_add(struct mv_wait_times *times, uint64_t ns);
/* What the other counted counts here, too. */
void mv_wait_times_join(struct mv_wait_times *times, const struct mv_wait_times *other);
/* As long as half of them were, or shorter: nanoseconds, up to an eighth too many; 0: none was. */
uint64_t mv_wait_times_median(const struct mv_wait_times *times);

#endif
