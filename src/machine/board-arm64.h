/* SPDX-License-Identifier: Apache-2.0 */
/* The arm64 board's guest-physical map (docs/DESIGN.md); guests learn it from the device tree. */
#ifndef MV_MACHINE_BOARD_ARM64_H
#define MV_MACHINE_BOARD_ARM64_H

#include "board.h"

#define MV_ARM64_UART   UINT64_C(0x01000000)
#define MV_ARM64_RTC    UINT64_C(0x01010000)
#define MV_ARM64_GPIO   UINT64_C(0x01020000)
#define MV_ARM64_V2M    UINT64_C(0x3f7e0000)
#define MV_ARM64_REDIST UINT64_C(0x3f7f0000)
#define MV_ARM64_DIST   UINT64_C(0x3fff0000)
#define MV_ARM64_ECAM   UINT64_C(0x40000000)
#define MV_ARM64_PCI    UINT64_C(0x50000000)
#define MV_ARM64_RAM    UINT64_C(0x80000000)

#define MV_ARM64_IPA_BITS 48

/* The 64-bit PCI window, where no bank stands there. */
#define MV_ARM64_PCI64      UINT64_C(0x8000000000)
#define MV_ARM64_PCI64_SIZE UINT64_C(0x8000000000)
#define MV_ARM64_PCI64_MIN  UINT64_C(0x40000000) /* where banks leave no more */

/* Private interrupts of the generic timer (Arm BSA, "Private peripheral interrupts"). */
#define MV_ARM64_TIMER_SECURE_INTID     29
#define MV_ARM64_TIMER_PHYSICAL_INTID   30
#define MV_ARM64_TIMER_VIRTUAL_INTID    27
#define MV_ARM64_TIMER_HYPERVISOR_INTID 26

extern const struct mv_board_ops mv_board_arm64;

/* --- rows of every arm64 board (fdt-arm64.c): the vCPUs' timer, */
extern const struct mv_platform_type mv_timer_arm64_type;
/* and the clock of what hangs on the peripheral bus. */
extern const struct mv_platform_type mv_clock_type;

#endif
