/* SPDX-License-Identifier: Apache-2.0 */
/* memvisor engines: what can run vCPUs on this host, and why the rest cannot. */
#include "verb.h"

#include "engine.h"
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

static void print_json_string(const char *text)
{
    putchar('"');
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\')
            printf("\\%c", c);
        else if (c < 0x20)
            printf("\\u%04x", c);
        else
            putchar(c);
    }
    putchar('"');
}

static void print_json(void)
{
    putchar('[');
    for (size_t i = 0; mv_engines[i] != NULL; i++) {
        const struct mv_engine_ops *ops = mv_engines[i];
        struct mv_error err = {""};
        bool available = ops->probe(&err) == 0;
        printf("%s{\"name\": ", i == 0 ? "" : ",\n ");
        print_json_string(ops->name);
        printf(", \"description\": ");
        print_json_string(ops->description);
        printf(", \"available\": %s, \"reason\": ", available ? "true" : "false");
        if (available)
            printf("null");
        else
            print_json_string(err.text);
        putchar('}');
    }
    printf("]\n");
}

static void print_text(void)
{
    for (size_t i = 0; mv_engines[i] != NULL; i++) {
        const struct mv_engine_ops *ops = mv_engines[i];
        struct mv_error err = {""};
        bool available = ops->probe(&err) == 0;
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
        return MV_STATUS_USAGE;
    }
    if (r == MV_OPTIONS_HELP)
        mv_help_print_verb(stdout, mv_verb_find("engines"));
    else if (config.json)
        print_json();
    else
        print_text();
    return MV_STATUS_OK;
}
