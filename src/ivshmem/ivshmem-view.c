/* SPDX-License-Identifier: Apache-2.0 */
/* Ringing peers, and the table of them: see ivshmem-view.h. */
#include "ivshmem-view.h"

#include "cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/aio_abi.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* --- the bell */

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

/* A full counter counts as rung.  Between the poll and the write a peer could still fill it. */
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
    /* The kernel adds 1 and nothing else.  A forked process has no context of its own. */
    if (value == 1 && bell->context != 0) {
        int r = ring_by_kernel(bell, fd);
        if (r == 0 || r == -EBADF)
            return r;
    }
    return ring_by_write(fd, value);
}

/* --- the table of peers */

/* An eventfd, by what the kernel calls it: ringing anything else would write to it. */
static bool is_eventfd(int fd)
{
    char path[64], name[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(path, name, sizeof name - 1);
    if (n < 0)
        return false;
    name[n] = '\0';
    return strcmp(name, "anon_inode:[eventfd]") == 0;
}

int mv_ivshmem_view_add(struct mv_ivshmem_view *view, uint16_t id, int fd, struct mv_error *err)
{
    CLEANUP_CLOSE int owned = fd;
    struct mv_ivshmem_view_peer *peer = view->peers[id];
    unsigned count = peer == NULL ? 0 : peer->count;
    if (!is_eventfd(fd))
        return mv_error_set(err, EPROTO,
                            "the server sent a descriptor that is no eventfd for vector %u of "
                            "peer %u",
                            count, id);
    if (count == MV_IVSHMEM_VECTORS_MAX)
        return mv_error_set(err, EPROTO, "the server sent more than %d vectors for peer %u",
                            MV_IVSHMEM_VECTORS_MAX, id);
    /* On hosts without io_submit or RWF_NOWAIT only this keeps ringing and reading from waiting. */
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    struct mv_ivshmem_view_peer *larger =
        realloc(peer, sizeof *peer + (count + 1) * sizeof peer->fds[0]);
    if (larger == NULL)
        return mv_error_set_errno(err, ENOMEM, "peer %u", id);
    if (peer == NULL)
        view->count++;
    view->peers[id] = larger;
    larger->fds[count] = fd;
    larger->count = count + 1;
    owned = -1;
    return count == 0;
}

void mv_ivshmem_view_remove(struct mv_ivshmem_view *view, unsigned id)
{
    struct mv_ivshmem_view_peer *peer = view->peers[id];
    if (peer == NULL)
        return;
    for (unsigned i = 0; i < peer->count; i++)
        close(peer->fds[i]);
    free(peer);
    view->peers[id] = NULL;
    view->count--;
}

void mv_ivshmem_view_clear(struct mv_ivshmem_view *view)
{
    for (unsigned id = 0; id < MV_IVSHMEM_ID_COUNT && view->count > 0; id++)
        mv_ivshmem_view_remove(view, id);
}

unsigned mv_ivshmem_view_vectors(const struct mv_ivshmem_view *view, unsigned id)
{
    return id < MV_IVSHMEM_ID_COUNT && view->peers[id] != NULL ? view->peers[id]->count : 0;
}

int mv_ivshmem_view_ring(struct mv_ivshmem_view *view, unsigned id, unsigned vector, uint64_t value)
{
    unsigned vectors = mv_ivshmem_view_vectors(view, id);
    if (vectors == 0)
        return -ENOENT;
    if (vector >= vectors)
        return -EINVAL;
    return mv_ivshmem_bell_ring(&view->bell, view->peers[id]->fds[vector], value);
}

bool mv_ivshmem_view_count(int fd, uint64_t *ret)
{
    struct iovec part = {.iov_base = ret, .iov_len = sizeof *ret};
    ssize_t n = preadv2(fd, &part, 1, -1, RWF_NOWAIT);
    if (n < 0 && errno == EOPNOTSUPP) /* Linux before 5.8 */
        n = read(fd, ret, sizeof *ret);
    return n == sizeof *ret;
}

int mv_ivshmem_view_check_memory(int fd, uint64_t *ret_size, struct mv_error *err)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return mv_error_set_errno(err, errno, "the server's memory");
    uint64_t size = (uint64_t)st.st_size;
    if (!S_ISREG(st.st_mode))
        return mv_error_set(err, EPROTO, "the server sent a descriptor that is no memory");
    if (st.st_size < sysconf(_SC_PAGESIZE) || (size & (size - 1)) != 0)
        return mv_error_set(err, EPROTO,
                            "the server's memory has %" PRIu64 " bytes, which is no power of two "
                            "of whole pages",
                            size);
    *ret_size = size;
    return 0;
}
