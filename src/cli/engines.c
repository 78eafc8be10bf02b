/* SPDX-License-Identifier: Apache-2.0 */
/* memvisor engines: what can run vCPUs on this host, and why the rest cannot. */
#include "verb.h"

#include "engine.h"
#include "screen.h"
#include "log.h"

struct engines_config {
    bool json;
};

static const struct mv_option options[] = {
    {.name = "json",
     .help = "Print a list of objects with name, description, available and reason.",
     .set = mv_option_set_flag,
     .offset = offsetof(struct engines_config, json)},
};

const struct mv_option_table mv_engines_options = {
    .verb = "engines", .options = options, .count = sizeof options / sizeof options[0]};

static void print_json(void)
{
    json_t *list = json_array();
    for (size_t i = 0; mv_engines[i] != NULL; i++) {
        const struct mv_engine_ops *ops = mv_engines[i];
        struct mv_error err = {""};
        bool available = ops->probe == NULL || ops->probe(&err) == 0;
        json_array_append_new(list, json_pack("{s:s, s:s, s:b, s:s?}", "name", ops->name,
                                              "description", ops->description, "available",
                                              available, "reason", available ? NULL : err.text));
    }
    mv_json_print(list);
    json_decref(list);
}

static void print_text(void)
{
    for (size_t i = 0; mv_engines[i] != NULL; i++) {
        const struct mv_engine_ops *ops = mv_engines[i];
        struct mv_error err = {""};
        bool available = ops->probe == NULL || ops->probe(&err) == 0;
        printf("%-10s %-4s %s%s%s\n", ops->name, available ? "yes" : "no", ops->description,
               available ? "" : ": ", available ? "" : err.text);
    }
}

int mv_engines_main(int argc, char **argv)
{
    struct engines_config config = {0};
    struct mv_error err;
    int r = mv_options_parse(&mv_engines_options, argc, argv, &config, &err);
    if (r < 0) {
        mv_log("%s", err.text);
        return mv_verb_status_of_words(r);
    }
    if (r == MV_OPTIONS_HELP)
        mv_help_print_verb(stdout, mv_verb_find("engines"));
    else if (config.json)
        print_json();
    else
        print_text();
    return MV_STATUS_OK;
}
