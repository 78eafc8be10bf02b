/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a guest will come to need, by what it had to wait for: a few streams, each of which
 * goes through memory page after page, or in steps of one length.  A stream that has proved
 * right is trusted with more, up to a bound, and one that was wrong begins anew.  What is
 * learned is lost with the struct.  No lock; the source's that has it.
 */
#ifndef MV_MEMORY_READ_AHEAD_H
#define MV_MEMORY_READ_AHEAD_H

#include <stddef.h>
#include <stdint.h>

enum { MV_READ_AHEAD_STREAMS = 8, MV_READ_AHEAD_RUNS = 16 };

/* What is brought along with a page that nothing is known of: the place of so many bytes. */
#define MV_READ_AHEAD_PLACE (UINT64_C(32) << 10)
/* As much is brought beforehand, at most. */
#define MV_READ_AHEAD_MOST (UINT64_C(1) << 20)

struct mv_read_ahead_run {
    uint64_t offset, len; /* bytes, whole pages */
};

struct mv_read_ahead {
    struct {
        uint64_t last;   /* offset of what was waited for last */
        uint64_t next;   /* behind all that was brought for it */
        uint64_t window; /* bytes beforehand; 0: the stream has not proved right yet */
        int64_t stride;  /* 0: none was seen */
        uint64_t turn;   /* when it was right last, 0: a place that is free */
    } streams[MV_READ_AHEAD_STREAMS];
    uint64_t turn;
};

/*
 * Somebody waits for a page at this offset (bytes, a multiple of 4 KiB) of a block of so many
 * bytes: what to bring besides, in this order, as up to MV_READ_AHEAD_RUNS runs that lie in
 * the block; their number.  The page itself may be in them.
 */
size_t mv_read_ahead_miss(struct mv_read_ahead *ahead, uint64_t offset, uint64_t size,
                          struct mv_read_ahead_run ret[MV_READ_AHEAD_RUNS]);

#endif
