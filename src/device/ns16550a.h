/* SPDX-License-Identifier: Apache-2.0 */
/* ns16550a.c: the 16550A UART (8-bit registers, register shift 0), and the host's end of one. */
#ifndef MV_DEVICE_NS16550A_H
#define MV_DEVICE_NS16550A_H

#include "device.h"
#include "error.h"
#include "irqchip.h"
#include "platform.h"
#include "space.h"

#include <stdint.h>

/*
 * The host's end of a UART.  write is called in a vCPU's thread with the
 * UART's lock held, returns the number of bytes taken (0..len); where it took
 * fewer, the backend calls mv_ns16550a_tx_ready once it can take more.
 */
struct mv_serial_backend {
    unsigned (*write)(struct mv_serial_backend *backend, const uint8_t *buf, unsigned len);
    /* The guest took input: there is room for mv_ns16550a_rx_room more bytes. */
    void (*rx_ready)(struct mv_serial_backend *backend);
};

#define MV_NS16550A_SIZE 8

extern const struct mv_platform_type mv_ns16550a_type;

int mv_ns16550a_create(const struct mv_irq *irq, struct mv_serial_backend *backend,
                       struct mv_device **ret, struct mv_error *err);
const struct mv_mmio_region *mv_ns16550a_region(struct mv_device *device);
/* Any thread.  Room in the receive FIFO, and input into it (len <= room). */
unsigned mv_ns16550a_rx_room(struct mv_device *device);
void mv_ns16550a_rx(struct mv_device *device, const uint8_t *buf, unsigned len);
void mv_ns16550a_tx_ready(struct mv_device *device);

#endif
