/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest that moves to another process: migrate and its kin, with QEMU's names and meanings
 * (qapi/migration.json), and x-send, which answers once it is over, for the verb.  And what it
 * means for others that a guest is moved, was moved, or is awaited (struct mv_incoming).
 *
 * A send stays when it is over: the guest may be let go on here again by way of it.  All of
 * struct mv_moving is the main thread's, but for the limits, which are atomic.
 */
#include "commands-migrate.h"
#include "cleanup.h"
#include "control.h"
#include "job.h"
#include "log.h"
#include "move-info.h"
#include "qmp-command.h"
#include "qmp-json.h"
#include "qmp-session.h"
#include "receive.h"
#include "save.h"

#include <string.h>

#define FILE_SCHEME "file:"

/* --- types */

MV_QMP_OBJECT_TYPE(migrate_args_type, "q_obj_migrate-arg", {"uri", &mv_qmp_str},
                   {"blk", &mv_qmp_bool, true}, {"inc", &mv_qmp_bool, true},
                   {"detach", &mv_qmp_bool, true}, {"resume", &mv_qmp_bool, true},
                   {"x-tls", &mv_qmp_str, true});
MV_QMP_OBJECT_TYPE(incoming_args_type, "q_obj_migrate-incoming-arg", {"uri", &mv_qmp_str},
                   {"x-tls", &mv_qmp_str, true});
MV_QMP_OBJECT_TYPE(migration_type, "q_obj_MIGRATION-arg", {"status", &mv_move_status_type});
MV_QMP_OBJECT_TYPE(pass_type, "q_obj_MIGRATION_PASS-arg", {"pass", &mv_qmp_int});

MV_QMP_ENUM_TYPE(compression_type, "XSendCompression", "none", "zstd");
/* What has the name of a parameter of `migrate` takes the place of that, for this one move. */
MV_QMP_OBJECT_TYPE(send_args_type, "q_obj_x-send-arg", {"uri", &mv_qmp_str},
                   {"max-bandwidth", &mv_qmp_uint, true}, {"downtime-limit", &mv_qmp_uint, true},
                   {"multifd-channels", &mv_qmp_uint, true},
                   {"multifd-compression", &compression_type, true}, {"tls", &mv_qmp_str, true},
                   {"postcopy-after", &mv_qmp_uint, true}, {"resume", &mv_qmp_bool, true},
                   {"end", &mv_qmp_bool, true});

/* --- a move that is under way */

struct send_job {
    struct mv_job job; /* first */
    struct mv_send *send;
    bool ends; /* the machine, once its guest runs elsewhere */
};

static void get_progress(const struct mv_control *control, struct mv_move_progress *ret)
{
    const struct mv_moving *moving = &control->moving;
    *ret = moving->saved;
    if (moving->send != NULL) {
        mv_send_progress(moving->send, ret);
        /* Its end is told with all that belongs to it, and what can follow, once its job is over.
         */
        if (moving->cancelled != NULL &&
            (ret->stage >= MV_MOVE_COMPLETED || ret->stage == MV_MOVE_BROKEN))
            ret->stage =
                moving->told_stage < 0 ? MV_MOVE_SETUP : (enum mv_move_stage)moving->told_stage;
    } else if (moving->cancelled != NULL && control->saving.save != NULL) {
        const struct mv_save_progress p = mv_save_progress(control->saving.save);
        *ret = (struct mv_move_progress){
            .stage = mv_save_needs_pause(control->saving.save) ? MV_MOVE_DEVICE : MV_MOVE_ACTIVE,
            .passes = p.passes,
            .channels = 1,
            .memory = p.total,
            .remaining = p.total - p.done,
            .transferred = p.written,
            .data_pages = p.written / 4096};
    }
}

static void tell_changes(void *opaque)
{
    struct mv_control *control = opaque;
    struct mv_move_progress progress;
    get_progress(control, &progress);
    mv_move_tell(control, &progress, &control->moving.told_stage, &control->moving.told_passes);
}

static void tell_progress(void *opaque)
{
    struct mv_control *control = opaque;
    struct mv_move_progress progress;
    get_progress(control, &progress);
    mv_move_tell(control, &progress, &control->moving.told_stage, &control->moving.told_passes);
    mv_move_tell_progress(control, &progress);
}

/* The one before is forgotten. */
static void clear_move(struct mv_moving *moving)
{
    mv_send_destroy(moving->send);
    mv_handed_close(moving->fds);
    free(moving->failure);
    free(moving->file);
    moving->send = NULL;
    moving->failure = moving->file = NULL;
    moving->saved = (struct mv_move_progress){0};
    moving->told_stage = -1;
    moving->told_passes = 0;
}

/* Its job is over, as `result` says. */
static void end_move(struct mv_control *control, int result, const struct mv_error *err)
{
    struct mv_moving *moving = &control->moving;
    mv_ticker_stop(&moving->ticker);
    mv_handed_close(moving->fds);
    moving->cancelled = NULL;
    if (result < 0 && result != -ECANCELED)
        moving->failure = strdup(err->text);
    tell_changes(control);
}

static int run_send(struct mv_job *job, json_t **ret, struct mv_error *err)
{
    struct send_job *send = (struct send_job *)job;
    struct mv_move_progress progress;
    int r = mv_send_run(send->send, &job->cancelled, err);
    if (r < 0 || job->at_once)
        return r;
    mv_send_progress(send->send, &progress);
    *ret = mv_move_end(&progress);
    return 0;
}

static void clear_send(struct mv_job *job)
{
    const struct send_job *send = (struct send_job *)job;
    struct mv_control *control = job->control;
    if (control->moving.cancelled == NULL)
        return; /* there was no thread for it */
    end_move(control, job->result, &job->err);
    if (job->result == 0)
        mv_log("the guest runs at %s now", mv_send_uri(send->send));
    else if (job->session == NULL)
        mv_log("%s", job->err.text);
    if (job->result == 0 && send->ends)
        mv_machine_request_quit(control->machine, MV_CAUSE_HOST_MOVE);
}

int mv_moving_start(struct mv_qmp_call *call, bool at_once, bool ends, struct mv_error *err)
{
    struct mv_control *control = call->session->control;
    struct mv_moving *moving = &control->moving;
    struct send_job wish = {
        .job = {.run = run_send, .clear = clear_send, .control = control, .at_once = at_once},
        .send = moving->send,
        .ends = ends};
    int r = mv_ticker_start(&moving->ticker, control->loop, tell_progress, control, err);
    if (r == 0)
        r = mv_jobs_start(call, &wish.job, sizeof wish, err);
    if (r < 0) {
        mv_ticker_stop(&moving->ticker);
        return r;
    }
    moving->cancelled = &control->jobs->cancelled;
    tell_changes(control);
    return r;
}

/* --- commands that begin one */

static int check_move(const struct mv_control *control, struct mv_error *err)
{
    const struct mv_moving *moving = &control->moving;
    int r = mv_moving_check(control, err);
    if (r < 0)
        return r;
    if (control->saving.save != NULL)
        return mv_error_set(err, EBUSY,
                            "the guest is being saved to '%s': wait for that, or end it by "
                            "x-save-cancel",
                            mv_save_path(control->saving.save));
    if (moving->send != NULL && mv_send_is_handed_over(moving->send))
        return mv_error_set(err, EBUSY,
                            "the guest was moved to '%s': where it does not run there, and never "
                            "will, 'cont' lets it go on here, to be moved again",
                            mv_send_uri(moving->send));
    return 0;
}

static const char *text_of(const struct mv_qmp_call *call, const char *name)
{
    return json_string_value(json_object_get(call->arguments, name));
}

struct wish {
    const char *tls;
    bool at_once, ends;
    bool follows; /* memory may follow the guest, */
    unsigned follow_after;
};

static int begin_send(struct mv_qmp_call *call, const struct wish *wish, struct mv_error *err)
{
    struct mv_control *control = call->session->control;
    struct mv_moving *moving = &control->moving;
    struct mv_send_params params = {
        .machine = call->machine,
        .loop = control->loop,
        .tls = wish->tls,
        .follows = wish->follows,
        .follow_after = wish->follow_after,
        .channels = moving->now.multifd ? (unsigned)moving->now.channels : 1,
        .zstd = moving->now.compression != 0,
        .limits = &moving->limits,
        .changed = tell_changes,
        .opaque = control,
    };
    clear_move(moving);
    mv_migrate_params_apply(&moving->now, &moving->limits);
    CLEANUP_FREE char *uri = NULL;
    int r = mv_handed_place(control, text_of(call, "uri"), moving->fds, &uri, err);
    if (r < 0)
        return r;
    params.uri = uri;
    r = mv_send_create(&params, &moving->send, err);
    if (r < 0) {
        mv_handed_close(moving->fds);
        return r;
    }
    r = mv_moving_start(call, wish->at_once, wish->ends, err);
    if (r < 0)
        clear_move(moving);
    return r;
}

static int begin_file(struct mv_qmp_call *call, const char *path, struct mv_error *err)
{
    struct mv_control *control = call->session->control;
    struct mv_moving *moving = &control->moving;
    if (text_of(call, "x-tls") != NULL)
        return mv_error_set(err, EINVAL, "'x-tls': a file has no other side: leave it out");
    clear_move(moving);
    moving->file = strdup(path);
    int r = moving->file == NULL ? mv_error_set_errno(err, ENOMEM, "saving")
                                 : mv_saving_move(call, path, err);
    if (r < 0) {
        clear_move(moving);
        return r;
    }
    moving->cancelled = control->saving.cancelled;
    moving->saved.stage = MV_MOVE_SETUP;
    tell_changes(control);
    return r;
}

static int migrate(struct mv_qmp_call *call, struct mv_error *err)
{
    struct mv_control *control = call->session->control;
    const char *uri = text_of(call, "uri");
    if (json_is_true(json_object_get(call->arguments, "blk")) ||
        json_is_true(json_object_get(call->arguments, "inc")))
        return mv_error_set(err, ENOTSUP, "'blk', 'inc': there are no disks to be copied");
    if (json_is_true(json_object_get(call->arguments, "resume"))) {
        if (text_of(call, "x-tls") != NULL)
            return mv_error_set(err, EINVAL, "'x-tls': it is as when the guest left: leave it out");
        return mv_moving_take_up(call, true, false, err);
    }
    int r = check_move(control, err);
    if (r < 0)
        return r;
    control->moving.now = control->moving.params;
    if (strncmp(uri, FILE_SCHEME, strlen(FILE_SCHEME)) == 0)
        return begin_file(call, uri + strlen(FILE_SCHEME), err);
    const struct wish wish = {.tls = text_of(call, "x-tls"),
                              .at_once = true,
                              .follows = control->moving.now.postcopy,
                              .follow_after = MV_SEND_WHEN_ASKED};
    return begin_send(call, &wish, err);
}

/* What else is as it was when the guest left. */
static int resume_send(struct mv_qmp_call *call, bool ends, struct mv_error *err)
{
    static const char *const settled[] = {"downtime-limit", "multifd-channels",
                                          "multifd-compression", "tls", "postcopy-after"};
    struct mv_moving *moving = &call->session->control->moving;
    for (size_t i = 0; i < sizeof settled / sizeof settled[0]; i++) {
        if (json_object_get(call->arguments, settled[i]) != NULL)
            return mv_error_set(err, EINVAL, "'%s': it is as when the guest left: leave it out",
                                settled[i]);
    }
    struct mv_migrate_params now = moving->now;
    int r = mv_migrate_params_set(&now, call->arguments, err);
    if (r < 0)
        return r;
    if (json_object_get(call->arguments, "max-bandwidth") != NULL)
        now.follow_bandwidth = now.max_bandwidth;
    r = mv_moving_take_up(call, false, ends, err);
    if (r == 0) {
        moving->now = now;
        mv_migrate_params_apply(&moving->now, &moving->limits);
    }
    return r;
}

static int x_send(struct mv_qmp_call *call, struct mv_error *err)
{
    struct mv_control *control = call->session->control;
    const json_t *after = json_object_get(call->arguments, "postcopy-after");
    bool ends = json_is_true(json_object_get(call->arguments, "end"));
    if (json_is_true(json_object_get(call->arguments, "resume")))
        return resume_send(call, ends, err);
    int r = check_move(control, err);
    if (r < 0)
        return r;
    uint64_t passes = after == NULL ? 0 : mv_qmp_value_uint(after);
    struct mv_migrate_params now = control->moving.params;
    now.multifd |= json_object_get(call->arguments, "multifd-channels") != NULL;
    r = mv_migrate_params_set(&now, call->arguments, err);
    if (r < 0)
        return r;
    if (json_object_get(call->arguments, "max-bandwidth") != NULL)
        now.follow_bandwidth = now.max_bandwidth;
    control->moving.now = now;
    const struct wish wish = {.tls = text_of(call, "tls"),
                              .ends = ends,
                              .follows = after != NULL || now.postcopy,
                              .follow_after = after == NULL || passes >= MV_SEND_WHEN_ASKED
                                                  ? MV_SEND_WHEN_ASKED
                                                  : (unsigned)passes};
    return begin_send(call, &wish, err);
}

/* --- and the others */

/* As QEMU has it, there need be none. */
static int migrate_cancel(struct mv_qmp_call *call, struct mv_error *err)
{
    struct mv_control *control = call->session->control;
    int r = mv_moving_check_cancel(control, err);
    if (r < 0 || control->moving.cancelled == NULL ||
        atomic_exchange(control->moving.cancelled, true))
        return r;
    if (control->moving.params.events)
        mv_control_send_event(control, "MIGRATION", "{s:s}", "status", "cancelling");
    return 0;
}

static int migrate_incoming(struct mv_qmp_call *call, struct mv_error *err)
{
    struct mv_control *control = call->session->control;
    const struct mv_incoming *incoming = control->incoming;
    CLEANUP_FREE char *uri = NULL;
    int fds[2];
    if (incoming == NULL)
        return mv_error_set(err, EINVAL,
                            "this machine awaits no guest: 'memvisor receive defer' makes one that "
                            "does");
    int r = mv_handed_place(control, text_of(call, "uri"), fds, &uri, err);
    if (r < 0)
        return r;
    r = incoming->listen(incoming->opaque, uri, text_of(call, "x-tls"), err);
    if (r < 0)
        mv_handed_close(fds);
    return r;
}

/* Either side's; a machine that came may be sent on, and that is the later one. */
static int query_migrate(struct mv_qmp_call *call, struct mv_error *err)
{
    const struct mv_control *control = call->session->control;
    const struct mv_moving *moving = &control->moving;
    struct mv_move_progress progress;
    bool sends = moving->send != NULL || moving->file != NULL;
    if (!sends && (control->incoming == NULL || control->incoming->receive == NULL)) {
        call->result = json_object();
        return 0;
    }
    if (!sends) {
        mv_receive_progress(control->incoming->receive, &progress);
        call->result =
            mv_move_info(&progress, NULL, NULL, mv_receive_uri(control->incoming->receive));
        return 0;
    }
    get_progress(control, &progress);
    bool cancelling = moving->cancelled != NULL && atomic_load(moving->cancelled) &&
                      progress.stage < MV_MOVE_HANDED;
    call->result = mv_move_info(&progress, cancelling ? "cancelling" : NULL, moving->failure, NULL);
    return 0;
}

/* --- a guest that stands still, or is at others' */

const char *mv_moving_status(const struct mv_control *control)
{
    const struct mv_moving *moving = &control->moving;
    if (moving->send != NULL && mv_send_is_handed_over(moving->send))
        return "postmigrate";
    if (moving->send != NULL && mv_send_needs_pause(moving->send))
        return "finish-migrate";
    return moving->stays ? "postmigrate" : NULL;
}

bool mv_moving_is_under_way(const struct mv_moving *moving)
{
    return moving->cancelled != NULL;
}

int mv_moving_check(const struct mv_control *control, struct mv_error *err)
{
    const struct mv_moving *moving = &control->moving;
    if (moving->cancelled == NULL)
        return 0;
    return mv_error_set(err, EBUSY,
                        "the guest is on its way to '%s': wait for that, or end it by "
                        "migrate_cancel",
                        moving->send != NULL ? mv_send_uri(moving->send) : moving->file);
}

void mv_moving_saved(struct mv_control *control, int result, const struct mv_error *err,
                     const struct mv_save_figures *figures)
{
    struct mv_moving *moving = &control->moving;
    moving->stays = result == 0;
    moving->saved = (struct mv_move_progress){
        .stage = result == 0            ? MV_MOVE_COMPLETED
                 : result == -ECANCELED ? MV_MOVE_CANCELLED
                                        : MV_MOVE_FAILED,
        .passes = figures->passes,
        .channels = 1,
        .memory = figures->memory,
        .transferred = figures->written,
        .data_pages = figures->written / 4096,
        .total_ns = figures->ns,
        .downtime_ns = figures->pause_ns,
    };
    end_move(control, result, err);
}

void mv_moving_resumed(struct mv_control *control)
{
    control->moving.stays = false;
}

void mv_moving_init(struct mv_moving *moving)
{
    mv_migrate_params_init(&moving->params);
    moving->now = moving->params;
    mv_send_limits_init(&moving->limits);
    moving->ticker.fd = -1;
    moving->told_stage = -1;
    moving->fds[0] = moving->fds[1] = -1;
}

void mv_moving_end(struct mv_control *control)
{
    clear_move(&control->moving);
}

bool mv_incoming_is_due(const struct mv_control *control)
{
    struct mv_move_progress progress;
    if (control->incoming == NULL)
        return false;
    if (control->incoming->receive == NULL)
        return true;
    mv_receive_progress(control->incoming->receive, &progress);
    return progress.stage < MV_MOVE_FOLLOWING;
}

void mv_incoming_changed(struct mv_control *control)
{
    struct mv_incoming *incoming = control->incoming;
    struct mv_move_progress progress;
    mv_receive_progress(incoming->receive, &progress);
    mv_move_tell(control, &progress, &incoming->told_stage, &incoming->told_passes);
}

void mv_incoming_tell_progress(struct mv_control *control)
{
    struct mv_move_progress progress;
    mv_receive_progress(control->incoming->receive, &progress);
    mv_move_tell_progress(control, &progress);
}

/* --- the table */

const struct mv_qmp_command mv_qmp_migrate[] = {
    {"migrate", &migrate_args_type, &mv_qmp_empty, migrate},
    {"migrate_cancel", &mv_qmp_empty, &mv_qmp_empty, migrate_cancel, MV_QMP_ALWAYS},
    {"migrate-incoming", &incoming_args_type, &mv_qmp_empty, migrate_incoming, MV_QMP_ALWAYS},
    {"query-migrate", &mv_qmp_empty, &mv_move_info_type, query_migrate, MV_QMP_ALWAYS},
    {"x-send", &send_args_type, &mv_move_end_type, x_send},
    {"MIGRATION", &migration_type},
    {"MIGRATION_PASS", &pass_type},
    {"X_MIGRATION_PROGRESS", &mv_move_progress_type},
    {NULL},
};
