/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_control_client: one connection: bytes between a socket and its QMP session.
 * Answers that a client does not read are kept.  Beyond one limit its next commands wait,
 * beyond another it is dropped.  Main thread.
 */
#ifndef MV_CONTROL_CLIENT_H
#define MV_CONTROL_CLIENT_H

#include "error.h"
#include "qmp-session.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mv_loop_source;

#define MV_CLIENT_READ_SIZE 4096
/* Allocated from the start, so that short answers never fail for lack of memory. */
#define MV_CLIENT_LEAST_OUTPUT 1024
/*
 * Bytes that wait to be read: from here on no more commands are served; and the client is
 * dropped.
 */
#define MV_CLIENT_BUSY_OUTPUT (64 * 1024)
#define MV_CLIENT_MOST_OUTPUT (4 * 1024 * 1024)

struct mv_control_client {
    struct mv_control_client *next; /* control.c's */
    struct mv_qmp_session session;
    struct mv_loop_source *source;
    uint32_t watched; /* what the source is asked for; 0: nothing */
    int fd;
    char input[MV_CLIENT_READ_SIZE];
    size_t input_used, input_next; /* bytes from next to used are not served yet */
    char *output;
    size_t output_used, output_sent, output_capacity;
    bool at_end; /* it sends no more */
    bool deaf;   /* it receives no more */
    bool broken; /* to be dropped; why was logged */
};

/* Greet and serve the client behind fd, which is non-blocking and now the client's. */
int mv_control_client_create(struct mv_control *control, int fd, struct mv_control_client **ret,
                             struct mv_error *err);
/* Once, when the connection is over: takes the client off the list and destroys it (control.c). */
void mv_control_client_end(struct mv_control_client *client);
/* End the connection, with a warning that says why; the loop destroys the client. */
void mv_control_client_drop(struct mv_control_client *client, const char *why);
/* Sends what it can without waiting. */
void mv_control_client_destroy(struct mv_control_client *client);

#endif
