/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Anonymous private memory of the host: nothing is reserved until touched.
 * Whether it gets huge pages is the host's own policy, because a guest's
 * resident memory counts.  No state and no lock; called by block.c.
 */
#include "backing.h"

#include <sys/mman.h>

static int map(struct mv_backing *backing, uint8_t *host, uint64_t size, struct mv_error *err)
{
    return mv_backing_mmap(backing, host, size, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, err);
}

static int punch(struct mv_backing *backing, uint8_t *host, uint64_t offset, uint64_t len)
{
    (void)backing;
    return madvise(host + offset, len, MADV_DONTNEED) < 0 ? -errno : 0;
}

const struct mv_backing_ops mv_backing_anonymous = {
    .kind = "anonymous",
    .map = map,
    .punch = punch,
    .fetch = mv_backing_populate,
    .close = mv_backing_free,
};
