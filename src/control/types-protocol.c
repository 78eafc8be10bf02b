/* SPDX-License-Identifier: Apache-2.0 */
/* Types of the protocol itself: negotiation, version, introspection. */
#include "qmp-types.h"

#define STR_LIST(id, what)                                                                         \
    static const struct mv_qmp_type id = {                                                         \
        .kind = MV_QMP_ARRAY, .name = what, .element = &mv_qmp_str}
#define OBJECT(id, what, list)                                                                     \
    const struct mv_qmp_type id = {.kind = MV_QMP_OBJECT, .name = what, .members = list}

STR_LIST(str_list, "strList");

/* --- negotiation and version */

static const char *const capability_values[] = {"oob", NULL};
static const struct mv_qmp_type capability = {
    .kind = MV_QMP_ENUM, .name = "QMPCapability", .values = capability_values};
static const struct mv_qmp_type capability_list = {
    .kind = MV_QMP_ARRAY, .name = "QMPCapabilityList", .element = &capability};
static const struct mv_qmp_member capabilities_members[] = {{"enable", &capability_list, true},
                                                            {NULL}};
OBJECT(mv_type_capabilities_args, "q_obj_qmp_capabilities-arg", capabilities_members);

static const struct mv_qmp_member triple_members[] = {
    {"major", &mv_qmp_int}, {"minor", &mv_qmp_int}, {"micro", &mv_qmp_int}, {NULL}};
static OBJECT(version_triple, "VersionTriple", triple_members);
static const struct mv_qmp_member version_members[] = {
    {"qemu", &version_triple}, {"package", &mv_qmp_str}, {NULL}};
OBJECT(mv_type_version_info, "VersionInfo", version_members);

static const struct mv_qmp_member command_members[] = {{"name", &mv_qmp_str}, {NULL}};
static OBJECT(command_info, "CommandInfo", command_members);
const struct mv_qmp_type mv_type_command_list = {
    .kind = MV_QMP_ARRAY, .name = "CommandInfoList", .element = &command_info};

/* --- introspection */

static const char *const json_type_values[] = {"string", "number", "int",   "boolean", "null",
                                               "object", "array",  "value", NULL};
const struct mv_qmp_type mv_type_json_type = {
    .kind = MV_QMP_ENUM, .name = "JSONType", .values = json_type_values};
static const char *const meta_type_values[] = {"builtin",   "enum",    "array", "object",
                                               "alternate", "command", "event", NULL};
const struct mv_qmp_type mv_type_meta_type = {
    .kind = MV_QMP_ENUM, .name = "SchemaMetaType", .values = meta_type_values};

static const struct mv_qmp_member builtin_members[] = {{"json-type", &mv_type_json_type}, {NULL}};
static OBJECT(schema_builtin, "SchemaInfoBuiltin", builtin_members);

static const struct mv_qmp_member enum_member_members[] = {
    {"name", &mv_qmp_str}, {"features", &str_list, true}, {NULL}};
static OBJECT(enum_member, "SchemaInfoEnumMember", enum_member_members);
static const struct mv_qmp_type enum_member_list = {
    .kind = MV_QMP_ARRAY, .name = "SchemaInfoEnumMemberList", .element = &enum_member};
static const struct mv_qmp_member enum_members[] = {
    {"members", &enum_member_list}, {"values", &str_list}, {NULL}};
static OBJECT(schema_enum, "SchemaInfoEnum", enum_members);

static const struct mv_qmp_member array_members[] = {{"element-type", &mv_qmp_str}, {NULL}};
static OBJECT(schema_array, "SchemaInfoArray", array_members);

static const struct mv_qmp_member object_member_members[] = {{"name", &mv_qmp_str},
                                                             {"type", &mv_qmp_str},
                                                             {"default", &mv_qmp_any, true},
                                                             {"features", &str_list, true},
                                                             {NULL}};
static OBJECT(object_member, "SchemaInfoObjectMember", object_member_members);
static const struct mv_qmp_type object_member_list = {
    .kind = MV_QMP_ARRAY, .name = "SchemaInfoObjectMemberList", .element = &object_member};
static const struct mv_qmp_member variant_members[] = {
    {"case", &mv_qmp_str}, {"type", &mv_qmp_str}, {NULL}};
static OBJECT(object_variant, "SchemaInfoObjectVariant", variant_members);
static const struct mv_qmp_type variant_list = {
    .kind = MV_QMP_ARRAY, .name = "SchemaInfoObjectVariantList", .element = &object_variant};
static const struct mv_qmp_member object_members[] = {{"members", &object_member_list},
                                                      {"tag", &mv_qmp_str, true},
                                                      {"variants", &variant_list, true},
                                                      {NULL}};
static OBJECT(schema_object, "SchemaInfoObject", object_members);

static const struct mv_qmp_member alternate_member_members[] = {{"type", &mv_qmp_str}, {NULL}};
static OBJECT(alternate_member, "SchemaInfoAlternateMember", alternate_member_members);
static const struct mv_qmp_type alternate_member_list = {
    .kind = MV_QMP_ARRAY, .name = "SchemaInfoAlternateMemberList", .element = &alternate_member};
static const struct mv_qmp_member alternate_members[] = {{"members", &alternate_member_list},
                                                         {NULL}};
static OBJECT(schema_alternate, "SchemaInfoAlternate", alternate_members);

static const struct mv_qmp_member schema_command_members[] = {{"arg-type", &mv_qmp_str},
                                                              {"ret-type", &mv_qmp_str},
                                                              {"allow-oob", &mv_qmp_bool, true},
                                                              {NULL}};
static OBJECT(schema_command, "SchemaInfoCommand", schema_command_members);
static const struct mv_qmp_member schema_event_members[] = {{"arg-type", &mv_qmp_str}, {NULL}};
static OBJECT(schema_event, "SchemaInfoEvent", schema_event_members);

static const struct mv_qmp_member schema_members[] = {{"name", &mv_qmp_str},
                                                      {"meta-type", &mv_type_meta_type},
                                                      {"features", &str_list, true},
                                                      {NULL}};
static const struct mv_qmp_variant schema_variants[] = {
    {"builtin", &schema_builtin},     {"enum", &schema_enum},
    {"array", &schema_array},         {"object", &schema_object},
    {"command", &schema_command},     {"event", &schema_event},
    {"alternate", &schema_alternate}, {NULL}};
static const struct mv_qmp_type schema_info = {.kind = MV_QMP_OBJECT,
                                               .name = "SchemaInfo",
                                               .members = schema_members,
                                               .tag = "meta-type",
                                               .variants = schema_variants};
const struct mv_qmp_type mv_type_schema = {
    .kind = MV_QMP_ARRAY, .name = "SchemaInfoList", .element = &schema_info};
