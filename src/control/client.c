/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection is served in four steps after each event: send what waits,
 * serve what was read, read more, and watch for what can happen next.  It ends
 * in that function alone, so that nobody destroys a client under a caller.
 * Called by control.c.
 */
#include "client.h"

#include "cleanup.h"
#include "control.h"
#include "log.h"
#include "os.h"

#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

/* How long a client that has sent many commands is served before others have a turn. */
#define TURN_NS 2000000

static size_t output_waiting(const struct mv_control_client *client)
{
    return client->output_used - client->output_sent;
}

static void drop_output(struct mv_control_client *client)
{
    client->output_used = client->output_sent = 0;
}

void mv_control_client_drop(struct mv_control_client *client, const char *why)
{
    if (client->broken)
        return;
    mv_warn("control socket: a client is dropped: %s", why);
    client->broken = true;
    drop_output(client);
    shutdown(client->fd, SHUT_RDWR); /* wakes the loop */
}

/*
 * A client that hung up may have sent commands before, which are still served.  After any
 * other failure an answer would be lost: the client is dropped.
 */
static void note_failed_send(struct mv_control_client *client, int errnum)
{
    client->deaf = true;
    if (errnum != EPIPE && errnum != ECONNRESET)
        mv_control_client_drop(client, strerror(errnum));
}

static void send_waiting(struct mv_control_client *client)
{
    while (output_waiting(client) > 0) {
        ssize_t n = send(client->fd, client->output + client->output_sent, output_waiting(client),
                         MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return;
        if (n < 0) {
            note_failed_send(client, errno);
            break;
        }
        client->output_sent += (size_t)n;
    }
    drop_output(client);
}

/* Room for len more bytes behind those that wait. */
static bool make_room(struct mv_control_client *client, size_t len)
{
    size_t waiting = output_waiting(client);
    if (waiting > 0)
        memmove(client->output, client->output + client->output_sent, waiting);
    client->output_sent = 0;
    client->output_used = waiting;
    if (client->output_capacity >= waiting + len)
        return true;
    size_t capacity = 2 * (waiting + len);
    char *output = realloc(client->output, capacity);
    if (output == NULL)
        return false;
    client->output = output;
    client->output_capacity = capacity;
    return true;
}

static void watch(struct mv_control_client *client);
static void set_turn(struct mv_control_client *client);

/* The session's send, from within serve() or of an event's teller. */
static void queue_line(void *opaque, const struct iovec *parts, size_t count)
{
    struct mv_control_client *client = opaque;
    size_t len = 0;
    if (client->deaf || client->broken)
        return;
    for (size_t i = 0; i < count; i++)
        len += parts[i].iov_len;
    bool fits = output_waiting(client) + len <= MV_CLIENT_MOST_OUTPUT;
    if (!fits || (client->output_used + len > client->output_capacity && !make_room(client, len))) {
        mv_control_client_drop(client, fits ? strerror(ENOMEM) : "it does not read its answers");
        return;
    }
    for (size_t i = 0; i < count; i++) {
        memcpy(client->output + client->output_used, parts[i].iov_base, parts[i].iov_len);
        client->output_used += parts[i].iov_len;
    }
    send_waiting(client);
    watch(client);
}

static bool can_be_served(const struct mv_control_client *client)
{
    return client->input_next < client->input_used && client->session.job == NULL &&
           !client->broken && output_waiting(client) < MV_CLIENT_BUSY_OUTPUT;
}

static void serve_input(struct mv_control_client *client, uint64_t end_ns)
{
    while (can_be_served(client) && mv_now_ns() < end_ns)
        client->input_next +=
            mv_qmp_session_take(&client->session, client->input + client->input_next,
                                client->input_used - client->input_next);
}

static bool wants_input(const struct mv_control_client *client)
{
    return !client->at_end && client->input_next == client->input_used &&
           client->session.job == NULL && output_waiting(client) < MV_CLIENT_BUSY_OUTPUT;
}

/* Of several the last one stays, as with QEMU. */
static void take_descriptors(struct mv_control_client *client, struct msghdr *header)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c != NULL; c = CMSG_NXTHDR(header, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        for (size_t i = 0; i < (c->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
            mv_qmp_session_give_fd(&client->session, fd);
        }
    }
}

static ssize_t receive(struct mv_control_client *client)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } ancillary;
    struct iovec part = {client->input, sizeof client->input};
    struct msghdr header = {.msg_iov = &part,
                            .msg_iovlen = 1,
                            .msg_control = &ancillary,
                            .msg_controllen = sizeof ancillary};
    ssize_t n = recvmsg(client->fd, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n >= 0)
        take_descriptors(client, &header);
    return n;
}

static void read_input(struct mv_control_client *client)
{
    if (!wants_input(client))
        return;
    ssize_t n = receive(client);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n < 0 && errno != ECONNRESET)
        mv_control_client_drop(client, strerror(errno));
    client->at_end = n <= 0;
    client->input_next = 0;
    client->input_used = n > 0 ? (size_t)n : 0;
}

static bool is_over(const struct mv_control_client *client)
{
    if (client->broken)
        return true;
    return client->at_end && client->input_next == client->input_used &&
           client->session.job == NULL && (client->deaf || output_waiting(client) == 0);
}

static void serve(struct mv_control_client *client)
{
    uint64_t end_ns = mv_now_ns() + TURN_NS;
    send_waiting(client);
    serve_input(client, end_ns);
    read_input(client);
    serve_input(client, end_ns);
    if (is_over(client)) {
        mv_control_client_end(client);
        return;
    }
    watch(client);
    set_turn(client);
}

static void on_socket(void *opaque, uint32_t events)
{
    struct mv_control_client *client = opaque;
    client->watched = 0;
    if ((events & (EPOLLHUP | EPOLLERR)) != 0) {
        client->deaf = true;
        drop_output(client);
    }
    serve(client);
}

static void on_turn(void *opaque)
{
    struct mv_control *control = opaque;
    control->turn_due = false;
    for (struct mv_control_client *c = control->clients, *next; c != NULL; c = next) {
        next = c->next;
        if (can_be_served(c))
            serve(c);
    }
}

/*
 * Input that is left when a client's turn is over is served in the loop's next round, also
 * while the answers cannot be sent: a client may read none before it has sent all its
 * commands.
 */
static void set_turn(struct mv_control_client *client)
{
    struct mv_control *control = client->session.control;
    if (!can_be_served(client) || control->turn_due)
        return;
    control->turn_due = true;
    mv_loop_defer(control->loop, on_turn, control);
}

/*
 * The source reports one event and then none until it is armed again: epoll reports a
 * hang-up each time, even when nothing was asked for, and the loop would spin.
 */
static void watch(struct mv_control_client *client)
{
    uint32_t events = wants_input(client) ? EPOLLIN : 0;
    events |= output_waiting(client) > 0 ? EPOLLOUT : 0;
    if (events != 0 || client->watched != 0)
        mv_loop_modify(client->source, events | EPOLLONESHOT);
    client->watched = events;
}

/* A command that took long has been answered: the next ones are served now. */
static void on_finished(void *opaque)
{
    serve(opaque);
}

int mv_control_client_create(struct mv_control *control, int fd, struct mv_control_client **ret,
                             struct mv_error *err)
{
    struct mv_control_client *client = calloc(1, sizeof *client);
    if (client == NULL) {
        mv_cleanup_close(&fd);
        return mv_error_set_errno(err, ENOMEM, "a client");
    }
    client->fd = fd;
    client->session.control = control;
    client->session.send = queue_line;
    client->session.on_finished = on_finished;
    client->session.opaque = client;
    int r = !make_room(client, MV_CLIENT_LEAST_OUTPUT)
                ? mv_error_set_errno(err, ENOMEM, "a client")
                : mv_loop_add(control->loop, fd, EPOLLIN | EPOLLONESHOT, on_socket, client,
                              &client->source, err);
    client->watched = EPOLLIN;
    if (r == 0)
        r = mv_qmp_session_start(&client->session, err);
    if (r < 0) {
        mv_control_client_destroy(client);
        return r;
    }
    *ret = client;
    return 0;
}

void mv_control_client_destroy(struct mv_control_client *client)
{
    send_waiting(client);
    mv_qmp_session_end(&client->session);
    mv_loop_remove(client->source);
    mv_cleanup_close(&client->fd);
    free(client->output);
    free(client);
}
