/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_ticker: a function that a loop calls some times a second, such as one that tells how
 * far long work is.  The loop's thread.
 */
#ifndef MV_BASE_TICKER_H
#define MV_BASE_TICKER_H

#include "error.h"

struct mv_loop;
struct mv_loop_source;

#define MV_TICKER_MS 200

struct mv_ticker {
    int fd; /* -1: it stands */
    struct mv_loop_source *source;
    void (*tick)(void *opaque);
    void *opaque;
};
#define MV_TICKER_INIT                                                                             \
    {                                                                                              \
        .fd = -1                                                                                   \
    }

/* Of one that stands; where this fails it still does. */
int mv_ticker_start(struct mv_ticker *ticker, struct mv_loop *loop, void (*tick)(void *opaque),
                    void *opaque, struct mv_error *err);
/* Also of one that stands. */
void mv_ticker_stop(struct mv_ticker *ticker);

#endif
