/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waiting for a descriptor with all that may end the wait: a time, a flag of
 * another thread's, an eventfd.  No state; any thread.  Called by channel*.c.
 */
#ifndef MV_STREAM_CHANNEL_WAIT_H
#define MV_STREAM_CHANNEL_WAIT_H

#include "os.h"

#include <poll.h>
#include <stdatomic.h>
#include <stdbool.h>

#define MV_CHANNEL_NO_LIMIT                                                                        \
    (struct mv_channel_limit)                                                                      \
    {                                                                                              \
        .until_ns = UINT64_MAX, .end_fd = -1                                                       \
    }

struct mv_channel_limit {
    uint64_t until_ns;            /* of mv_now_ns; UINT64_MAX: there is none */
    const atomic_bool *cancelled; /* or NULL */
    int end_fd;                   /* readable: it is over; or -1 */
};

/* The time that is ns from now, as such a limit. */
static inline uint64_t mv_channel_until(uint64_t ns)
{
    uint64_t until;
    return ns == UINT64_MAX || __builtin_add_overflow(mv_now_ns(), ns, &until) ? UINT64_MAX : until;
}

/*
 * 0 once fd (-1: never) has one of the events or an error; -ETIMEDOUT, -ECANCELED, or
 * what poll(2) said.
 */
int mv_channel_wait(int fd, short events, const struct mv_channel_limit *limit);
/* The same for one of several, whose `revents` are filled in; end_fd is not looked at. */
int mv_channel_wait_any(struct pollfd *fds, size_t count, const struct mv_channel_limit *limit);

#endif
