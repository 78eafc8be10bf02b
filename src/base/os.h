/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What calls of the system leave to each caller: the time as one number, and a
 * write that goes on until all is written.  No state; any thread, and signal
 * handlers.
 */
#ifndef MV_BASE_OS_H
#define MV_BASE_OS_H

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>

/* Since some time in the past; goes on while the host is awake, whatever its clock is set to. */
static inline uint64_t mv_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static inline int64_t mv_now_ms(void)
{
    return (int64_t)(mv_now_ns() / 1000000);
}

/*
 * Write len bytes: 0, or what write(2) said, negative.  Where the descriptor does
 * not block and takes nothing, the call waits; -EAGAIN after a second of that.
 */
static inline int mv_write_all(int fd, const void *buf, size_t len)
{
    for (const char *next = buf; len > 0;) {
        ssize_t n = write(fd, next, len);
        struct pollfd writable = {.fd = fd, .events = POLLOUT};
        if (n < 0 && errno != EINTR && (errno != EAGAIN || poll(&writable, 1, 1000) == 0))
            return -errno;
        next += n > 0 ? n : 0;
        len -= n > 0 ? (size_t)n : 0;
    }
    return 0;
}

#endif
