/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The devices that boards are made of, beside the host bridge: each is a file, and
 * a type for boards' rows.
 */
#ifndef MV_DEVICE_PLATFORM_DEVICES_H
#define MV_DEVICE_PLATFORM_DEVICES_H

#include "device.h"
#include "platform.h"

#include <stdbool.h>

/* --- gicv3*.c: distributor, redistributors, CPU interfaces and a GICv2m frame */

struct mv_gicv3_params {
    unsigned cpus;           /* 1..64 */
    unsigned spi_count;      /* multiple of 32, at most 960; SPIs are 32..32+n-1 */
    unsigned msi_base_intid; /* first SPI of the GICv2m frame */
    unsigned msi_count;
};

/* Its row's address is the distributor's. */
extern const struct mv_platform_type mv_gicv3_type;
struct mv_gicv3_wiring {
    uint64_t redist_gpa;
    uint64_t v2m_gpa;
    struct mv_gicv3_params params; /* but for the number of CPUs */
};

#define MV_GICV3_DIST_SIZE   0x10000
#define MV_GICV3_REDIST_SIZE 0x20000 /* a vCPU */
#define MV_GICV2M_SIZE       0x1000

/* --- ns16550a.c: a 16550A UART (8-bit registers, register shift 0), and the host's end of it */

/*
 * write is called in a vCPU's thread with the UART's lock held, returns the number
 * of bytes taken (0..len); where it took fewer, the backend calls
 * mv_ns16550a_tx_ready once it can take more.
 */
struct mv_serial_backend {
    unsigned (*write)(struct mv_serial_backend *backend, const uint8_t *buf, unsigned len);
    /* The guest took input: there is room for mv_ns16550a_rx_room more bytes. */
    void (*rx_ready)(struct mv_serial_backend *backend);
};

#define MV_NS16550A_SIZE 8
extern const struct mv_platform_type mv_ns16550a_type;

/* Any thread.  Room in the receive FIFO, and input into it (len <= room). */
unsigned mv_ns16550a_rx_room(struct mv_device *device);
void mv_ns16550a_rx(struct mv_device *device, const uint8_t *buf, unsigned len);
void mv_ns16550a_tx_ready(struct mv_device *device);
/* While it is held, what the host has not taken yet stays: a machine that stands still says
 * nothing, since a state of it has that, too.  From the main thread. */
void mv_ns16550a_hold(struct mv_device *device, bool held);

/* --- Arm's PrimeCell devices: pl031.c shows the host's time, pl061.c has GPIO lines */

#define MV_PRIMECELL_SIZE 0x1000
extern const struct mv_platform_type mv_pl031_type, mv_pl061_type;

/* What the nodes of all of them have. */
void mv_primecell_describe(struct mv_fdt *fdt, const struct mv_platform_row *row);

/* Drive an input line, 0..7.  Any thread. */
void mv_pl061_set_input(struct mv_device *device, unsigned line, bool level);

/* --- vmgenid.c: a number that no two machines share, copies of a machine neither */

#define MV_VMGENID_SIZE    0x1000
#define MV_VMGENID_ID_SIZE 16
extern const struct mv_platform_type mv_vmgenid_type;

/* Another number, of which the guest is told by an interrupt.  Main thread. */
int mv_vmgenid_renew(struct mv_device *device, struct mv_error *err);
/* Any thread. */
void mv_vmgenid_read(struct mv_device *device, uint8_t ret_id[MV_VMGENID_ID_SIZE]);

#endif
