/* SPDX-License-Identifier: Apache-2.0 */
/* Commands that steer the machine (QEMU, qapi/run-state.json and machine.json).  Main thread. */
#include "control.h"
#include "machine.h"
#include "qmp-command.h"
#include "qmp-session.h"

/* --- types */

MV_QMP_ENUM_TYPE(run_state_type, "RunState", "debug", "inmigrate", "internal-error", "io-error",
                 "paused", "postmigrate", "prelaunch", "finish-migrate", "restore-vm", "running",
                 "save-vm", "shutdown", "suspended", "watchdog", "guest-panicked", "colo");
MV_QMP_OBJECT_TYPE(status_info_type, "StatusInfo", {"running", &mv_qmp_bool},
                   {"singlestep", &mv_qmp_bool}, {"status", &run_state_type});

MV_QMP_ENUM_TYPE(shutdown_cause_type, "ShutdownCause", "none", "host-error", "host-qmp-quit",
                 "host-qmp-system-reset", "host-signal", "host-ui", "guest-shutdown", "guest-reset",
                 "guest-panic", "subsystem-reset", "snapshot-load");
MV_QMP_OBJECT_TYPE(reset_data_type, "q_obj_RESET-arg", {"guest", &mv_qmp_bool},
                   {"reason", &shutdown_cause_type});
MV_QMP_OBJECT_TYPE(shutdown_data_type, "q_obj_SHUTDOWN-arg", {"guest", &mv_qmp_bool},
                   {"reason", &shutdown_cause_type});

/* Of QEMU's targets, those that there are boards for. */
MV_QMP_ENUM_TYPE(target_type, "SysEmuTarget", "aarch64");
MV_QMP_OBJECT_TYPE(cpu_properties_type, "CpuInstanceProperties", {"node-id", &mv_qmp_int, true},
                   {"socket-id", &mv_qmp_int, true}, {"die-id", &mv_qmp_int, true},
                   {"cluster-id", &mv_qmp_int, true}, {"core-id", &mv_qmp_int, true},
                   {"thread-id", &mv_qmp_int, true});
MV_QMP_VARIANT_TYPE(cpu_info_type, "CpuInfoFast", "target", NULL, {"cpu-index", &mv_qmp_int},
                    {"qom-path", &mv_qmp_str}, {"thread-id", &mv_qmp_int},
                    {"props", &cpu_properties_type, true}, {"target", &target_type});
MV_QMP_LIST_TYPE(cpu_list_type, "CpuInfoFastList", cpu_info_type);

MV_QMP_OBJECT_TYPE(guid_info_type, "GuidInfo", {"guid", &mv_qmp_str});

MV_QMP_OBJECT_TYPE(jit_exits_type, "XJitExits", {"interpreted", &mv_qmp_int},
                   {"elsewhere", &mv_qmp_int}, {"left", &mv_qmp_int});
MV_QMP_OBJECT_TYPE(jit_info_type, "XJitInfo", {"on", &mv_qmp_bool}, {"size", &mv_qmp_int, true},
                   {"used", &mv_qmp_int, true}, {"units", &mv_qmp_int, true},
                   {"refused", &mv_qmp_int, true}, {"evictions", &mv_qmp_int, true},
                   {"strays", &mv_qmp_int, true}, {"entries", &mv_qmp_int, true},
                   {"exits", &jit_exits_type, true}, {"checked", &mv_qmp_int, true},
                   {"unchecked", &mv_qmp_int, true});

/* --- commands */

static int query_status(struct mv_qmp_call *call, struct mv_error *err)
{
    static const char *const words[] = {
        [MV_MACHINE_PRELAUNCH] = "prelaunch", [MV_MACHINE_RUNNING] = "running",
        [MV_MACHINE_PAUSED] = "paused",       [MV_MACHINE_IO_ERROR] = "io-error",
        [MV_MACHINE_ENDED] = "shutdown",
    };
    const struct mv_control *control = call->session->control;
    bool due = mv_incoming_is_due(control);
    enum mv_machine_state state =
        call->machine == NULL ? MV_MACHINE_PRELAUNCH : mv_machine_state(call->machine);
    const char *word = due ? "inmigrate" : NULL;
    if (word == NULL && state == MV_MACHINE_PAUSED)
        word = mv_saving_status(control);
    if (word == NULL && state == MV_MACHINE_PAUSED)
        word = mv_moving_status(control);
    call->result = json_pack("{s:b, s:b, s:s}", "running", !due && state == MV_MACHINE_RUNNING,
                             "singlestep", 0, "status", word != NULL ? word : words[state]);
    return 0;
}

static int stop(struct mv_qmp_call *call, struct mv_error *err)
{
    mv_machine_pause(call->machine);
    return 0;
}

static int cont(struct mv_qmp_call *call, struct mv_error *err)
{
    struct mv_machine *machine = call->machine;
    int r = mv_machine_check_resume(machine, err);
    if (r == 0)
        mv_machine_resume(machine);
    return r;
}

static int system_reset(struct mv_qmp_call *call, struct mv_error *err)
{
    return mv_machine_reset(call->machine, MV_CAUSE_HOST_QMP, err);
}

static int system_powerdown(struct mv_qmp_call *call, struct mv_error *err)
{
    mv_machine_powerdown(call->machine);
    return 0;
}

/* The machine ends after this round of the loop, so the answer is sent first. */
static int quit(struct mv_qmp_call *call, struct mv_error *err)
{
    const struct mv_incoming *incoming = call->session->control->incoming;
    if (call->machine != NULL)
        mv_machine_request_quit(call->machine, MV_CAUSE_HOST_QMP);
    else
        incoming->quit(incoming->opaque);
    return 0;
}

static int query_cpus_fast(struct mv_qmp_call *call, struct mv_error *err)
{
    struct mv_machine *machine = call->machine;
    unsigned count = mv_machine_cpu_count(machine);
    call->result = json_array();
    for (unsigned i = 0; i < count; i++) {
        json_t *path = json_sprintf("/machine/cpu[%u]", i);
        json_t *cpu = json_pack("{s:i, s:o, s:i, s:{s:i}, s:s}", "cpu-index", (int)i, "qom-path",
                                path, "thread-id", mv_machine_cpu_thread_id(machine, i), "props",
                                "core-id", (int)i, "target", "aarch64");
        json_array_append_new(call->result, cpu);
    }
    return 0;
}

/* The first three parts of a GUID are little-endian numbers in memory. */
static int query_vm_generation_id(struct mv_qmp_call *call, struct mv_error *err)
{
    uint8_t id[MV_GENERATION_SIZE];
    int r = mv_machine_generation(call->machine, id, err);
    if (r < 0)
        return r;
    json_t *guid =
        json_sprintf("%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", id[3],
                     id[2], id[1], id[0], id[5], id[4], id[7], id[6], id[8], id[9], id[10], id[11],
                     id[12], id[13], id[14], id[15]);
    call->result = json_pack("{s:o}", "guid", guid);
    return 0;
}

static int query_jit(struct mv_qmp_call *call, struct mv_error *err)
{
    struct mv_machine_jit jit;
    if (!mv_machine_jit(call->machine, &jit)) {
        call->result = json_pack("{s:b}", "on", 0);
        return 0;
    }
    call->result = json_pack(
        "{s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:{s:I, s:I, s:I}, s:I, s:I}", "on", 1, "size",
        (json_int_t)jit.size, "used", (json_int_t)jit.used, "units", (json_int_t)jit.units, "refused",
        (json_int_t)jit.refused, "evictions", (json_int_t)jit.evictions, "strays",
        (json_int_t)jit.strays, "entries", (json_int_t)jit.entries, "exits", "interpreted",
        (json_int_t)jit.interpreted, "elsewhere", (json_int_t)jit.elsewhere, "left",
        (json_int_t)jit.left, "checked", (json_int_t)jit.checked, "unchecked",
        (json_int_t)jit.unchecked);
    return 0;
}

/* --- the table */

const struct mv_qmp_command mv_qmp_machine[] = {
    {"query-status", &mv_qmp_empty, &status_info_type, query_status, MV_QMP_ALWAYS},
    {"stop", &mv_qmp_empty, &mv_qmp_empty, stop},
    {"cont", &mv_qmp_empty, &mv_qmp_empty, cont},
    {"system_reset", &mv_qmp_empty, &mv_qmp_empty, system_reset},
    {"system_powerdown", &mv_qmp_empty, &mv_qmp_empty, system_powerdown},
    {"quit", &mv_qmp_empty, &mv_qmp_empty, quit, MV_QMP_ALWAYS},
    {"query-cpus-fast", &mv_qmp_empty, &cpu_list_type, query_cpus_fast, MV_QMP_MADE},
    {"query-vm-generation-id", &mv_qmp_empty, &guid_info_type, query_vm_generation_id},
    {"x-query-jit", &mv_qmp_empty, &jit_info_type, query_jit, MV_QMP_MADE},
    {"STOP", &mv_qmp_empty},
    {"RESUME", &mv_qmp_empty},
    {"RESET", &reset_data_type},
    {"SHUTDOWN", &shutdown_data_type},
    {"POWERDOWN", &mv_qmp_empty},
    {NULL},
};
