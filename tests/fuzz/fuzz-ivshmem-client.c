/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer against the client's end: the input is what a server does.  Each
 * step is a byte of kind, then what it needs: a whole message with descriptors
 * of some kind, or raw bytes cut anywhere.
 */
#include "memvisor-ivshmem.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FD_KINDS = 6 };

static int make_fd(unsigned kind)
{
    int fd;
    switch (kind % FD_KINDS) {
    case 0:
    case 1:
        return eventfd(0, 0);
    case 2:
    case 3:
        fd = memfd_create("fuzz", 0);
        if (ftruncate(fd, kind % 2 == 0 ? 65536 : 12345) < 0)
            abort();
        return fd;
    case 4:
        return open("/dev/null", O_RDWR);
    default:
        return socket(AF_UNIX, SOCK_DGRAM, 0);
    }
}

static void send_step(int sock, const void *bytes, size_t size, unsigned fds, unsigned kind)
{
    union {
        char room[CMSG_SPACE(6 * sizeof(int))];
        struct cmsghdr align;
    } control;
    int list[6];
    struct iovec part = {.iov_base = (void *)bytes, .iov_len = size};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
    memset(&control, 0, sizeof control);
    for (unsigned i = 0; i < fds; i++)
        list[i] = make_fd(kind);
    if (fds > 0 && size > 0) {
        header.msg_control = control.room;
        header.msg_controllen = CMSG_SPACE(fds * sizeof(int));
        struct cmsghdr *c = CMSG_FIRSTHDR(&header);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(fds * sizeof(int));
        memcpy(CMSG_DATA(c), list, fds * sizeof(int));
    }
    (void)!sendmsg(sock, &header, MSG_DONTWAIT | MSG_NOSIGNAL);
    for (unsigned i = 0; i < fds; i++)
        close(list[i]);
}

static void send_value(int sock, int64_t value, unsigned fds, unsigned kind)
{
    uint8_t bytes[8];
    for (int i = 0; i < 8; i++)
        bytes[i] = (uint8_t)((uint64_t)value >> (8 * i));
    send_step(sock, bytes, sizeof bytes, fds, kind);
}

/* One step from the input; returns how many bytes it took. */
static size_t step(int sock, const uint8_t *data, size_t size)
{
    unsigned op = data[0], kind = op >> 4;
    size_t len;
    switch (op & 7) {
    case 0:
        send_value(sock, 0, 0, 0);
        return 1;
    case 1: /* the memory */
        send_value(sock, -1, 1, kind == 0 ? 2 : kind);
        return 1;
    case 2: /* small IDs, so that connects, vectors and disconnects meet */
    case 3:
        if (size < 2)
            return 1;
        send_value(sock, data[1] & 7, (op & 7) == 2, kind);
        return 2;
    case 4:
        if (size < 9)
            return 1;
        send_step(sock, data + 1, 8, kind & 3, kind);
        return 9;
    case 5:
        send_value(sock, -1, 1 + kind % 6, kind);
        return 1;
    default:
        len = 1 + kind % 7;
        if (size < 1 + len)
            return 1;
        send_step(sock, data + 1, len, op & 1, kind);
        return 1 + len;
    }
}

static void use(struct mv_ivshmem *shm)
{
    struct mv_ivshmem_event event;
    unsigned ids[16];
    uint8_t bytes[64] = {0};
    size_t count = mv_ivshmem_peers(shm, ids, 16);
    for (size_t i = 0; i < count && i < 16; i++)
        mv_ivshmem_ring(shm, ids[i], 0);
    mv_ivshmem_ring(shm, mv_ivshmem_id(shm), 0);
    mv_ivshmem_read(shm, mv_ivshmem_size(shm) - 64, bytes, sizeof bytes);
    mv_ivshmem_write(shm, 1, bytes, sizeof bytes);
    for (int i = 0; i < 100 && mv_ivshmem_wait(shm, 0, &event) > 0; i++)
        ;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int fds[2];
    char error[MV_IVSHMEM_ERROR_SIZE];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) < 0)
        abort();
    size_t at = 0;
    /* Most inputs start as a right session does, so that they come behind it. */
    if (size > 0 && (data[0] & 0x80) != 0) {
        send_value(fds[0], 0, 0, 0);
        send_value(fds[0], 1, 0, 0);
        send_value(fds[0], -1, 1, 2);
        send_value(fds[0], 1, 1, 0);
    }
    /* The half before joining, the half behind. */
    while (at < size / 2)
        at += step(fds[0], data + at, size - at);
    struct mv_ivshmem *shm = mv_ivshmem_open_fd(fds[1], 0, error);
    while (at < size)
        at += step(fds[0], data + at, size - at);
    if (shm != NULL)
        use(shm);
    close(fds[0]);
    if (shm != NULL)
        use(shm);
    mv_ivshmem_close(shm);
    return 0;
}
