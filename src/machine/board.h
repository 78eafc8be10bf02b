/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_board: a machine's board.  What tells one board from another is a
 * table of rows and values, struct mv_board_ops; a board is a file with one of
 * them (board-arm64.c) and a row in boards.c.  No lock: the main thread's.
 */
#ifndef MV_MACHINE_BOARD_H
#define MV_MACHINE_BOARD_H

#include "bank.h"
#include "error.h"
#include "platform.h"

#include <stddef.h>
#include <stdint.h>

struct mv_arch;
struct mv_loader;

struct mv_board_ops {
    const char *name;               /* what --machine calls it */
    const struct mv_arch *arch;     /* of its vCPUs, and so of the engines that can run it */
    const struct mv_loader *loader; /* of its guests (loader.h) */
    unsigned ipa_bits;              /* the guest-physical space is 2^ipa_bits bytes */
    uint64_t ram_base;              /* of banks without an address */
    /* What banks must keep clear of; sorted, without overlap. */
    const struct mv_window *windows;
    size_t window_count;
    /*
     * The window of PCI functions' 64-bit memory, which makes room for banks: its
     * usual place, and the least that it may shrink to; a size of 0 where there
     * is no PCI.
     */
    struct {
        uint64_t gpa;
        uint64_t size;
        uint64_t least;
    } pci64;
    /* Devices, and what else the guest is told of, in this order; see platform.h. */
    const struct mv_platform_row *rows;
    size_t row_count;
    /* INTIDs of the vCPUs' timers. */
    unsigned virtual_timer_intid;
    unsigned physical_timer_intid;
    unsigned power_line; /* of the GPIO: the power button's */
};

/* Every board that is built in, NULL-terminated. */
extern const struct mv_board_ops *const mv_boards[];

/* -ENOENT, with the names of those that there are. */
int mv_board_find(const char *name, const struct mv_board_ops **ret, struct mv_error *err);

struct mv_board {
    const struct mv_board_ops *ops;
    struct mv_platform platform;
};

/*
 * Make the devices, put them into the tree (which owns them) and the space.  The
 * caller has filled in `ops` and what a platform gives to its devices, but for
 * the window among the banks.  On failure the tree holds those that were made
 * until then.
 */
int mv_board_create(struct mv_board *board, const struct mv_bank_layout *layout,
                    struct mv_error *err);

/*
 * Where the 64-bit PCI window is, and its bytes: where a bank is in the usual
 * place, the highest free one, and of the largest size that there is room for,
 * a power of two and aligned to it.  *ret_size is 0 where there is none.
 */
uint64_t mv_board_pci64(const struct mv_board_ops *ops, const struct mv_bank_layout *layout,
                        uint64_t *ret_size);

#endif
