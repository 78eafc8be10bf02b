/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a move is to those who watch it, at either end: send.h's and receive.h's figures.
 * Plain values, copied under the move's own lock.
 */
#ifndef MV_MIGRATION_MOVE_H
#define MV_MIGRATION_MOVE_H

#include "wait-times.h"

#include <stdbool.h>
#include <stdint.h>

#define MV_MOVE_CHANNELS_MAX 16
/* For threads that bring what nobody waits for. */
#define MV_MOVE_BACKGROUND_NICE 10

/*
 * In this order, but for the last three, of which one comes after any of the others; memory
 * that follows its guest (FOLLOWING to RECOVERING, which take turns) is an exception.
 */
enum mv_move_stage {
    MV_MOVE_SETUP,      /* no line yet, or the other end is not ready */
    MV_MOVE_ACTIVE,     /* memory goes over while the guest runs */
    MV_MOVE_DEVICE,     /* the guest stands still: the rest of memory, and its devices */
    MV_MOVE_HANDED,     /* the other end may let it run: only what that says counts now */
    MV_MOVE_FOLLOWING,  /* it runs there, and what is left of its memory follows */
    MV_MOVE_BROKEN,     /* the line has broken: it stands still there until that is taken up */
    MV_MOVE_RECOVERING, /* which is being tried */
    MV_MOVE_COMPLETED,  /* the guest is at the other end (sending), or at this one (receiving) */
    MV_MOVE_CANCELLED,  /* the guest is where it was */
    MV_MOVE_FAILED,     /* so it is, or, where it was handed over and nothing more was heard,
                         * nobody knows: mv_send_is_handed_over */
};
/* "setup", "active" and so on: QEMU's words of MigrationStatus ("device" for HANDED, too). */
const char *mv_move_stage_word(enum mv_move_stage stage);
/* Whether memory follows its guest, or did until its line broke; and whether it has a line. */
bool mv_move_follows(enum mv_move_stage stage);
bool mv_move_follows_by_line(enum mv_move_stage stage);

struct mv_move_progress {
    enum mv_move_stage stage;
    unsigned passes;   /* that have begun, from 1 on */
    unsigned throttle; /* percent of the vCPUs' time that they are kept from running */
    unsigned channels;
    uint64_t memory;      /* bytes of all blocks that go over */
    uint64_t remaining;   /* bytes of this pass that are still to be looked at */
    uint64_t transferred; /* bytes over the line, all channels */
    uint64_t data_pages, zero_pages, fill_pages; /* of 4 KiB that went over, by kind */
    uint64_t compressed_pages, compressed_bytes; /* of the data pages */
    uint64_t rate;                               /* bytes a second over the line, of late */
    uint64_t dirty_rate;           /* bytes a second that the guest writes, each page once a pass */
    uint64_t expected_downtime_ns; /* 0: not known yet */
    bool follows;                  /* memory follows, or did */
    uint64_t followed;             /* bytes over the line since */
    uint64_t requests;             /* for memory that somebody waited for */
    struct mv_wait_times waits;    /* how long vCPUs did, receiving */
    uint64_t setup_ns, total_ns, downtime_ns; /* so far; downtime is this end's part of it */
};

#endif
