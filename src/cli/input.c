/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The queue is the loop's thread's; `blocked` alone is shared with the vCPU
 * threads.  rx_ready comes with the UART's lock held, so it only asks the loop
 * to go on.
 */
#include "input.h"

#include "device-list.h"
#include "loop.h"

size_t mv_input_room(const struct mv_input *input)
{
    return MV_INPUT_SIZE - input->used;
}

size_t mv_input_put(struct mv_input *input, const uint8_t *buf, size_t len)
{
    size_t room = mv_input_room(input);
    size_t take = len < room ? len : room;
    for (size_t i = 0; i < take; i++)
        input->bytes[(input->head + input->used + i) % MV_INPUT_SIZE] = buf[i];
    input->used += take;
    return take;
}

static unsigned uart_room(struct mv_input *input)
{
    unsigned room = mv_ns16550a_rx_room(input->uart);
    if (room > 0)
        return room;
    /* Look again: the guest may have read between the look and the flag. */
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
        size_t run = MV_INPUT_SIZE - input->head;
        len = len < run ? len : run;
        len = len < input->used ? len : input->used;
        mv_ns16550a_rx(input->uart, input->bytes + input->head, (unsigned)len);
        input->head = (input->head + len) % MV_INPUT_SIZE;
        input->used -= len;
    }
}

static void go_on(void *opaque)
{
    struct mv_input *input = opaque;
    mv_input_push(input);
    if (input->on_room != NULL && mv_input_room(input) > 0)
        input->on_room(input->opaque);
}

void mv_input_rx_ready(struct mv_input *input)
{
    if (atomic_exchange(&input->blocked, false))
        mv_loop_defer(input->loop, go_on, input);
}
