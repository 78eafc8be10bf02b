/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_dma: a device's way to guest memory, embedded in it (in PCI
 * functions by bus/pci.h).  All of it may be called by any thread, with any lock
 * of the device's held.
 *
 * Addresses are guest-physical.  They may be those of RAM, or of memory that
 * another device shows in a BAR; registers cannot be reached.  An access is done
 * as a whole or not at all, but for -EIO: the first bytes may have been copied.
 * Errors, each with a message that names what was accessed:
 *     -EACCES  the device may not access memory: it is no master of its bus
 *     -EFAULT  some byte is no memory, whose address is named; `misses` counts it
 *     -EIO     the host has not got the memory (memory/fault.h), which was told
 *     -ENOMEM
 */
#ifndef MV_BUS_DMA_H
#define MV_BUS_DMA_H

#include "error.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct iovec;
struct mv_block;
struct mv_space;

struct mv_dma {
    struct mv_space *space;
    atomic_bool allowed;
    _Atomic uint64_t misses; /* accesses to what is no memory */
};

/* Not allowed yet.  The space outlives it. */
void mv_dma_init(struct mv_dma *dma, struct mv_space *space);
/*
 * Whether the device may access memory from now on.  Once it may not, no access
 * is under way when this returns; lists that were made before stay good.
 */
void mv_dma_allow(struct mv_dma *dma, bool allowed);

static inline bool mv_dma_is_allowed(const struct mv_dma *dma)
{
    return atomic_load_explicit(&dma->allowed, memory_order_acquire);
}

/* --- copies: of bytes in no order, which may be torn where a guest writes meanwhile */

int mv_dma_read(struct mv_dma *dma, uint64_t gpa, void *buf, uint64_t len, struct mv_error *err);
int mv_dma_write(struct mv_dma *dma, uint64_t gpa, const void *buf, uint64_t len,
                 struct mv_error *err);

/*
 * --- one value of 1, 2, 4 or 8 bytes, little-endian, which is never torn:
 * -EINVAL where the address is no multiple of the size
 */

/* What is loaded or copied after an acquire is as new as this value. */
int mv_dma_load(struct mv_dma *dma, uint64_t gpa, unsigned size, bool acquire, uint64_t *ret,
                struct mv_error *err);
/* What was stored or copied before a release is there for whoever finds this value. */
int mv_dma_store(struct mv_dma *dma, uint64_t gpa, unsigned size, bool release, uint64_t value,
                 struct mv_error *err);

/*
 * struct mv_dma_list: guest memory as the host's, for I/O by the host's kernel,
 * which may go on while other things happen.  What is in it stays mapped, also
 * where the guest moves or loses it meanwhile; a page that the host has not got
 * is an -EFAULT of preadv and its kin.  One thread at a time.
 */
struct mv_dma_list {
    struct mv_dma *dma;
    bool is_written;         /* the I/O writes to guest memory */
    struct iovec *iov;       /* parts of it, for preadv and its kin, in the order of addition */
    struct mv_block **block; /* of each part, pinned */
    unsigned count, capacity;
    uint64_t len; /* of all parts, bytes */
};

/* Empty; free with mv_dma_list_clear. */
void mv_dma_list_init(struct mv_dma_list *list, struct mv_dma *dma, bool is_written);
/* Append a range, as many parts as there are blocks in it; where it fails the list is as before. */
int mv_dma_list_add(struct mv_dma_list *list, uint64_t gpa, uint64_t len, struct mv_error *err);
/*
 * The I/O is over: log the first `written` bytes as written, which is all that it
 * may have touched, and let the blocks go.  Until then the dirty log knows nothing
 * of it.  The list is empty, for the next I/O.
 */
void mv_dma_list_end(struct mv_dma_list *list, uint64_t written);
/* The same for one under which no I/O was begun; gives its memory back. */
void mv_dma_list_clear(struct mv_dma_list *list);

#endif
