/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Listening, the connection, and packets: $BYTES#SUM, acknowledged by + or -
 * until QStartNoAckMode.  What a client sends is bounded by the packet's size,
 * what waits for it by OUTPUT_MAX.
 */
#include "gdb.h"

#include "cleanup.h"
#include "log.h"
#include "loop.h"
#include "session.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#define OUTPUT_MAX (1 << 20)

enum input_state { IDLE, BODY, ESCAPED, SUM_1, SUM_2 };

struct mv_gdb {
    struct mv_gdb_session session;
    struct mv_loop *loop;
    struct mv_machine_observer observer;
    struct mv_listener listener;

    /* --- the connection */
    int fd; /* -1: nobody is connected */
    struct mv_loop_source *source;
    struct mv_gdb_text output;         /* not sent yet */
    char input[MV_GDB_PACKET_MAX + 1]; /* a packet's bytes so far */
    size_t input_len;
    enum input_state input_state;
    uint8_t input_sum;       /* of the bytes so far */
    uint8_t input_said;      /* the checksum's first digit, then all of it */
    bool input_long;         /* the packet is too long: it is dropped */
    bool taking;             /* input is being looked at: answers go out together behind it */
    struct mv_gdb_text last; /* the last packet, for a '-' */
    bool refused;            /* that a second one came was logged */
};

/* --- output */

static void watch(struct mv_gdb *gdb)
{
    mv_loop_modify(gdb->source, EPOLLIN | (gdb->output.len > 0 ? EPOLLOUT : 0));
}

static void drop_connection(struct mv_gdb *gdb)
{
    mv_loop_remove(gdb->source);
    gdb->source = NULL;
    mv_cleanup_close(&gdb->fd);
    mv_gdb_text_clear(&gdb->output);
    mv_gdb_text_clear(&gdb->last);
    mv_gdb_detach(&gdb->session);
}

static void flush(struct mv_gdb *gdb)
{
    size_t sent = 0;
    while (sent < gdb->output.len) {
        ssize_t n = send(gdb->fd, gdb->output.bytes + sent, gdb->output.len - sent,
                         MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno != EAGAIN)
            gdb->session.closing = true;
        if (n < 0)
            break;
        sent += (size_t)n;
    }
    gdb->output.len -= sent;
    memmove(gdb->output.bytes, gdb->output.bytes + sent, gdb->output.len);
    if (gdb->output.len > OUTPUT_MAX || gdb->output.failed) {
        mv_warn("gdb: the debugger does not read its answers and is dropped");
        gdb->output.len = 0;
        gdb->session.closing = true;
    }
    watch(gdb);
}

static void queue(struct mv_gdb *gdb, const char *bytes, size_t len)
{
    if (gdb->fd < 0)
        return;
    mv_gdb_text_add(&gdb->output, bytes, len);
    if (!gdb->taking)
        flush(gdb);
}

/* The bytes that a packet cannot hold as they are. */
static bool is_special(char c)
{
    return c == '$' || c == '#' || c == '}' || c == '*';
}

static void send_packet(struct mv_gdb *gdb, const char *bytes, size_t len)
{
    uint8_t sum = 0;
    gdb->last.len = 0;
    mv_gdb_text_add(&gdb->last, "$", 1);
    for (size_t i = 0; i < len; i++) {
        char escaped[2] = {'}', (char)(bytes[i] ^ 0x20)};
        if (is_special(bytes[i]))
            mv_gdb_text_add(&gdb->last, escaped, 2);
        else
            mv_gdb_text_add(&gdb->last, &bytes[i], 1);
    }
    for (size_t i = 1; i < gdb->last.len; i++)
        sum = (uint8_t)(sum + (uint8_t)gdb->last.bytes[i]);
    mv_gdb_text_print(&gdb->last, "#%02x", sum);
    queue(gdb, gdb->last.bytes, gdb->last.len);
}

/* Send the reply, where there is one to send. */
static void send_reply(struct mv_gdb *gdb, bool said)
{
    struct mv_gdb_text *reply = &gdb->session.reply;
    if (reply->failed)
        mv_gdb_reply_error(&gdb->session, ENOMEM);
    if (said)
        send_packet(gdb, reply->bytes, reply->len);
    mv_gdb_text_clear(reply);
}

static void on_event(void *opaque, enum mv_machine_event event, enum mv_machine_cause cause)
{
    struct mv_gdb *gdb = opaque;
    if (gdb->fd >= 0)
        send_reply(gdb, mv_gdb_machine_event(&gdb->session, event, cause));
}

static void on_debug(void *opaque, unsigned cpu)
{
    struct mv_gdb *gdb = opaque;
    if (gdb->fd >= 0)
        send_reply(gdb, mv_gdb_machine_debug(&gdb->session, cpu));
}

/* --- input */

static void keep(struct mv_gdb *gdb, char c)
{
    if (gdb->input_len < MV_GDB_PACKET_MAX)
        gdb->input[gdb->input_len++] = c;
    else
        gdb->input_long = true;
}

static void end_packet(struct mv_gdb *gdb)
{
    gdb->input_state = IDLE;
    if (!gdb->session.no_ack) {
        bool right = gdb->input_said == gdb->input_sum;
        queue(gdb, right ? "+" : "-", 1);
        if (!right)
            return;
    }
    gdb->input[gdb->input_len] = '\0';
    if (gdb->input_long)
        mv_gdb_reply_error(&gdb->session, E2BIG);
    send_reply(gdb, gdb->input_long || mv_gdb_packet(&gdb->session, gdb->input, gdb->input_len));
}

static void take_idle(struct mv_gdb *gdb, char c)
{
    if (c == '$') {
        gdb->input_state = BODY;
        gdb->input_len = 0;
        gdb->input_sum = 0;
        gdb->input_long = false;
    } else if (c == 3) {
        send_reply(gdb, mv_gdb_interrupt(&gdb->session));
    } else if (c == '-' && gdb->last.len > 0) {
        queue(gdb, gdb->last.bytes, gdb->last.len);
    }
}

static void take_byte(struct mv_gdb *gdb, char c)
{
    int digit = mv_gdb_digit(c);
    if (gdb->input_state == BODY && c == '#') {
        gdb->input_state = SUM_1;
        return;
    }
    if (gdb->input_state == BODY || gdb->input_state == ESCAPED)
        gdb->input_sum = (uint8_t)(gdb->input_sum + (uint8_t)c);
    switch (gdb->input_state) {
    case IDLE:
        take_idle(gdb, c);
        break;
    case BODY:
        if (c == '}')
            gdb->input_state = ESCAPED;
        else
            keep(gdb, c);
        break;
    case ESCAPED:
        gdb->input_state = BODY;
        keep(gdb, (char)(c ^ 0x20));
        break;
    case SUM_1:
        gdb->input_state = digit < 0 ? IDLE : SUM_2;
        gdb->input_said = (uint8_t)(digit << 4);
        break;
    case SUM_2:
        gdb->input_said |= (uint8_t)(digit < 0 ? 0 : digit);
        end_packet(gdb);
        break;
    }
}

static void on_socket(void *opaque, uint32_t events)
{
    struct mv_gdb *gdb = opaque;
    char bytes[4096];
    ssize_t n = 0;
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) {
        n = recv(gdb->fd, bytes, sizeof bytes, MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
            gdb->session.closing = true;
    }
    gdb->taking = true;
    for (ssize_t i = 0; i < n && !gdb->session.closing; i++)
        take_byte(gdb, bytes[i]);
    gdb->taking = false;
    flush(gdb);
    if (gdb->session.closing)
        drop_connection(gdb);
}

/* --- listening */

/* A debugger that has gone may not have been noticed when the next one comes. */
static bool is_taken(struct mv_gdb *gdb)
{
    char byte;
    for (unsigned round = 0; gdb->fd >= 0 && round < 64; round++) {
        if (recv(gdb->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN)
            break;
        on_socket(gdb, EPOLLIN);
    }
    return gdb->fd >= 0;
}

static void on_client(void *opaque, int fd)
{
    struct mv_gdb *gdb = opaque;
    struct mv_error err;
    int one = 1;
    if (is_taken(gdb)) {
        if (!gdb->refused)
            mv_warn("gdb: a second debugger is refused: one is connected");
        gdb->refused = true;
        close(fd);
        return;
    }
    if (mv_loop_add(gdb->loop, fd, EPOLLIN, on_socket, gdb, &gdb->source, &err) < 0) {
        mv_warn("gdb: %s", err.text);
        close(fd);
        return;
    }
    /* A packet and its acknowledgement, each alone, would wait for one another; no socket of a
       path can do this, nor needs it. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    gdb->fd = fd;
    gdb->input_state = IDLE;
    gdb->session.no_ack = gdb->session.closing = gdb->refused = false;
    mv_gdb_attach(&gdb->session);
}

/* [HOST]:PORT or PORT, split at the last colon; an IPv6 HOST may stand in brackets. */
static int resolve(const char *address, struct addrinfo **ret, struct mv_error *err)
{
    const char *colon = strrchr(address, ':');
    const char *port = colon == NULL ? address : colon + 1;
    CLEANUP_FREE char *host = strndup(address, colon == NULL ? 0 : (size_t)(colon - address));
    if (host == NULL)
        return mv_error_set_errno(err, ENOMEM, "gdb");
    char *name = host;
    size_t len = strlen(host);
    if (len >= 2 && host[0] == '[' && host[len - 1] == ']') {
        host[len - 1] = '\0';
        name++;
    }
    if (port[0] == '\0' || strspn(port, "0123456789") != strlen(port) || strlen(port) > 5 ||
        atoi(port) > 65535)
        return mv_error_set(err, EINVAL,
                            "--gdb %s: '%s' is no port: give HOST:PORT, a PORT from 0 to 65535, or "
                            "the path of a socket with a '/' in it",
                            address, port);
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    int r = getaddrinfo(name[0] == '\0' ? "127.0.0.1" : name, port, &hints, ret);
    if (r != 0)
        return mv_error_set(err, EADDRNOTAVAIL, "--gdb %s: no address of '%s': %s", address, name,
                            gai_strerror(r));
    return 0;
}

static int listen_tcp(struct mv_gdb *gdb, const char *address, struct mv_error *err)
{
    struct addrinfo *info;
    int one = 1;
    int r = resolve(address, &info, err);
    if (r < 0)
        return r;
    int fd = socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) < 0 ||
        bind(fd, info->ai_addr, info->ai_addrlen) < 0 || listen(fd, 4) < 0) {
        r = mv_error_set_errno(err, errno, "--gdb %s: cannot listen there", address);
        mv_cleanup_close(&fd);
    }
    freeaddrinfo(info);
    return r < 0 ? r
                 : mv_listener_start(&gdb->listener, gdb->loop, fd, "--gdb", on_client, gdb, err);
}

int mv_gdb_create(struct mv_loop *loop, struct mv_machine *machine, const char *address,
                  struct mv_gdb **ret, struct mv_error *err)
{
    struct mv_gdb *gdb = calloc(1, sizeof *gdb);
    if (gdb == NULL)
        return mv_error_set_errno(err, ENOMEM, "gdb");
    gdb->loop = loop;
    gdb->session.machine = machine;
    gdb->fd = -1;
    int r = strchr(address, '/') != NULL
                ? mv_listener_open(&gdb->listener, loop, address, "--gdb", on_client, gdb, err)
                : listen_tcp(gdb, address, err);
    gdb->observer =
        (struct mv_machine_observer){.event = on_event, .debug = on_debug, .opaque = gdb};
    mv_machine_observe(machine, &gdb->observer);
    if (r < 0) {
        mv_gdb_destroy(gdb);
        return r;
    }
    *ret = gdb;
    return 0;
}

void mv_gdb_destroy(struct mv_gdb *gdb)
{
    if (gdb == NULL)
        return;
    mv_machine_unobserve(gdb->session.machine, &gdb->observer);
    mv_loop_remove(gdb->source);
    mv_listener_stop(&gdb->listener);
    mv_cleanup_close(&gdb->fd);
    mv_gdb_clear_points(&gdb->session);
    mv_gdb_text_clear(&gdb->output);
    mv_gdb_text_clear(&gdb->last);
    free(gdb);
}
