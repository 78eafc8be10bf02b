/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What calls of the system leave to each caller: the time as one number, reads and
 * writes that go on until all is done, a lock that writers get.  No state; any thread.
 */
#ifndef MV_BASE_OS_H
#define MV_BASE_OS_H

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

/* Since some time in the past; goes on while the host is awake, whatever its clock is set to. */
static inline uint64_t mv_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* That the calling thread has used of a processor. */
static inline uint64_t mv_thread_cpu_ns(void)
{
    struct timespec used;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return (uint64_t)used.tv_sec * 1000000000 + (uint64_t)used.tv_nsec;
}

static inline int64_t mv_now_ms(void)
{
    return (int64_t)(mv_now_ns() / 1000000);
}

/*
 * Write len bytes: 0, or what write(2) said, negative.  Where the descriptor does
 * not block and takes nothing, the call waits; -EAGAIN after a second of that.
 * Async-signal-safe.
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

/* The same at a place in a file: 0, or what pwrite(2) said, negative. */
static inline int mv_pwrite_all(int fd, const void *buf, size_t len, uint64_t at)
{
    for (const char *next = buf; len > 0;) {
        ssize_t n = pwrite(fd, next, len, (off_t)at);
        if (n < 0 && errno != EINTR)
            return -errno;
        size_t done = n > 0 ? (size_t)n : 0;
        next += done;
        at += done;
        len -= done;
    }
    return 0;
}

/* 0, -ENODATA where the file ends before, or what pread(2) said, negative. */
static inline int mv_pread_all(int fd, void *buf, size_t len, uint64_t at)
{
    for (char *next = buf; len > 0;) {
        ssize_t n = pread(fd, next, len, (off_t)at);
        if (n == 0 || (n < 0 && errno != EINTR))
            return n == 0 ? -ENODATA : -errno;
        size_t done = n > 0 ? (size_t)n : 0;
        next += done;
        at += done;
        len -= done;
    }
    return 0;
}

/* Random bytes of the host, at most 256: 0, or what getrandom(2) said, negative. */
static inline int mv_random(void *buf, size_t len)
{
    ssize_t n;
    do
        n = getrandom(buf, len, 0);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : (size_t)n == len ? 0 : -EIO;
}

/* Take what an eventfd or a timerfd has counted, to be readable again for more. */
static inline void mv_drain(int fd)
{
    uint64_t count;
    ssize_t n = read(fd, &count, sizeof count);
    (void)n;
}

/*
 * A read-write lock that lets a writer in: glibc's usual kind lets readers in
 * before it for as long as there are any, so that a guest's vCPUs could keep the
 * main thread out for ever.  No thread may take the read side twice.
 */
static inline void mv_rwlock_init(pthread_rwlock_t *lock)
{
    pthread_rwlockattr_t attr;
    pthread_rwlockattr_init(&attr);
    pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(lock, &attr);
    pthread_rwlockattr_destroy(&attr);
}

#endif
