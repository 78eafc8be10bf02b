/* SPDX-License-Identifier: Apache-2.0 */
/*
 * --serial unix:PATH: memvisor listens, and serves one client at a time; the
 * next one waits in the queue.  Output without a client is dropped; a client
 * that does not read holds the guest's UART up.
 *
 * The loop's thread accepts, reads and closes.  A vCPU's thread sends;
 * `mutex` guards the client's descriptor and `held_up` between the two, and is
 * not held while the UART is called.
 */
#include "serial.h"

#include "cleanup.h"
#include "log.h"
#include "loop.h"

#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#define READ_SIZE 4096

struct serial_socket {
    struct mv_serial serial;
    struct mv_loop *loop;
    struct mv_input input;
    char *path;
    struct mv_listener listener;
    struct mv_loop_source *client_source;
    pthread_mutex_t mutex;
    int client_fd; /* -1 while there is none */
    bool held_up;  /* the UART waits for room */
};

static void watch_client(struct serial_socket *s);

static void tell_uart(struct serial_socket *s)
{
    bool waits;
    {
        MV_LOCK_SCOPE(&s->mutex);
        waits = s->held_up;
        s->held_up = false;
    }
    if (waits && s->input.uart != NULL)
        mv_ns16550a_tx_ready(s->input.uart);
}

static void drop_client(struct serial_socket *s)
{
    mv_loop_remove(s->client_source);
    s->client_source = NULL;
    {
        MV_LOCK_SCOPE(&s->mutex);
        mv_cleanup_close(&s->client_fd);
    }
    mv_listener_hold(&s->listener, false);
    tell_uart(s);
}

/* Take what the client sent: false where it is gone. */
static bool read_client(struct serial_socket *s, uint32_t events)
{
    uint8_t buf[READ_SIZE];
    size_t room = mv_input_room(&s->input, sizeof buf);
    if (room == 0)
        return (events & (EPOLLHUP | EPOLLERR)) == 0;
    ssize_t n = recv(s->client_fd, buf, room < sizeof buf ? room : sizeof buf, MSG_DONTWAIT);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR;
    mv_input_put(&s->input, buf, (size_t)n);
    mv_input_push(&s->input);
    return n > 0;
}

static void on_client(void *opaque, uint32_t events)
{
    struct serial_socket *s = opaque;
    if ((events & EPOLLOUT) != 0)
        tell_uart(s);
    if ((events & ~(uint32_t)EPOLLOUT) != 0 && !read_client(s, events)) {
        drop_client(s);
        return;
    }
    watch_client(s);
}

/*
 * Watch for what matters now.  If that is nothing, remove the source: epoll reports a
 * hang-up even when nothing was asked for.
 */
static void watch_client(struct serial_socket *s)
{
    uint32_t events = mv_input_room(&s->input, 1) > 0 ? EPOLLIN : 0;
    {
        MV_LOCK_SCOPE(&s->mutex);
        events |= s->held_up ? EPOLLOUT : 0;
    }
    struct mv_error err;
    if (s->client_fd < 0)
        return;
    if (s->client_source != NULL && events != 0) {
        mv_loop_modify(s->client_source, events);
    } else if (s->client_source != NULL) {
        mv_loop_remove(s->client_source);
        s->client_source = NULL;
    } else if (events != 0 && mv_loop_add(s->loop, s->client_fd, events, on_client, s,
                                          &s->client_source, &err) < 0) {
        mv_warn("console socket '%s': %s", s->path, err.text);
        drop_client(s);
    }
}

static void on_room(void *opaque)
{
    watch_client(opaque);
}

static void on_new_client(void *opaque, int fd)
{
    struct serial_socket *s = opaque;
    /* The next client waits in the kernel's queue until this one leaves. */
    mv_listener_hold(&s->listener, true);
    {
        MV_LOCK_SCOPE(&s->mutex);
        s->client_fd = fd;
    }
    watch_client(s);
}

static unsigned socket_write(struct mv_serial_backend *backend, const uint8_t *buf, unsigned len)
{
    struct serial_socket *s = (struct serial_socket *)backend;
    MV_LOCK_SCOPE(&s->mutex);
    if (s->client_fd < 0)
        return len;
    ssize_t n = send(s->client_fd, buf, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    /* A client that is gone takes everything until the loop notices. */
    if (n < 0 && errno != EAGAIN && errno != EINTR)
        return len;
    unsigned taken = n < 0 ? 0 : (unsigned)n;
    if (taken < len && !s->held_up) {
        s->held_up = true;
        mv_loop_defer(s->loop, on_room, s);
    }
    return taken;
}

static void socket_rx_ready(struct mv_serial_backend *backend)
{
    struct serial_socket *s = (struct serial_socket *)backend;
    mv_input_rx_ready(&s->input);
}

static int socket_start(struct mv_serial *serial, struct mv_device *uart, struct mv_error *err)
{
    struct serial_socket *s = (struct serial_socket *)serial;
    s->input.uart = uart;
    mv_listener_hold(&s->listener, false);
    return 0;
}

/* What the client has not read is in the kernel's buffer, and outlives us. */
static bool socket_drain(struct mv_serial *serial, unsigned timeout_ms)
{
    return true;
}

static void socket_stop(struct mv_serial *serial)
{
    struct serial_socket *s = (struct serial_socket *)serial;
    s->input.uart = NULL;
    drop_client(s);
    mv_listener_hold(&s->listener, true);
}

static void socket_destroy(struct mv_serial *serial)
{
    struct serial_socket *s = (struct serial_socket *)serial;
    mv_cleanup_close(&s->client_fd);
    mv_listener_stop(&s->listener);
    mv_loop_forget(s->loop, s);
    pthread_mutex_destroy(&s->mutex);
    mv_input_free(&s->input);
    free(s->path);
    free(s);
}

static const struct mv_serial_ops socket_ops = {
    .start = socket_start, .drain = socket_drain, .stop = socket_stop, .destroy = socket_destroy};

int mv_serial_socket_create(const char *path, struct mv_loop *loop, struct mv_serial **ret,
                            struct mv_error *err)
{
    struct serial_socket *s = calloc(1, sizeof *s);
    if (s == NULL)
        return mv_error_set_errno(err, ENOMEM, "console");
    s->serial = (struct mv_serial){.backend = {socket_write, socket_rx_ready}, .ops = &socket_ops};
    s->loop = loop;
    s->input.loop = loop;
    s->input.on_room = on_room;
    s->input.opaque = s;
    s->client_fd = -1;
    pthread_mutex_init(&s->mutex, NULL);
    s->path = strdup(path);
    int r =
        s->path == NULL || mv_input_room(&s->input, 1) == 0
            ? mv_error_set_errno(err, ENOMEM, "console")
            : mv_listener_open(&s->listener, loop, path, "console socket", on_new_client, s, err);
    /* Nobody is taken before there is a UART. */
    mv_listener_hold(&s->listener, true);
    if (r < 0) {
        socket_destroy(&s->serial);
        return r;
    }
    *ret = &s->serial;
    return 0;
}
