/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the migration room: struct mv_receive, and what the files that receive offer each
 * other: receive.c has its life and the main thread's steps, receive-accept.c the sender's
 * first words, receive-load.c the threads that take in what comes, receive-sections.c its
 * devices, receive-follow.c and receive-again.c memory that comes after the guest.
 */
#ifndef MV_MIGRATION_RECEIVE_PARTS_H
#define MV_MIGRATION_RECEIVE_PARTS_H

#include "lines.h"
#include "main-step.h"
#include "manifest.h"
#include "receive.h"
#include "restore-parts.h"
#include "wire.h"

#include "machine.h"

#include <pthread.h>

struct mv_channel_listener;
struct mv_channel_tls;
struct mv_section;

/* What a reset boots: the bytes of one of the manifest's blocks. */
struct mv_receive_boot {
    int fd; /* a memfd; -1: the manifest has none */
    uint64_t size;
};

struct mv_receive_loader {
    struct mv_receive *receive;
    unsigned number; /* of its channel */
    pthread_t thread;
    bool started;
    uint8_t *payload, *bytes; /* a piece each */
};

/* --- receive-follow.c: memory that comes after the guest */

/* Of a block of the manifest; what its pages' source is given (paging.h). */
struct mv_receive_lack {
    struct mv_receive *receive;
    uint32_t index;
    struct mv_block *block; /* NULL: nothing of it follows */
    uint64_t *bits;         /* the pages that do, until the guest runs */
    uint64_t *asked;        /* those that the sender was asked for; under the follow's lock */
};

#define MV_RECEIVE_WISHES 64

struct mv_receive_wish {
    uint32_t index;
    uint64_t offset, size;
};

struct mv_receive_follow {
    struct mv_receive_lack *lacks; /* one a block of the manifest; NULL: nothing follows */
    char *what;                    /* the sender, as it is called */
    pthread_t asker;
    atomic_bool answers_fail; /* pages cannot be had, since the line broke; written under lock */
    atomic_bool moves_on;     /* the line that is awaited will not come */
    _Atomic uint64_t requests, followed_from;
    /* The main thread's: */
    bool holds;                 /* paused the guest for that */
    uint64_t stops;             /* the machine's then */
    struct mv_wait_times waits; /* of blocks that are not looked at any more */
    bool awaits;                /* a new line */
    pthread_mutex_t lock;       /* of the rest */
    pthread_cond_t changed;
    struct mv_receive_wish wishes[MV_RECEIVE_WISHES]; /* a ring; what has no room comes anyway */
    unsigned first, count;
    bool complete; /* all is here */
    bool unwanted; /* the guest has ended */
    bool broken;   /* the line has */
    bool hung_up;  /* the sender has, or the line is gone */
    bool stopped;  /* the guest stands still, since it is broken */
    bool over;     /* all threads but the main channel's have ended */
    struct mv_error why;
};

struct mv_receive {
    char *uri; /* once there is a listener, that to connect to */
    struct mv_channel_tls *tls;
    struct mv_channel_listener *listener; /* until all channels are there */
    void (*ended)(void *opaque, int result, const struct mv_error *err);
    void (*changed)(void *opaque);
    void *opaque;
    struct mv_lines lines;
    struct mv_wire_hello hello;
    struct mv_manifest manifest;
    char *cmdline;
    struct mv_receive_boot kernel, initrd;
    struct mv_config config;
    struct mv_restore_given given;
    /* What is told: */
    atomic_int stage; /* enum mv_move_stage */
    atomic_uint passes, channels;
    _Atomic uint64_t transferred, data_pages, zero_pages, fill_pages, compressed_pages,
        compressed_bytes, memory;
    _Atomic uint64_t began_ns, ready_ns, stopped_ns, runs_ns, ended_ns; /* 0: not yet */
    /* The main thread's: */
    struct mv_loop *loop; /* NULL: there is no machine yet */
    struct mv_machine *machine;
    struct mv_machine_observer observer;
    bool runs;    /* the sender wants the guest to be let go */
    bool arrived; /* it is this process's guest now */
    bool insecure;
    atomic_bool follows; /* it is, and not all of its memory */
    struct mv_receive_follow follow;
    /* The loaders': */
    struct mv_main_step step;
    struct mv_block **blocks; /* of the manifest's blocks, where one takes bytes: pinned */
    struct mv_receive_loader loaders[MV_MOVE_CHANNELS_MAX];
    struct mv_section *sections;
    size_t section_count;
    _Atomic uint64_t sizes; /* of all RAM */
    atomic_bool all_in;     /* no channel but the main one has more to say */
    atomic_bool cancelled;  /* the machine ends */
    pthread_mutex_t lock;   /* of the rest */
    pthread_cond_t changed_pass;
    unsigned arrived_count; /* channels at the end of the pass */
    unsigned pass;          /* that all have ended */
    atomic_bool failed;
    int result;
    struct mv_error err; /* of the first that failed */
};

/* --- receive.c */

void mv_receive_set_stage(struct mv_receive *receive, enum mv_move_stage stage);
/* Steps of the main thread. */
mv_main_step_fn mv_receive_load_objects, mv_receive_let_go;
/* In the main thread, soon: the loaders have ended. */
void mv_receive_defer_end(struct mv_receive *receive);
/* The sender hears why, as far as the line lets it. */
void mv_receive_tell(struct mv_receive *receive, enum mv_wire_type type,
                     const struct mv_error *why);

/* --- receive-accept.c */

/* All channels of a sender: a new one's, or that whose memory follows the guest. */
int mv_receive_accept_lines(struct mv_receive *receive, const atomic_bool *cancelled,
                            struct mv_error *err);

/* --- receive-load.c */

/* The buffers of a channel's loader. */
int mv_receive_loader_make(struct mv_receive *receive, unsigned number, struct mv_error *err);
/* The manifest's block that a RAM frame is of, which has such bytes. */
int mv_receive_find(const struct mv_receive *receive, const struct mv_wire_head *head,
                    const struct mv_manifest_block **ret, struct mv_error *err);
/*
 * The bytes of a RAM frame, whose payload is read: head->size of them, or where it is repeated
 * (ZERO, FILL) at most MV_WIRE_PIECE of those; the loader's until the next frame.
 */
int mv_receive_unpack(struct mv_receive_loader *loader, const struct mv_wire_head *head,
                      const uint8_t **ret, struct mv_error *err);

/*
 * Memory and ends of passes, until another frame comes, of a type of the set `others`.  A
 * loader's thread.
 */
int mv_receive_take(struct mv_receive_loader *loader, uint32_t others, struct mv_wire_head *head,
                    struct mv_error *err);
/* A thread for each channel but the first, which takes what comes; wait for their end. */
int mv_receive_start_others(struct mv_receive *receive, struct mv_error *err);
void mv_receive_join_others(struct mv_receive *receive);
/* The first one's. */
int mv_receive_start_main(struct mv_receive *receive, void *(*run)(void *loader),
                          struct mv_error *err);
/* Have the main thread do it. */
int mv_receive_step(struct mv_receive *receive, mv_main_step_fn *fn, struct mv_error *err);
/* Throw away what comes by a channel, until the sender has closed it, or for some seconds. */
void mv_receive_drain(struct mv_receive *receive, unsigned number, const atomic_bool *cancelled);
/* From READY to the end, in threads of its own. */
int mv_receive_load(struct mv_receive *receive, struct mv_error *err);
/* Wait for their end, once the lines have ended or the work has. */
void mv_receive_join(struct mv_receive *receive);
/* The blocks are not looked at any more, nor are sections. */
void mv_receive_forget(struct mv_receive *receive);

/* --- receive-sections.c */

/* `first` is the head of the first frame. */
int mv_receive_read_sections(struct mv_receive_loader *loader, const struct mv_wire_head *first,
                             struct mv_error *err);
int mv_receive_read_end(struct mv_receive *receive, struct mv_error *err);

/* --- receive-follow.c */

/* An ABSENT frame has come; its payload is to be read. */
int mv_receive_follow_note(struct mv_receive *receive, const struct mv_wire_head *head,
                           struct mv_error *err);
bool mv_receive_follow_is_due(const struct mv_receive *receive);
/* The guest is about to run: what was noted is absent.  Main thread. */
int mv_receive_follow_begin(struct mv_receive *receive, struct mv_error *err);
/* Pages have come. */
int mv_receive_follow_fill(struct mv_receive *receive, const struct mv_wire_head *head,
                           const uint8_t *bytes, struct mv_error *err);
/*
 * In the main channel's thread: until all is here (true), or the line is broken; result < 0: it
 * is.  The other loaders have ended then.
 */
bool mv_receive_follow(struct mv_receive *receive, int result, struct mv_error *err);
/* A line broke.  Any of the threads. */
void mv_receive_follow_break(struct mv_receive *receive, const struct mv_error *err);
/* Bytes that are not here yet. */
uint64_t mv_receive_follow_left(const struct mv_receive *receive);
/* How long was waited for it, so far as blocks are looked at. */
void mv_receive_follow_add_waits(const struct mv_receive *receive, struct mv_wait_times *io_sum);
/* Blocks are not looked at any more.  Main thread. */
void mv_receive_follow_end(struct mv_receive *receive);
/* Before the machine goes: nothing is wanted any more, which the sender hears.  Main thread. */
void mv_receive_follow_stop(struct mv_receive *receive);
/* Behind its end. */
void mv_receive_follow_clear(struct mv_receive *receive);

#endif
