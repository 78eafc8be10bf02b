/* SPDX-License-Identifier: Apache-2.0 */
/* Commands of the protocol itself.  Called by qmp-session.c. */
#include "qmp-command.h"
#include "qmp-session.h"

/*
 * `qemu` is the release whose commands these follow: that is what clients look
 * at it for.  `package` says who is speaking.
 */
json_t *mv_qmp_version(void)
{
    return json_pack("{s:{s:i, s:i, s:i}, s:s}", "qemu", "micro", 0, "minor", 2, "major", 7,
                     "package", "memvisor " MV_VERSION);
}

int mv_qmp_capabilities(struct mv_qmp_call *call, struct mv_error *err)
{
    const json_t *enable = json_object_get(call->arguments, "enable");
    if (json_array_size(enable) > 0)
        return mv_error_set(err, ENOTSUP, "the capability '%s' was not offered",
                            json_string_value(json_array_get(enable, 0)));
    call->session->negotiated = true;
    return 0;
}

int mv_qmp_query_version(struct mv_qmp_call *call, struct mv_error *err)
{
    call->result = mv_qmp_version();
    return 0;
}

int mv_qmp_query_commands(struct mv_qmp_call *call, struct mv_error *err)
{
    call->result = json_array();
    for (size_t i = 0; i < mv_qmp_command_count; i++)
        json_array_append_new(call->result, json_pack("{s:s}", "name", mv_qmp_commands[i].name));
    return 0;
}

int mv_qmp_query_schema(struct mv_qmp_call *call, struct mv_error *err)
{
    call->result = mv_qmp_schema();
    return call->result == NULL ? mv_error_set(err, ENOMEM, "no memory for the schema") : 0;
}
