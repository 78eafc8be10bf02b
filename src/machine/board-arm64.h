/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The arm64 board: its guest-physical map (docs/DESIGN.md), which guests learn from the
 * device tree, and their loader, by the names that its tests know it by (loader.h says of
 * each).
 */
#ifndef MV_MACHINE_BOARD_ARM64_H
#define MV_MACHINE_BOARD_ARM64_H

#include "board.h"
#include "loader.h"

#define MV_ARM64_UART    UINT64_C(0x01000000)
#define MV_ARM64_RTC     UINT64_C(0x01010000)
#define MV_ARM64_GPIO    UINT64_C(0x01020000)
#define MV_ARM64_VMGENID UINT64_C(0x01030000)
#define MV_ARM64_V2M     UINT64_C(0x3f7e0000)
#define MV_ARM64_REDIST  UINT64_C(0x3f7f0000)
#define MV_ARM64_DIST    UINT64_C(0x3fff0000)
#define MV_ARM64_ECAM    UINT64_C(0x40000000)
#define MV_ARM64_PCI     UINT64_C(0x50000000)
#define MV_ARM64_RAM     UINT64_C(0x80000000)

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
extern const struct mv_loader mv_loader_arm64; /* fdt-arm64.c */

/* --- rows of every arm64 board (fdt-arm64.c): the vCPUs' timer, */
extern const struct mv_platform_type mv_timer_arm64_type;
/* and the clock of what hangs on the peripheral bus. */
extern const struct mv_platform_type mv_clock_type;

/* --- image-arm64.c: Linux Images (Linux, Documentation/arm64/booting.rst) */

int mv_image_parse(const char *path, const uint8_t *head, size_t len, uint64_t file_size,
                   struct mv_image *ret, struct mv_error *err);

/* --- placement-arm64.c */

/* Of a device tree (Linux, Documentation/arm64/booting.rst, section 2). */
#define MV_FDT_SIZE_MAX (UINT64_C(2) << 20)

/*
 * An Image goes, with all that belongs to it, into the lowest place that holds
 * it: a bank, or several without a hole between them.  A firmware goes to the
 * lowest bank's start + 0x80000.
 */
int mv_placement_find(const struct mv_placement_request *request,
                      const struct mv_bank_layout *layout, struct mv_placement *ret,
                      struct mv_error *err);
void mv_placement_warn(const struct mv_placement_request *request,
                       const struct mv_bank_layout *layout);
void mv_linux_limits_warn(const char *cmdline, const struct mv_bank_layout *layout);

/* --- fdt-arm64.c: the device tree of an arm64 board, of which its rows write their part */

int mv_fdt_build(const struct mv_description_params *params, void **ret_fdt, struct mv_error *err);
uint32_t mv_fdt_size(const void *fdt);
int mv_fdt_set_initrd(void *fdt, uint64_t gpa, uint64_t size, struct mv_error *err);
/* rng-seed and kaslr-seed. */
int mv_fdt_set_seeds(void *fdt, struct mv_error *err);

#endif
