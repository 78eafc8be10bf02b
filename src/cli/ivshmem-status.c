/* SPDX-License-Identifier: Apache-2.0 */
/* memvisor ivshmem-server --status: what a server says on its second socket. */
#include "ivshmem-verbs.h"

#include "cleanup.h"
#include "process.h"
#include "screen.h"
#include "size.h"
#include "unix-socket.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>

#define ANSWER_SECONDS 5
/* Of 65536 peers, several times over. */
#define ANSWER_BYTES_MAX (64 * MV_MIB)

struct answer {
    int fd, errnum;
    size_t left; /* bytes that may yet come */
};

static size_t receive(void *buffer, size_t len, void *opaque)
{
    struct answer *a = opaque;
    ssize_t n = recv(a->fd, buffer, len < a->left ? len : a->left, 0);
    a->errnum = n < 0 ? errno : 0;
    a->left -= n < 0 ? 0 : (size_t)n;
    return (size_t)n;
}

static int fetch(const char *path, json_t **ret, struct mv_error *err)
{
    CLEANUP_CLOSE int fd = -1;
    int r = mv_unix_connect_within("--status", path, ANSWER_SECONDS * 1000, &fd, err);
    if (r < 0)
        return r;
    struct timeval patience = {.tv_sec = ANSWER_SECONDS};
    fcntl(fd, F_SETFL, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    struct answer answer = {.fd = fd, .left = ANSWER_BYTES_MAX};
    *ret = json_load_callback(receive, &answer, 0, NULL);
    if (*ret != NULL)
        return 0;
    if (answer.errnum == EAGAIN)
        r = mv_process_refuse_silent(fd, ANSWER_SECONDS, err);
    else if (answer.errnum != 0)
        r = mv_error_set(err, answer.errnum, "%s", strerror(answer.errnum));
    else
        r = mv_error_set(err, EPROTO,
                         "what answers there is no status socket of an ivshmem-server");
    mv_error_prefix(err, "--status '%s'", path);
    return r;
}

static long long number(const json_t *object, const char *key)
{
    return (long long)json_integer_value(json_object_get(object, key));
}

static const char *word(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text == NULL ? "-" : text;
}

static void print_peers(FILE *out, const struct mv_screen *screen, const json_t *peers)
{
    size_t i;
    json_t *peer;
    fprintf(out, "\n%s%5s  %7s  %5s  %7s  %5s  SINCE%s\n", mv_screen_style(screen, MV_STYLE_HEAD),
            "ID", "PID", "UID", "VECTORS", "QUEUE", mv_screen_style(screen, MV_STYLE_PLAIN));
    json_array_foreach((json_t *)peers, i, peer)
    {
        fprintf(out, "%5lld  %7lld  %5lld  %7lld  %5lld  %s\n", number(peer, "id"),
                number(peer, "pid"), number(peer, "uid"), number(peer, "vectors"),
                number(peer, "queue"), word(peer, "since"));
    }
}

static void print_table(FILE *out, const struct mv_screen *screen, const json_t *status)
{
    char text[256];
    const json_t *peers = json_object_get(status, "peers");
    long long uptime = number(status, "uptime");
    fprintf(out, "memory   %s, %s\n", word(status, "memory"),
            mv_size_text((uint64_t)number(status, "size")));
    fprintf(out, "server   pid %lld, up %lldd %02lld:%02lld:%02lld\n", number(status, "pid"),
            uptime / 86400, uptime / 3600 % 24, uptime / 60 % 60, uptime % 60);
    snprintf(text, sizeof text,
             "%zu of %lld, %lld vectors each; %lld joined, %lld left, %lld dropped, %lld refused",
             json_array_size(peers), number(status, "max-peers"), number(status, "vectors"),
             number(status, "joined"), number(status, "left"), number(status, "dropped"),
             number(status, "refused"));
    fputs("peers    ", out);
    mv_screen_print_wrapped(out, screen->columns, 9, text);
    if (json_array_size(peers) > 0)
        print_peers(out, screen, peers);
}

struct show {
    const char *path;
    bool json;
};

static int show(void *opaque, FILE *out, const struct mv_screen *screen, struct mv_error *err)
{
    const struct show *s = opaque;
    json_t *status;
    int r = fetch(s->path, &status, err);
    if (r < 0)
        return r;
    if (s->json)
        mv_json_print(out, status);
    else
        print_table(out, screen, status);
    json_decref(status);
    return 0;
}

int mv_ivshmem_status_show(const char *control_path, bool json, bool watch, struct mv_error *err)
{
    struct show s = {control_path, json};
    return mv_watch(watch, show, &s, err);
}
