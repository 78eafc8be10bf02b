/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loading an arm64 guest, for boot.c: what a kernel is, where it goes with all
 * that belongs to it, and the device tree that it is told.  No state.
 */
#ifndef MV_MACHINE_LOADER_ARM64_H
#define MV_MACHINE_LOADER_ARM64_H

#include "bank.h"
#include "error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mv_board;
struct mv_engine_cache;

/* --- image-arm64.c: Linux Images (Linux, Documentation/arm64/booting.rst) */

/* As much of a file's start as tells what it is. */
#define MV_IMAGE_HEAD 4096

struct mv_image {
    uint64_t text_offset; /* of the Image behind a 2 MiB-aligned base */
    uint64_t memory_size; /* bytes from there on that are the kernel's own */
};

/*
 * Read the header of a file of which the first `len` bytes are in head (all
 * where it has fewer than MV_IMAGE_HEAD) and which is file_size long.  -ENOEXEC
 * with a message that says what the file is instead, and what to do.
 */
int mv_image_parse(const char *path, const uint8_t *head, size_t len, uint64_t file_size,
                   struct mv_image *ret, struct mv_error *err);

/* --- placement-arm64.c */

/* Of a device tree (Linux, Documentation/arm64/booting.rst, section 2). */
#define MV_FDT_SIZE_MAX (UINT64_C(2) << 20)

struct mv_placement_request {
    bool firmware;         /* a flat binary, not an Image */
    struct mv_image image; /* a firmware's memory_size is its file's size */
    uint64_t initrd_size;  /* bytes, 0 for none */
    uint64_t fdt_size;     /* bytes */
};

struct mv_placement {
    uint64_t kernel; /* gpa, and the entry point */
    uint64_t initrd; /* gpa, 0 for none */
    uint64_t fdt;    /* gpa */
};

/*
 * An Image goes, with all that belongs to it, into the lowest place that holds
 * it: a bank, or several without a hole between them.  A firmware goes to the
 * lowest bank's start + 0x80000.  -ENOSPC where there is no such place; the
 * message tells what is needed and what banks there are.
 */
int mv_placement_find(const struct mv_placement_request *request,
                      const struct mv_bank_layout *layout, struct mv_placement *ret,
                      struct mv_error *err);

/* Warn, with what to type, of RAM that holds the kernel and is too little for it to come up. */
void mv_placement_warn(const struct mv_placement_request *request,
                       const struct mv_bank_layout *layout);

/* Warn of each limit of Linux that the command line or the banks exceed, with both numbers. */
void mv_linux_limits_warn(const char *cmdline, const struct mv_bank_layout *layout);

/* --- fdt-arm64.c: the flattened device tree of an arm64 board; its rows write their part */

struct mv_fdt_params {
    const struct mv_board *board;
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
