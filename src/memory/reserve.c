/* SPDX-License-Identifier: Apache-2.0 */
/* Reservations of address space.  No state; called by block.c. */
#include "reserve.h"

#include "map-refusal.h"
#include "size.h"

#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

static uint64_t guarded(uint64_t size)
{
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    return mv_align_up(size, page) + page;
}

int mv_reserve(uint64_t size, uint64_t align, uint8_t **ret_host, struct mv_error *err)
{
    char text[MV_SIZE_TEXT];
    uint64_t whole, page = (uint64_t)sysconf(_SC_PAGESIZE);
    if (mv_add_overflows(size, align + 2 * page, &whole) || whole > SIZE_MAX)
        return mv_error_set(err, ENOMEM, "%s is too large for this host's address space",
                            mv_size_format(size, text));
    whole = guarded(size) + align;
    uint8_t *start = mmap(NULL, whole, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                          -1, 0);
    if (start == MAP_FAILED)
        return mv_map_refuse(NULL, size, whole, errno, err);
    /* What sticks out on both ends goes back. */
    uint8_t *host = (uint8_t *)mv_align_up((uintptr_t)start, align);
    uint8_t *end = host + guarded(size);
    if (host > start)
        munmap(start, (size_t)(host - start));
    if (start + whole > end)
        munmap(end, (size_t)(start + whole - end));
    *ret_host = host;
    return 0;
}

void mv_unreserve(uint8_t *host, uint64_t size)
{
    munmap(host, guarded(size));
}
