/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_uart_receiver and struct mv_uart_transmitter: what the host sent to a
 * 16550A and the guest has not read, and what the guest sent and the host has not
 * taken.  Parts of struct mv_ns16550a, under its lock; ns16550a.c alone calls them.
 */
#ifndef MV_DEVICE_NS16550A_FIFOS_H
#define MV_DEVICE_NS16550A_FIFOS_H

#include "state.h"

#include <stdbool.h>
#include <stdint.h>

#define MV_UART_FIFO  16
#define MV_UART_QUEUE 4096 /* beyond the chip's 16: for guests that give up waiting for THRE */
/*
 * Reads of LSR, since the guest set the UART up, that tell of one that waits for input
 * without an interrupt.  A driver that starts looks once and throws away what it finds
 * (Linux's 8250_port.c, serial8250_do_startup, twice).
 */
#define MV_UART_POLLS 2

struct mv_serial_backend;

struct mv_uart_receiver {
    /*
     * The host's bytes: the first `arrived` are in the FIFO, the others on the
     * wire.  To a clear and to a reset all of them are the wire's again.
     */
    uint8_t line[MV_UART_FIFO];
    uint16_t line_first;
    uint16_t line_count;
    uint16_t arrived;
    /* The transmitter's own bytes in loopback, which are read before those. */
    uint8_t loop[MV_UART_FIFO];
    uint16_t loop_first;
    uint16_t loop_count;
    uint8_t polls; /* LSR reads since the guest last set the UART up, up to MV_UART_POLLS */
};

/* A byte in loopback into a FIFO of `depth`: false on an overrun. */
bool mv_uart_receiver_loop(struct mv_uart_receiver *r, uint8_t byte, unsigned depth);

/* Bytes in the FIFO; the next one, or 0; *ret_room where the host may send another. */
unsigned mv_uart_receiver_used(const struct mv_uart_receiver *r);
uint8_t mv_uart_receiver_pop(struct mv_uart_receiver *r, bool *ret_room);
/* Bytes of the wire go into the FIFO as it has room. */
void mv_uart_receiver_arrive(struct mv_uart_receiver *r, unsigned depth);
/* The guest sets the UART up: what has arrived has not. */
void mv_uart_receiver_unarrive(struct mv_uart_receiver *r);
/* A FIFO clear, or a reset. */
void mv_uart_receiver_clear(struct mv_uart_receiver *r);
/* Whether what was loaded fits a FIFO of `depth`, or mv_state_refuse. */
int mv_uart_receiver_check(const struct mv_uart_receiver *r, unsigned depth, struct mv_error *err);

struct mv_uart_transmitter {
    uint8_t queue[MV_UART_QUEUE];
    uint16_t first;
    uint16_t count;
};

/* A byte that there is no room for is dropped. */
void mv_uart_transmitter_put(struct mv_uart_transmitter *t, uint8_t byte);
/*
 * Hand the backend (NULL: nobody) what it takes; true where the last byte went,
 * false where there was none or some are left.
 */
bool mv_uart_transmitter_drain(struct mv_uart_transmitter *t, struct mv_serial_backend *backend);

/* What a save carries of both, for the UART's table. */
#define MV_UART_FIFOS_STATE_FIELDS(type, rx, tx)                                                   \
    MV_STATE_ANY("rx-line", type, rx.line, MV_STATE_U8),                                           \
        MV_STATE_RANGE("rx-line-first", type, rx.line_first, MV_STATE_U16, 0, MV_UART_FIFO - 1),   \
        MV_STATE_RANGE("rx-line-count", type, rx.line_count, MV_STATE_U16, 0, MV_UART_FIFO),       \
        MV_STATE_RANGE("rx-arrived", type, rx.arrived, MV_STATE_U16, 0, MV_UART_FIFO),             \
        MV_STATE_ANY("rx-loop", type, rx.loop, MV_STATE_U8),                                       \
        MV_STATE_RANGE("rx-loop-first", type, rx.loop_first, MV_STATE_U16, 0, MV_UART_FIFO - 1),   \
        MV_STATE_RANGE("rx-loop-count", type, rx.loop_count, MV_STATE_U16, 0, MV_UART_FIFO),       \
        MV_STATE_RANGE("rx-polls", type, rx.polls, MV_STATE_U8, 0, MV_UART_POLLS),                 \
        MV_STATE_ANY("tx", type, tx.queue, MV_STATE_U8),                                           \
        MV_STATE_RANGE("tx-first", type, tx.first, MV_STATE_U16, 0, MV_UART_QUEUE - 1),            \
        MV_STATE_RANGE("tx-count", type, tx.count, MV_STATE_U16, 0, MV_UART_QUEUE)

#endif
