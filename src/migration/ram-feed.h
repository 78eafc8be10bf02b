/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the migration room: what ram-writer.c's threads work on.  A source is a part as
 * they see it; a feed hands out its chunks, one after another, to whoever asks, with the runs
 * of bytes in them that have to be looked at.
 */
#ifndef MV_MIGRATION_RAM_FEED_H
#define MV_MIGRATION_RAM_FEED_H

#include "dirty-log.h"
#include "ram-writer.h"

#include <pthread.h>
#include <stdbool.h>

struct mv_block_populated;
struct mv_block_registry;

/* Offsets in the source, multiples of 4 KiB. */
struct mv_ram_extent {
    uint64_t start, end;
};

struct mv_ram_source {
    char *id;
    struct mv_block_registry *registry; /* NULL: it is no block */
    uint64_t generation;
    const uint8_t *bytes; /* of no block */
    uint64_t size;
    uint64_t offset;                /* in the file */
    struct mv_dirty_cursor *cursor; /* NULL: nobody writes it meanwhile */
    bool partial;                   /* the cursor, if any, is another's, and all that counts */
    uint64_t *pages;                /* what it has taken, a bit for each page */
    size_t first;                   /* its first chunk, of those of all sources */
    /* Its bytes are in the file already, in these, and zero elsewhere: NULL where they are not. */
    struct mv_ram_extent *extents;
    size_t extent_count;
};

/*
 * Of a part that is read as a whole, with a cursor that is opened now where it is a block and
 * `space` is not NULL.  It goes by mv_ram_source_clear, whatever this returns.  Main thread.
 */
int mv_ram_source_make(struct mv_ram_source *source, const struct mv_ram_part *part,
                       struct mv_space *space, struct mv_error *err);
void mv_ram_source_clear(struct mv_ram_source *source);

/* -ESTALE. */
int mv_ram_source_refuse_gone(const struct mv_ram_source *source, struct mv_error *err);

/* Its bytes, which are there until released.  -ESTALE where it is gone. */
struct mv_ram_hold {
    struct mv_block *block; /* NULL: of no block */
    const uint8_t *bytes;
};
int mv_ram_source_hold(const struct mv_ram_source *source, struct mv_ram_hold *ret,
                       struct mv_error *err);
void mv_ram_source_release(const struct mv_ram_hold *hold);
/*
 * Copy bytes of it; pages that come later (paging.h) come now.  -EIO where the host has not got
 * them, -ECANCELED while that is waited for.
 */
int mv_ram_source_read(const struct mv_ram_source *source, const struct mv_ram_hold *hold,
                       uint64_t offset, void *buf, uint64_t len, const atomic_bool *cancelled,
                       struct mv_error *err);

/* A page of each two is the most that can lie apart. */
#define MV_RAM_RUNS (MV_RAM_CHUNK / MV_DIRTY_PAGE / 2)

struct mv_ram_work {
    const struct mv_ram_source *source;
    uint64_t offset; /* of the chunk in the source */
    uint64_t len;    /* of the chunk */
    uint64_t weight; /* bytes of the pass that are done with it */
    size_t count;
    struct mv_ram_run {
        uint32_t start, end; /* in the chunk */
    } runs[MV_RAM_RUNS];
};

/* One pass over all sources. */
struct mv_ram_feed {
    pthread_mutex_t lock; /* of what follows */
    const struct mv_ram_source *sources;
    size_t count;
    bool all;    /* what may hold anything but zeros, else what the cursors have taken */
    size_t next; /* source */
    uint64_t at; /* in it */
    uint64_t weighed;
    struct mv_block_populated *populated;
};

void mv_ram_feed_init(struct mv_ram_feed *feed, const struct mv_ram_source *sources, size_t count,
                      bool all);
void mv_ram_feed_end(struct mv_ram_feed *feed);
/* 1, or 0 where none is left, or a negative errno.  Any of the threads. */
int mv_ram_feed_take(struct mv_ram_feed *feed, struct mv_ram_work *ret, struct mv_error *err);

#endif
