/* SPDX-License-Identifier: Apache-2.0 */
/*
 * --serial: picks the kind.  And the kind file:PATH: the guest's output in a file; there
 * is no input.  Called by run.c.
 */
#include "serial.h"

#include "cleanup.h"

#include <fcntl.h>
#include <string.h>

/* --- file:PATH */

struct serial_file {
    struct mv_serial serial;
    struct mv_output *output;
    int fd;
    char *path;
};

static unsigned file_write(struct mv_serial_backend *backend, const uint8_t *buf, unsigned len)
{
    struct serial_file *file = (struct serial_file *)backend;
    return mv_output_write(file->output, buf, len);
}

static void file_rx_ready(struct mv_serial_backend *backend)
{
}

static int file_start(struct mv_serial *serial, struct mv_device *uart, struct mv_error *err)
{
    struct serial_file *file = (struct serial_file *)serial;
    mv_output_set_uart(file->output, uart);
    return 0;
}

static bool file_drain(struct mv_serial *serial, unsigned timeout_ms)
{
    struct serial_file *file = (struct serial_file *)serial;
    return mv_output_drain(file->output, timeout_ms);
}

static void file_stop(struct mv_serial *serial)
{
    struct serial_file *file = (struct serial_file *)serial;
    mv_output_set_uart(file->output, NULL);
}

static void file_destroy(struct mv_serial *serial)
{
    struct serial_file *file = (struct serial_file *)serial;
    mv_output_destroy(file->output);
    mv_cleanup_close(&file->fd);
    free(file->path);
    free(file);
}

static const struct mv_serial_ops file_ops = {
    .start = file_start, .drain = file_drain, .stop = file_stop, .destroy = file_destroy};

int mv_serial_file_create(const char *path, struct mv_serial **ret, struct mv_error *err)
{
    struct serial_file *file = calloc(1, sizeof *file);
    if (file == NULL)
        return mv_error_set_errno(err, ENOMEM, "console");
    file->serial = (struct mv_serial){.backend = {file_write, file_rx_ready}, .ops = &file_ops};
    file->path = strdup(path);
    file->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0666);
    int r = 0;
    if (file->fd < 0 || file->path == NULL)
        r = mv_error_set_errno(err, errno, "cannot write the console to '%s'", path);
    if (r == 0)
        r = mv_output_create(file->fd, file->path, &file->output, err);
    if (r < 0) {
        file_destroy(&file->serial);
        return r;
    }
    *ret = &file->serial;
    return 0;
}

/* --- the choice */

int mv_serial_create(const struct mv_config *config, struct mv_loop *loop,
                     const struct mv_serial_keys *keys, struct mv_serial **ret,
                     struct mv_error *err)
{
    switch (config->serial) {
    case MV_SERIAL_STDIO:
        return mv_console_create(config->name, loop, keys, ret, err);
    case MV_SERIAL_FILE:
        return mv_serial_file_create(config->serial_path, ret, err);
    case MV_SERIAL_UNIX:
        return mv_serial_socket_create(config->serial_path, loop, ret, err);
    case MV_SERIAL_NONE:
        break;
    }
    *ret = NULL;
    return 0;
}
