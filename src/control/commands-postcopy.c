/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that follows a guest which moves, with QEMU's names and meanings (qapi/migration.json):
 * when it does, a line that is broken on purpose, and one that is taken up again, at either
 * side.
 */
#include "cleanup.h"
#include "commands-migrate.h"
#include "control.h"
#include "log.h"
#include "qmp-command.h"
#include "qmp-session.h"
#include "receive.h"

#include <stdlib.h>

MV_QMP_OBJECT_TYPE(recover_args_type, "q_obj_migrate-recover-arg", {"uri", &mv_qmp_str});

static enum mv_move_stage stage_of(const struct mv_moving *moving)
{
    struct mv_move_progress progress = {.stage = MV_MOVE_SETUP};
    if (moving->send != NULL)
        mv_send_progress(moving->send, &progress);
    return progress.stage;
}

static const char *uri_of(const struct mv_qmp_call *call)
{
    return json_string_value(json_object_get(call->arguments, "uri"));
}

/* --- the sender's side */

int mv_moving_take_up(struct mv_qmp_call *call, bool at_once, bool ends, struct mv_error *err)
{
    struct mv_control *control = call->session->control;
    struct mv_moving *moving = &control->moving;
    CLEANUP_FREE char *uri = NULL;
    int r = mv_moving_check(control, err);
    if (r == 0 && moving->send == NULL)
        r = mv_error_set(err, EINVAL, "no guest was sent whose line could have broken");
    if (r == 0)
        r = mv_handed_place(control, uri_of(call), moving->fds, &uri, err);
    if (r < 0)
        return r;
    r = mv_send_take_up(moving->send, uri, err);
    if (r == 0) {
        r = mv_moving_start(call, at_once, ends, err);
        if (r < 0)
            mv_send_take_up_undo(moving->send);
    }
    if (r < 0) {
        mv_handed_close(moving->fds);
        return r;
    }
    free(moving->failure);
    moving->failure = NULL;
    return r;
}

int mv_moving_check_cancel(const struct mv_control *control, struct mv_error *err)
{
    const struct mv_moving *moving = &control->moving;
    if (!mv_move_follows(stage_of(moving)))
        return 0;
    return mv_error_set(err, EBUSY,
                        "the guest is at '%s', and its memory follows it: that cannot be cancelled "
                        "any more; where its line broke, and it is lost there, x-send-give-up "
                        "gives it up",
                        mv_send_uri(moving->send));
}

static int give_up(struct mv_qmp_call *call, struct mv_error *err)
{
    const struct mv_moving *moving = &call->session->control->moving;
    int r = mv_moving_check(call->session->control, err);
    if (r == 0 && moving->send == NULL)
        r = mv_error_set(err, EINVAL, "no guest was sent that could be given up");
    if (r == 0)
        r = mv_send_give_up(moving->send, err);
    if (r == 0)
        mv_log(
            "the guest at '%s', and what it did since it left, is given up: 'cont' lets it go on "
            "here as it was",
            mv_send_uri(moving->send));
    return r;
}

static int start_postcopy(struct mv_qmp_call *call, struct mv_error *err)
{
    const struct mv_moving *moving = &call->session->control->moving;
    if (moving->send == NULL || moving->cancelled == NULL)
        return mv_error_set(err, EINVAL, "the guest is not on its way: 'migrate' sends it");
    return mv_send_follow_now(moving->send, err);
}

static int pause_line(struct mv_qmp_call *call, struct mv_error *err)
{
    const struct mv_control *control = call->session->control;
    if (control->moving.send != NULL)
        return mv_send_break(control->moving.send, err);
    if (control->incoming != NULL && control->incoming->receive != NULL)
        return mv_receive_break(control->incoming->receive, err);
    return mv_error_set(err, EINVAL, "no guest was sent, or came, whose memory follows it");
}

/* --- the receiver's */

static int recover(struct mv_qmp_call *call, struct mv_error *err)
{
    struct mv_control *control = call->session->control;
    CLEANUP_FREE char *uri = NULL;
    int fds[2];
    if (control->incoming == NULL || control->incoming->receive == NULL)
        return mv_error_set(err, EINVAL, "no guest came here whose memory follows it");
    int r = mv_handed_place(control, uri_of(call), fds, &uri, err);
    if (r < 0)
        return r;
    r = mv_receive_take_up(control->incoming->receive, uri, err);
    if (r < 0)
        mv_handed_close(fds);
    return r;
}

/* --- the table */

const struct mv_qmp_command mv_qmp_postcopy[] = {
    {"migrate-start-postcopy", &mv_qmp_empty, &mv_qmp_empty, start_postcopy},
    {"migrate-pause", &mv_qmp_empty, &mv_qmp_empty, pause_line},
    {"migrate-recover", &recover_args_type, &mv_qmp_empty, recover},
    {"x-send-give-up", &mv_qmp_empty, &mv_qmp_empty, give_up},
    {NULL},
};
