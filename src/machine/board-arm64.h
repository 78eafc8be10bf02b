/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The arm64 board: its guest-physical map (docs/DESIGN.md), its interrupts and
 * its devices.  All of it reaches the guest through the device tree.
 */
#ifndef MV_MACHINE_BOARD_ARM64_H
#define MV_MACHINE_BOARD_ARM64_H

#include "bank.h"
#include "device-list.h"
#include "engine.h"
#include "error.h"

#include <stddef.h>
#include <stdint.h>

struct mv_block_registry;
struct mv_config_device;
struct mv_device_tree;
struct mv_hotplug;
struct mv_loop;
struct mv_space;

#define MV_BOARD_IPA_BITS 48
#define MV_BOARD_RAM_BASE UINT64_C(0x80000000)

#define MV_BOARD_UART   UINT64_C(0x01000000)
#define MV_BOARD_RTC    UINT64_C(0x01010000)
#define MV_BOARD_GPIO   UINT64_C(0x01020000)
#define MV_BOARD_V2M    UINT64_C(0x3f7e0000)
#define MV_BOARD_REDIST UINT64_C(0x3f7f0000)
#define MV_BOARD_DIST   UINT64_C(0x3fff0000)
#define MV_BOARD_ECAM   UINT64_C(0x40000000)
#define MV_BOARD_PCI    UINT64_C(0x50000000)

/* The 64-bit PCI window, where no bank stands there. */
#define MV_BOARD_PCI64      UINT64_C(0x8000000000)
#define MV_BOARD_PCI64_SIZE UINT64_C(0x8000000000)
#define MV_BOARD_PCI64_MIN  UINT64_C(0x40000000) /* where banks leave no more */

/* Shared interrupts, counted from 0 as in the device tree. */
#define MV_BOARD_SPIS     928
#define MV_BOARD_UART_SPI 1
#define MV_BOARD_RTC_SPI  2
#define MV_BOARD_GPIO_SPI 3
#define MV_BOARD_PCI_SPI  4  /* and three more: INTA# of slot n is 4 + n % 4 */
#define MV_BOARD_MSI_SPI  32 /* and all above */

/* Private interrupts of the generic timer (Arm BSA, "Private peripheral interrupts"). */
#define MV_BOARD_TIMER_SECURE_INTID     29
#define MV_BOARD_TIMER_PHYSICAL_INTID   30
#define MV_BOARD_TIMER_VIRTUAL_INTID    27
#define MV_BOARD_TIMER_HYPERVISOR_INTID 26

#define MV_BOARD_POWER_LINE 3 /* of the GPIO */

/* What banks must keep clear of; sorted, without overlap. */
extern const struct mv_window mv_board_windows[];
extern const size_t mv_board_window_count;

struct mv_board {
    struct mv_device *gic;
    struct mv_device *uart;
    struct mv_device *rtc;
    struct mv_device *gpio;
    struct mv_device *pci;
};

/*
 * Make the devices, put them into the tree (which owns them) and the space.
 * On failure the tree holds those that were made until then.
 */
int mv_board_create(unsigned cpus, const struct mv_bank_layout *layout, struct mv_loop *loop,
                    struct mv_serial_backend *serial, struct mv_device_tree *devices,
                    struct mv_space *space, struct mv_board *ret, struct mv_error *err);

/*
 * Where the 64-bit PCI window is, and its bytes: where a bank is in the usual
 * place, the highest free one, and of the largest size that there is room for,
 * a power of two and aligned to it.  *ret_size is 0 where there is none.
 */
uint64_t mv_board_pci64(const struct mv_bank_layout *layout, uint64_t *ret_size);

/* --- board-pci.c */

#define MV_BOARD_PCI_BUS "pcie.0" /* what bus= calls the host bridge's, as QEMU does */

/* What PCI devices are made of and put into. */
struct mv_board_pci {
    struct mv_device *host;
    struct mv_device_tree *devices;
    struct mv_block_registry *blocks;
    struct mv_hotplug *hotplug;
    struct mv_loop *loop;
    struct mv_ivshmem_hello *hello; /* the server's of the device to be made, or NULL */
};

/*
 * Make a PCI device and put it into its slot and into the tree, which owns it.
 * -ENOENT for an unknown type or bus, -EBUSY where the slot is taken, -EEXIST
 * where the id is; -ENOTSUP where the machine runs and the bus has no hotplug.
 * Nothing has changed then.  Main thread.
 */
int mv_board_plug(const struct mv_board_pci *pci, const struct mv_config_device *wish,
                  bool running, struct mv_device **ret, struct mv_error *err);
/* What it would say of the type, the place and the id while the machine runs; changes nothing. */
int mv_board_check_plug(const struct mv_board_pci *pci, const struct mv_config_device *wish,
                        struct mv_error *err);

#endif
