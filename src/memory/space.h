/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_space: the guest-physical map, sorted ranges that are RAM (a block
 * and an offset) or MMIO (a device's region).  An access to nothing fails, and
 * the engine makes it an external abort.
 *
 * Lookups come from every vCPU thread and take the space's lock for reading;
 * changes take it for writing and come from the main thread, or from any one
 * under the lock of the PCI bus, whose BARs guests move.  Listeners hear of each
 * change after it was made, in the thread that made it and with none of the
 * space's locks held; two changes may be told at the same time.
 */
#ifndef MV_MEMORY_SPACE_H
#define MV_MEMORY_SPACE_H

#include "error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mv_space;
struct mv_block;

/*
 * A device's window.  Accesses are naturally aligned, of 1, 2, 4 or 8 bytes
 * within min_access..max_access; others are an external abort.  Offsets count
 * from the region's start.  Callbacks run in the accessing vCPU's thread with
 * no lock held: the device takes its own.
 */
struct mv_mmio_ops {
    uint64_t (*read)(void *opaque, uint64_t offset, unsigned size);
    void (*write)(void *opaque, uint64_t offset, uint64_t value, unsigned size);
    /* For a debugger, in any thread: what read would give, changing nothing; NULL: it cannot. */
    uint64_t (*peek)(void *opaque, uint64_t offset, unsigned size);
    unsigned min_access; /* bytes */
    unsigned max_access; /* bytes */
};

struct mv_mmio_region {
    const char *name;
    const struct mv_mmio_ops *ops;
    void *opaque;
};

enum mv_range_kind { MV_RANGE_RAM, MV_RANGE_MMIO };

struct mv_range {
    uint64_t gpa;
    uint64_t size;
    enum mv_range_kind kind;
    struct mv_block *block; /* RAM */
    uint64_t offset;        /* RAM: of gpa in the block */
    const struct mv_mmio_region *region; /* MMIO */
};

struct mv_space_listener {
    void (*changed)(struct mv_space_listener *listener, uint64_t gpa, uint64_t size);
    /*
     * Return once every write is finished that did not look at a block's dirty log, and look at
     * it for all later ones.  Any thread but a vCPU's.  NULL: the listener writes through the
     * space alone.
     */
    void (*settle)(struct mv_space_listener *listener);
    struct mv_space_listener *next;
};

int mv_space_create(struct mv_space **ret, struct mv_error *err);
void mv_space_destroy(struct mv_space *space);

/* -EEXIST on overlap (names both), -EINVAL where gpa+size overflows. */
int mv_space_add_ram(struct mv_space *space, uint64_t gpa, struct mv_block *block,
                     uint64_t offset, uint64_t size, struct mv_error *err);
int mv_space_add_mmio(struct mv_space *space, uint64_t gpa, uint64_t size,
                      const struct mv_mmio_region *region, struct mv_error *err);
/* Remove the range that starts at gpa. */
void mv_space_remove(struct mv_space *space, uint64_t gpa);

void mv_space_listen(struct mv_space *space, struct mv_space_listener *listener);
void mv_space_unlisten(struct mv_space *space, struct mv_space_listener *listener);

/*
 * Return once every write that was under way is done, and all that come will
 * look at the dirty logs as they are now.  Any thread but a vCPU's; one at a
 * time (dirty-log.c calls it under its lock).
 */
void mv_space_settle(struct mv_space *space);
/*
 * Have everybody look up anew where memory is, as after a change, and return once nobody uses
 * what was found before.  Any thread but a vCPU's.
 */
void mv_space_forget(struct mv_space *space);
/* Return once all copies under way are done.  Any thread, at any time. */
void mv_space_await_copies(struct mv_space *space);

/* The range that holds gpa, copied; false where there is none. */
bool mv_space_find(struct mv_space *space, uint64_t gpa, struct mv_range *ret);

/* The lowest address at which the guest sees the block's first byte; false where it does not. */
bool mv_space_find_block(struct mv_space *space, const struct mv_block *block, uint64_t *ret_gpa);

/*
 * Copy between the host and guest RAM, across adjacent ranges.  -EFAULT where
 * any byte of the guest range is no RAM: then nothing was copied.  -EIO where
 * the host has not got the memory (fault.h): then part of it may have been.
 */
int mv_space_read(struct mv_space *space, uint64_t gpa, void *buf, uint64_t len);
int mv_space_write(struct mv_space *space, uint64_t gpa, const void *buf, uint64_t len);
/* Fill with zeros; the host's pages of whole 4 KiB pages are given back. */
int mv_space_zero(struct mv_space *space, uint64_t gpa, uint64_t len);

/*
 * Call fn for each part of a guest range that is all RAM, in order, with the
 * space's lock held, so that the block is there; stops where fn returns non-zero.
 * -EFAULT, with the first address that is no RAM, where there is one: then fn
 * was not called.
 */
typedef int mv_space_ram_fn(void *opaque, struct mv_block *block, uint64_t offset, uint64_t len);
int mv_space_for_ram(struct mv_space *space, uint64_t gpa, uint64_t len, mv_space_ram_fn *fn,
                     void *opaque, uint64_t *ret_hole);

/* How many bytes from gpa on are RAM without a hole (0 where none). */
uint64_t mv_space_ram_run(struct mv_space *space, uint64_t gpa);

/* Call fn for each range in address order; stops where fn returns non-zero. */
int mv_space_for_each(struct mv_space *space,
                      int (*fn)(const struct mv_range *range, void *opaque), void *opaque);

#endif
