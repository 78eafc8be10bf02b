/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Console input: the keys that are memvisor's own, and what waits for the guest's UART.
 * The queue is the loop's thread's; `blocked` alone is shared with the vCPU threads.
 * rx_ready comes with the UART's lock held, so it only asks the loop to go on.
 */
#include "serial.h"

#include "loop.h"
#include "platform-devices.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* --- Ctrl-A and what follows it; called by console.c for each byte typed */

#define CTRL_A 0x01

static const struct {
    const char *keys;
    enum mv_escape_action action;
} actions[] = {
    {"xX", MV_ESCAPE_QUIT},  {"pP", MV_ESCAPE_POWER},    {"rR", MV_ESCAPE_RESET},
    {"hH?", MV_ESCAPE_HELP}, {"aA\001", MV_ESCAPE_SEND},
};

enum mv_escape_action mv_escape_take(bool *prefixed, uint8_t *byte)
{
    bool second = *prefixed;
    *prefixed = !second && *byte == CTRL_A;
    if (!second)
        return *prefixed ? MV_ESCAPE_NONE : MV_ESCAPE_SEND;
    for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++) {
        if (*byte == '\0' || strchr(actions[i].keys, *byte) == NULL)
            continue;
        *byte = CTRL_A;
        return actions[i].action;
    }
    return MV_ESCAPE_UNKNOWN;
}

/* --- input that waits */

/* A ring of another size, with what waits at its start: false without memory. */
static bool resize(struct mv_input *input, size_t capacity)
{
    uint8_t *bytes = malloc(capacity);
    if (bytes == NULL)
        return false;
    size_t run = input->capacity - input->head;
    run = run < input->used ? run : input->used;
    if (input->used > 0) {
        memcpy(bytes, input->bytes + input->head, run);
        memcpy(bytes + run, input->bytes, input->used - run);
    }
    free(input->bytes);
    input->bytes = bytes;
    input->capacity = capacity;
    input->head = 0;
    return true;
}

size_t mv_input_room(struct mv_input *input, size_t wanted)
{
    size_t limit = input->limit > 0 ? input->limit : MV_INPUT_SIZE;
    size_t capacity = input->capacity;
    while (capacity - input->used < wanted && capacity < limit)
        capacity = capacity == 0 ? MV_INPUT_SIZE : 2 * capacity;
    if (capacity != input->capacity)
        resize(input, capacity < limit ? capacity : limit);
    return input->capacity - input->used;
}

size_t mv_input_put(struct mv_input *input, const uint8_t *buf, size_t len)
{
    size_t room = mv_input_room(input, len);
    size_t take = len < room ? len : room;
    for (size_t i = 0; i < take; i++)
        input->bytes[(input->head + input->used + i) % input->capacity] = buf[i];
    input->used += take;
    return take;
}

static unsigned uart_room(struct mv_input *input)
{
    unsigned room = mv_ns16550a_rx_room(input->uart);
    if (room > 0)
        return room;
    /* Look again: the guest may have made room before it could see that we wait. */
    atomic_store(&input->blocked, true);
    room = mv_ns16550a_rx_room(input->uart);
    if (room > 0)
        atomic_store(&input->blocked, false);
    return room;
}

void mv_input_push(struct mv_input *input)
{
    while (input->uart != NULL && input->used > 0) {
        size_t len = uart_room(input);
        if (len == 0)
            return;
        size_t run = input->capacity - input->head;
        len = len < run ? len : run;
        len = len < input->used ? len : input->used;
        mv_ns16550a_rx(input->uart, input->bytes + input->head, (unsigned)len);
        input->head = (input->head + len) % input->capacity;
        input->used -= len;
    }
    /* A long paste is over. */
    if (input->used == 0 && input->capacity > MV_INPUT_SIZE)
        resize(input, MV_INPUT_SIZE);
}

static void go_on(void *opaque)
{
    struct mv_input *input = opaque;
    mv_input_push(input);
    if (input->on_room != NULL && mv_input_room(input, 1) > 0)
        input->on_room(input->opaque);
}

void mv_input_rx_ready(struct mv_input *input)
{
    if (atomic_exchange(&input->blocked, false))
        mv_loop_defer(input->loop, go_on, input);
}

void mv_input_free(struct mv_input *input)
{
    if (input->loop != NULL)
        mv_loop_forget(input->loop, input);
    free(input->bytes);
    input->bytes = NULL;
    input->capacity = input->used = 0;
}
