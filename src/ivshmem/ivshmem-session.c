/* SPDX-License-Identifier: Apache-2.0 */
/* From messages to news: see ivshmem-session.h. */
#include "ivshmem-session.h"

#include "cleanup.h"

#include <unistd.h>

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

void mv_ivshmem_session_end(struct mv_ivshmem_session *session)
{
    mv_ivshmem_decoder_clear(&session->decoder);
    mv_cleanup_close(&session->socket_fd);
    session->socket_fd = -1;
    session->has_id = session->has_memory = false;
}

static int take_vector(struct mv_ivshmem_session *session,
                       const struct mv_ivshmem_message *message, struct mv_ivshmem_news *ret,
                       struct mv_error *err)
{
    if (!session->has_memory) {
        close(message->fd);
        return mv_error_set(err, EPROTO, "the server sent peer %u before its memory", message->id);
    }
    *ret = (struct mv_ivshmem_news){MV_IVSHMEM_NEWS_VECTOR, message->id, message->fd};
    return 1;
}

/* Those who leave before the memory comes were never told of. */
static int take_leave(struct mv_ivshmem_session *session,
                      const struct mv_ivshmem_message *message, struct mv_ivshmem_news *ret,
                      struct mv_error *err)
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
        if (r > 0)
            r = take(session, &message, ret, err);
        else
            return r;
        if (r != 0)
            return r;
    }
}
