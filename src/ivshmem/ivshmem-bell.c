/* SPDX-License-Identifier: Apache-2.0 */
#include "ivshmem-bell.h"

#include "cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <poll.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Writes that may be on their way; their ends are collected long before there are as many. */
#define SLOTS   256
#define COLLECT 32

void mv_ivshmem_bell_init(struct mv_ivshmem_bell *bell)
{
    aio_context_t context = 0;
    *bell = (struct mv_ivshmem_bell){.null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC)};
    if (bell->null_fd >= 0 && syscall(SYS_io_setup, SLOTS, &context) == 0)
        bell->context = context;
}

void mv_ivshmem_bell_destroy(struct mv_ivshmem_bell *bell)
{
    if (bell->context != 0)
        syscall(SYS_io_destroy, bell->context);
    mv_cleanup_close(&bell->null_fd);
}

static void collect(struct mv_ivshmem_bell *bell)
{
    struct io_event events[COLLECT];
    struct timespec at_once = {0};
    while (syscall(SYS_io_getevents, bell->context, 0L, (long)COLLECT, events, &at_once) == COLLECT)
        ;
}

static int ring_by_kernel(struct mv_ivshmem_bell *bell, int fd)
{
    static const char byte;
    struct iocb write = {.aio_lio_opcode = IOCB_CMD_PWRITE,
                         .aio_fildes = (uint32_t)bell->null_fd,
                         .aio_buf = (uintptr_t)&byte,
                         .aio_nbytes = sizeof byte,
                         .aio_flags = IOCB_FLAG_RESFD,
                         .aio_resfd = (uint32_t)fd};
    struct iocb *list[] = {&write};
    long n = syscall(SYS_io_submit, bell->context, 1L, list);
    if (n < 0 && errno == EAGAIN) {
        collect(bell);
        n = syscall(SYS_io_submit, bell->context, 1L, list);
    }
    if (atomic_fetch_add_explicit(&bell->rings, 1, memory_order_relaxed) % COLLECT == COLLECT - 1)
        collect(bell);
    return n == 1 ? 0 : -errno;
}

/* Full is as good as rung; between the look and the write a peer could still fill it. */
static int ring_by_write(int fd, uint64_t value)
{
    struct pollfd room = {.fd = fd, .events = POLLOUT};
    if (poll(&room, 1, 0) == 0)
        return 0;
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    return write(fd, &value, sizeof value) < 0 && errno != EAGAIN ? -errno : 0;
}

int mv_ivshmem_bell_ring(struct mv_ivshmem_bell *bell, int fd, uint64_t value)
{
    /* The kernel signals ones.  A process that was forked has no context of its own. */
    if (value == 1 && bell->context != 0) {
        int r = ring_by_kernel(bell, fd);
        if (r == 0 || r == -EBADF)
            return r;
    }
    return ring_by_write(fd, value);
}
