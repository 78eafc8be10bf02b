/* SPDX-License-Identifier: Apache-2.0 */
/*
 * x-save, and what a save means for commands that pause and continue the guest: while one
 * holds it still it goes on for nobody, and a state that leaves memory outside is marked
 * stale before it goes on.  struct mv_saving is the main thread's; the work is done by a job.
 */
#include "cleanup.h"
#include "control.h"
#include "job.h"
#include "log.h"
#include "qmp-command.h"
#include "qmp-json.h"
#include "qmp-session.h"
#include "save.h"

#include <string.h>

/* --- types */

MV_QMP_ENUM_TYPE(mode_type, "XSaveMode", "live", "stop");
MV_QMP_OBJECT_TYPE(save_args_type, "q_obj_x-save-arg", {"file", &mv_qmp_str},
                   {"mode", &mode_type, true}, {"base", &mv_qmp_str, true});
/* Bytes; `pause-microseconds` are those for which a guest that ran stood still. */
MV_QMP_OBJECT_TYPE(save_type, "XSaveInfo", {"file", &mv_qmp_str}, {"memory", &mv_qmp_uint},
                   {"bytes", &mv_qmp_uint}, {"shared", &mv_qmp_uint}, {"length", &mv_qmp_uint},
                   {"passes", &mv_qmp_uint}, {"microseconds", &mv_qmp_uint},
                   {"pause-microseconds", &mv_qmp_uint}, {"stays-paused", &mv_qmp_bool});
MV_QMP_OBJECT_TYPE(progress_type, "q_obj_X_SAVE_PROGRESS-arg", {"file", &mv_qmp_str},
                   {"total", &mv_qmp_uint}, {"done", &mv_qmp_uint}, {"bytes", &mv_qmp_uint},
                   {"passes", &mv_qmp_uint});

/* --- a save that is under way */

struct save_job {
    struct mv_job job; /* first */
    struct mv_save *save;
    struct mv_save_figures figures;
    bool moves; /* for `migrate`, which nobody waits for */
};

static void tell_progress(void *opaque)
{
    struct mv_control *control = opaque;
    const struct mv_save_progress progress = mv_save_progress(control->saving.save);
    mv_control_send_event(control, "X_SAVE_PROGRESS", "{s:s, s:I, s:I, s:I, s:I}", "file",
                          mv_save_path(control->saving.save), "total", (json_int_t)progress.total,
                          "done", (json_int_t)progress.done, "bytes", (json_int_t)progress.written,
                          "passes", (json_int_t)progress.passes);
}

static void forget(struct mv_control *control)
{
    struct mv_saving *saving = &control->saving;
    mv_ticker_stop(&saving->ticker);
    mv_save_destroy(saving->save);
    saving->save = NULL;
    saving->cancelled = NULL;
}

static int run_save(struct mv_job *job, json_t **ret, struct mv_error *err)
{
    struct save_job *save = (struct save_job *)job;
    struct mv_save_figures *f = &save->figures;
    int r = mv_save_run(save->save, &job->cancelled, f, err);
    if (r < 0 || save->moves)
        return r;
    *ret = json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b}", "file",
                     mv_save_path(save->save), "memory", (json_int_t)f->memory, "bytes",
                     (json_int_t)f->written, "shared", (json_int_t)f->shared, "length",
                     (json_int_t)f->length, "passes", (json_int_t)f->passes, "microseconds",
                     (json_int_t)(f->ns / 1000), "pause-microseconds",
                     (json_int_t)(f->pause_ns / 1000), "stays-paused", f->stays_paused);
    return 0;
}

static void clear_save(struct mv_job *job)
{
    struct save_job *save = (struct save_job *)job;
    struct mv_control *control = job->control;
    int fd = mv_save_take_fd(save->save);
    if (fd >= 0 && save->figures.stays_paused) {
        struct mv_error err;
        if (mv_stale_files_add(&control->saving.files, fd, mv_save_path(save->save), &err) < 0)
            mv_warn("%s: the state was saved, and is not good any more: out of memory", err.text);
    } else {
        mv_cleanup_close(&fd);
    }
    struct mv_track *track = mv_save_take_track(save->save);
    forget(control); /* which gives back to the base's track what it took of that */
    if (track != NULL)
        mv_tracks_add(&control->saving.tracks, track);
    if (save->moves)
        mv_moving_saved(control, job->result, &job->err, &save->figures);
}

static int start(struct mv_qmp_call *call, bool moves, struct mv_error *err)
{
    struct mv_control *control = call->session->control;
    struct mv_saving *saving = &control->saving;
    int r = mv_ticker_start(&saving->ticker, control->loop, tell_progress, control, err);
    if (r < 0) {
        forget(control);
        return r;
    }
    /* Where it cannot be started the save is cleared by way of its job. */
    static const char lost[] =
        MV_QMP_ERROR("the state is saved, and there is no memory to tell more of it");
    struct save_job wish = {.job = {.run = run_save,
                                    .clear = clear_save,
                                    .control = control,
                                    .lost = lost,
                                    .at_once = moves,
                                    .result = -EAGAIN},
                            .save = saving->save,
                            .moves = moves};
    r = mv_jobs_start(call, &wish.job, sizeof wish, err);
    if (r >= 0)
        saving->cancelled = &control->jobs->cancelled;
    return r;
}

static int begin(struct mv_qmp_call *call, struct mv_save_params *params, struct mv_error *err)
{
    struct mv_control *control = call->session->control;
    struct mv_saving *saving = &control->saving;
    if (saving->save != NULL)
        return mv_error_set(err, EBUSY,
                            "the guest is being saved to '%s' already: x-save-cancel ends that",
                            mv_save_path(saving->save));
    int r = mv_moving_check(control, err);
    if (r < 0)
        return r;
    params->machine = call->machine;
    params->loop = control->loop;
    params->tracks = &saving->tracks;
    r = mv_save_create(params, &saving->save, err);
    saving->live = params->live;
    return r < 0 ? r : start(call, params->stays, err);
}

static int save(struct mv_qmp_call *call, struct mv_error *err)
{
    const char *mode = json_string_value(json_object_get(call->arguments, "mode"));
    struct mv_save_params params = {
        .path = json_string_value(json_object_get(call->arguments, "file")),
        .live = mode == NULL || strcmp(mode, "live") == 0,
        .base = json_string_value(json_object_get(call->arguments, "base")),
    };
    return begin(call, &params, err);
}

int mv_saving_move(struct mv_qmp_call *call, const char *path, struct mv_error *err)
{
    struct mv_save_params params = {.path = path, .live = true, .stays = true};
    return begin(call, &params, err);
}

static int save_cancel(struct mv_qmp_call *call, struct mv_error *err)
{
    struct mv_saving *saving = &call->session->control->saving;
    if (saving->save == NULL)
        return mv_error_set(err, ENOENT, "the guest is not being saved");
    atomic_store(saving->cancelled, true);
    return 0;
}

/* --- a guest that stands still */

const char *mv_saving_status(const struct mv_control *control)
{
    const struct mv_saving *saving = &control->saving;
    if (saving->save != NULL && mv_save_needs_pause(saving->save))
        return saving->live ? "finish-migrate" : "save-vm";
    return saving->files.count > 0 ? "postmigrate" : NULL;
}

int mv_saving_end_pause(struct mv_control *control, struct mv_error *err)
{
    const struct mv_save *save = control->saving.save;
    if (save != NULL && mv_save_needs_pause(save))
        return mv_error_set(err, EBUSY,
                            "the guest is being saved to '%s': wait for that, or type 'memvisor "
                            "qmp NAME x-save-cancel'",
                            mv_save_path(save));
    return mv_stale_files_mark(&control->saving.files, err);
}

void mv_saving_end(struct mv_control *control)
{
    mv_stale_files_clear(&control->saving.files);
    mv_tracks_clear(&control->saving.tracks);
}

/* --- the table */

const struct mv_qmp_command mv_qmp_migration[] = {
    {"x-save", &save_args_type, &save_type, save},
    {"x-save-cancel", &mv_qmp_empty, &mv_qmp_empty, save_cancel},
    {"X_SAVE_PROGRESS", &progress_type},
    {NULL},
};
