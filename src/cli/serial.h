/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_serial: the host's end of the guest's first UART, as --serial
 * chooses it: console.c (stdio and file), serial-socket.c.  All calls but the
 * backend's are the main thread's.  And what the kinds have in common.
 */
#ifndef MV_CLI_SERIAL_H
#define MV_CLI_SERIAL_H

#include "config.h"
#include "error.h"
#include "platform-devices.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mv_device;
struct mv_loop;
struct mv_output;
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

/*
 * --- input.c: the keys by which a user at a raw terminal talks to memvisor and not to the
 * guest, Ctrl-A and one more.  A pure state machine.
 */

enum mv_escape_action {
    MV_ESCAPE_SEND, /* the byte is the guest's */
    MV_ESCAPE_NONE, /* nothing yet: Ctrl-A itself */
    MV_ESCAPE_QUIT,
    MV_ESCAPE_POWER, /* the power button */
    MV_ESCAPE_RESET,
    MV_ESCAPE_HELP,
    MV_ESCAPE_UNKNOWN, /* Ctrl-A and a key that means nothing */
};

/* Take the next byte from the terminal, which for MV_ESCAPE_SEND becomes what is sent. */
enum mv_escape_action mv_escape_take(bool *prefixed, uint8_t *byte);

/* --- the kinds */

/* Called in the loop's thread with QUIT, POWER or RESET. */
typedef void mv_serial_key_fn(void *opaque, enum mv_escape_action action);

/* *ret becomes NULL for --serial none. */
int mv_serial_create(const struct mv_config *config, struct mv_loop *loop, mv_serial_key_fn *on_key,
                     void *opaque, struct mv_serial **ret, struct mv_error *err);

int mv_serial_socket_create(const char *path, struct mv_loop *loop, struct mv_serial **ret,
                            struct mv_error *err);

/*
 * --- input.c: struct mv_input: console input that waits until the guest's UART has room.
 * All but mv_input_rx_ready is the loop's thread's.
 */

/* What waits of a pipe or a socket, which are not read beyond it. */
#define MV_INPUT_SIZE (64 * 1024)

struct mv_input {
    struct mv_loop *loop;
    struct mv_device *uart; /* NULL: input waits */
    /* Called after waiting input has gone to the UART. */
    void (*on_room)(void *opaque);
    void *opaque;
    atomic_bool blocked; /* somebody waits for mv_input_rx_ready */
    size_t limit;        /* bytes that may wait; 0: MV_INPUT_SIZE */
    uint8_t *bytes;      /* a ring, made and made larger as bytes come */
    size_t capacity;
    size_t head;
    size_t used;
};

/*
 * How many bytes mv_input_put takes, at least up to `wanted` of them below the
 * limit; 0 also where the host has no memory for them.
 */
size_t mv_input_room(struct mv_input *input, size_t wanted);
/* Queue up to len bytes: how many there was room for. */
size_t mv_input_put(struct mv_input *input, const uint8_t *buf, size_t len);
/* Hand to the UART what it has room for. */
void mv_input_push(struct mv_input *input);
/* The UART's rx_ready, in a vCPU's thread with the UART's lock held. */
void mv_input_rx_ready(struct mv_input *input);
/* What still waits is forgotten. */
void mv_input_free(struct mv_input *input);

/*
 * --- output.c: struct mv_output: console text on its way from the guest to a descriptor
 * that may be slow.  A thread of its own does blocking writes, so that the
 * descriptor need not be made non-blocking: standard output often shares its
 * file description with the user's shell.
 */

/* `what` names fd in messages; both stay the caller's. */
int mv_output_create(int fd, const char *what, struct mv_output **ret, struct mv_error *err);
/* What was not written yet is lost. */
void mv_output_destroy(struct mv_output *output);

/*
 * Take up to len bytes: how many there was room for.  Once the descriptor has
 * failed everything is taken and dropped.  Any thread.
 */
unsigned mv_output_write(struct mv_output *output, const uint8_t *buf, unsigned len);

/*
 * Whom to tell, from the output's thread, that there is room again after
 * mv_output_write took less than all.  NULL: nobody; returns once no call is
 * under way.
 */
void mv_output_set_uart(struct mv_output *output, struct mv_device *uart);

/* Wait until all is written: false where timeout_ms was not enough. */
bool mv_output_drain(struct mv_output *output, unsigned timeout_ms);

/* Whether the last byte ended a line; also true before the first. */
bool mv_output_at_line_start(struct mv_output *output);

#endif
