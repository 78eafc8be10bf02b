/* SPDX-License-Identifier: Apache-2.0 */
/*
 * --serial: picks the kind.  And the kinds stdio and file:PATH.  Standard output shows
 * the guest's text, standard input is what the guest reads; a file takes the text, and
 * there is no input.  A terminal becomes raw and has the Ctrl-A keys; other input
 * passes as it is.  The input side is the loop's thread's, the output side is
 * output.c's.  Called by run.c.
 *
 * All of them are read no further than the guest takes it, so nothing is lost.
 * A terminal is read further ahead, since Ctrl-A X has to work also behind a
 * long paste that a guest is slow to take, or does not take: its keys act when
 * they are read, before what stands in front of them.  Beyond that limit, which
 * no paste should reach, the terminal waits as a pipe does, and a line says how
 * to end the machine.
 */
#include "serial.h"

#include "cleanup.h"
#include "log.h"
#include "loop.h"
#include "signals.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

#define READ_SIZE   4096
#define TYPED_AHEAD (16 * 1024 * 1024)

struct console {
    struct mv_serial serial;
    struct mv_loop *loop;
    const char *name; /* the machine's, for messages */
    mv_serial_key_fn *on_key;
    void *opaque;
    int fd; /* of the output */
    struct mv_output *output;
    struct mv_input input;
    struct mv_loop_source *source; /* of standard input; NULL while not watched */
    bool prefixed;                 /* by Ctrl-A */
    bool terminal;
    bool unpollable; /* a regular file: always readable, epoll refuses it */
    bool chained;    /* read_chain is deferred */
    bool ended;      /* end of file, or there is no input */
    bool told;       /* that the terminal waits */
};

static const char *const key_help[] = {
    "Ctrl-A X       end memvisor",
    "Ctrl-A P       press the guest's power button",
    "Ctrl-A R       reset the guest",
    "Ctrl-A H       show these keys",
    "Ctrl-A Ctrl-A  send Ctrl-A to the guest",
    "every other key, Ctrl-C too, goes to the guest",
};

static void show_keys(void)
{
    for (size_t i = 0; i < sizeof key_help / sizeof key_help[0]; i++)
        mv_log("%s", key_help[i]);
}

static void take_key(struct console *console, uint8_t byte)
{
    enum mv_escape_action action = mv_escape_take(&console->prefixed, &byte);
    if (action == MV_ESCAPE_SEND)
        mv_input_put(&console->input, &byte, 1);
    else if (action == MV_ESCAPE_HELP)
        show_keys();
    else if (action == MV_ESCAPE_UNKNOWN)
        mv_log("no such key: Ctrl-A H shows the keys");
    else if (action != MV_ESCAPE_NONE)
        console->on_key(console->opaque, action);
}

static void unwatch(struct console *console)
{
    mv_loop_remove(console->source);
    console->source = NULL;
}

/* Read once, no more than fits: false where there is nothing more for now. */
static bool read_some(struct console *console)
{
    uint8_t buf[READ_SIZE];
    size_t room = mv_input_room(&console->input, sizeof buf);
    if (room > sizeof buf)
        room = sizeof buf;
    if (room == 0 || console->ended)
        return false;
    ssize_t n = read(STDIN_FILENO, buf, room);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (n <= 0) {
        console->ended = true;
        unwatch(console);
        return false;
    }
    if (console->terminal) {
        for (ssize_t i = 0; i < n; i++)
            take_key(console, buf[i]);
    } else {
        mv_input_put(&console->input, buf, (size_t)n);
    }
    mv_input_push(&console->input);
    return true;
}

static void tell_full(struct console *console)
{
    if (!console->terminal || console->told)
        return;
    console->told = true;
    mv_warn("the guest has yet to take %d MiB that were typed: until then the terminal waits, and "
            "so does Ctrl-A; 'memvisor quit %s' ends the machine",
            TYPED_AHEAD >> 20, console->name);
}

static void on_readable(void *opaque, uint32_t events)
{
    struct console *console = opaque;
    read_some(console);
    if (mv_input_room(&console->input, 1) > 0)
        return;
    /* Removed, not masked: a pipe whose writer is gone is always "ready". */
    unwatch(console);
    tell_full(console);
}

static void watch(struct console *console)
{
    struct mv_error err;
    if (console->source != NULL || console->ended)
        return;
    int r = mv_loop_add(console->loop, STDIN_FILENO, EPOLLIN, on_readable, console,
                        &console->source, &err);
    if (r == -EPERM) {
        console->unpollable = true;
    } else if (r < 0) {
        console->ended = true;
        mv_warn("no input for the guest: %s", err.text);
    }
}

/* What epoll cannot watch is read in pieces, with the loop's turns between. */
static void read_chain(void *opaque)
{
    struct console *console = opaque;
    console->chained = read_some(console);
    if (console->chained)
        mv_loop_defer(console->loop, read_chain, console);
}

/* Also after the guest took what waited. */
static void go_on(void *opaque)
{
    struct console *console = opaque;
    if (!console->unpollable)
        watch(console);
    if (console->unpollable && !console->chained)
        read_chain(console);
}

static unsigned console_write(struct mv_serial_backend *backend, const uint8_t *buf, unsigned len)
{
    struct console *console = (struct console *)backend;
    return mv_output_write(console->output, buf, len);
}

static void console_rx_ready(struct mv_serial_backend *backend)
{
    struct console *console = (struct console *)backend;
    mv_input_rx_ready(&console->input);
}

static int console_start(struct mv_serial *serial, struct mv_device *uart, struct mv_error *err)
{
    struct console *console = (struct console *)serial;
    console->terminal = !console->ended && isatty(STDIN_FILENO);
    if (console->terminal) {
        console->input.limit = TYPED_AHEAD;
        int r = mv_terminal_enter(STDIN_FILENO, err);
        if (r < 0)
            return r;
    }
    mv_output_set_uart(console->output, uart);
    console->input.uart = uart;
    go_on(console);
    return 0;
}

static bool console_drain(struct mv_serial *serial, unsigned timeout_ms)
{
    struct console *console = (struct console *)serial;
    return mv_output_drain(console->output, timeout_ms);
}

static void console_stop(struct mv_serial *serial)
{
    struct console *console = (struct console *)serial;
    unwatch(console);
    console->input.uart = NULL;
    mv_output_set_uart(console->output, NULL);
    mv_terminal_leave();
    /* The shell's prompt, and memvisor's last words, start on a line of their own. */
    if (console->fd == STDOUT_FILENO && isatty(STDOUT_FILENO) &&
        !mv_output_at_line_start(console->output)) {
        mv_output_write(console->output, (const uint8_t *)"\n", 1);
        mv_output_drain(console->output, 100);
    }
}

static void console_destroy(struct mv_serial *serial)
{
    struct console *console = (struct console *)serial;
    mv_output_destroy(console->output);
    mv_loop_forget(console->loop, console);
    mv_input_free(&console->input);
    if (console->fd != STDOUT_FILENO)
        mv_cleanup_close(&console->fd);
    free(console);
}

static const struct mv_serial_ops console_ops = {console_start, console_drain, console_stop,
                                                 console_destroy};

int mv_serial_create(const struct mv_config *config, struct mv_loop *loop, mv_serial_key_fn *on_key,
                     void *opaque, struct mv_serial **ret, struct mv_error *err)
{
    const char *path = config->serial == MV_SERIAL_FILE ? config->serial_path : NULL;
    *ret = NULL;
    if (config->serial == MV_SERIAL_NONE)
        return 0;
    if (config->serial == MV_SERIAL_UNIX)
        return mv_serial_socket_create(config->serial_path, loop, ret, err);
    struct console *console = calloc(1, sizeof *console);
    if (console == NULL)
        return mv_error_set_errno(err, ENOMEM, "console");
    *console = (struct console){
        .serial = {.backend = {console_write, console_rx_ready}, .ops = &console_ops},
        .loop = loop,
        .name = config->name,
        .on_key = on_key,
        .opaque = opaque,
        .fd = STDOUT_FILENO,
        .input = {.loop = loop, .on_room = go_on, .opaque = console},
        .ended = path != NULL};
    if (path != NULL)
        console->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0666);
    int r = 0;
    if (console->fd < 0)
        r = mv_error_set_errno(err, errno, "cannot write the console to '%s'", path);
    else if (path == NULL && mv_input_room(&console->input, 1) == 0)
        r = mv_error_set_errno(err, ENOMEM, "console");
    if (r == 0)
        r = mv_output_create(console->fd, path == NULL ? "standard output" : path, &console->output,
                             err);
    if (r < 0)
        console_destroy(&console->serial);
    else
        *ret = &console->serial;
    return r;
}
