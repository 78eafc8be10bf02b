/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which pages there are is told by /proc/self/pagemap (Linux, Documentation/admin-guide/mm/
 * pagemap.rst), and madvise(2) with MADV_COLLAPSE, of Linux 6.1, brings them together.  What
 * it cannot do, on this host or for this memory, is left as it is: a fork takes longer then.
 * No state, no lock.
 */
#include "block-collapse.h"

#include "backing.h"
#include "block-populated.h"
#include "block.h"
#include "cleanup.h"
#include "os.h"
#include "size.h"

#include <fcntl.h>
#include <stdbool.h>
#include <sys/mman.h>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

#define HUGE       (2 * MV_MIB)
#define SMALL      4096
#define SMALL_MANY (HUGE / SMALL)
/* So that the guest's memory grows by a seventh at most. */
#define NEARLY_FULL (SMALL_MANY * 7 / 8)

/* Bits of an entry. */
#define PRESENT   (UINT64_C(1) << 63)
#define EXCLUSIVE (UINT64_C(1) << 56) /* mapped here, and nowhere else */

static bool is_able(const struct mv_block *block)
{
    return block->backing->fd < 0 && getpagesize() == SMALL;
}

uint64_t mv_block_collapsible(const struct mv_block *block)
{
    struct mv_block_populated *populated;
    struct mv_error err;
    uint64_t len, bytes = 0;
    if (!is_able(block) || mv_block_populated_open(block, &populated, &err) < 0)
        return 0;
    for (uint64_t at = 0; mv_block_populated_next(populated, &at, &len, &err) == 1; at += len)
        bytes += len;
    mv_block_populated_close(populated);
    return bytes;
}

/* How many pages there are at a huge page's place; of them this process's alone. */
static unsigned count_pages(int pagemap, const uint8_t *host, unsigned *ret_alone)
{
    uint64_t entries[SMALL_MANY];
    unsigned there = 0;
    *ret_alone = 0;
    if (mv_pread_all(pagemap, entries, sizeof entries,
                     (uint64_t)(uintptr_t)host / SMALL * sizeof entries[0]) < 0)
        return 0;
    for (size_t i = 0; i < SMALL_MANY; i++) {
        there += (entries[i] & PRESENT) != 0;
        *ret_alone += (entries[i] & PRESENT) != 0 && (entries[i] & EXCLUSIVE) != 0;
    }
    return there;
}

/* False where the host cannot do it, or not now. */
static bool collapse_one(int pagemap, uint8_t *host, uint64_t *io_leave)
{
    unsigned alone, there = count_pages(pagemap, host, &alone);
    if (alone >= NEARLY_FULL && *io_leave < HUGE)
        return madvise(host, HUGE, MADV_COLLAPSE) == 0 || (errno != EINVAL && errno != ENOMEM);
    uint64_t bytes = (uint64_t)there * SMALL;
    *io_leave -= bytes < *io_leave ? bytes : *io_leave;
    return true;
}

void mv_block_collapse(const struct mv_block *block, uint64_t *io_leave, uint64_t until_cpu_ns,
                       const atomic_bool *cancelled)
{
    struct mv_block_populated *populated;
    struct mv_error err;
    CLEANUP_CLOSE int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    if (pagemap < 0 || !is_able(block) || mv_block_populated_open(block, &populated, &err) < 0)
        return;
    bool going = true;
    uint64_t len;
    for (uint64_t at = 0; going && mv_block_populated_next(populated, &at, &len, &err) == 1;) {
        uint64_t end = at + len;
        at &= ~(HUGE - 1);
        for (; going && at < end && at + HUGE <= block->size; at += HUGE)
            going = !atomic_load(cancelled) && mv_thread_cpu_ns() < until_cpu_ns &&
                    collapse_one(pagemap, block->host + at, io_leave);
        at = at < end ? end : at;
    }
    mv_block_populated_close(populated);
}
