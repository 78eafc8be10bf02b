/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The status socket: whoever connects gets one JSON object and the end of the
 * connection.  A reader that does not read holds one of a few places until
 * others want it.  In the server's thread.
 */
#include "ivshmem-server-state.h"

#include "cleanup.h"
#include "loop.h"
#include "os.h"

#include <jansson.h>
#include <string.h>
#include <sys/epoll.h>

#define READERS_MAX 16

struct mv_ivshmem_status_reader {
    struct mv_ivshmem_server *server;
    int fd;
    struct mv_loop_source *source;
    char *text;
    size_t sent, size;
    struct mv_ivshmem_status_reader *next; /* the one that came before */
};

static json_t *describe_peer(const struct mv_ivshmem_peer *peer)
{
    char since[32];
    struct tm tm;
    gmtime_r(&peer->since.tv_sec, &tm);
    strftime(since, sizeof since, "%Y-%m-%dT%H:%M:%SZ", &tm);
    return json_pack("{s:i, s:i, s:i, s:i, s:i, s:s, s:I}", "id", peer->id, "pid",
                     (int)peer->owner.pid, "uid", (int)peer->owner.uid, "gid", (int)peer->owner.gid,
                     "vectors", (int)peer->vectors->count, "since", since, "queue",
                     (json_int_t)mv_ivshmem_peer_queued(peer));
}

static char *describe(const struct mv_ivshmem_server *server)
{
    json_t *peers = json_array();
    for (const struct mv_ivshmem_peer *p = server->peers; p != NULL; p = p->next)
        json_array_append_new(peers, describe_peer(p));
    json_t *all = json_pack(
        "{s:i, s:I, s:s*, s:I, s:i, s:i, s:I, s:I, s:I, s:I, s:o}", "pid", (int)getpid(), "uptime",
        (json_int_t)((mv_now_ms() - server->started_ms) / 1000), "memory", server->config.memory,
        "size", (json_int_t)server->config.size, "vectors", (int)server->config.vectors,
        "max-peers", (int)server->config.max_peers, "joined", (json_int_t)server->joined, "left",
        (json_int_t)server->left, "dropped", (json_int_t)server->dropped, "refused",
        (json_int_t)server->refused, "peers", peers);
    char *text = json_dumps(all, JSON_COMPACT);
    json_decref(all);
    return text;
}

static void end_reader(struct mv_ivshmem_status_reader *reader)
{
    struct mv_ivshmem_status_reader **at = &reader->server->readers;
    while (*at != reader)
        at = &(*at)->next;
    *at = reader->next;
    reader->server->reader_count--;
    mv_loop_remove(reader->source);
    close(reader->fd);
    free(reader->text);
    free(reader);
}

static void on_reader(void *opaque, uint32_t events)
{
    struct mv_ivshmem_status_reader *reader = opaque;
    while (reader->sent < reader->size) {
        ssize_t n = send(reader->fd, reader->text + reader->sent, reader->size - reader->sent,
                         MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0)
            break;
        reader->sent += (size_t)n;
    }
    end_reader(reader);
}

static void on_control(void *opaque, uint32_t events)
{
    struct mv_ivshmem_server *server = opaque;
    struct mv_error err;
    int fd = accept4(server->config.control_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
        if (errno == EMFILE || errno == ENFILE)
            mv_ivshmem_server_turn_away(server, server->config.control_fd);
        return;
    }
    struct mv_ivshmem_status_reader *oldest = server->readers;
    while (oldest != NULL && oldest->next != NULL)
        oldest = oldest->next;
    if (server->reader_count >= READERS_MAX)
        end_reader(oldest);
    struct mv_ivshmem_status_reader *reader = calloc(1, sizeof *reader);
    char *text = describe(server);
    if (reader == NULL || text == NULL ||
        mv_loop_add(server->loop, fd, EPOLLOUT, on_reader, reader, &reader->source, &err) < 0) {
        free(reader);
        free(text);
        close(fd);
        return;
    }
    reader->server = server;
    reader->fd = fd;
    reader->text = text;
    reader->size = strlen(text);
    reader->next = server->readers;
    server->readers = reader;
    server->reader_count++;
}

int mv_ivshmem_status_start(struct mv_ivshmem_server *server, struct mv_error *err)
{
    return mv_loop_add(server->loop, server->config.control_fd, EPOLLIN, on_control, server,
                       &server->control_source, err);
}

void mv_ivshmem_status_stop(struct mv_ivshmem_server *server)
{
    while (server->readers != NULL)
        end_reader(server->readers);
    mv_loop_remove(server->control_source);
}
