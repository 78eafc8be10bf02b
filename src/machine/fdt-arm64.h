/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The flattened device tree of an arm64 board: what its vCPUs and its memory
 * are, and what its rows tell (bus/fdt-writer.h).
 */
#ifndef MV_MACHINE_FDT_ARM64_H
#define MV_MACHINE_FDT_ARM64_H

#include "bank.h"
#include "error.h"

#include <stdbool.h>
#include <stdint.h>

struct mv_board;
struct mv_engine_cache;

struct mv_fdt_params {
    const struct mv_board *board;
    const uint64_t *mpidr; /* of each vCPU */
    const struct mv_bank_layout *layout;
    const char *cmdline; /* bootargs */
    bool has_initrd;
    const struct mv_engine_cache *caches; /* engine.h; NULL: none */
};

/*
 * Build the tree, as large as it needs to be; free() it.  Where the initrd
 * lies is not known yet, and its properties hold zeros; so do the seeds.
 */
int mv_fdt_build(const struct mv_fdt_params *params, void **ret_fdt, struct mv_error *err);

uint32_t mv_fdt_size(const void *fdt);
/* Fill in the place of the initrd: gpa of its first byte, and bytes. */
int mv_fdt_set_initrd(void *fdt, uint64_t gpa, uint64_t size, struct mv_error *err);
/* Fill in rng-seed and kaslr-seed with fresh random bytes. */
int mv_fdt_set_seeds(void *fdt, struct mv_error *err);

#endif
