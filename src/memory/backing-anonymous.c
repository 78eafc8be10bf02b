/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Anonymous private memory of the host: nothing is reserved until touched.
 * Whether it gets huge pages is the host's own policy, because a guest's
 * resident memory counts.  No state and no lock; called by block.c.
 */
#include "backing.h"
#include "size.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define ALIGNMENT (2 * MV_MIB)

static int map(struct mv_backing *backing, uint64_t size, uint8_t **ret_host, struct mv_error *err)
{
    (void)backing;
    char text[MV_SIZE_TEXT];
    uint64_t reserved;
    if (mv_add_overflows(size, ALIGNMENT, &reserved) || reserved > SIZE_MAX)
        return mv_error_set(err, ENOMEM, "%s is too large for this host's address space",
                            mv_size_format(size, text));
    uint8_t *start = mmap(NULL, reserved, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (start == MAP_FAILED)
        return mv_error_set_errno(err, errno,
                                  "the host cannot map %s: give the guest less memory, or see "
                                  "ulimit -v and vm.overcommit_memory",
                                  mv_size_format(size, text));
    /* Huge pages need the alignment; what sticks out on both ends goes back. */
    uint8_t *host = (uint8_t *)mv_align_up((uintptr_t)start, ALIGNMENT);
    uint8_t *end = host + mv_align_up(size, (uint64_t)sysconf(_SC_PAGESIZE));
    if (host > start)
        munmap(start, (size_t)(host - start));
    if (start + reserved > end)
        munmap(end, (size_t)(start + reserved - end));
    *ret_host = host;
    return 0;
}

static void unmap(struct mv_backing *backing, uint8_t *host, uint64_t size)
{
    (void)backing;
    munmap(host, size);
}

static int punch(struct mv_backing *backing, uint8_t *host, uint64_t size)
{
    (void)backing;
    return madvise(host, size, MADV_DONTNEED) < 0 ? -errno : 0;
}

static void destroy(struct mv_backing *backing)
{
    free(backing);
}

static const struct mv_backing_ops anonymous_ops = {
    .kind = "anonymous",
    .map = map,
    .unmap = unmap,
    .punch = punch,
    .destroy = destroy,
};

int mv_backing_anonymous_create(struct mv_backing **ret, struct mv_error *err)
{
    struct mv_backing *backing = malloc(sizeof *backing);
    if (backing == NULL)
        return mv_error_set(err, ENOMEM, "no memory for a backing");
    backing->ops = &anonymous_ops;
    *ret = backing;
    return 0;
}
