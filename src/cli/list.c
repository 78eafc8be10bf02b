/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memvisor ps and engines: the VMs of this user that run, as they tell of themselves,
 * and what can run vCPUs on this host, and why the rest cannot.
 */
#include "verb.h"

#include "engine.h"
#include "rundir.h"
#include "screen.h"
#include "size.h"
#include "vm-client.h"

#include <string.h>

/* A VM that does not answer is not to keep the others from being listed. */
#define ANSWER_MS 2000

struct list_config {
    bool json;
};

/* Put what a query returned into the row: the field that has a name, or how many there are. */
static void ask(struct mv_vm_client *client, const char *command, json_t *row, const char *key,
                const char *field)
{
    struct mv_error err;
    json_t *result;
    if (mv_vm_client_execute(client, command, NULL, &result, &err) < 0)
        return;
    json_object_set_new(row, key,
                        field == NULL ? json_integer((json_int_t)json_array_size(result))
                                      : json_incref(json_object_get(result, field)));
    json_decref(result);
}

static json_t *describe(const struct mv_rundir_vm *vm)
{
    struct mv_vm_client *client = NULL;
    struct mv_error err;
    json_t *row = json_pack("{s:s, s:n, s:s, s:n, s:n, s:s}", "name", vm->name, "pid", "status",
                            "starting", "cpus", "memory", "path", vm->path);
    if (row == NULL) /* a folder whose name is no UTF-8 is none of ours */
        return NULL;
    if (vm->pid > 0)
        json_object_set_new(row, "pid", json_integer(vm->pid));
    int r = mv_vm_client_open_at(vm->path, ANSWER_MS, &client, &err);
    if (r == 0) {
        ask(client, "query-status", row, "status", "status");
        ask(client, "query-cpus-fast", row, "cpus", NULL);
        ask(client, "query-memory-size-summary", row, "memory", "base-memory");
    } else if (r != -ENOENT && r != -ECONNREFUSED) {
        json_object_set_new(row, "status", json_string("no answer"));
    }
    mv_vm_client_close(client);
    return row;
}

static const char *text_of(const json_t *row, const char *key, char buf[MV_TEXT_CELL])
{
    const json_t *value = json_object_get(row, key);
    if (json_is_string(value))
        return json_string_value(value);
    if (!json_is_integer(value))
        return "-";
    if (strcmp(key, "memory") == 0)
        return mv_size_format((uint64_t)json_integer_value(value), buf);
    snprintf(buf, MV_TEXT_CELL, "%lld", (long long)json_integer_value(value));
    return buf;
}

static const struct mv_text_column columns[] = {
    {"name", "NAME"}, {"pid", "PID"}, {"status", "STATUS"}, {"cpus", "CPUS"}, {"memory", "MEMORY"},
};

static const struct mv_text_table table = {columns, sizeof columns / sizeof columns[0], text_of};

static int list_vms(void *config, struct mv_error *err)
{
    const struct list_config *c = config;
    struct mv_rundir_vm *vms;
    size_t count;
    int r = mv_rundir_list(&vms, &count, err);
    if (r < 0)
        return r;
    struct mv_screen screen = mv_screen_look();
    json_t *rows = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(rows, describe(&vms[i]));
    mv_rundir_list_free(vms, count);
    if (c->json)
        mv_json_print(stdout, rows);
    else
        mv_text_table_print(stdout, &screen, &table, rows);
    json_decref(rows);
    return MV_STATUS_OK;
}

/* --- memvisor engines */

static int list_engines(void *config, struct mv_error *err)
{
    const struct list_config *c = config;
    json_t *list = json_array();
    for (size_t i = 0; mv_engines[i] != NULL; i++) {
        const struct mv_engine_ops *ops = mv_engines[i];
        bool available = ops->probe == NULL || ops->probe(err) == 0;
        const char *why = available ? NULL : err->text;
        if (c->json)
            json_array_append_new(list, json_pack("{s:s, s:s, s:b, s:s?}", "name", ops->name,
                                                  "description", ops->description, "available",
                                                  available, "reason", why));
        else
            printf("%-10s %-4s %s%s%s\n", ops->name, available ? "yes" : "no", ops->description,
                   available ? "" : ": ", available ? "" : why);
    }
    if (c->json)
        mv_json_print(stdout, list);
    json_decref(list);
    return MV_STATUS_OK;
}

#define VERB(word, text, fn, help)                                                                 \
    {                                                                                              \
        .name = word, .summary = text, .synopsis = "memvisor " word " [--json]",                   \
        .options =                                                                                 \
            &(const struct mv_option_table){                                                       \
                .verb = word,                                                                      \
                .options = (const struct mv_option[]){{MV_FLAG(list_config, json, help)}},         \
                .count = 1},                                                                       \
        .config_size = sizeof(struct list_config), .run = fn                                       \
    }

const struct mv_verb mv_ps_verb =
    VERB("ps", "List the VMs that run.", list_vms,
         "Print a list of objects with name, pid, status, cpus, memory (bytes) and path. What "
         "a VM does not tell is null.");
const struct mv_verb mv_engines_verb =
    VERB("engines", "List what can run virtual CPUs here.", list_engines,
         "Print a list of objects with name, description, available and reason.");
