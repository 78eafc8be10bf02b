/* SPDX-License-Identifier: Apache-2.0 */
/* A running guest becomes several.  A command of our own; a job does what takes long. */
#include "cleanup.h"
#include "config-text.h"
#include "control.h"
#include "fork.h"
#include "job.h"
#include "qmp-command.h"
#include "qmp-json.h"
#include "qmp-session.h"

#include <string.h>

/* --- types */

MV_QMP_ENUM_TYPE(share_type, "XForkShare", "refuse", "keep");
MV_QMP_OBJECT_TYPE(args_type, "q_obj_x-fork-arg", {"names", &mv_qmp_str_list, true},
                   {"count", &mv_qmp_uint, true}, {"share", &share_type, true},
                   {"serial", &mv_qmp_str, true}, {"paused", &mv_qmp_bool, true});
/* A clone without a process has its reason. */
MV_QMP_OBJECT_TYPE(clone_type, "XClone", {"name", &mv_qmp_str}, {"pid", &mv_qmp_uint, true},
                   {"error", &mv_qmp_str, true});
MV_QMP_LIST_TYPE(clone_list_type, "XCloneList", clone_type);
/* `pause-microseconds` are those for which a guest that ran stood still. */
MV_QMP_OBJECT_TYPE(result_type, "XForkInfo", {"clones", &clone_list_type},
                   {"microseconds", &mv_qmp_uint}, {"pause-microseconds", &mv_qmp_uint});

MV_QMP_OBJECT_TYPE(progress_type, "q_obj_X_FORK_PROGRESS-arg", {"clones", &mv_qmp_uint},
                   {"running", &mv_qmp_uint}, {"failed", &mv_qmp_uint});

/* --- the job */

struct fork_job {
    struct mv_job job; /* first */
    struct fork *shared;
};

/* Of the job, at an address that stays. */
struct fork {
    struct mv_control *control;
    struct mv_fork *fork;
    size_t count;
};

static void send_progress(void *opaque)
{
    struct fork *shared = opaque;
    size_t running, failed;
    mv_fork_progress(shared->fork, &running, &failed);
    mv_control_send_event(shared->control, "X_FORK_PROGRESS", "{s:I, s:I, s:I}", "clones",
                          (json_int_t)shared->count, "running", (json_int_t)running, "failed",
                          (json_int_t)failed);
}

static void told(void *opaque)
{
    struct fork *shared = opaque;
    mv_loop_defer(shared->control->loop, send_progress, shared);
}

static json_t *describe(const struct mv_fork_clone *clone)
{
    if (clone->pid != 0)
        return json_pack("{s:s, s:I}", "name", clone->name, "pid", (json_int_t)clone->pid);
    json_t *why = json_string(clone->failure.text);
    if (why == NULL) /* a path of the host's may be anything */
        why = json_string("it does not run, for a reason that is no UTF-8");
    return json_pack("{s:s, s:o}", "name", clone->name, "error", why);
}

static int run_fork(struct mv_job *job, json_t **ret, struct mv_error *err)
{
    const struct fork *shared = ((struct fork_job *)job)->shared;
    struct mv_fork_result result;
    int r = mv_fork_run(shared->fork, &job->cancelled, &result, err);
    if (r < 0)
        return r;
    json_t *list = json_array();
    for (size_t i = 0; i < shared->count; i++)
        json_array_append_new(list, describe(&result.clones[i]));
    *ret =
        json_pack("{s:o, s:I, s:I}", "clones", list, "microseconds", (json_int_t)(result.ns / 1000),
                  "pause-microseconds", (json_int_t)(result.pause_ns / 1000));
    return 0;
}

static const char lost[] =
    MV_QMP_ERROR("the guest was forked, and there is no memory to tell of its clones: 'memvisor "
                 "ps' lists those that run");

static void clear_fork(struct mv_job *job)
{
    struct fork *shared = ((struct fork_job *)job)->shared;
    mv_loop_forget(shared->control->loop, shared);
    mv_fork_destroy(shared->fork);
    free(shared);
}

/* --- what a client gave */

struct names {
    char **list;
    size_t count;
};

static void clear_names(struct names *names)
{
    while (names->count > 0)
        free(names->list[--names->count]);
    free(names->list);
}

/* NAME-1, NAME-2 and so on. */
static int number_names(const char *name, struct names *names, size_t count, struct mv_error *err)
{
    for (; names->count < count; names->count++) {
        if (asprintf(&names->list[names->count], "%s-%zu", name, names->count + 1) < 0)
            return mv_error_set_errno(err, ENOMEM, "the clones' names");
    }
    return 0;
}

static int copy_names(const json_t *given, struct names *names, struct mv_error *err)
{
    for (; names->count < json_array_size(given); names->count++) {
        const char *name = json_string_value(json_array_get(given, names->count));
        names->list[names->count] = strdup(name);
        if (names->list[names->count] == NULL)
            return mv_error_set_errno(err, ENOMEM, "the clones' names");
    }
    return 0;
}

/* Each is what -n takes. */
static int check_names(const struct names *names, struct mv_error *err)
{
    static const struct mv_option option = {.name = "name",
                                            .offset = offsetof(struct mv_config, name)};
    int r = 0;
    for (size_t i = 0; r == 0 && i < names->count; i++) {
        struct mv_config config = {0};
        r = mv_config_set_name(&config, &option, names->list[i], err);
        if (r < 0)
            mv_error_prefix(err, "clone '%.100s'", names->list[i]);
        free(config.name);
    }
    return r;
}

static int take_names(const struct mv_qmp_call *call, struct names *names, struct mv_error *err)
{
    const json_t *given = json_object_get(call->arguments, "names");
    const json_t *number = json_object_get(call->arguments, "count");
    if ((given == NULL) == (number == NULL))
        return mv_error_set(err, EINVAL,
                            "either 'names' or 'count' says how many clones there "
                            "are to be");
    uint64_t count = given != NULL ? json_array_size(given) : mv_qmp_value_uint(number);
    if (count < 1 || count > MV_FORK_CLONES_MAX)
        return mv_error_set(err, ERANGE, "from 1 to %d clones are possible", MV_FORK_CLONES_MAX);
    names->list = calloc(count, sizeof *names->list);
    if (names->list == NULL)
        return mv_error_set_errno(err, ENOMEM, "the clones' names");
    int r = given != NULL ? copy_names(given, names, err)
                          : number_names(mv_machine_config(call->machine)->name, names, count, err);
    return r == 0 ? check_names(names, err) : r;
}

static int create(const struct mv_qmp_call *call, const struct names *names,
                  const struct mv_config *serial, struct fork *shared, struct mv_error *err)
{
    struct mv_control *control = shared->control;
    const json_t *share = json_object_get(call->arguments, "share");
    bool keep = share != NULL && strcmp(json_string_value(share), "keep") == 0;
    if (control->run_clone == NULL)
        return mv_error_set(err, ENOTSUP, "this process cannot become a clone");
    const struct mv_fork_params params = {
        .machine = call->machine,
        .loop = control->loop,
        .names = (const char *const *)names->list,
        .count = names->count,
        .serial = serial,
        .paused = json_is_true(json_object_get(call->arguments, "paused")),
        .keep_shared = keep,
        .run = control->run_clone,
        .told = told,
        .opaque = shared,
    };
    return mv_fork_create(&params, &shared->fork, err);
}

static int take_serial(const struct mv_qmp_call *call, struct mv_config *ret, struct mv_error *err)
{
    static const struct mv_option option = {.name = "serial",
                                            .offset = offsetof(struct mv_config, serial_path)};
    const json_t *serial = json_object_get(call->arguments, "serial");
    int r = serial == NULL ? 0 : mv_config_set_serial(ret, &option, json_string_value(serial), err);
    if (r < 0)
        mv_error_prefix(err, "'serial'");
    return r;
}

static int fork_guest(struct mv_qmp_call *call, struct mv_error *err)
{
    bool has_serial = json_object_get(call->arguments, "serial") != NULL;
    struct names names = {0};
    struct mv_config serial = {0};
    struct fork *shared = calloc(1, sizeof *shared);
    int r =
        shared == NULL ? mv_error_set_errno(err, ENOMEM, "a fork") : take_names(call, &names, err);
    if (r == 0)
        r = take_serial(call, &serial, err);
    if (r == 0) {
        *shared = (struct fork){.control = call->session->control, .count = names.count};
        r = create(call, &names, has_serial ? &serial : NULL, shared, err);
    }
    if (r == 0) {
        struct fork_job job = {.job = {.run = run_fork, .clear = clear_fork, .lost = lost},
                               .shared = shared};
        r = mv_jobs_start(call, &job.job, sizeof job, err);
    } else {
        free(shared);
    }
    free(serial.serial_path);
    clear_names(&names);
    return r;
}

/* --- the table */

const struct mv_qmp_command mv_qmp_fork[] = {
    {"x-fork", &args_type, &result_type, fork_guest},
    {"X_FORK_PROGRESS", &progress_type},
    {NULL},
};
