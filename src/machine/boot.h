/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_boot: what is loaded into guest memory before vCPU 0 starts, and
 * where.  The files stay open, so that a reset can load them anew without
 * holding their bytes in memory.  The main thread's.
 */
#ifndef MV_MACHINE_BOOT_H
#define MV_MACHINE_BOOT_H

#include "bank.h"
#include "config.h"
#include "error.h"
#include "space.h"

#include <stdbool.h>
#include <stdint.h>

/* A file to load: a regular file, or a copy of what came through a pipe. */
struct mv_boot_file {
    const char *path;
    const char *what; /* "kernel", "firmware", "initrd" */
    int fd;           /* -1: none */
    uint64_t size;
    uint64_t gpa; /* once placed */
};

struct mv_boot {
    struct mv_boot_file image;  /* kernel or firmware */
    struct mv_boot_file initrd;
    bool firmware;
    uint64_t text_offset;  /* of the Image in its 2 MiB-aligned place */
    uint64_t memory_size;  /* what the image occupies once it runs */
    uint64_t dtb_gpa;
    uint64_t entry;
};

/* Open the files and check that the kernel is an arm64 Image. */
int mv_boot_open(struct mv_boot *boot, const struct mv_config *config, struct mv_error *err);
void mv_boot_close(struct mv_boot *boot);

/*
 * Find the lowest run of adjacent banks that holds kernel, initrd and an FDT
 * of dtb_size bytes, and set the addresses.
 */
int mv_boot_place(struct mv_boot *boot, const struct mv_bank_layout *layout, uint32_t dtb_size,
                  struct mv_error *err);

/* Copy the files and the FDT into the space. */
int mv_boot_load(const struct mv_boot *boot, struct mv_space *space, const void *dtb,
                 uint32_t dtb_size, struct mv_error *err);

/* --- image.c */
#define MV_IMAGE_HEADER_SIZE 64
/*
 * Check the first bytes of a kernel (Linux's Documentation/arm64/booting.rst)
 * and take its text offset and image size; what is no arm64 Image is named.
 */
int mv_image_parse(const uint8_t *header, size_t len, uint64_t file_size, uint64_t *ret_text_offset,
                   uint64_t *ret_image_size, struct mv_error *err);

#endif
