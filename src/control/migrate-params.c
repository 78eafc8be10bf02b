/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parameters and capabilities, each a row; their names, ranges and defaults are QEMU's but
 * where a row says why.  Main thread.
 */
#include "migrate-params.h"

#include "control.h"
#include "qmp-command.h"
#include "qmp-json.h"
#include "qmp-session.h"

#include <stddef.h>
#include <string.h>

#define DOWNTIME_MS_MAX (2000 * 1000)

/* --- types */

static const char *const compressions[] = {"none", "zstd", NULL};
static const struct mv_qmp_type compression_type = {
    .kind = MV_QMP_ENUM, .name = "MultiFDCompression", .values = compressions};

MV_QMP_OBJECT_TYPE(parameters_type, "MigrationParameters", {"max-bandwidth", &mv_qmp_uint, true},
                   {"max-postcopy-bandwidth", &mv_qmp_uint, true},
                   {"downtime-limit", &mv_qmp_uint, true}, {"multifd-channels", &mv_qmp_uint, true},
                   {"multifd-compression", &compression_type, true},
                   {"cpu-throttle-initial", &mv_qmp_uint, true},
                   {"cpu-throttle-increment", &mv_qmp_uint, true},
                   {"max-cpu-throttle", &mv_qmp_uint, true});

MV_QMP_ENUM_TYPE(capability_type, "MigrationCapability", "auto-converge", "events", "return-path",
                 "multifd", "postcopy-ram");
MV_QMP_OBJECT_TYPE(status_type, "MigrationCapabilityStatus", {"capability", &capability_type},
                   {"state", &mv_qmp_bool});
MV_QMP_LIST_TYPE(status_list_type, "MigrationCapabilityStatusList", status_type);
MV_QMP_OBJECT_TYPE(capabilities_args_type, "q_obj_migrate-set-capabilities-arg",
                   {"capabilities", &status_list_type});

/* --- the rows */

struct parameter {
    const char *name;
    size_t offset;
    uint64_t least, most, usual;
    const char *const *words; /* the value is the index of one of these; or NULL */
};

#define NUMBER(name, member, least, most, usual)                                                   \
    {                                                                                              \
        name, offsetof(struct mv_migrate_params, member), least, most, usual, NULL                 \
    }
static const struct parameter parameters[] = {
    /* QEMU's 128 MiB a second are a tenth of what a line carries today. */
    NUMBER("max-bandwidth", max_bandwidth, 0, INT64_MAX, 0),
    NUMBER("max-postcopy-bandwidth", follow_bandwidth, 0, INT64_MAX, 0),
    NUMBER("downtime-limit", downtime_ms, 0, DOWNTIME_MS_MAX, 300),
    NUMBER("multifd-channels", channels, 1, MV_MOVE_CHANNELS_MAX, 2),
    {"multifd-compression", offsetof(struct mv_migrate_params, compression), 0, 1, 0, compressions},
    NUMBER("cpu-throttle-initial", throttle_initial, 1, 99, 20),
    NUMBER("cpu-throttle-increment", throttle_increment, 1, 99, 10),
    NUMBER("max-cpu-throttle", throttle_max, 1, 99, 99),
};
#define PARAMETER_COUNT (sizeof parameters / sizeof parameters[0])

static uint64_t *value_of(struct mv_migrate_params *params, const struct parameter *parameter)
{
    return (uint64_t *)(void *)((char *)params + parameter->offset);
}

struct capability {
    const char *name;
    size_t offset;
    bool usual;
    bool is_fixed; /* it is so, whatever a client wants */
};

#define CAPABILITY(name, member, usual, is_fixed)                                                  \
    {                                                                                              \
        name, offsetof(struct mv_migrate_params, member), usual, is_fixed                          \
    }
/* Off in QEMU, for the sake of its old versions: throttling, without which many moves have no
 * end, and events, which a client that knows none of them drops. */
static const struct capability capabilities[] = {
    CAPABILITY("auto-converge", auto_converge, true, false),
    CAPABILITY("events", events, true, false),
    CAPABILITY("return-path", return_path, true, true),
    CAPABILITY("multifd", multifd, false, false),
    CAPABILITY("postcopy-ram", postcopy, false, false),
};
#define CAPABILITY_COUNT (sizeof capabilities / sizeof capabilities[0])

static bool *state_of(struct mv_migrate_params *params, const struct capability *capability)
{
    return (bool *)(void *)((char *)params + capability->offset);
}

/* --- values */

void mv_migrate_params_init(struct mv_migrate_params *params)
{
    for (size_t i = 0; i < PARAMETER_COUNT; i++)
        *value_of(params, &parameters[i]) = parameters[i].usual;
    for (size_t i = 0; i < CAPABILITY_COUNT; i++)
        *state_of(params, &capabilities[i]) = capabilities[i].usual;
}

static uint64_t parse(const struct parameter *parameter, const json_t *value)
{
    uint64_t index = 0;
    if (parameter->words == NULL)
        return mv_qmp_value_uint(value);
    while (strcmp(parameter->words[index], json_string_value(value)) != 0)
        index++;
    return index;
}

int mv_migrate_params_set(struct mv_migrate_params *params, const json_t *object,
                          struct mv_error *err)
{
    struct mv_migrate_params now = *params;
    for (size_t i = 0; i < PARAMETER_COUNT; i++) {
        const struct parameter *p = &parameters[i];
        const json_t *value = json_object_get(object, p->name);
        if (value == NULL)
            continue;
        uint64_t number = parse(p, value);
        if (number < p->least || number > p->most)
            return mv_error_set(err, ERANGE, "'%s': from %llu to %llu are possible, not %llu",
                                p->name, (unsigned long long)p->least, (unsigned long long)p->most,
                                (unsigned long long)number);
        *value_of(&now, p) = number;
    }
    if (now.throttle_max < now.throttle_initial)
        return mv_error_set(err, ERANGE,
                            "'max-cpu-throttle' %llu is less than 'cpu-throttle-initial' %llu: set "
                            "both",
                            (unsigned long long)now.throttle_max,
                            (unsigned long long)now.throttle_initial);
    *params = now;
    return 0;
}

void mv_migrate_params_apply(const struct mv_migrate_params *params, struct mv_send_limits *limits)
{
    atomic_store(&limits->bandwidth, params->max_bandwidth);
    atomic_store(&limits->follow_bandwidth, params->follow_bandwidth);
    atomic_store(&limits->downtime_ns, params->downtime_ms * 1000000);
    atomic_store(&limits->throttles, params->auto_converge);
    atomic_store(&limits->throttle_initial, (unsigned)params->throttle_initial);
    atomic_store(&limits->throttle_increment, (unsigned)params->throttle_increment);
    atomic_store(&limits->throttle_max, (unsigned)params->throttle_max);
}

/* --- commands */

static struct mv_moving *moving_of(const struct mv_qmp_call *call)
{
    return &call->session->control->moving;
}

/* What a send under way has of its own (x-send) stays, but for what is set now. */
static int set_parameters(struct mv_qmp_call *call, struct mv_error *err)
{
    struct mv_moving *moving = moving_of(call);
    int r = mv_migrate_params_set(&moving->params, call->arguments, err);
    if (r == 0)
        r = mv_migrate_params_set(&moving->now, call->arguments, err);
    if (r == 0)
        mv_migrate_params_apply(&moving->now, &moving->limits);
    return r;
}

static int query_parameters(struct mv_qmp_call *call, struct mv_error *err)
{
    struct mv_migrate_params *params = &moving_of(call)->params;
    call->result = json_object();
    for (size_t i = 0; i < PARAMETER_COUNT; i++) {
        uint64_t value = *value_of(params, &parameters[i]);
        json_object_set_new(call->result, parameters[i].name,
                            parameters[i].words == NULL ? json_integer((json_int_t)value)
                                                        : json_string(parameters[i].words[value]));
    }
    return 0;
}

static const struct capability *find_capability(const json_t *entry)
{
    const char *name = json_string_value(json_object_get(entry, "capability"));
    size_t i = 0;
    while (strcmp(capabilities[i].name, name) != 0)
        i++;
    return &capabilities[i];
}

/* All or none; a move that is under way began with those from before. */
static int set_capabilities(struct mv_qmp_call *call, struct mv_error *err)
{
    struct mv_moving *moving = moving_of(call);
    struct mv_migrate_params now = moving->params;
    size_t i;
    json_t *entry;
    json_array_foreach(json_object_get(call->arguments, "capabilities"), i, entry)
    {
        const struct capability *capability = find_capability(entry);
        bool on = json_is_true(json_object_get(entry, "state"));
        if (capability->is_fixed && on != capability->usual)
            return mv_error_set(err, ENOTSUP, "'%s': it is always %s here", capability->name,
                                capability->usual ? "on" : "off");
        *state_of(&now, capability) = on;
    }
    if (mv_moving_is_under_way(moving))
        return mv_error_set(err, EBUSY,
                            "the guest is being moved: set capabilities once that is over, or "
                            "cancel it by migrate_cancel");
    moving->params = now;
    return 0;
}

static int query_capabilities(struct mv_qmp_call *call, struct mv_error *err)
{
    struct mv_migrate_params *params = &moving_of(call)->params;
    call->result = json_array();
    for (size_t i = 0; i < CAPABILITY_COUNT; i++)
        json_array_append_new(call->result,
                              json_pack("{s:s, s:b}", "capability", capabilities[i].name, "state",
                                        *state_of(params, &capabilities[i])));
    return 0;
}

/* --- the table */

const struct mv_qmp_command mv_qmp_migrate_params[] = {
    {"migrate-set-parameters", &parameters_type, &mv_qmp_empty, set_parameters, MV_QMP_ALWAYS},
    {"query-migrate-parameters", &mv_qmp_empty, &parameters_type, query_parameters, MV_QMP_ALWAYS},
    {"migrate-set-capabilities", &capabilities_args_type, &mv_qmp_empty, set_capabilities,
     MV_QMP_ALWAYS},
    {"query-migrate-capabilities", &mv_qmp_empty, &status_list_type, query_capabilities,
     MV_QMP_ALWAYS},
    {NULL},
};
