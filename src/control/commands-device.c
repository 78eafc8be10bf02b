/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands that add and remove devices (QEMU, qapi/qdev.json), and x-query-ivshmem.  All
 * but a job's part is the main thread's.  What a client says
 * of one is made into the words of a command line, so that both have the same keys.
 * A server that a device needs is waited for in a job's thread: it may never answer.
 */
#include "block.h"
#include "cleanup.h"
#include "config-text.h"
#include "config.h"
#include "device.h"
#include "ivshmem-link.h"
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

MV_QMP_OBJECT_TYPE(peer_type, "IvshmemPeer", {"id", &mv_qmp_uint}, {"vectors", &mv_qmp_uint});
MV_QMP_LIST_TYPE(peers_type, "IvshmemPeerList", peer_type);

MV_QMP_OBJECT_TYPE(server_type, "IvshmemServer", {"socket", &mv_qmp_str},
                   {"connected", &mv_qmp_bool}, {"id", &mv_qmp_uint}, {"vectors", &mv_qmp_uint},
                   {"sent", &mv_qmp_uint}, {"received", &mv_qmp_uint}, {"peers", &peers_type});

/* A device without a server, ivshmem-plain, has memory alone. */
MV_QMP_OBJECT_TYPE(ivshmem_type, "IvshmemInfo", {"device", &mv_qmp_str}, {"kind", &mv_qmp_str},
                   {"memory", &mv_qmp_str}, {"size", &mv_qmp_uint}, {"server", &server_type, true});
MV_QMP_LIST_TYPE(ivshmems_type, "IvshmemInfoList", ivshmem_type);

/* --- adding and removing */

static int print_value(FILE *out, const char *key, const json_t *value, struct mv_error *err)
{
    if (mv_qmp_value_is_large(value))
        fputs(json_string_value(value) + 1, out);
    else if (json_is_string(value))
        mv_text_word(out, json_string_value(value));
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
    mv_text_word(out, json_string_value(json_object_get(arguments, "driver")));
    json_object_foreach((json_t *)(uintptr_t)arguments, key, value)
    {
        if (strcmp(key, "driver") == 0)
            continue;
        putc(',', out);
        mv_text_word(out, key);
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
    return mv_ivshmem_hello_create(add->device.socket, is_cancelled, job, &add->hello, err);
}

static int complete(struct mv_job *job, struct mv_error *err)
{
    struct add *add = (struct add *)job;
    return mv_machine_device_add(add->machine, &add->device, add->hello, err);
}

static void clear(struct mv_job *job)
{
    struct add *add = (struct add *)job;
    mv_ivshmem_hello_destroy(add->hello);
    mv_config_device_clear(&add->device);
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
    r = device.socket != NULL ? mv_machine_device_check(call->machine, &device, err)
                              : mv_machine_device_add(call->machine, &device, NULL, err);
    if (r == 0 && device.socket != NULL) {
        struct add add = {.job = {.run = greet, .complete = complete, .clear = clear},
                          .machine = call->machine,
                          .device = device};
        return mv_jobs_start(call, &add.job, sizeof add, err);
    }
    mv_config_device_clear(&device);
    return r;
}

static int device_del(struct mv_qmp_call *call, struct mv_error *err)
{
    const char *id = json_string_value(json_object_get(call->arguments, "id"));
    return mv_machine_device_remove(call->machine, id, err);
}

/* --- x-query-ivshmem: memory that guests share, and who is connected */

struct query {
    json_t *list;
    const char *unprintable; /* a device whose socket's path is no UTF-8 */
};

static void add_peer(void *opaque, unsigned id, unsigned vectors)
{
    json_t *peers = opaque;
    json_array_append_new(peers, json_pack("{s:i, s:i}", "id", (int)id, "vectors", (int)vectors));
}

static json_t *describe_server(struct mv_ivshmem_link *link)
{
    struct mv_ivshmem_link_info info;
    json_t *peers = json_array();
    mv_ivshmem_link_describe(link, &info);
    mv_ivshmem_link_for_each(link, add_peer, peers);
    return json_pack("{s:s, s:b, s:i, s:i, s:I, s:I, s:o}", "socket", info.path, "connected",
                     info.connected, "id", (int)info.id, "vectors", (int)info.vectors, "sent",
                     (json_int_t)info.sent, "received", (json_int_t)info.received, "peers", peers);
}

static void add_device(void *opaque, struct mv_device *device)
{
    struct query *query = opaque;
    const struct mv_block *block;
    struct mv_ivshmem_link *link;
    if (!mv_machine_ivshmem(device, &block, &link))
        return;
    json_t *entry =
        json_pack("{s:s, s:s, s:s, s:I}", "device", device->path, "kind", device->ops->type,
                  "memory", block->id, "size", (json_int_t)block->size);
    if (link != NULL) {
        json_t *server = describe_server(link);
        if (server == NULL)
            query->unprintable = device->path;
        json_object_set_new(entry, "server", server);
    }
    json_array_append_new(query->list, entry);
}

static int query_ivshmem(struct mv_qmp_call *call, struct mv_error *err)
{
    struct query query = {.list = json_array()};
    mv_machine_for_each_device(call->machine, add_device, &query);
    if (query.unprintable != NULL) {
        json_decref(query.list);
        return mv_error_set(err, EILSEQ, "%s: its socket's path is no UTF-8", query.unprintable);
    }
    call->result = query.list;
    return 0;
}

/* --- the table */

const struct mv_qmp_command mv_qmp_device[] = {
    {"device_add", &device_add_args_type, &mv_qmp_empty, device_add},
    {"device_del", &device_del_args_type, &mv_qmp_empty, device_del},
    {"x-query-ivshmem", &mv_qmp_empty, &ivshmems_type, query_ivshmem, MV_QMP_MADE},
    {"DEVICE_DELETED", &device_deleted_data_type},
    {NULL},
};
