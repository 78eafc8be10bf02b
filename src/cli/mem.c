/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memvisor mem: a VM's memory, as a table, JSON, a map, or by what is used; or its bytes.
 * The table and the same as JSON (docs/DESIGN.md, command line) are drawn here.
 */
#include "mem.h"

#include "cleanup.h"
#include "log.h"
#include "screen.h"
#include "size.h"
#include "verb.h"
#include "vm-client.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- the table, and JSON */

static const struct mv_text_column columns[] = {
    {"id", "ID"},
    {"gpa", "GPA", true},
    {"size", "SIZE", true},
    {"backing", "BACKING"},
    {"share", "SHARE"},
    {"save", "SAVE"},
    {"resident", "RESIDENT", true},
    {"huge", "HUGE", true},
    {"dirty_rate", "WRITTEN/S", true},
    {"policies", "POLICY"},
    {"path", "PATH"},
};

/* Words with commas between them. */
static const char *join(const json_t *list, char buf[MV_TEXT_CELL])
{
    size_t i, used = 0;
    json_t *word;
    buf[0] = '\0';
    json_array_foreach(list, i, word)
    {
        const char *text = json_is_string(word) ? json_string_value(word) : "?";
        if (used + strlen(text) + 2 > MV_TEXT_CELL)
            break;
        used += (size_t)sprintf(buf + used, "%s%s", i == 0 ? "" : ",", text);
    }
    return used == 0 ? "-" : buf;
}

static const char *cell(const json_t *row, const char *key, char buf[MV_TEXT_CELL])
{
    const json_t *value = json_object_get(row, key);
    /* A part of a file: where in it. */
    if (strcmp(key, "path") == 0 && json_is_string(value) &&
        json_object_get(row, "offset") != NULL) {
        int n = snprintf(buf, MV_TEXT_CELL, "%s+0x%" PRIx64, json_string_value(value),
                         mv_mem_number(row, "offset"));
        return n < MV_TEXT_CELL ? buf : json_string_value(value);
    }
    if (json_is_array(value))
        return join(value, buf);
    if (json_is_boolean(value))
        return json_is_true(value) ? "on" : "off";
    if (!json_is_integer(value))
        return mv_mem_text(row, key);
    if (strcmp(key, "gpa") == 0)
        snprintf(buf, MV_TEXT_CELL, "0x%" PRIx64, mv_mem_number(row, key));
    else
        mv_mem_size(mv_mem_number(row, key), buf);
    return buf;
}

static void print_table(FILE *out, const json_t *rows, const struct mv_screen *screen)
{
    static const struct mv_text_table table = {columns, sizeof columns / sizeof columns[0], cell};
    mv_text_table_print(out, screen, &table, rows);
}

const struct mv_mem_view mv_mem_table = {.needs_blocks = true, .print = print_table};

static json_t *describe(const json_t *block)
{
    static const char *const keys[] = {"size", "backing",  "path", "share",
                                       "save", "resident", "huge", "dirty_rate"};
    json_t *row = json_object();
    const json_t *gpa = json_object_get(block, "gpa");
    json_object_set(row, "id", json_object_get(block, "id"));
    json_object_set_new(row, "gpa",
                        json_is_integer(gpa)
                            ? json_sprintf("0x%" PRIx64, mv_mem_number(block, "gpa"))
                            : json_null());
    for (size_t k = 0; k < sizeof keys / sizeof keys[0]; k++) {
        json_t *value = json_object_get(block, keys[k]);
        json_object_set(row, keys[k], value == NULL ? json_null() : value);
    }
    json_t *offset = json_object_get(block, "offset");
    if (offset != NULL) /* of a part of a file */
        json_object_set(row, "offset", offset);
    return row;
}

static void print_json(FILE *out, const json_t *rows, const struct mv_screen *screen)
{
    size_t i;
    json_t *block, *list = json_array();
    json_array_foreach(rows, i, block) json_array_append_new(list, describe(block));
    mv_json_print_to(out, list);
    json_decref(list);
}

const struct mv_mem_view mv_mem_json = {.needs_blocks = true, .print = print_json};

/* --- the verb */

#define ONCE_MS 250

struct mem_config {
    char *name;
    char *read;
    char *length;
    bool json, map, heat, watch;
};

static const struct mv_option words[] = {
    {.argument = "NAME",
     .help = "Name of the VM, as 'memvisor ps' lists it.",
     .set = mv_option_set_string,
     .offset = offsetof(struct mem_config, name)},
    {.argument = "LEN",
     .help = "Behind --read: how much, in bytes, or with a suffix K M G.",
     .set = mv_option_set_string,
     .offset = offsetof(struct mem_config, length)},
};

#define FLAG(word, text)                                                                           \
    {                                                                                              \
        .name = #word, .help = text, .set = mv_option_set_flag,                                    \
        .offset = offsetof(struct mem_config, word)                                                \
    }
static const struct mv_option options[] = {
    FLAG(json, "Print a list of objects with id, gpa (hex, or null), size, backing, path, share, "
               "save, resident, huge and dirty_rate (bytes, bytes a second)."),
    FLAG(map, "Draw the guest-physical map: banks, holes and device windows, to scale."),
    FLAG(heat, "Draw which parts of each block are resident and which are being written."),
    FLAG(watch, "Show it anew each second, until Ctrl-C or the VM's end."),
    {.name = "read",
     .argument = "GPA",
     .help = "Write LEN bytes of guest memory from this address on to standard output; to a "
             "terminal, in hex. GPA is 0x... in bytes, or a number with a suffix.",
     .set = mv_option_set_string,
     .offset = offsetof(struct mem_config, read)},
};

const struct mv_option_table mv_mem_options = {.verb = "mem",
                                               .options = options,
                                               .count = sizeof options / sizeof options[0],
                                               .words = words,
                                               .word_count = 2,
                                               .words_needed = 1};

const char mv_mem_notes[] = "Examples:\n"
                            "  memvisor mem vm1\n"
                            "  memvisor mem vm1 --heat --watch\n"
                            "  memvisor mem vm1 --read 0x80000000 4K >page\n";

static int query(struct mv_vm_client *client, const struct mv_mem_view *view,
                 const struct mv_screen *screen, unsigned milliseconds, json_t **ret,
                 struct mv_error *err)
{
    unsigned parts = view->parts == NULL ? 0 : view->parts(screen);
    return view->needs_blocks ? mv_mem_query(client, parts, milliseconds, ret, err)
                              : mv_vm_client_execute(client, "x-query-space", NULL, ret, err);
}

static int show_once(struct mv_vm_client *client, const struct mv_mem_view *view,
                     struct mv_error *err)
{
    struct mv_screen screen = mv_screen_look();
    json_t *rows;
    int r = query(client, view, &screen, ONCE_MS, &rows, err);
    if (r < 0)
        return r;
    view->print(stdout, rows, &screen);
    json_decref(rows);
    return 0;
}

/* Blocks are looked at for as long as a frame stands, by the VM. */
static int show_frame(struct mv_vm_client *client, const struct mv_mem_view *view,
                      unsigned milliseconds, struct mv_error *err)
{
    struct mv_screen screen = mv_screen_look();
    json_t *rows;
    int r = query(client, view, &screen, milliseconds, &rows, err);
    if (r < 0)
        return r;
    FILE *out = mv_watch_frame(err);
    if (out != NULL)
        view->print(out, rows, &screen);
    json_decref(rows);
    r = out == NULL ? -ENOMEM : mv_watch_show(&screen, err);
    if (r == 0 && !view->needs_blocks)
        usleep(MV_WATCH_MS * 1000);
    return r;
}

static int watch(struct mv_vm_client *client, const struct mv_mem_view *view, const char *name,
                 struct mv_error *err)
{
    mv_watch_begin();
    int r = show_frame(client, view, ONCE_MS, err);
    while (r == 0)
        r = show_frame(client, view, MV_WATCH_MS, err);
    mv_watch_end();
    if (r != -ESHUTDOWN)
        return r;
    mv_log("%s has ended", name);
    return 0;
}

static int show(struct mv_vm_client *client, const struct mem_config *config, struct mv_error *err)
{
    const struct mv_mem_view *view = config->json   ? &mv_mem_json
                                     : config->map  ? &mv_mem_map
                                     : config->heat ? &mv_mem_heat
                                                    : &mv_mem_table;
    return config->watch ? watch(client, view, config->name, err) : show_once(client, view, err);
}

/* A number of bytes: unlike sizes of memory, a bare number is not MiB. */
static int parse_length(const char *text, uint64_t *ret, struct mv_error *err)
{
    if (text[0] == '\0' || strspn(text, "0123456789") != strlen(text))
        return strncmp(text, "0x", 2) == 0 ? mv_address_parse(text, ret, err)
                                           : mv_size_parse(text, ret, err);
    errno = 0;
    *ret = strtoull(text, NULL, 10);
    return errno == 0 ? 0 : mv_error_set(err, ERANGE, "'%s' is too large", text);
}

static int check(const struct mem_config *config, uint64_t *ret_gpa, uint64_t *ret_len,
                 struct mv_error *err)
{
    int views = config->json + config->map + config->heat + (config->read != NULL);
    if (views > 1)
        return mv_error_set(err, EINVAL, "--json, --map, --heat and --read exclude each other");
    if (config->read == NULL && config->length != NULL)
        return mv_error_set(err, EINVAL, "unexpected argument '%s': LEN is for --read alone",
                            config->length);
    if (config->read == NULL)
        return 0;
    if (config->length == NULL)
        return mv_error_set(err, EINVAL, "--read: LEN is missing, as in --read 0x80000000 4K");
    if (config->watch)
        return mv_error_set(err, EINVAL, "--read and --watch exclude each other");
    int r = mv_address_parse(config->read, ret_gpa, err);
    if (r < 0) {
        mv_error_prefix(err, "--read %s", config->read);
        return r;
    }
    r = parse_length(config->length, ret_len, err);
    if (r < 0)
        mv_error_prefix(err, "LEN");
    else if (*ret_len == 0 || *ret_len > INT64_MAX || *ret_gpa > INT64_MAX)
        r = mv_error_set(err, ERANGE, "--read %s %s: no guest memory is that %s", config->read,
                         config->length, *ret_len == 0 ? "small" : "large");
    return r;
}

static int serve(const struct mem_config *config, uint64_t gpa, uint64_t len, struct mv_error *err)
{
    struct mv_vm_client *client = NULL;
    int r = mv_vm_client_open(config->name, &client, err);
    if (r < 0)
        return r;
    r = config->read != NULL ? mv_mem_read(client, gpa, len, err) : show(client, config, err);
    if (r < 0)
        mv_error_prefix(err, "%s", config->name);
    mv_vm_client_close(client);
    return r;
}

int mv_mem_main(int argc, char **argv)
{
    struct mem_config config = {0};
    uint64_t gpa = 0, len = 0;
    struct mv_error err;
    int status = MV_STATUS_OK;
    int r = mv_options_parse(&mv_mem_options, argc, argv, &config, &err);
    if (r == MV_OPTIONS_HELP) {
        mv_help_print_verb(stdout, mv_verb_find("mem"));
    } else if (r < 0 || (r = check(&config, &gpa, &len, &err)) < 0) {
        mv_log("%s", err.text);
        status = mv_verb_status_of_words(r);
    } else if (serve(&config, gpa, len, &err) < 0) {
        mv_log("%s", err.text);
        status = MV_STATUS_ERROR;
    }
    free(config.name);
    free(config.read);
    free(config.length);
    return status;
}
