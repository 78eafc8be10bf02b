/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands that add and remove devices (QEMU, qapi/qdev.json).  What a client says
 * of one is made into the words of a command line, so that both have the same keys.
 * A server that a device needs is waited for in a job's thread: it may never answer.
 */
#include "cleanup.h"
#include "config.h"
#include "control.h"
#include "ivshmem-session.h"
#include "job.h"
#include "machine.h"
#include "qmp-command.h"
#include "qmp-json.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- types */

/* What else there is depends on the driver. */
static const struct mv_qmp_member device_add_members[] = {
    {"driver", &mv_qmp_str}, {"bus", &mv_qmp_str, true}, {"id", &mv_qmp_str, true}, {NULL}};
static const struct mv_qmp_type device_add_args_type = {.kind = MV_QMP_OBJECT,
                                                        .name = "q_obj_device_add-arg",
                                                        .members = device_add_members,
                                                        .open = true};

MV_QMP_OBJECT_TYPE(device_del_args_type, "q_obj_device_del-arg", {"id", &mv_qmp_str});

MV_QMP_OBJECT_TYPE(device_deleted_data_type, "q_obj_DEVICE_DELETED-arg",
                   {"device", &mv_qmp_str, true}, {"path", &mv_qmp_str});

/* --- commands */

/* A comma in a value is doubled, as on a command line. */
static void print_text(FILE *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == ',')
            putc(',', out);
        putc(*text, out);
    }
}

static int print_value(FILE *out, const char *key, const json_t *value, struct mv_error *err)
{
    if (mv_qmp_value_is_large(value))
        fputs(json_string_value(value) + 1, out);
    else if (json_is_string(value))
        print_text(out, json_string_value(value));
    else if (json_is_boolean(value))
        fputs(json_is_true(value) ? "on" : "off", out);
    else if (json_is_integer(value))
        fprintf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    else if (json_is_real(value)) /* addr=3.0 of the verb qmp is a number */
        fprintf(out, "%g", json_real_value(value));
    else
        return mv_error_set(err, EINVAL, "'%.64s': a string is expected", key);
    return 0;
}

static int print_words(FILE *out, const json_t *arguments, struct mv_error *err)
{
    const char *key;
    json_t *value;
    print_text(out, json_string_value(json_object_get(arguments, "driver")));
    json_object_foreach((json_t *)(uintptr_t)arguments, key, value)
    {
        if (strcmp(key, "driver") == 0)
            continue;
        putc(',', out);
        print_text(out, key);
        putc('=', out);
        int r = print_value(out, key, value, err);
        if (r < 0)
            return r;
    }
    return 0;
}

/* To be freed; NULL and an error. */
static char *make_text(const json_t *arguments, struct mv_error *err)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    mv_error_set_errno(err, ENOMEM, "device_add");
    if (out == NULL)
        return NULL;
    int r = print_words(out, arguments, err);
    if (fclose(out) != 0 || r < 0) {
        free(text);
        return NULL;
    }
    return text;
}

struct add {
    struct mv_job job;
    struct mv_machine *machine;
    struct mv_config_device device;
    struct mv_ivshmem_hello *hello;
};

static bool is_cancelled(void *opaque)
{
    struct mv_job *job = opaque;
    return atomic_load(&job->cancelled);
}

static int greet(struct mv_job *job, json_t **ret, struct mv_error *err)
{
    struct add *add = (struct add *)job;
    (void)ret;
    return mv_ivshmem_hello_create(add->device.socket, is_cancelled, job, &add->hello, err);
}

static int complete(struct mv_job *job, struct mv_error *err)
{
    struct add *add = (struct add *)job;
    return mv_machine_device_add(add->machine, &add->device, add->hello, err);
}

static void destroy(struct mv_job *job)
{
    struct add *add = (struct add *)job;
    mv_ivshmem_hello_destroy(add->hello);
    mv_config_device_clear(&add->device);
    free(add);
}

/* Takes the device over, also where it fails. */
static int add_later(struct mv_qmp_call *call, struct mv_config_device *device,
                     struct mv_error *err)
{
    struct mv_machine *machine = mv_control_machine(call->control);
    int r = mv_machine_device_check(machine, device, err);
    struct add *add = r == 0 ? calloc(1, sizeof *add) : NULL;
    if (add == NULL) {
        mv_config_device_clear(device);
        return r < 0 ? r : mv_error_set_errno(err, ENOMEM, "device_add");
    }
    add->job = (struct mv_job){.run = greet, .complete = complete, .destroy = destroy};
    add->machine = machine;
    add->device = *device;
    return mv_jobs_start(mv_control_jobs(call->control), &add->job, call->session, err);
}

static int device_add(struct mv_qmp_call *call, struct mv_error *err)
{
    struct mv_config_device device;
    CLEANUP_FREE char *text = make_text(call->arguments, err);
    if (text == NULL)
        return -EINVAL;
    int r = mv_config_parse_device_add(text, &device, err);
    if (r < 0)
        return r;
    if (device.socket != NULL)
        return add_later(call, &device, err);
    r = mv_machine_device_add(mv_control_machine(call->control), &device, NULL, err);
    mv_config_device_clear(&device);
    return r;
}

static int device_del(struct mv_qmp_call *call, struct mv_error *err)
{
    const char *id = json_string_value(json_object_get(call->arguments, "id"));
    return mv_machine_device_remove(mv_control_machine(call->control), id, err);
}

/* --- the table */

static const struct mv_qmp_command commands[] = {
    {"device_add", &device_add_args_type, &mv_qmp_empty, device_add},
    {"device_del", &device_del_args_type, &mv_qmp_empty, device_del},
    {NULL},
};

static const struct mv_qmp_event events[] = {
    {"DEVICE_DELETED", &device_deleted_data_type},
    {NULL},
};

const struct mv_qmp_family mv_qmp_device = {commands, events};
