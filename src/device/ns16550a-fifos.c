/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The receive FIFO, with the wire before it.  What is typed, or stands in a
 * file on standard input, before the guest's driver is up would be lost on
 * the chip: drivers clear the FIFO and read the data register to be sure that
 * it is empty.  Here a host's byte waits on the wire until the guest listens
 * (ns16550a.c says when), and a clear sends it back there.
 */
#include "ns16550a-fifos.h"

#include "platform-devices.h"

/*
 * Without FIFOs a new character takes the place of an unread one; with them
 * the FIFO keeps what it has (data sheet, 8.5).
 */
bool mv_uart_receiver_loop(struct mv_uart_receiver *r, uint8_t byte, unsigned depth)
{
    bool overrun = r->loop_count >= depth;
    if (overrun && depth > 1)
        return false;
    if (overrun)
        r->loop_count = 0;
    r->loop[(r->loop_first + r->loop_count) % MV_UART_FIFO] = byte;
    r->loop_count++;
    return !overrun;
}

unsigned mv_uart_receiver_used(const struct mv_uart_receiver *r)
{
    return r->loop_count + r->arrived;
}

uint8_t mv_uart_receiver_pop(struct mv_uart_receiver *r, bool *ret_room)
{
    uint8_t byte = 0;
    if (r->loop_count != 0) {
        byte = r->loop[r->loop_first];
        r->loop_first = (r->loop_first + 1) % MV_UART_FIFO;
        r->loop_count--;
    } else if (r->arrived != 0) {
        byte = r->line[r->line_first];
        r->line_first = (r->line_first + 1) % MV_UART_FIFO;
        r->line_count--;
        r->arrived--;
        *ret_room = true;
    } else {
        r->polls = 0; /* who reads what is not there does not wait for it */
    }
    return byte;
}

void mv_uart_receiver_arrive(struct mv_uart_receiver *r, unsigned depth)
{
    while (r->arrived < r->line_count && mv_uart_receiver_used(r) < depth)
        r->arrived++;
}

void mv_uart_receiver_unarrive(struct mv_uart_receiver *r)
{
    r->arrived = 0;
    r->polls = 0;
}

void mv_uart_receiver_clear(struct mv_uart_receiver *r)
{
    mv_uart_receiver_unarrive(r);
    r->loop_count = 0;
}

int mv_uart_receiver_check(const struct mv_uart_receiver *r, unsigned depth, struct mv_error *err)
{
    unsigned used = mv_uart_receiver_used(r);
    if (r->arrived > r->line_count)
        return mv_state_refuse(err, "rx-arrived", "%u bytes of %u that the host sent", r->arrived,
                               r->line_count);
    return used <= depth
               ? 0
               : mv_state_refuse(err, "rx-loop-count",
                                 "with rx-arrived %u bytes where %u have room", used, depth);
}

void mv_uart_transmitter_put(struct mv_uart_transmitter *t, uint8_t byte)
{
    if (t->count == MV_UART_QUEUE)
        return;
    t->queue[(t->first + t->count) % MV_UART_QUEUE] = byte;
    t->count++;
}

bool mv_uart_transmitter_drain(struct mv_uart_transmitter *t, struct mv_serial_backend *backend)
{
    bool any = t->count != 0;
    while (t->count != 0) {
        unsigned run = MV_UART_QUEUE - t->first;
        if (run > t->count)
            run = t->count;
        unsigned taken = backend == NULL ? run : backend->write(backend, t->queue + t->first, run);
        t->first = (t->first + taken) % MV_UART_QUEUE;
        t->count -= taken;
        if (taken < run)
            return false;
    }
    return any;
}
