/* SPDX-License-Identifier: Apache-2.0 */
/* Commands that steer the machine.  Called by qmp-session.c. */
#include "control.h"
#include "machine.h"
#include "qmp-command.h"

int mv_qmp_query_status(struct mv_qmp_call *call, struct mv_error *err)
{
    static const char *const words[] = {
        [MV_MACHINE_PRELAUNCH] = "prelaunch",
        [MV_MACHINE_RUNNING] = "running",
        [MV_MACHINE_PAUSED] = "paused",
        [MV_MACHINE_IO_ERROR] = "io-error",
        [MV_MACHINE_ENDED] = "shutdown",
    };
    enum mv_machine_state state = mv_machine_state(mv_control_machine(call->control));
    call->result = json_pack("{s:b, s:b, s:s}", "running", state == MV_MACHINE_RUNNING,
                             "singlestep", 0, "status", words[state]);
    return 0;
}

int mv_qmp_stop(struct mv_qmp_call *call, struct mv_error *err)
{
    mv_machine_pause(mv_control_machine(call->control));
    return 0;
}

int mv_qmp_cont(struct mv_qmp_call *call, struct mv_error *err)
{
    struct mv_machine *machine = mv_control_machine(call->control);
    int r = mv_machine_check_resume(machine, err);
    if (r == 0)
        mv_machine_resume(machine);
    return r;
}

int mv_qmp_system_reset(struct mv_qmp_call *call, struct mv_error *err)
{
    return mv_machine_reset(mv_control_machine(call->control), MV_CAUSE_HOST_QMP, err);
}

int mv_qmp_system_powerdown(struct mv_qmp_call *call, struct mv_error *err)
{
    mv_machine_powerdown(mv_control_machine(call->control));
    return 0;
}

/* The machine ends once this round of the loop is over: the answer comes first. */
int mv_qmp_quit(struct mv_qmp_call *call, struct mv_error *err)
{
    mv_machine_request_quit(mv_control_machine(call->control), MV_CAUSE_HOST_QMP);
    return 0;
}

int mv_qmp_query_cpus_fast(struct mv_qmp_call *call, struct mv_error *err)
{
    struct mv_machine *machine = mv_control_machine(call->control);
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
