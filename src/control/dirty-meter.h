/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_dirty_meter: what the guest writes into each block during some
 * time, by dirty logs of its own.
 */
#ifndef MV_CONTROL_DIRTY_METER_H
#define MV_CONTROL_DIRTY_METER_H

#include "error.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct mv_dirty_cursor;
struct mv_machine;

struct mv_dirty_entry {
    char *id;
    uint64_t generation;
    uint64_t size;                  /* bytes */
    uint64_t dirty;                 /* bytes of the pages that were written */
    struct mv_dirty_cursor *cursor; /* NULL: the block went meanwhile */
};

struct mv_dirty_meter {
    struct mv_dirty_entry *entries;
    size_t count;
    uint64_t elapsed_ms; /* how long it listened, at least 1 */
};

/*
 * Listen to all blocks for so long, or until *cancelled; then the entries'
 * cursors hold what was written.  Any thread but a vCPU's.  -ENOMEM.
 */
int mv_dirty_meter_run(struct mv_machine *machine, uint64_t milliseconds,
                       const atomic_bool *cancelled, struct mv_dirty_meter *ret,
                       struct mv_error *err);
void mv_dirty_meter_free(struct mv_dirty_meter *meter);

/* Bytes written in each of `parts` stretches of size / parts bytes, the last one what is left. */
void mv_dirty_entry_map(const struct mv_dirty_entry *entry, size_t parts, uint64_t *ret_bytes);

#endif
