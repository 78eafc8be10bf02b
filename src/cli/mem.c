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

const char *mv_mem_cell(const json_t *row, const char *key, char buf[MV_TEXT_CELL])
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
    static const struct mv_text_table table = {columns, sizeof columns / sizeof columns[0],
                                               mv_mem_cell};
    mv_text_table_print(out, screen, &table, rows);
}

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
    mv_json_print(out, list);
    json_decref(list);
}

static const struct mv_mem_view table_view = {.needs_blocks = true, .print = print_table};
static const struct mv_mem_view json_view = {.needs_blocks = true, .print = print_json};

/* --- the verb */

#define ONCE_MS 250

struct mem_config {
    char *name, *read, *length;
    bool json, map, heat, watch;
    uint64_t gpa, bytes; /* of --read */
};

struct show {
    struct mv_vm_client *client;
    const struct mv_mem_view *view;
    unsigned milliseconds;
};

/* Blocks are looked at for as long as a frame stands, by the VM. */
static int show(void *opaque, FILE *out, const struct mv_screen *screen, struct mv_error *err)
{
    struct show *s = opaque;
    bool blocks = s->view->needs_blocks;
    json_t *rows;
    int r = blocks ? mv_mem_query(s->client, s->view->parts == NULL ? 0 : s->view->parts(screen),
                                  s->milliseconds, &rows, err)
                   : mv_vm_client_execute(s->client, "x-query-space", NULL, &rows, err);
    if (r < 0)
        return r;
    s->view->print(out, rows, screen);
    s->milliseconds = MV_WATCH_MS;
    json_decref(rows);
    return blocks;
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

static int check(void *config, struct mv_error *err)
{
    struct mem_config *c = config;
    if (c->json + c->map + c->heat + (c->read != NULL) > 1)
        return mv_error_set(err, EINVAL, "--json, --map, --heat and --read exclude each other");
    if (c->read == NULL && c->length != NULL)
        return mv_error_set(err, EINVAL, "unexpected argument '%s': LEN is for --read alone",
                            c->length);
    if (c->read == NULL)
        return 0;
    if (c->length == NULL)
        return mv_error_set(err, EINVAL, "--read: LEN is missing, as in --read 0x80000000 4K");
    if (c->watch)
        return mv_error_set(err, EINVAL, "--read and --watch exclude each other");
    int r = mv_address_parse(c->read, &c->gpa, err);
    if (r < 0) {
        mv_error_prefix(err, "--read %s", c->read);
        return r;
    }
    r = parse_length(c->length, &c->bytes, err);
    if (r < 0)
        mv_error_prefix(err, "LEN");
    else if (c->bytes == 0 || c->bytes > INT64_MAX || c->gpa > INT64_MAX)
        r = mv_error_set(err, ERANGE, "--read %s %s: no guest memory is that %s", c->read,
                         c->length, c->bytes == 0 ? "small" : "large");
    return r;
}

static int serve(void *config, struct mv_error *err)
{
    const struct mem_config *c = config;
    struct show s = {.milliseconds = ONCE_MS,
                     .view = c->json   ? &json_view
                             : c->map  ? &mv_mem_map
                             : c->heat ? &mv_mem_heat
                                       : &table_view};
    int r = mv_vm_client_open(c->name, &s.client, err);
    if (r < 0)
        return r;
    r = c->read != NULL ? mv_mem_read(s.client, c->gpa, c->bytes, err)
                        : mv_watch(c->watch, show, &s, err);
    mv_vm_client_close(s.client);
    if (c->watch && r == -ESHUTDOWN) {
        mv_log("%s has ended", c->name);
        return 0;
    }
    if (r < 0)
        mv_error_prefix(err, "%s", c->name);
    return r;
}

static const struct mv_option words[] = {
    {MV_WORD(mem_config, name, "NAME", "Name of the VM, as 'memvisor ps' lists it.")},
    {MV_WORD(mem_config, length, "LEN",
             "Behind --read: how much, in bytes, or with a suffix K M G.")},
};

static const struct mv_option options[] = {
    {MV_FLAG(mem_config, json,
             "Print a list of objects with id, gpa (hex, or null), size, backing, path, share, "
             "save, resident, huge and dirty_rate (bytes, bytes a second).")},
    {MV_FLAG(mem_config, map,
             "Draw the guest-physical map: banks, holes and device windows, to scale.")},
    {MV_FLAG(mem_config, heat,
             "Draw which parts of each block are resident and which are being written.")},
    {MV_FLAG(mem_config, watch, "Show it anew each second, until Ctrl-C or the VM's end.")},
    {MV_TEXT(mem_config, read, "read", "GPA",
             "Write LEN bytes of guest memory from this address on to standard output; to a "
             "terminal, in hex. GPA is 0x... in bytes, or a number with a suffix.")},
};

const struct mv_verb mv_mem_verb = {
    .name = "mem",
    .summary = "Show the memory of a VM.",
    .synopsis = "memvisor mem NAME [--json | --map | --heat] [--watch] | --read GPA LEN",
    .options = &(const struct mv_option_table){.verb = "mem",
                                               .options = options,
                                               .count = 5,
                                               .words = words,
                                               .word_count = 2,
                                               .words_needed = 1},
    .notes = "Examples:\n"
             "  memvisor mem vm1\n"
             "  memvisor mem vm1 --heat --watch\n"
             "  memvisor mem vm1 --read 0x80000000 4K >page\n",
    .config_size = sizeof(struct mem_config),
    .check = check,
    .run = serve,
};
