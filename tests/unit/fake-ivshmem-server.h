/* SPDX-License-Identifier: Apache-2.0 */
/* A server for one client at a time, in a thread: memory of 1 MiB, and the client's own vectors. */
#ifndef MV_TESTS_FAKE_IVSHMEM_SERVER_H
#define MV_TESTS_FAKE_IVSHMEM_SERVER_H

#include "ivshmem-wire.h"
#include "unix-socket.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define FAKE_SERVER_VECTORS 16

static struct {
    char path[64]; /* empty: it does not run */
    int listener, client;
    uint16_t id;
    unsigned vectors;
    int eventfds[FAKE_SERVER_VECTORS];
    pthread_t thread;
} fake_server;

static inline void fake_server_tell(int socket_fd, enum mv_ivshmem_kind kind, uint16_t id, int fd)
{
    const struct mv_ivshmem_message message = {.kind = kind, .id = id, .fd = fd};
    int r;
    while ((r = mv_ivshmem_wire_send(socket_fd, &message, 1)) == -EAGAIN)
        usleep(1000);
    assert_int_equal(r, 1);
}

static inline void fake_server_greet(int client, uint16_t id)
{
    int memory = memfd_create("memory", MFD_CLOEXEC);
    assert_int_equal(ftruncate(memory, 1 << 20), 0);
    fake_server_tell(client, MV_IVSHMEM_VERSION, 0, -1);
    fake_server_tell(client, MV_IVSHMEM_OWN_ID, id, -1);
    fake_server_tell(client, MV_IVSHMEM_MEMORY, 0, memory);
    close(memory);
}

static inline void *fake_server_run(void *opaque)
{
    fake_server.client = accept(fake_server.listener, NULL, NULL);
    fake_server_greet(fake_server.client, fake_server.id);
    for (unsigned i = 0; i < fake_server.vectors; i++)
        fake_server_tell(fake_server.client, MV_IVSHMEM_CONNECT, fake_server.id,
                         fake_server.eventfds[i]);
    return NULL;
}

/* The path of its socket, on which it waits for a client to be `id`. */
static inline const char *fake_server_start(uint16_t id, unsigned vectors)
{
    struct mv_error err;
    snprintf(fake_server.path, sizeof fake_server.path, "/tmp/test-ivshmem-%d.sock",
             (int)getpid());
    fake_server.id = id;
    fake_server.vectors = vectors;
    for (unsigned i = 0; i < vectors; i++)
        fake_server.eventfds[i] = eventfd(0, EFD_CLOEXEC);
    assert_int_equal(mv_unix_listen("socket", fake_server.path, &fake_server.listener, &err), 0);
    assert_int_equal(fcntl(fake_server.listener, F_SETFL, 0), 0);
    pthread_create(&fake_server.thread, NULL, fake_server_run, NULL);
    return fake_server.path;
}

/* As a peer would. */
static inline void fake_server_ring(unsigned vector)
{
    assert_int_equal(eventfd_write(fake_server.eventfds[vector], 1), 0);
}

/* Whether it runs or not; the client has come. */
static inline void fake_server_stop(void)
{
    if (fake_server.path[0] == '\0')
        return;
    pthread_join(fake_server.thread, NULL);
    for (unsigned i = 0; i < fake_server.vectors; i++)
        close(fake_server.eventfds[i]);
    close(fake_server.client);
    close(fake_server.listener);
    unlink(fake_server.path);
    fake_server.path[0] = '\0';
}

#endif
