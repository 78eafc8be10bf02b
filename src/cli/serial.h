/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_serial: the host's end of the guest's first UART, as --serial
 * chooses it.  One file a kind: console.c (stdio), serial-file.c,
 * serial-socket.c.  All calls but the backend's are the main thread's.
 */
#ifndef MV_CLI_SERIAL_H
#define MV_CLI_SERIAL_H

#include "config.h"
#include "error.h"
#include "ns16550a.h"

#include <stdbool.h>

struct mv_loop;
struct mv_serial;

struct mv_serial_ops {
    /* The guest is about to run: take its UART, begin with input. */
    int (*start)(struct mv_serial *serial, struct mv_device *uart, struct mv_error *err);
    /* Wait until the output is written: false where timeout_ms was not enough. */
    bool (*drain)(struct mv_serial *serial, unsigned timeout_ms);
    /* Let go of the UART and of the loop; restore the terminal. */
    void (*stop)(struct mv_serial *serial);
    void (*destroy)(struct mv_serial *serial);
};

struct mv_serial {
    struct mv_serial_backend backend; /* for the machine */
    const struct mv_serial_ops *ops;
};

/* What the Ctrl-A keys do; called in the loop's thread. */
struct mv_serial_keys {
    void (*quit)(void *opaque);
    void (*power)(void *opaque); /* press the power button */
    void (*reset)(void *opaque);
    void *opaque;
};

/* *ret becomes NULL for --serial none. */
int mv_serial_create(const struct mv_config *config, struct mv_loop *loop,
                     const struct mv_serial_keys *keys, struct mv_serial **ret,
                     struct mv_error *err);

/* The kinds. */
int mv_console_create(const char *name, struct mv_loop *loop, const struct mv_serial_keys *keys,
                      struct mv_serial **ret, struct mv_error *err);
int mv_serial_file_create(const char *path, struct mv_serial **ret, struct mv_error *err);
int mv_serial_socket_create(const char *path, struct mv_loop *loop, struct mv_serial **ret,
                            struct mv_error *err);

#endif
