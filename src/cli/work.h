/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What verbs have in common that have a VM do long work (save, send): they ask it, show how far
 * it is, and wait for its answer.  Ctrl-C and its kin ask the VM to drop the work and then wait
 * for its word; a second one ends this process alone.  One thread.
 */
#ifndef MV_CLI_WORK_H
#define MV_CLI_WORK_H

#include "error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct mv_vm_client;

struct mv_work_fd {
    const char *name; /* by which the arguments speak of it */
    int fd;
};

struct mv_work {
    const char *name;             /* of the VM */
    const char *command;          /* which answers when it is done */
    json_t *arguments;            /* given away */
    const struct mv_work_fd *fds; /* that the VM gets before */
    size_t fd_count;
    const char *event;     /* tells how far it is */
    const char *canceller; /* the command that ends it, in another connection */
    /* Show the event's data; a negative errno cancels the work. */
    int (*show)(void *opaque, const json_t *data, struct mv_error *err);
    void *opaque;
};

/*
 * Have it done: what the command returned, to be json_decref'ed.  -EREMOTEIO with the VM's words
 * where it failed, or was cancelled (mv_work_signal).
 */
int mv_work_do(const struct mv_work *work, json_t **ret, struct mv_error *err);
/* The signal that cancelled work of this process; 0: none did. */
int mv_work_signal(void);

/* --- what they show */

/* Whether standard error is a terminal that knows where its cursor is sent. */
bool mv_work_has_bar(void);

#define MV_AMOUNT_TEXT 32
/* "1.5 GiB" */
const char *mv_amount_format(double bytes, char buf[MV_AMOUNT_TEXT]);
/* In memory of the block that it stands in. */
#define MV_AMOUNT(bytes) mv_amount_format(bytes, (char[MV_AMOUNT_TEXT]){""})

/* A member that is a number; 0: there is none. */
double mv_number_of(const json_t *object, const char *key);

/* The VM's process is in another folder.  To be freed; NULL without memory. */
char *mv_path_absolute(const char *path);
/* The same of the path in an address, or in what `--tls` takes. */
char *mv_address_absolute(const char *text);

#endif
