/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer against the server's end: the input is what peers do, which is to
 * connect, send, pass descriptors, read a little, and go.  Behind it the server
 * must still greet a newcomer rightly, and know of nobody else.
 */
#include "ivshmem-server.h"
#include "ivshmem-wire.h"
#include "loop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

enum { PEERS = 8 };

static struct sockaddr_un address = {.sun_family = AF_UNIX};
static socklen_t address_size;
static int listen_fd, control_fd, memory_fd;

static int listener(const char *name)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    address.sun_path[0] = '\0';
    address_size =
        (socklen_t)(sizeof address.sun_family + 1 +
                    (size_t)snprintf(address.sun_path + 1, 64, "%s-%d", name, (int)getpid()));
    if (bind(fd, (struct sockaddr *)&address, address_size) < 0 || listen(fd, 64) < 0)
        abort();
    return fd;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    control_fd = listener("fuzz-ivshmem-control");
    listen_fd = listener("fuzz-ivshmem");
    memory_fd = memfd_create("fuzz", 0);
    return ftruncate(memory_fd, 65536);
}

static void stop(void *opaque)
{
    mv_loop_stop(opaque);
}

static void turn(struct mv_loop *loop)
{
    for (int i = 0; i < 3; i++) {
        mv_loop_defer(loop, stop, loop);
        mv_loop_run(loop);
    }
}

static int join(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (connect(fd, (struct sockaddr *)&address, address_size) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static void misbehave(int fd, unsigned kind, const uint8_t *data, size_t size)
{
    union {
        char room[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec part = {.iov_base = (void *)data, .iov_len = size};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
    memset(&control, 0, sizeof control);
    if ((kind & 1) != 0) {
        header.msg_control = control.room;
        header.msg_controllen = sizeof control.room;
        struct cmsghdr *c = CMSG_FIRSTHDR(&header);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(c), &memory_fd, sizeof(int));
    }
    (void)!sendmsg(fd, &header, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void act(int peers[PEERS], uint8_t op, const uint8_t *data, size_t size)
{
    int *peer = &peers[op % PEERS];
    char bytes[64];
    switch ((op >> 3) & 7) {
    case 0:
    case 1:
    case 2:
        if (*peer < 0)
            *peer = join();
        return;
    case 3:
        if (*peer >= 0)
            close(*peer);
        *peer = -1;
        return;
    case 4:
        (void)!recv(*peer, bytes, sizeof bytes, MSG_DONTWAIT);
        return;
    case 5:
        shutdown(*peer, (op & 0x40) != 0 ? SHUT_WR : SHUT_RD);
        return;
    default:
        misbehave(*peer, op >> 6, data, size < 16 ? size : 16);
    }
}

/* A greeting as it has to be when nobody else is there. */
static void check_greeting(struct mv_loop *loop)
{
    static const enum mv_ivshmem_kind wanted[] = {MV_IVSHMEM_VERSION, MV_IVSHMEM_OWN_ID,
                                                  MV_IVSHMEM_MEMORY, MV_IVSHMEM_CONNECT,
                                                  MV_IVSHMEM_CONNECT};
    struct mv_ivshmem_decoder decoder;
    struct mv_ivshmem_message message;
    struct mv_error err;
    int fd = join();
    mv_ivshmem_decoder_init(&decoder);
    turn(loop);
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        if (mv_ivshmem_wire_receive(&decoder, fd, &message, &err) != 1 || message.kind != wanted[i])
            abort();
        if (message.fd >= 0)
            close(message.fd);
    }
    if (mv_ivshmem_wire_receive(&decoder, fd, &message, &err) != 0)
        abort();
    close(fd);
    turn(loop);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mv_ivshmem_server_config config = {.listen_fd = listen_fd,
                                              .control_fd = control_fd,
                                              .memory_fd = memory_fd,
                                              .size = 65536,
                                              .memory = "memfd",
                                              .vectors = 2,
                                              .max_peers = 6,
                                              .round_messages = 1 + (size > 0 ? data[0] % 16 : 0)};
    struct mv_loop *loop;
    struct mv_ivshmem_server *server;
    struct mv_error err;
    int peers[PEERS];
    memset(peers, -1, sizeof peers);
    if (mv_loop_create(&loop, &err) < 0 ||
        mv_ivshmem_server_create(loop, &config, &server, &err) < 0)
        abort();
    for (size_t i = 0; i < size; i++) {
        act(peers, data[i], data + i, size - i);
        if ((data[i] & 0x80) == 0)
            turn(loop);
    }
    for (int i = 0; i < PEERS; i++) {
        if (peers[i] >= 0)
            close(peers[i]);
    }
    turn(loop);
    if (mv_ivshmem_server_peers(server) != 0)
        abort();
    check_greeting(loop);
    mv_ivshmem_server_destroy(server);
    mv_loop_destroy(loop);
    return 0;
}
