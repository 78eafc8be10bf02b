/* SPDX-License-Identifier: Apache-2.0 */
/* Commands of the protocol itself (QEMU, qapi/control.json).  Main thread. */
#include "qmp-command.h"
#include "qmp-session.h"

/* --- types */

MV_QMP_ENUM_TYPE(capability_type, "QMPCapability", "oob");
MV_QMP_LIST_TYPE(capability_list_type, "QMPCapabilityList", capability_type);
MV_QMP_OBJECT_TYPE(capabilities_args_type, "q_obj_qmp_capabilities-arg",
                   {"enable", &capability_list_type, true});

MV_QMP_OBJECT_TYPE(version_triple_type, "VersionTriple", {"major", &mv_qmp_int},
                   {"minor", &mv_qmp_int}, {"micro", &mv_qmp_int});
MV_QMP_OBJECT_TYPE(version_info_type, "VersionInfo", {"qemu", &version_triple_type},
                   {"package", &mv_qmp_str});

MV_QMP_OBJECT_TYPE(command_info_type, "CommandInfo", {"name", &mv_qmp_str});
MV_QMP_LIST_TYPE(command_list_type, "CommandInfoList", command_info_type);

/* --- commands */

/*
 * `qemu` is the release whose commands these follow: that is what clients look
 * at it for.  `package` says who is speaking.
 */
json_t *mv_qmp_version(void)
{
    return json_pack("{s:{s:i, s:i, s:i}, s:s}", "qemu", "micro", 0, "minor", 2, "major", 7,
                     "package", "memvisor " MV_VERSION);
}

static int capabilities(struct mv_qmp_call *call, struct mv_error *err)
{
    const json_t *enable = json_object_get(call->arguments, "enable");
    if (json_array_size(enable) > 0)
        return mv_error_set(err, ENOTSUP, "the capability '%s' was not offered",
                            json_string_value(json_array_get(enable, 0)));
    call->session->negotiated = true;
    return 0;
}

static int query_version(struct mv_qmp_call *call, struct mv_error *err)
{
    call->result = mv_qmp_version();
    return 0;
}

static int query_commands(struct mv_qmp_call *call, struct mv_error *err)
{
    call->result = json_array();
    const struct mv_qmp_command *command;
    for (size_t i = 0; (command = mv_qmp_command_at(i, false)) != NULL; i++)
        json_array_append_new(call->result, json_pack("{s:s}", "name", command->name));
    return 0;
}

/* --- the table */

const struct mv_qmp_command mv_qmp_protocol[] = {
    {"qmp_capabilities", &capabilities_args_type, &mv_qmp_empty, capabilities},
    {"query-version", &mv_qmp_empty, &version_info_type, query_version},
    {"query-commands", &mv_qmp_empty, &command_list_type, query_commands},
    {NULL},
};
