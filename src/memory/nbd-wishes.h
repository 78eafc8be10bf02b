/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is wanted of an export's thread (nbd-source.c): pages that somebody waits for, pages
 * that may come to be needed (read-ahead.h), and what is to be written back, with whoever
 * waits for that.  All of it is under a lock of its own; any thread.
 */
#ifndef MV_MEMORY_NBD_WISHES_H
#define MV_MEMORY_NBD_WISHES_H

#include "dirty-log.h"
#include "error.h"
#include "read-ahead.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* The newest ones are kept. */
enum { MV_NBD_HINTS = 64 };

struct mv_nbd_demand;

struct mv_nbd_wishes {
    pthread_mutex_t lock;
    pthread_cond_t written;
    uint64_t size; /* of the block */
    int fd;        /* an eventfd: something is wanted */
    bool stop;
    bool no_memory;                /* a demand could not be noted */
    struct mv_nbd_demand *demands; /* in order */
    struct mv_read_ahead_run hints[MV_NBD_HINTS];
    size_t hint_count;
    struct mv_read_ahead ahead;
    const struct mv_dirty_cursor *cursor; /* what to write; NULL: nothing */
    const atomic_bool *cancelled;         /* that; or NULL */
    bool write_done;
    int write_result;
    struct mv_error write_err;
};

int mv_nbd_wishes_init(struct mv_nbd_wishes *wishes, uint64_t block_size);
void mv_nbd_wishes_clear(struct mv_nbd_wishes *wishes);

/* --- for others than the thread */

/* What struct mv_paging_source's want is called with. */
void mv_nbd_wishes_want(struct mv_nbd_wishes *wishes, uint64_t offset, uint64_t len, bool waits);
void mv_nbd_wishes_stop(struct mv_nbd_wishes *wishes);
/* mv_nbd_source_write. */
int mv_nbd_wishes_write(struct mv_nbd_wishes *wishes, const struct mv_dirty_cursor *cursor,
                        const atomic_bool *cancelled, struct mv_error *err);

/* --- for the thread */

bool mv_nbd_wishes_is_stopped(struct mv_nbd_wishes *wishes);
/* Whether somebody waits for something. */
bool mv_nbd_wishes_is_any(struct mv_nbd_wishes *wishes);
/* -ENOMEM where a demand was lost, -ECANCELED where the write is not wanted any more, else 0. */
int mv_nbd_wishes_check(struct mv_nbd_wishes *wishes);

/*
 * The next bytes that are wanted, of the demands or of the hints, for which `find` finds a
 * piece that is to be asked for: it moves *io_offset there and stores the length.
 */
typedef bool mv_nbd_find_fn(void *opaque, uint64_t *io_offset, uint64_t end, bool waits,
                            uint64_t *ret_len);
bool mv_nbd_wishes_take(struct mv_nbd_wishes *wishes, bool demands, mv_nbd_find_fn *find,
                        void *opaque, uint64_t *ret_offset, uint64_t *ret_len);
/* A demand that was taken cannot be asked for: mv_nbd_wishes_check says so soon. */
void mv_nbd_wishes_lack_memory(struct mv_nbd_wishes *wishes);
/* It is waited for still. */
void mv_nbd_wishes_return(struct mv_nbd_wishes *wishes, uint64_t offset, uint64_t len);
/* Nothing can be brought now: whether somebody waited for any. */
bool mv_nbd_wishes_drop(struct mv_nbd_wishes *wishes);

/* NULL: there is nothing to be written.  It stays until mv_nbd_wishes_written. */
const struct mv_dirty_cursor *mv_nbd_wishes_cursor(struct mv_nbd_wishes *wishes);
/* All was, or -errno and why not. */
void mv_nbd_wishes_written(struct mv_nbd_wishes *wishes, int result, const char *why);

#endif
