/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where in RAM kernel, initrd and device tree go, and what an arm64 Linux would
 * lose there.  Pure, but for warnings.
 */
#ifndef MV_MACHINE_PLACEMENT_ARM64_H
#define MV_MACHINE_PLACEMENT_ARM64_H

#include "bank.h"
#include "error.h"
#include "image-arm64.h"

#include <stdbool.h>
#include <stdint.h>

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

#endif
