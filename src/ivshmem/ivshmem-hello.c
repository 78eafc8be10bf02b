/* SPDX-License-Identifier: Apache-2.0 */
/* The beginning of a connection: see ivshmem-hello.h.  No state but the struct's. */
#include "ivshmem-hello.h"

#include "cleanup.h"
#include "unix-socket.h"

#include <poll.h>
#include <time.h>

#define HELLO_MS 10000
#define STEP_MS  50

struct patience {
    long long end_ms;
    bool (*cancelled)(void *opaque);
    void *opaque;
};

static long long now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

int mv_ivshmem_hello_connect(const char *path, int *ret_fd, struct mv_error *err)
{
    return mv_unix_connect_now("the ivshmem server's socket", path, ret_fd, err);
}

int mv_ivshmem_hello_early_peer(unsigned id, struct mv_error *err)
{
    return mv_error_set(err, EPROTO, "the server sent peer %u before its memory", id);
}

static int connect_to(struct mv_ivshmem_hello *hello, const char *path,
                      const struct patience *patience, struct mv_error *err)
{
    for (;;) {
        int r = mv_ivshmem_hello_connect(path, &hello->socket_fd, err);
        if (r == -ENOENT || r == -ECONNREFUSED)
            return mv_error_set(err, -r,
                                "no ivshmem server listens at '%s': start one with 'memvisor "
                                "ivshmem-server %s --size 64M'",
                                path, path);
        if (r != -EAGAIN || now_ms() >= patience->end_ms || patience->cancelled(patience->opaque))
            return r;
        nanosleep(&(struct timespec){.tv_nsec = STEP_MS * 1000000}, NULL);
    }
}

/* Those who leave before the memory comes were never told of. */
static int take_messages(struct mv_ivshmem_hello *hello, struct mv_error *err)
{
    struct mv_ivshmem_message message;
    while (hello->memory_fd < 0) {
        int r = mv_ivshmem_wire_receive(&hello->decoder, hello->socket_fd, &message, err);
        if (r <= 0)
            return r;
        if (message.kind == MV_IVSHMEM_OWN_ID)
            hello->id = message.id;
        else if (message.kind == MV_IVSHMEM_MEMORY)
            hello->memory_fd = message.fd;
        if (message.kind != MV_IVSHMEM_CONNECT)
            continue;
        close(message.fd);
        return mv_ivshmem_hello_early_peer(message.id, err);
    }
    return 0;
}

static int wait_for_memory(struct mv_ivshmem_hello *hello, const char *path,
                           const struct patience *patience, struct mv_error *err)
{
    while (hello->memory_fd < 0) {
        struct pollfd readable = {.fd = hello->socket_fd, .events = POLLIN};
        if (patience->cancelled(patience->opaque))
            return mv_error_set(err, ECANCELED, "interrupted");
        if (now_ms() >= patience->end_ms)
            return mv_error_set(err, ETIMEDOUT,
                                "the ivshmem server at '%s' did not hand out its memory within "
                                "%d seconds: is it one?",
                                path, HELLO_MS / 1000);
        if (poll(&readable, 1, STEP_MS) <= 0)
            continue;
        int r = take_messages(hello, err);
        if (r < 0) {
            mv_error_prefix(err, "the ivshmem server at '%s'", path);
            return r;
        }
    }
    return 0;
}

int mv_ivshmem_hello_create(const char *path, bool (*cancelled)(void *opaque), void *opaque,
                            struct mv_ivshmem_hello **ret, struct mv_error *err)
{
    const struct patience patience = {now_ms() + HELLO_MS, cancelled, opaque};
    struct mv_ivshmem_hello *hello = malloc(sizeof *hello);
    if (hello == NULL)
        return mv_error_set_errno(err, ENOMEM, "ivshmem");
    *hello = (struct mv_ivshmem_hello){.socket_fd = -1, .memory_fd = -1};
    mv_ivshmem_decoder_init(&hello->decoder);
    int r = connect_to(hello, path, &patience, err);
    if (r == 0)
        r = wait_for_memory(hello, path, &patience, err);
    if (r < 0)
        mv_ivshmem_hello_destroy(hello);
    else
        *ret = hello;
    return r;
}

void mv_ivshmem_hello_destroy(struct mv_ivshmem_hello *hello)
{
    if (hello == NULL)
        return;
    mv_ivshmem_decoder_clear(&hello->decoder);
    mv_cleanup_close(&hello->socket_fd);
    mv_cleanup_close(&hello->memory_fd);
    free(hello);
}
