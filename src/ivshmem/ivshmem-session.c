/* SPDX-License-Identifier: Apache-2.0 */
/* From messages to news, and the beginning of a connection: see ivshmem-session.h. */
#include "ivshmem-session.h"

#include "cleanup.h"
#include "os.h"
#include "unix-socket.h"

#include <poll.h>
#include <time.h>
#include <unistd.h>

/* --- a session */

void mv_ivshmem_session_init(struct mv_ivshmem_session *session)
{
    *session = (struct mv_ivshmem_session){.socket_fd = -1};
    mv_ivshmem_decoder_init(&session->decoder);
}

void mv_ivshmem_session_begin(struct mv_ivshmem_session *session, int socket_fd)
{
    mv_ivshmem_decoder_init(&session->decoder);
    session->socket_fd = socket_fd;
}

int mv_ivshmem_session_connect(struct mv_ivshmem_session *session, const char *path,
                               struct mv_error *err)
{
    int fd, r = mv_unix_connect_now("the ivshmem server's socket", path, &fd, err);
    if (r == 0)
        mv_ivshmem_session_begin(session, fd);
    return r;
}

void mv_ivshmem_session_end(struct mv_ivshmem_session *session)
{
    mv_ivshmem_decoder_clear(&session->decoder);
    mv_cleanup_close(&session->socket_fd);
    session->has_id = session->has_memory = false;
}

static int take_vector(struct mv_ivshmem_session *session, const struct mv_ivshmem_message *message,
                       struct mv_ivshmem_news *ret, struct mv_error *err)
{
    if (!session->has_memory) {
        close(message->fd);
        return mv_error_set(err, EPROTO, "the server sent peer %u before its memory", message->id);
    }
    *ret = (struct mv_ivshmem_news){MV_IVSHMEM_NEWS_VECTOR, message->id, message->fd};
    return 1;
}

/* Those who leave before the memory comes were never told of. */
static int take_leave(struct mv_ivshmem_session *session, const struct mv_ivshmem_message *message,
                      struct mv_ivshmem_news *ret, struct mv_error *err)
{
    if (session->has_memory && message->id == session->id)
        return mv_error_set(err, EPROTO, "the server says that we are gone");
    *ret = (struct mv_ivshmem_news){MV_IVSHMEM_NEWS_GONE, message->id, -1};
    return session->has_memory;
}

/* 1 with news, 0 without, or a negative errno. */
static int take(struct mv_ivshmem_session *session, const struct mv_ivshmem_message *message,
                struct mv_ivshmem_news *ret, struct mv_error *err)
{
    switch (message->kind) {
    case MV_IVSHMEM_VERSION:
        break;
    case MV_IVSHMEM_OWN_ID:
        session->id = message->id;
        session->has_id = true;
        break;
    case MV_IVSHMEM_MEMORY:
        session->has_memory = true;
        *ret = (struct mv_ivshmem_news){MV_IVSHMEM_NEWS_MEMORY, 0, message->fd};
        return 1;
    case MV_IVSHMEM_CONNECT:
        return take_vector(session, message, ret, err);
    case MV_IVSHMEM_DISCONNECT:
        return take_leave(session, message, ret, err);
    }
    return 0;
}

int mv_ivshmem_session_receive(struct mv_ivshmem_session *session, struct mv_ivshmem_news *ret,
                               struct mv_error *err)
{
    for (;;) {
        struct mv_ivshmem_message message;
        int r = mv_ivshmem_wire_receive(&session->decoder, session->socket_fd, &message, err);
        if (r <= 0 || (r = take(session, &message, ret, err)) != 0)
            return r;
    }
}

/* --- its beginning */

#define HELLO_MS 10000
#define STEP_MS  50

struct patience {
    int64_t end_ms;
    bool (*cancelled)(void *opaque);
    void *opaque;
};

static int connect_to(struct mv_ivshmem_hello *hello, const char *path,
                      const struct patience *patience, struct mv_error *err)
{
    for (;;) {
        int r = mv_ivshmem_session_connect(&hello->session, path, err);
        if (r == -ENOENT || r == -ECONNREFUSED)
            return mv_error_set(err, -r,
                                "no ivshmem server listens at '%s': start one with 'memvisor "
                                "ivshmem-server %s --size 64M'",
                                path, path);
        if (r != -EAGAIN || mv_now_ms() >= patience->end_ms ||
            patience->cancelled(patience->opaque))
            return r;
        nanosleep(&(struct timespec){.tv_nsec = STEP_MS * 1000000}, NULL);
    }
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
        struct mv_ivshmem_news news; /* the first that there is is the memory */
        int r = mv_ivshmem_session_receive(&hello->session, &news, err);
        if (r > 0)
            hello->memory_fd = news.fd;
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
