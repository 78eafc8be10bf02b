/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_jit_page: what was made of a page of code: its marks, its units, and the links
 * between those.  It stands beside the page's ops (code-cache.c).  Units do not leave their
 * page but by mv_go, so that a page goes with all that leads into it.
 */
#ifndef MV_JIT_PAGE_H
#define MV_JIT_PAGE_H

#include "jit.h"

/* Where a unit accesses memory: behind the access (the host's PC is at it), and whose it is. */
struct mv_jit_access {
    uint32_t at;
    uint16_t slot;
};

struct mv_jit_unit {
    struct mv_jit_unit *next;
    uint32_t start, end; /* in the code memory */
    uint16_t slot;       /* it is entered at */
    uint64_t lines;      /* of its instructions */
    /* By the host's registers, which of the guest's it changes there, + 1. */
    uint8_t guest[16], guest_v[16];
    unsigned access_count;
    struct mv_jit_access accesses[];
};

/* A jump out of a unit, to another of the page where there is one, else to `stub`. */
struct mv_jit_link {
    struct mv_jit_link *next;
    const struct mv_jit_unit *from;
    uint32_t place, stub;
    uint16_t target;
};

struct mv_jit_page {
    uint16_t code[MV_JIT_SLOTS]; /* of ops that are `count` or `native` */
    uint8_t count[MV_JIT_SLOTS];
    uint64_t strays[MV_JIT_SLOTS / 64]; /* of slots: accesses that no stream follows (run.c) */
    struct mv_op *ops;
    struct mv_jit_unit *units;
    struct mv_jit_link *links;
    struct mv_jit_page *next, **at;
};

/* The unit is complete: its op runs it, and what waits for it leads to it. */
void mv_jit_page_add(struct mv_jit *jit, struct mv_jit_page *page, struct mv_jit_unit *unit);
/* Its jump at `place` goes to the target's unit, else to `stub`.  -ENOMEM. */
int mv_jit_page_link(struct mv_jit *jit, struct mv_jit_page *page, const struct mv_jit_link *link);
/* A unit that did not come to be has no links. */
void mv_jit_page_unlink(struct mv_jit_page *page, const struct mv_jit_unit *from);

#endif
