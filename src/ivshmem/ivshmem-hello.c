/* SPDX-License-Identifier: Apache-2.0 */
/* The beginning of a connection: see ivshmem-hello.h.  No state but the struct's. */
#include "ivshmem-hello.h"

#include "cleanup.h"
#include "os.h"
#include "unix-socket.h"

#include <poll.h>
#include <time.h>

#define HELLO_MS 10000
#define STEP_MS  50

struct patience {
    int64_t end_ms;
    bool (*cancelled)(void *opaque);
    void *opaque;
};

int mv_ivshmem_hello_connect(const char *path, int *ret_fd, struct mv_error *err)
{
    return mv_unix_connect_now("the ivshmem server's socket", path, ret_fd, err);
}

static int connect_to(struct mv_ivshmem_hello *hello, const char *path,
                      const struct patience *patience, struct mv_error *err)
{
    for (;;) {
        int fd, r = mv_ivshmem_hello_connect(path, &fd, err);
        if (r == 0)
            mv_ivshmem_session_begin(&hello->session, fd);
        if (r == -ENOENT || r == -ECONNREFUSED)
            return mv_error_set(err, -r,
                                "no ivshmem server listens at '%s': start one with 'memvisor "
                                "ivshmem-server %s --size 64M'",
                                path, path);
        if (r != -EAGAIN || mv_now_ms() >= patience->end_ms || patience->cancelled(patience->opaque))
            return r;
        nanosleep(&(struct timespec){.tv_nsec = STEP_MS * 1000000}, NULL);
    }
}

/* The memory is the first news that there is. */
static int take_memory(struct mv_ivshmem_hello *hello, struct mv_error *err)
{
    struct mv_ivshmem_news news;
    int r = mv_ivshmem_session_receive(&hello->session, &news, err);
    if (r > 0)
        hello->memory_fd = news.fd;
    return r;
}

static int wait_for_memory(struct mv_ivshmem_hello *hello, const char *path,
                           const struct patience *patience, struct mv_error *err)
{
    while (hello->memory_fd < 0) {
        struct pollfd readable = {.fd = hello->session.socket_fd, .events = POLLIN};
        if (patience->cancelled(patience->opaque))
            return mv_error_set(err, ECANCELED, "interrupted");
        if (mv_now_ms() >= patience->end_ms)
            return mv_error_set(err, ETIMEDOUT,
                                "the ivshmem server at '%s' did not hand out its memory within "
                                "%d seconds: is it one?",
                                path, HELLO_MS / 1000);
        if (poll(&readable, 1, STEP_MS) <= 0)
            continue;
        int r = take_memory(hello, err);
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
    const struct patience patience = {mv_now_ms() + HELLO_MS, cancelled, opaque};
    struct mv_ivshmem_hello *hello = malloc(sizeof *hello);
    if (hello == NULL)
        return mv_error_set_errno(err, ENOMEM, "ivshmem");
    hello->memory_fd = -1;
    mv_ivshmem_session_init(&hello->session);
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
    mv_ivshmem_session_end(&hello->session);
    mv_cleanup_close(&hello->memory_fd);
    free(hello);
}
