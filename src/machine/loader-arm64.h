/* SPDX-License-Identifier: Apache-2.0 */
/* The loader of arm64 guests, by the names that its tests know it by; loader.h says of each. */
#ifndef MV_MACHINE_LOADER_ARM64_H
#define MV_MACHINE_LOADER_ARM64_H

#include "loader.h"

/* In fdt-arm64.c. */
extern const struct mv_loader mv_loader_arm64;

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
