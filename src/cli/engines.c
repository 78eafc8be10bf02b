/* SPDX-License-Identifier: Apache-2.0 */
/* memvisor engines: what can run vCPUs on this host, and why the rest cannot. */
#include "verb.h"

#include "engine.h"
#include "screen.h"

struct engines_config {
    bool json;
};

static int list_engines(void *config, struct mv_error *err)
{
    const struct engines_config *c = config;
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

static const struct mv_option options[] = {
    {MV_FLAG(engines_config, json,
             "Print a list of objects with name, description, available and reason.")},
};

const struct mv_verb mv_engines_verb = {
    .name = "engines",
    .summary = "List what can run virtual CPUs here.",
    .synopsis = "memvisor engines [--json]",
    .options = &(const struct mv_option_table){.verb = "engines", .options = options, .count = 1},
    .config_size = sizeof(struct engines_config),
    .run = list_engines};
