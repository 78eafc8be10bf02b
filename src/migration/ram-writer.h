/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_ram_writer: the bytes of a set of blocks, written to fixed offsets of a file, as
 * they stand at one moment.  Zero pages become holes.  Memory that nobody touched is not
 * touched by this either.  What is in a shared file of the same file system is not copied where
 * that can be had without (ram-reflink.h).  Each chunk of 2 MiB of a block has an XXH3-64 sum, the
 * last one of what is left.
 *
 * Work is shared by as many threads as there are processors, at most 4, one of which is the
 * caller's.  The steps come in this order, each once, in one thread that is not a vCPU's:
 *
 *     mv_ram_writer_copy_live   all pages, or of parts those that changed, then again what was
 * written meanwhile, until that is little or does not get less.  Left out where the guest stands
 * still from the start mv_ram_writer_copy_rest   the guest stands still; what it wrote since, or
 * all mv_ram_writer_sum         the guest may go on
 *
 * A step that fails ends the work; its error names the block, the offset in it and the file.
 */
#ifndef MV_MIGRATION_RAM_WRITER_H
#define MV_MIGRATION_RAM_WRITER_H

#include "error.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mv_block;
struct mv_dirty_cursor;
struct mv_ram_writer;
struct mv_space;

#define MV_RAM_CHUNK (UINT64_C(2) << 20)

/* What is written to one place of the file. */
struct mv_ram_part {
    struct mv_block *block; /* may go meanwhile, which is an error of the step that finds it so */
    /* Where it is no block, bytes that stay as they are as long as the writer: */
    const char *id;
    const void *bytes;
    uint64_t size;
    uint64_t offset; /* in the file, bytes; a multiple of 4 KiB */
    /*
     * Only what `since` has noted is written, a cursor of the caller's that outlives the writer
     * and may not be used meanwhile; NULL: nothing is.
     */
    bool partial;
    struct mv_dirty_cursor *since;
};

struct mv_ram_writer_params {
    int fd;           /* for reading and writing; holes where the parts go; stays the caller's */
    const char *file; /* its name, for messages; outlives the writer */
    const struct mv_ram_part *parts; /* none overlaps another in the file */
    size_t count;
    /* Where the guest may write meanwhile, as copy_live wants: the space that has the blocks. */
    struct mv_space *space;
    const atomic_bool *cancelled; /* true: the step ends with -ECANCELED.  May be NULL */
};

/* Bytes; any thread may look. */
struct mv_ram_progress {
    _Atomic uint64_t total;   /* to look at, grows with each pass */
    _Atomic uint64_t done;    /* of these */
    _Atomic uint64_t written; /* to the file */
    _Atomic uint64_t shared;  /* taken over from files of blocks by reflink */
    _Atomic uint64_t last;    /* that the last pass had to look at */
    atomic_uint passes;       /* that have begun */
};

/*
 * Main thread.  With a space, each block's writes are noted from here on.  -EINVAL for an
 * offset that will not do, -EFBIG where no file is so long, -ENOMEM.
 */
int mv_ram_writer_create(const struct mv_ram_writer_params *params, struct mv_ram_writer **ret,
                         struct mv_error *err);
/* Any thread but a vCPU's; may be NULL. */
void mv_ram_writer_destroy(struct mv_ram_writer *writer);
const struct mv_ram_progress *mv_ram_writer_progress(const struct mv_ram_writer *writer);

/* -ESTALE: a block is gone, its device was unplugged.  -EIO: memory that the host cannot read. */
int mv_ram_writer_copy_live(struct mv_ram_writer *writer, struct mv_error *err);
int mv_ram_writer_copy_rest(struct mv_ram_writer *writer, struct mv_error *err);
/* Makes the sums of chunks that a later pass changed, from the file. */
int mv_ram_writer_sum(struct mv_ram_writer *writer, struct mv_error *err);

/* Of the part, in order, once they are made; the writer's. */
const uint64_t *mv_ram_writer_sums(const struct mv_ram_writer *writer, size_t part,
                                   size_t *ret_count);
/*
 * Of a partial part, which pages were written, a bit for each: the writer's.  NULL: none.
 * `since` gets them back when the writer is destroyed.
 */
const uint64_t *mv_ram_writer_pages(const struct mv_ram_writer *writer, size_t part);

#endif
