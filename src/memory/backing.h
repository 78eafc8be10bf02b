/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_backing: where a block's bytes live.  One file of code for each
 * kind, behind this table.
 */
#ifndef MV_MEMORY_BACKING_H
#define MV_MEMORY_BACKING_H

#include "error.h"

#include <stddef.h>
#include <stdint.h>

struct mv_backing;

struct mv_backing_ops {
    const char *kind; /* "anonymous" */
    /* Map size bytes at a host address aligned to 2 MiB. */
    int (*map)(struct mv_backing *backing, uint64_t size, uint8_t **ret_host,
               struct mv_error *err);
    void (*unmap)(struct mv_backing *backing, uint8_t *host, uint64_t size);
    /*
     * Give whole host pages back: they read as zeros from then on.  A negative
     * errno where the host cannot.
     */
    int (*punch)(struct mv_backing *backing, uint8_t *host, uint64_t size);
    void (*destroy)(struct mv_backing *backing);
};

struct mv_backing {
    const struct mv_backing_ops *ops;
};

int mv_backing_anonymous_create(struct mv_backing **ret, struct mv_error *err);

#endif
