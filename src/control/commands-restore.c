/* SPDX-License-Identifier: Apache-2.0 */
/* What a VM goes on from, a state or another VM, and how it came to run.  Commands of our own. */
#include "qmp-command.h"

#include "control.h"
#include "qmp-session.h"
#include "restore.h"

#include <stdio.h>

/* --- types */

MV_QMP_ENUM_TYPE(ram_type, "XRestoreRam", "private", "copy", "shared");
MV_QMP_OBJECT_TYPE(info_type, "XRestoreInfo", {"file", &mv_qmp_str}, {"id", &mv_qmp_str},
                   {"name", &mv_qmp_str}, {"writer", &mv_qmp_str}, {"saved-at", &mv_qmp_int},
                   {"ram", &ram_type});
MV_QMP_OBJECT_TYPE(set_type, "XRestoreWorkingSet", {"bytes", &mv_qmp_int},
                   {"brought-bytes", &mv_qmp_int}, {"complete-ns", &mv_qmp_int, true});
MV_QMP_OBJECT_TYPE(figures_type, "XRestoreFigures", {"ram", &ram_type},
                   {"fork-of", &mv_qmp_str, true}, {"first-instruction-ns", &mv_qmp_int, true},
                   {"minor-faults", &mv_qmp_int, true}, {"major-faults", &mv_qmp_int, true},
                   {"working-set", &set_type, true});

/* --- commands */

static int describe(const struct mv_qmp_call *call, struct mv_restore_info *ret,
                    struct mv_error *err)
{
    const struct mv_control *control = call->session->control;
    struct mv_clone_info clone;
    if (control->clone != NULL) {
        mv_clone_describe(control->clone, &clone);
        return mv_error_set(err, ENOENT, "this VM was not restored: it is a fork of '%s'",
                            clone.parent);
    }
    if (control->restore == NULL)
        return mv_error_set(err, ENOENT, "this VM was not restored: it began with 'memvisor run'");
    mv_restore_describe(control->restore, ret);
    return 0;
}

static int restore_info(struct mv_qmp_call *call, struct mv_error *err)
{
    struct mv_restore_info info;
    char id[2 * sizeof info.id + 1];
    int r = describe(call, &info, err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < sizeof info.id; i++)
        snprintf(id + 2 * i, 3, "%02x", info.id[i]);
    call->result = json_pack("{s:s, s:s, s:s, s:s, s:I, s:s}", "file", info.file, "id", id, "name",
                             info.name, "writer", info.writer, "saved-at",
                             (json_int_t)info.saved_at, "ram", mv_restore_ram_word(info.ram));
    if (call->result == NULL)
        return mv_error_set(err, EILSEQ, "the state's path or name is no UTF-8");
    return 0;
}

static void set_int(json_t *object, const char *name, uint64_t value)
{
    json_object_set_new(object, name, json_integer((json_int_t)value));
}

static void set_begun(json_t *result, uint64_t first_ns, uint64_t minor, uint64_t major)
{
    set_int(result, "first-instruction-ns", first_ns);
    set_int(result, "minor-faults", minor);
    set_int(result, "major-faults", major);
}

/* Its memory is the other VM's, until it writes to it. */
static int query_clone(struct mv_qmp_call *call, struct mv_error *err)
{
    struct mv_clone_info info;
    mv_clone_describe(call->session->control->clone, &info);
    call->result =
        json_pack("{s:s, s:s}", "ram", mv_restore_ram_word(MV_RAM_PRIVATE), "fork-of", info.parent);
    if (call->result == NULL)
        return mv_error_set(err, EILSEQ, "the name of the VM that was forked is no UTF-8");
    if (info.has_begun)
        set_begun(call->result, info.first_ns, info.minor_faults, info.major_faults);
    return 0;
}

static int query_restore(struct mv_qmp_call *call, struct mv_error *err)
{
    struct mv_restore_info info;
    if (call->session->control->clone != NULL)
        return query_clone(call, err);
    int r = describe(call, &info, err);
    if (r < 0)
        return r;
    call->result = json_pack("{s:s}", "ram", mv_restore_ram_word(info.ram));
    if (info.has_begun)
        set_begun(call->result, info.first_ns, info.minor_faults, info.major_faults);
    if (info.has_set) {
        json_t *set = json_object();
        set_int(set, "bytes", info.set_bytes);
        set_int(set, "brought-bytes", info.brought_bytes);
        if (info.set_is_there)
            set_int(set, "complete-ns", info.set_ns);
        json_object_set_new(call->result, "working-set", set);
    }
    return 0;
}

/* --- the table */

const struct mv_qmp_command mv_qmp_restore[] = {
    {"x-restore-info", &mv_qmp_empty, &info_type, restore_info},
    {"x-query-restore", &mv_qmp_empty, &figures_type, query_restore},
    {NULL},
};
