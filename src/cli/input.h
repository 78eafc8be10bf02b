/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_input: console input that waits until the guest's UART has room.
 * All but mv_input_rx_ready is the loop's thread's.
 */
#ifndef MV_CLI_INPUT_H
#define MV_CLI_INPUT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What waits of a pipe or a socket, which are not read beyond it. */
#define MV_INPUT_SIZE (64 * 1024)

struct mv_loop;
struct mv_device;

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

#endif
