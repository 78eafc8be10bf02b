/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_qmp_session: the protocol with one client: greeting, negotiation,
 * commands and their answers, in order (QEMU, docs/interop/qmp-spec).  Knows
 * no socket.  Main thread.
 */
#ifndef MV_CONTROL_QMP_SESSION_H
#define MV_CONTROL_QMP_SESSION_H

#include "error.h"
#include "qmp-input.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/uio.h>

struct mv_control;
struct mv_job;

#define MV_QMP_GENERIC_ERROR "GenericError"
/* An error as it is sent, of a text in which nothing has to be escaped. */
#define MV_QMP_ERROR(text) "{\"class\": \"" MV_QMP_GENERIC_ERROR "\", \"desc\": \"" text "\"}"

struct mv_qmp_session {
    struct mv_control *control;
    struct mv_qmp_input input;
    bool negotiated;
    struct mv_job *job; /* of the command whose answer is not there yet */
    bool has_fd;        /* a descriptor came with the client's bytes, the last one of them: */
    int fd;
    /* Where answers and events go, a line at a time, in parts. */
    void (*send)(void *opaque, const struct iovec *parts, size_t count);
    /* A command that answered later is done: the next one may come. */
    void (*on_finished)(void *opaque);
    void *opaque;
};

/* Send the greeting, or fail for lack of memory. */
int mv_qmp_session_start(struct mv_qmp_session *session, struct mv_error *err);
void mv_qmp_session_end(struct mv_qmp_session *session);

/*
 * Take bytes up to the end of one command and serve it; how many were taken.
 * None are while session->job is set.
 */
size_t mv_qmp_session_take(struct mv_qmp_session *session, const char *buf, size_t len);

/* A descriptor came, which is the session's from here on. */
void mv_qmp_session_give_fd(struct mv_qmp_session *session, int fd);
/* It is the caller's now; -1: there is none. */
int mv_qmp_session_take_fd(struct mv_qmp_session *session);

/* Send an event, the text of an object, to a client that has negotiated. */
void mv_qmp_session_event(struct mv_qmp_session *session, const char *event);

/* A job is done: send its answer, where the session has not ended by then. */
void mv_qmp_session_finish(struct mv_job *job);

#endif
