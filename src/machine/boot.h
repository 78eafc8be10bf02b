/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_boot: what the guest starts from: kernel or firmware, initrd and
 * device tree, and where they go.  Kept for the machine's life, because each
 * reset puts them into RAM again.
 */
#ifndef MV_MACHINE_BOOT_H
#define MV_MACHINE_BOOT_H

#include "bank.h"
#include "config.h"
#include "error.h"

#include <stdint.h>

struct mv_board;
struct mv_boot;
struct mv_engine_cache;
struct mv_space;

/* Read and check the files; the banks' total bounds how much. */
int mv_boot_create(const struct mv_config *config, const struct mv_bank_layout *layout,
                   struct mv_boot **ret, struct mv_error *err);
void mv_boot_destroy(struct mv_boot *boot);

/* Build the device tree and find a place for everything. */
int mv_boot_place(struct mv_boot *boot, const struct mv_board *board,
                  const struct mv_bank_layout *layout,
                  const struct mv_engine_cache *caches, struct mv_error *err);

/*
 * Before a reset: under --reload on, read and place the files anew.  Where that
 * fails nothing is changed that the guest sees, and it may be tried again.
 */
int mv_boot_reload(struct mv_boot *boot, const struct mv_bank_layout *layout,
                   struct mv_error *err);

/* The device tree, once it is built. */
const void *mv_boot_fdt(const struct mv_boot *boot, uint32_t *ret_size);

/* Copy everything into guest memory, the device tree with fresh seeds. */
int mv_boot_load(struct mv_boot *boot, struct mv_space *space, struct mv_error *err);

/* Where the first vCPU starts, and with which argument (booting.rst, section 4). */
void mv_boot_entry(const struct mv_boot *boot, uint64_t *ret_pc, uint64_t *ret_argument);

#endif
