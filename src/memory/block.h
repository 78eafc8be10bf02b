/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_block: one named, contiguous run of guest bytes, mapped in the
 * host.  Its identity is (path of the owning device, name), written
 * "path/name"; a block of the board itself has an empty path and is written
 * "name".  The registry holds every block of a VM, refuses an identity that
 * exists, and is guarded by its own mutex; a block's fields never change
 * between creation and destruction, but for its logs (dirty-log.h, touch-log.h), its pins, and
 * which pages are here (paging.h).
 * Boards and devices create and destroy blocks from the main thread; any thread may look
 * one up.
 */
#ifndef MV_MEMORY_BLOCK_H
#define MV_MEMORY_BLOCK_H

#include "dirty-log.h"
#include "error.h"
#include "paging.h"
#include "touch-log.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mv_backing;
struct mv_bank_layout;
struct mv_block_registry;
struct mv_config_back;
struct mv_config_backing;
struct mv_space;

/* A part of an open file that has a block's bytes already, such as a saved state's. */
struct mv_block_place {
    const char *id;
    int fd;           /* for reading, and for writing where it is shared */
    const char *path; /* of the file, absolute; or, where fd is -1, the URI of an NBD export */
    uint64_t offset;  /* bytes */
    bool share;       /* the guest's changes go into the file, else it is copied on write */
};

/* Memory of the host that a block may come to take, in bytes. */
struct mv_limits_use {
    uint64_t memory; /* in all; 0 where its bytes are in a file on a disk */
    uint64_t early;  /* of it before the guest starts */
    uint64_t locked;
};

typedef void mv_block_unpinned_fn(void *opaque);

struct mv_block {
    char *path; /* the owning device's path, "" for the board */
    char *name;
    char *id;                 /* path/name, or name */
    uint64_t generation;      /* tells the block from an earlier one of this id */
    uint64_t size;            /* bytes, a multiple of 4 KiB */
    uint8_t *host;            /* 2 MiB-aligned */
    bool save;                /* a saved state holds the bytes */
    struct mv_limits_use use; /* at most */
    bool no_huge;             /* thp=off */
    struct mv_dirty_log log;
    struct mv_touch_log touch;
    struct mv_paging paging;
    unsigned pins; /* block-registry.c has a lock for them, and for what follows */
    mv_block_unpinned_fn *unpinned;
    void *unpinned_opaque;
    struct mv_backing *backing;
    struct mv_block_registry *registry;
    struct mv_block *next;
    struct mv_block *next_of_owner; /* see bus/device.h */
};

int mv_block_registry_create(struct mv_block_registry **ret, struct mv_error *err);
/* Destroys the blocks that are left. */
void mv_block_registry_destroy(struct mv_block_registry *registry);

/*
 * What --back and --mem-dir say, for the blocks that will be made: each id of `backs`
 * (none is NULL) gets its file, and blocks that want a file but name none get one in
 * mem_dir.  Both stay the caller's and outlive the registry.  Where an id comes twice the
 * first counts, until the check below.
 */
void mv_block_registry_set_backs(struct mv_block_registry *registry,
                                 const struct mv_config_back *backs, size_t count,
                                 const char *mem_dir);
/* Where blocks will be mapped, for those whose changes are written back; it outlives them. */
void mv_block_registry_set_space(struct mv_block_registry *registry, struct mv_space *space);
/*
 * Where bytes of blocks that will be made are already.  A block takes its place if nobody
 * else is to see them where the block would have kept them: what names a shared file, a
 * memfd, huge pages or a folder has it so, and its bytes are the caller's to copy.  The
 * last call counts, and what it gave stays the caller's; none is left of what is called
 * with 0 of them, so that no later block of the same id finds bytes that were another's.
 */
void mv_block_registry_set_places(struct mv_block_registry *registry,
                                  const struct mv_block_place *places, size_t count);
/*
 * In a process that was forked: blocks that will be made take over those of the same id that
 * another registry had, of a machine that is this process's no more, with their mappings as
 * they are.  NULL: no more.  Blocks of a descriptor that is given for them are not meant.
 */
void mv_block_registry_inherit(struct mv_block_registry *registry, struct mv_block_registry *from);
/*
 * Around a fork(2), by the one thread that the new process will have, in both: other threads
 * of the first may be at blocks at the time.
 */
void mv_block_fork_begin(struct mv_block_registry *registry);
void mv_block_fork_end(struct mv_block_registry *registry);
/* Whether it took a place. */
bool mv_block_is_placed(const struct mv_block *block);
/*
 * When all blocks are there: -ENOENT where a --back names none of them, -EEXIST
 * where two name the same; the message lists those there are.
 */
int mv_block_registry_check_backs(struct mv_block_registry *registry, struct mv_error *err);

/*
 * Before the banks' blocks are made: check what they ask of the host all together (host-
 * limits.c), so that it is refused or warned of once.  plan_end when they are made.
 */
int mv_block_registry_plan(struct mv_block_registry *registry, const struct mv_bank_layout *layout,
                           struct mv_error *err);
void mv_block_registry_plan_end(struct mv_block_registry *registry);

/*
 * Create a block.  size: bytes, not 0, a multiple of 4 KiB.  wish: where its
 * bytes live unless --back says otherwise; in anonymous memory without one.
 * -EEXIST where the identity is taken (the message names both owners), -ENOMEM
 * where the host cannot map that much, else what the backing says.
 */
int mv_block_create(struct mv_block_registry *registry, const char *path, const char *name,
                    uint64_t size, struct mv_block **ret, struct mv_error *err);
int mv_block_create_backed(struct mv_block_registry *registry, const char *path, const char *name,
                           uint64_t size, const struct mv_config_backing *wish,
                           struct mv_block **ret, struct mv_error *err);
/*
 * A block of memory that other processes share, given as a descriptor, which stays the caller's.
 * Of a wish (or NULL), what counts is whether a saved state is to have the bytes.
 */
int mv_block_create_shared(struct mv_block_registry *registry, const char *path, const char *name,
                           uint64_t size, int fd, const struct mv_config_backing *wish,
                           struct mv_block **ret, struct mv_error *err);
/* Waits until nobody has it pinned. */
void mv_block_destroy(struct mv_block *block);

/*
 * Put another object (fd, which stays the caller's) in the place of the one that holds a
 * shared block's bytes, at the same host address; vCPUs may run.  Only for a block that
 * was made of a descriptor.  -EINVAL where its size or its page size differs.  Main
 * thread.
 */
int mv_block_replace_fd(struct mv_block *block, int fd, struct mv_error *err);

/*
 * Copies, and accesses of 1, 2, 4 or 8 bytes that are aligned to their size and
 * never torn: little-endian; ordered, a load is an acquire and a store a release.
 * The bytes lie within the block.  Any thread, vCPUs may run.  -EIO as below.
 */
int mv_block_read(struct mv_block *block, uint64_t offset, void *buf, uint64_t len);
int mv_block_write(struct mv_block *block, uint64_t offset, const void *buf, uint64_t len);
int mv_block_load(struct mv_block *block, uint64_t offset, unsigned size, bool ordered,
                  uint64_t *ret);
int mv_block_store(struct mv_block *block, uint64_t offset, unsigned size, bool ordered,
                   uint64_t value);
/*
 * Copy a block's bytes, or others that this process has mapped, for nobody who belongs to
 * the guest: nothing is told of a byte that the host cannot read.  NULL, or that byte.
 */
const uint8_t *mv_memory_copy_out(void *buf, const uint8_t *memory, uint64_t len);
/*
 * Fill bytes of the block with zeros; the host gets whole pages among them
 * back.  The range lies within the block.  vCPUs may run meanwhile.  -EIO
 * where the host has not got the memory, which was told (on_fault).
 */
int mv_block_zero(struct mv_block *block, uint64_t offset, uint64_t len);

/*
 * Have what was written to the block kept where its bytes live: in its file, or in the export
 * that they came from (share=on); else there is nothing to be done.  Any thread but a vCPU's,
 * which knows that the block is there; -ECANCELED once *cancelled (NULL: never).
 */
int mv_block_sync(struct mv_block *block, const atomic_bool *cancelled, struct mv_error *err);
/* From now on nothing is done with memory that needs the engine: before that goes. */
void mv_block_registry_stop(struct mv_block_registry *registry);
/*
 * At the end, when nobody writes to blocks any more: what goes back to exports does.  All are
 * tried; the first failure is returned, and what it is about is lost.
 */
int mv_block_registry_write_back(struct mv_block_registry *registry, struct mv_error *err);

/*
 * A pinned block stays, mapped where it is: for I/O that goes on by itself, such
 * as the host's kernel reading a file into the guest's memory.  Whoever pins
 * knows that the block is there (under the space's lock), and needs no help of
 * the main thread to unpin it, which any thread may do.
 */
void mv_block_pin(struct mv_block *block);
/*
 * The block of this id, pinned, if it is still the one that had this generation: NULL where
 * it is gone, also where a device plugged again has one of the same id.  For threads that
 * are at a block only now and then, so that its device need not wait for them.
 */
struct mv_block *mv_block_pin_generation(struct mv_block_registry *registry, const char *id,
                                         uint64_t generation);
void mv_block_unpin(struct mv_block *block);
bool mv_block_is_pinned(const struct mv_block *block);
/* Return once nobody has the block pinned. */
void mv_block_await_pins(struct mv_block *block);
/*
 * Whether any block of a device is pinned, so that it cannot be destroyed without
 * waiting.  Then fn, where it is not NULL, is called when one of them is pinned
 * no longer, in any thread and with a lock held: it does no more than take note.
 * The last call counts.  The blocks are out of the space already.
 */
bool mv_block_registry_is_pinned(struct mv_block_registry *registry, const char *path,
                                 mv_block_unpinned_fn *fn, void *opaque);

/* The path of the file that holds the bytes; NULL where it has none. */
const char *mv_block_file(const struct mv_block *block);

/* NULL where there is none. */
struct mv_block *mv_block_find(struct mv_block_registry *registry, const char *id);
/*
 * The generation of the block that is mapped at a host address, and the offset in it;
 * false where none is.  Any thread.  No pointer to the block is given, because only the
 * main thread could keep one.
 */
bool mv_block_find_host(struct mv_block_registry *registry, const uint8_t *host,
                        uint64_t *ret_generation, uint64_t *ret_offset);

/*
 * Who hears of accesses to a block that the host could not serve (fault.h).
 * Called by whoever made the access, in its thread and under its locks; so it
 * does no more than take note.  Set before there are other threads.
 */
typedef void mv_block_fault_fn(void *opaque, const struct mv_block *block, uint64_t offset);
void mv_block_registry_on_fault(struct mv_block_registry *registry, mv_block_fault_fn *fn,
                                void *opaque);

/* Call fn for each block, in order of creation, under the registry's lock. */
void mv_block_for_each(struct mv_block_registry *registry,
                       void (*fn)(struct mv_block *block, void *opaque), void *opaque);

#endif
