/* SPDX-License-Identifier: Apache-2.0 */
/* memvisor ivshmem-server --status: what a server says on its second socket. */
#include "ivshmem-verbs.h"

#include "cleanup.h"
#include "screen.h"
#include "process.h"
#include "size.h"
#include "unix-socket.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ANSWER_SECONDS 5
/* Of 65536 peers, several times over. */
#define ANSWER_BYTES_MAX (64 * MV_MIB)

static int fetch(const char *path, json_t **ret, struct mv_error *err)
{
    CLEANUP_CLOSE int fd = -1;
    int r = mv_unix_connect_within("--status", path, ANSWER_SECONDS * 1000, &fd, err);
    if (r < 0)
        return r;
    struct timeval patience = {.tv_sec = ANSWER_SECONDS};
    fcntl(fd, F_SETFL, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    CLEANUP_FREE char *text = NULL;
    size_t have = 0, room = 0;
    ssize_t n;
    do {
        if (room - have < 4096) {
            room = room * 2 + 16384;
            char *larger = realloc(text, room);
            if (larger == NULL)
                return mv_error_set_errno(err, ENOMEM, "--status");
            text = larger;
        }
        n = recv(fd, text + have, room - have, 0);
        if (n < 0 && errno == EAGAIN) {
            char hint[MV_PROCESS_HINT];
            mv_process_hint(mv_process_of_peer(fd), hint);
            return mv_error_set(err, ETIMEDOUT, "--status '%s': no answer within %d seconds: %s",
                                path, ANSWER_SECONDS, hint);
        }
        if (n < 0)
            return mv_error_set_errno(err, errno, "--status '%s'", path);
        have += (size_t)n;
    } while (n > 0 && have < ANSWER_BYTES_MAX);
    json_error_t problem;
    json_t *status = json_loadb(text, have, 0, &problem);
    if (status == NULL)
        return mv_error_set(err, EPROTO,
                            "--status '%s': what answers there is no status socket of "
                            "an ivshmem-server",
                            path);
    *ret = status;
    return 0;
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
    char size[MV_SIZE_TEXT], text[256];
    const json_t *peers = json_object_get(status, "peers");
    long long uptime = number(status, "uptime");
    fprintf(out, "memory   %s, %s\n", word(status, "memory"),
            mv_size_format((uint64_t)number(status, "size"), size));
    fprintf(out, "server   pid %lld, up %lldd %02lld:%02lld:%02lld\n", number(status, "pid"),
            uptime / 86400, uptime / 3600 % 24, uptime / 60 % 60, uptime % 60);
    snprintf(text, sizeof text,
             "%zu of %lld, %lld vectors each; %lld joined, %lld left, %lld dropped, %lld refused",
             json_array_size(peers), number(status, "max-peers"), number(status, "vectors"),
             number(status, "joined"), number(status, "left"), number(status, "dropped"),
             number(status, "refused"));
    fputs("peers    ", out);
    mv_screen_print_wrapped(out, screen, 9, text);
    if (json_array_size(peers) > 0)
        print_peers(out, screen, peers);
}

static int show(const char *control_path, bool json, bool watch, struct mv_error *err)
{
    struct mv_screen screen = mv_screen_look();
    json_t *status;
    int r = fetch(control_path, &status, err);
    if (r < 0)
        return r;
    FILE *out = watch ? mv_watch_frame(err) : stdout;
    if (out != NULL && json)
        mv_json_print_to(out, status);
    else if (out != NULL)
        print_table(out, &screen, status);
    json_decref(status);
    if (out == NULL)
        return -ENOMEM;
    return watch ? mv_watch_show(&screen, err) : 0;
}

int mv_ivshmem_status_show(const char *control_path, bool json, bool watch, struct mv_error *err)
{
    if (!watch)
        return show(control_path, json, false, err);
    int r;
    mv_watch_begin();
    while ((r = show(control_path, json, true, err)) == 0)
        usleep(MV_WATCH_MS * 1000);
    mv_watch_end();
    return r;
}
