/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_loader: what of loading a guest depends on its architecture.  A board
 * names one; boot.c does all else.  No state, no lock; the main thread's.
 */
#ifndef MV_MACHINE_LOADER_H
#define MV_MACHINE_LOADER_H

#include "bank.h"
#include "error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mv_board;
struct mv_engine_cache;

/* As much of a file's start as tells what it is. */
#define MV_IMAGE_HEAD 4096

struct mv_image {
    uint64_t text_offset; /* of the Image behind a 2 MiB-aligned base */
    uint64_t memory_size; /* bytes from there on that are the kernel's own */
};

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

/* What the guest is told in its description: the device tree, where it gets one. */
struct mv_description_params {
    const struct mv_board *board;
    const struct mv_bank_layout *layout;
    const char *cmdline; /* bootargs */
    bool has_initrd;
    const struct mv_engine_cache *caches; /* engine.h; NULL: none */
};

struct mv_loader {
    /*
     * Read the header of a kernel of which the first `len` bytes are in head (all
     * where it has fewer than MV_IMAGE_HEAD) and which is file_size long.  -ENOEXEC
     * with a message that says what the file is instead, and what to do.
     */
    int (*look)(const char *path, const uint8_t *head, size_t len, uint64_t file_size,
                struct mv_image *ret, struct mv_error *err);
    /*
     * -ENOSPC where there is no such place; the message tells what is needed and
     * what banks there are.
     */
    int (*place)(const struct mv_placement_request *request, const struct mv_bank_layout *layout,
                 struct mv_placement *ret, struct mv_error *err);
    /* Warn, with what to type, of RAM that is too little for the kernel to come up, */
    void (*warn)(const struct mv_placement_request *request, const struct mv_bank_layout *layout);
    /* and of each limit of Linux that the command line or the banks exceed. */
    void (*warn_limits)(const char *cmdline, const struct mv_bank_layout *layout);
    /*
     * Make the description, as large as it needs to be; free() it.  Where the
     * initrd lies is not known yet, and its place holds zeros; so do the seeds.
     */
    int (*describe)(const struct mv_description_params *params, void **ret, struct mv_error *err);
    uint32_t (*size)(const void *description);
    /* Fill in the place of the initrd: gpa of its first byte, and bytes. */
    int (*set_initrd)(void *description, uint64_t gpa, uint64_t size, struct mv_error *err);
    /* Fill in fresh random bytes. */
    int (*set_seeds)(void *description, struct mv_error *err);
};

#endif
