/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking up commands and events in their files' tables, and the protocol's own commands.
 * query-qmp-schema tells those tables and all types as SchemaInfo (QEMU, qapi/introspect.json;
 * docs/devel/qapi-code-gen, "Client JSON Protocol introspection").  Types that are not
 * built in go by numbers, in order of their first use, because their names are no part of
 * the protocol.  Constant.
 */
#include "qmp-command.h"

#include "qmp-session.h"

#include <stdio.h>
#include <string.h>

#define TYPES_MAX 256
#define NAME_SIZE 64

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

MV_QMP_ENUM_TYPE(json_kind_type, "JSONType", "string", "number", "int", "boolean", "null", "object",
                 "array", "value");
MV_QMP_ENUM_TYPE(meta_kind_type, "SchemaMetaType", "builtin", "enum", "array", "object",
                 "alternate", "command", "event");

MV_QMP_OBJECT_TYPE(schema_builtin_type, "SchemaInfoBuiltin", {"json-type", &json_kind_type});

MV_QMP_OBJECT_TYPE(enum_member_type, "SchemaInfoEnumMember", {"name", &mv_qmp_str},
                   {"features", &mv_qmp_str_list, true});
MV_QMP_LIST_TYPE(enum_member_list_type, "SchemaInfoEnumMemberList", enum_member_type);
MV_QMP_OBJECT_TYPE(schema_enum_type, "SchemaInfoEnum", {"members", &enum_member_list_type},
                   {"values", &mv_qmp_str_list});

MV_QMP_OBJECT_TYPE(schema_array_type, "SchemaInfoArray", {"element-type", &mv_qmp_str});

MV_QMP_OBJECT_TYPE(object_member_type, "SchemaInfoObjectMember", {"name", &mv_qmp_str},
                   {"type", &mv_qmp_str}, {"default", &mv_qmp_any, true},
                   {"features", &mv_qmp_str_list, true});
MV_QMP_LIST_TYPE(object_member_list_type, "SchemaInfoObjectMemberList", object_member_type);
MV_QMP_OBJECT_TYPE(object_variant_type, "SchemaInfoObjectVariant", {"case", &mv_qmp_str},
                   {"type", &mv_qmp_str});
MV_QMP_LIST_TYPE(variant_list_type, "SchemaInfoObjectVariantList", object_variant_type);
MV_QMP_OBJECT_TYPE(schema_object_type, "SchemaInfoObject", {"members", &object_member_list_type},
                   {"tag", &mv_qmp_str, true}, {"variants", &variant_list_type, true});

MV_QMP_OBJECT_TYPE(alternate_member_type, "SchemaInfoAlternateMember", {"type", &mv_qmp_str});
MV_QMP_LIST_TYPE(alternate_member_list_type, "SchemaInfoAlternateMemberList",
                 alternate_member_type);
MV_QMP_OBJECT_TYPE(schema_alternate_type, "SchemaInfoAlternate",
                   {"members", &alternate_member_list_type});

MV_QMP_OBJECT_TYPE(schema_command_type, "SchemaInfoCommand", {"arg-type", &mv_qmp_str},
                   {"ret-type", &mv_qmp_str}, {"allow-oob", &mv_qmp_bool, true});
MV_QMP_OBJECT_TYPE(schema_event_type, "SchemaInfoEvent", {"arg-type", &mv_qmp_str});

static const struct mv_qmp_variant schema_variants[] = {
    {"builtin", &schema_builtin_type},     {"enum", &schema_enum_type},
    {"array", &schema_array_type},         {"object", &schema_object_type},
    {"command", &schema_command_type},     {"event", &schema_event_type},
    {"alternate", &schema_alternate_type}, {NULL}};
MV_QMP_VARIANT_TYPE(schema_info_type, "SchemaInfo", "meta-type", schema_variants,
                    {"name", &mv_qmp_str}, {"meta-type", &meta_kind_type},
                    {"features", &mv_qmp_str_list, true});
MV_QMP_LIST_TYPE(schema_type, "SchemaInfoList", schema_info_type);

/* --- commands of the protocol itself (QEMU, qapi/control.json) */

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

/* --- the schema */

struct schema {
    json_t *list;
    const struct mv_qmp_type *types[TYPES_MAX]; /* [i] goes by the name "i" */
    size_t count;
    bool full;
};

static const char *const builtin_json_types[] = {
    [MV_QMP_STR] = "string",    [MV_QMP_INT] = "int",      [MV_QMP_UINT] = "int",
    [MV_QMP_NUMBER] = "number", [MV_QMP_BOOL] = "boolean", [MV_QMP_ANY] = "value",
};

static bool is_builtin(const struct mv_qmp_type *type)
{
    return type->kind <= MV_QMP_ANY;
}

/* The number of a type.  A new one is added to the list of those to describe. */
static size_t number_of(struct schema *schema, const struct mv_qmp_type *type)
{
    size_t i = 0;
    while (i < schema->count && schema->types[i] != type)
        i++;
    if (i == TYPES_MAX) {
        schema->full = true;
        return 0;
    }
    if (i == schema->count)
        schema->types[schema->count++] = type;
    return i;
}

static const char *name_of(struct schema *schema, const struct mv_qmp_type *type,
                           char buf[NAME_SIZE])
{
    if (is_builtin(type)) {
        number_of(schema, type->kind == MV_QMP_UINT ? &mv_qmp_int : type);
        return type->name;
    }
    if (type->kind == MV_QMP_ARRAY) {
        char element[NAME_SIZE];
        number_of(schema, type);
        snprintf(buf, NAME_SIZE, "[%.60s]", name_of(schema, type->element, element));
    } else {
        snprintf(buf, NAME_SIZE, "%zu", number_of(schema, type));
    }
    return buf;
}

static void add(struct schema *schema, const char *name, const char *meta, json_t *info)
{
    json_object_set_new(info, "name", json_string(name));
    json_object_set_new(info, "meta-type", json_string(meta));
    json_array_append_new(schema->list, info);
}

static json_t *describe_enum(const struct mv_qmp_type *type)
{
    json_t *members = json_array(), *values = json_array();
    for (const char *const *v = type->values; *v != NULL; v++) {
        json_array_append_new(members, json_pack("{s:s}", "name", *v));
        json_array_append_new(values, json_string(*v));
    }
    return json_pack("{s:o, s:o}", "members", members, "values", values);
}

static json_t *describe_object(struct schema *schema, const struct mv_qmp_type *type)
{
    char name[NAME_SIZE];
    json_t *members = json_array();
    for (const struct mv_qmp_member *m = type->members; m->name != NULL; m++) {
        json_t *member =
            json_pack("{s:s, s:s}", "name", m->name, "type", name_of(schema, m->type, name));
        /* QEMU gives a default here, and null where there is none that JSON could express. */
        if (m->optional)
            json_object_set_new(member, "default", json_null());
        json_array_append_new(members, member);
    }
    json_t *info = json_pack("{s:o}", "members", members);
    if (type->tag == NULL)
        return info;
    json_t *variants = json_array();
    for (const struct mv_qmp_variant *v = type->variants; v != NULL && v->value != NULL; v++)
        json_array_append_new(variants, json_pack("{s:s, s:s}", "case", v->value, "type",
                                                  name_of(schema, v->type, name)));
    json_object_set_new(info, "tag", json_string(type->tag));
    json_object_set_new(info, "variants", variants);
    return info;
}

static void add_type(struct schema *schema, const struct mv_qmp_type *type)
{
    char name[NAME_SIZE], element[NAME_SIZE];
    name_of(schema, type, name);
    switch (type->kind) {
    case MV_QMP_ENUM:
        add(schema, name, "enum", describe_enum(type));
        break;
    case MV_QMP_ARRAY:
        add(schema, name, "array",
            json_pack("{s:s}", "element-type", name_of(schema, type->element, element)));
        break;
    case MV_QMP_OBJECT:
        add(schema, name, "object", describe_object(schema, type));
        break;
    default:
        add(schema, type->name, "builtin",
            json_pack("{s:s}", "json-type", builtin_json_types[type->kind]));
        break;
    }
}

static json_t *make_schema(void)
{
    struct schema schema = {.list = json_array()};
    char arguments[NAME_SIZE], returns[NAME_SIZE];
    const struct mv_qmp_command *c;
    for (size_t i = 0; (c = mv_qmp_command_at(i, false)) != NULL; i++)
        add(&schema, c->name, "command",
            json_pack("{s:s, s:s}", "arg-type", name_of(&schema, c->arguments, arguments),
                      "ret-type", name_of(&schema, c->returns, returns)));
    for (size_t i = 0; (c = mv_qmp_command_at(i, true)) != NULL; i++)
        add(&schema, c->name, "event",
            json_pack("{s:s}", "arg-type", name_of(&schema, c->arguments, arguments)));
    /* Telling of one type may note more of them. */
    for (size_t i = 0; i < schema.count; i++)
        add_type(&schema, schema.types[i]);
    if (schema.full) {
        json_decref(schema.list);
        return NULL;
    }
    return schema.list;
}

static int query_schema(struct mv_qmp_call *call, struct mv_error *err)
{
    call->result = make_schema();
    return call->result == NULL ? mv_error_set(err, ENOMEM, "no memory for the schema") : 0;
}

/* --- the table */

static const struct mv_qmp_command protocol[] = {
    {"qmp_capabilities", &capabilities_args_type, &mv_qmp_empty, capabilities, MV_QMP_ALWAYS},
    {"query-version", &mv_qmp_empty, &version_info_type, query_version, MV_QMP_ALWAYS},
    {"query-commands", &mv_qmp_empty, &command_list_type, query_commands, MV_QMP_ALWAYS},
    {"query-qmp-schema", &mv_qmp_empty, &schema_type, query_schema, MV_QMP_ALWAYS},
    {NULL},
};

/* --- looking up */

static const struct mv_qmp_command *const families[] = {
    protocol,         mv_qmp_machine, mv_qmp_memory,
    mv_qmp_dirty,     mv_qmp_pci,     mv_qmp_device,
    mv_qmp_migration, mv_qmp_migrate, mv_qmp_migrate_params,
    mv_qmp_postcopy,  mv_qmp_restore, mv_qmp_fork,
    mv_qmp_sync,      mv_qmp_fd,
};

const struct mv_qmp_command *mv_qmp_command_at(size_t index, bool event)
{
    for (size_t i = 0; i < sizeof families / sizeof families[0]; i++) {
        for (const struct mv_qmp_command *c = families[i]; c->name != NULL; c++) {
            if ((c->run == NULL) == event && index-- == 0)
                return c;
        }
    }
    return NULL;
}

const struct mv_qmp_command *mv_qmp_command_find(const char *name, bool event)
{
    const struct mv_qmp_command *c;
    for (size_t i = 0; (c = mv_qmp_command_at(i, event)) != NULL && strcmp(c->name, name) != 0;)
        i++;
    return c;
}
