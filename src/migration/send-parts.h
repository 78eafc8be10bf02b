/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the migration room: struct mv_send, and what the files that send offer each other:
 * send.c has its life and the main thread's steps, send-run.c the order in which all of it
 * goes, send-ram.c the passes over memory, send-pace.c how fast, and when it is enough,
 * send-follow.c memory that comes after the guest.
 */
#ifndef MV_MIGRATION_SEND_PARTS_H
#define MV_MIGRATION_SEND_PARTS_H

#include "lines.h"
#include "main-step.h"
#include "ram-feed.h"
#include "save-file.h"
#include "send.h"
#include "wire.h"

#include "machine.h"

struct mv_channel_tls;
struct mv_send;
struct mv_send_worker;

/* What has gone over the line; any thread adds and looks. */
struct mv_send_counts {
    _Atomic uint64_t transferred, data_pages, zero_pages, fill_pages;
    _Atomic uint64_t compressed_pages, compressed_bytes;
    _Atomic uint64_t sizes;       /* of all RAM frames but the boot's, as END tells them */
    _Atomic uint64_t total, done; /* bytes of the pass, to look at */
    _Atomic uint64_t memory;      /* of all blocks */
    _Atomic uint64_t requests;    /* for pages that somebody waits for */
    _Atomic uint64_t before;      /* of what was transferred: before the guest went */
};

/* --- send-pace.c: the bandwidth, and whether passes get anywhere */

struct mv_send_pace {
    const struct mv_send_limits *limits;
    const atomic_bool *over;
    pthread_mutex_t lock;  /* of the bucket */
    uint64_t due_ns;       /* when the bytes that were let through will have gone */
    atomic_bool unlimited; /* the guest stands still */
    atomic_bool follows;   /* it is at the other end */
    /* The sending thread's; what is atomic, others look at. */
    uint64_t pass_ns, pass_transferred; /* when the pass began, and what had gone over by then */
    uint64_t before;                    /* bytes that the pass before had */
    _Atomic uint64_t rate, dirty_rate, expected_ns;
    atomic_uint throttle;
};

/* Nobody waits for it any more once *over is true. */
void mv_send_pace_init(struct mv_send_pace *pace, const struct mv_send_limits *limits,
                       const atomic_bool *over);
void mv_send_pace_end(struct mv_send_pace *pace);
/* Wait until so many bytes may go.  Any thread of the passes. */
void mv_send_pace_wait(struct mv_send_pace *pace, uint64_t bytes, const atomic_bool *cancelled);
/* A pass begins; it is over. */
void mv_send_pace_begin(struct mv_send_pace *pace, const struct mv_send_counts *counts);
void mv_send_pace_done(struct mv_send_pace *pace, const struct mv_send_counts *counts);
/*
 * The guest wrote so many bytes since the pass before began: what is next.  Where another pass
 * is, `throttle` may have become more.
 */
bool mv_send_pace_is_enough(struct mv_send_pace *pace, uint64_t bytes, unsigned passes);

/* --- send-follow.c: what comes after the guest */

/* How what was not sent yet goes; decided once. */
enum mv_send_way { MV_SEND_UNDECIDED, MV_SEND_BEFORE, MV_SEND_AFTER };

struct mv_send_follow {
    pthread_mutex_t lock;   /* of the rest, but what is atomic, */
    uint64_t **left;        /* and what nobody looks at meanwhile: of each block, a bit a page */
    _Atomic uint64_t count; /* of these */
    size_t source;          /* where those go on that nobody waits for: its number, */
    uint64_t page;          /* and the page */
    atomic_bool failed;     /* another thread did */
    int result;             /* of the first one that failed */
    struct mv_error err;
};

struct mv_send {
    struct mv_machine *machine;
    struct mv_loop *loop;
    struct mv_main_step step;
    char *uri;
    struct mv_channel_tls *tls; /* or NULL */
    unsigned channels;
    bool zstd;
    bool may_follow;       /* memory may follow the guest */
    unsigned follow_after; /* so many passes; UINT_MAX: when it is asked for */
    atomic_int way;        /* enum mv_send_way */
    atomic_bool follows;   /* some of it does, and the other end may let the guest run */
    struct mv_send_follow follow;
    struct mv_wire_hello hello;
    void (*changed)(void *opaque);
    void *opaque;
    const atomic_bool *cancelled;
    struct mv_lines lines;
    struct mv_send_pace pace;
    struct mv_send_counts counts;
    atomic_int stage; /* enum mv_move_stage */
    atomic_uint passes;
    atomic_bool is_theirs; /* permission to run may have left, and was not given back */
    _Atomic uint64_t began_ns, ready_ns, stopped_ns, runs_ns, ended_ns; /* 0: not yet */
    /* Whoever has the turn: */
    struct mv_save_plan plan;
    struct mv_save_objects objects;
    struct mv_ram_source *sources; /* blocks first, then what a reset boots */
    uint32_t *indexes;             /* of each in the manifest */
    size_t block_count, source_count;
    struct mv_send_worker *workers; /* one a channel */
    /* The main thread's: */
    struct mv_machine_observer observer;
    bool holds;     /* paused the guest, which ran */
    uint64_t stops; /* the machine's then */
    bool runs;      /* the guest is to be let go at the other end */
    bool still;     /* the guest has to be, as long as it is under way */
    bool handed;    /* its files were let go: the other end may have them */
    bool over;      /* nothing is under way any more */
};

/* --- send-run.c */

/*
 * All of it but what becomes of the guest in the end; then what is only of use meanwhile goes,
 * unless the line broke while memory followed (MV_MOVE_BROKEN, which it sets): called again,
 * it takes that up.
 */
int mv_send_all(struct mv_send *send, struct mv_error *err);
void mv_send_forget(struct mv_send *send);

/* --- send.c: steps of the main thread, and what others are told */

mv_main_step_fn mv_send_plan, mv_send_stop_guest, mv_send_hand_over, mv_send_slow_down;
/* Decide it, where nobody has: what it is now. */
enum mv_send_way mv_send_decide(struct mv_send *send, enum mv_send_way way);
int mv_send_have_done(struct mv_send *send, mv_main_step_fn *fn, struct mv_error *err);
void mv_send_set_stage(struct mv_send *send, enum mv_move_stage stage);
/* A pass more has begun. */
void mv_send_tell_pass(struct mv_send *send);

/* Before the guest is stopped: memory of the bits, once the plan is there. */
int mv_send_follow_make(struct mv_send *send, struct mv_error *err);
void mv_send_follow_clear(struct mv_send *send);
/* These are to follow.  Any thread of the passes. */
void mv_send_follow_note(struct mv_send *send, const struct mv_ram_work *work);
/* Stopped, what the cursors have taken or now take follows, too: the receiver is told of all. */
int mv_send_follow_announce(struct mv_send *send, struct mv_error *err);
/* The guest runs there: until all of it is, too. */
int mv_send_follow_run(struct mv_send *send, struct mv_error *err);
/* The same over new channels, once the receiver has said what it lacks. */
int mv_send_follow_again(struct mv_send *send, struct mv_error *err);

/* --- send-ram.c */

int mv_send_workers_create(struct mv_send *send, struct mv_error *err);
void mv_send_workers_destroy(struct mv_send *send);
/* What a reset boots, as pass 0, on the main channel. */
int mv_send_boot(struct mv_send *send, struct mv_error *err);
/* All of memory, or what the cursors have taken: `bytes` to look at. */
int mv_send_pass(struct mv_send *send, bool all, uint64_t bytes, struct mv_error *err);
/*
 * Bytes of a source, now, by the channel of that number, which no other thread is at: whole
 * pages.  hurries: whatever the bandwidth may be.
 */
int mv_send_put(struct mv_send *send, unsigned number, const struct mv_ram_source *source,
                uint64_t start, uint64_t end, bool hurries, struct mv_error *err);
/* The cursors take what was written since. */
int mv_send_take(struct mv_send *send, uint64_t *ret_bytes, struct mv_error *err);

#endif
