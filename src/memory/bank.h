/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bank layout: from the user's wishes (-m SIZE[@ADDR]) to a sorted list of
 * RAM banks, checked against one another, the device windows of the board and
 * the size of the guest-physical space.  Pure functions on arrays: no state, no lock;
 * called by the machine before anything is allocated for the guest.
 *
 * Banks with an address are sorted and checked first; those without one then
 * take the lowest gaps.  Ends are kept exclusive, and since the guest's space
 * has fewer than 64 address bits, they always fit.
 */
#ifndef MV_MEMORY_BANK_H
#define MV_MEMORY_BANK_H

#include "error.h"

#include <stddef.h>
#include <stdint.h>

struct mv_config_bank;

/* A guest-physical range that a device of the board occupies. */
struct mv_window {
    const char *name;
    uint64_t gpa;
    uint64_t size;
};

struct mv_bank {
    char *id; /* ram0, ram1 … in address order unless the user named it */
    uint64_t gpa;
    uint64_t size;
    const struct mv_config_bank *wish; /* of the array the layout was made from */
};

struct mv_bank_layout {
    struct mv_bank *banks; /* sorted by gpa */
    size_t count;
};

/*
 * Lay out `wishes`.  Those without an address take, in the order given, the
 * lowest free place from ram_base up, once those with an address are placed.
 * ipa_bits: the guest-physical space is 2^ipa_bits bytes.
 */
int mv_bank_layout_make(const struct mv_config_bank *wishes, size_t wish_count,
                        const struct mv_window *windows, size_t window_count, uint64_t ram_base,
                        unsigned ipa_bits, struct mv_bank_layout *ret, struct mv_error *err);
void mv_bank_layout_free(struct mv_bank_layout *layout);

#endif
