/* SPDX-License-Identifier: Apache-2.0 */
#include "channel-wait.h"

/* How often a flag is looked at, which wakes nobody. */
#define SLICE_NS UINT64_C(20000000)

int mv_channel_wait_any(struct pollfd *fds, size_t count, const struct mv_channel_limit *limit)
{
    for (;;) {
        if (limit->cancelled != NULL && atomic_load(limit->cancelled))
            return -ECANCELED;
        uint64_t now = limit->until_ns == UINT64_MAX ? 0 : mv_now_ns();
        uint64_t left = limit->until_ns > now ? limit->until_ns - now : 0;
        if (limit->cancelled != NULL && left > SLICE_NS)
            left = SLICE_NS;
        struct timespec time = {.tv_sec = (time_t)(left / 1000000000),
                                .tv_nsec = (long)(left % 1000000000)};
        int n = ppoll(fds, count, left == UINT64_MAX ? NULL : &time, NULL);
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n > 0)
            return 0;
        if (n == 0 && left == 0)
            return -ETIMEDOUT;
    }
}

int mv_channel_wait(int fd, short events, const struct mv_channel_limit *limit)
{
    struct pollfd fds[] = {{.fd = fd, .events = events}, {.fd = limit->end_fd, .events = POLLIN}};
    int r = mv_channel_wait_any(fds, 2, limit);
    return r == 0 && fds[1].revents != 0 ? -ECANCELED : r;
}
