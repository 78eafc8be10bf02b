/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the migration room: struct mv_receive, and what the files that receive offer each
 * other: receive.c has its life and the main thread's steps, receive-accept.c the sender's
 * first words, receive-load.c the threads that take in what comes.
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
    _Atomic uint64_t began_ns, ready_ns, stopped_ns, ended_ns; /* 0: not yet */
    /* The main thread's: */
    struct mv_loop *loop; /* NULL: there is no machine yet */
    struct mv_machine *machine;
    struct mv_machine_observer observer;
    bool runs;    /* the sender wants the guest to be let go */
    bool arrived; /* it is this process's guest now */
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

/* Throw away what comes by a channel, until the sender has closed it, or for some seconds. */
void mv_receive_drain(struct mv_receive *receive, unsigned number, const atomic_bool *cancelled);
/* From READY to RUNNING, in threads of its own. */
int mv_receive_load(struct mv_receive *receive, struct mv_error *err);
/* Wait for their end, once the lines have ended or the work has. */
void mv_receive_join(struct mv_receive *receive);
/* The blocks are not looked at any more, nor are sections. */
void mv_receive_forget(struct mv_receive *receive);

#endif
