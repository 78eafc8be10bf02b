/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memvisor mem: a VM's memory, as a table, JSON, a map, or by what is used; or its bytes.
 * The table, the same as JSON (docs/DESIGN.md, command line) and what is used are drawn here.
 */
#include "mem.h"

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
    json_object_set(row, "offset", json_object_get(block, "offset")); /* of a part of a file */
    return row;
}

static void print_json(FILE *out, const json_t *rows)
{
    size_t i;
    json_t *block, *list = json_array();
    json_array_foreach(rows, i, block) json_array_append_new(list, describe(block));
    mv_json_print(out, list);
    json_decref(list);
}

/* --- --heat: which parts of each block are resident, and which are being written */

#define LABEL     13 /* columns in front of the cells and behind them */
#define CELLS_MIN 8
#define CELLS_MAX 512
#define LEVELS    5
#define PAGE      4096

/* The more of it, the warmer. */
static const enum mv_style resident_styles[LEVELS] = {MV_STYLE_PLAIN, MV_STYLE_CYAN, MV_STYLE_CYAN,
                                                      MV_STYLE_GREEN, MV_STYLE_GREEN};
static const enum mv_style written_styles[LEVELS] = {
    MV_STYLE_PLAIN, MV_STYLE_YELLOW, MV_STYLE_YELLOW, MV_STYLE_MAGENTA, MV_STYLE_RED};

static const char *const shades[2][LEVELS] = {
    {" ", ".", ":", "+", "#"},
    {" ", "\u2591", "\u2592", "\u2593", "\u2588"},
};

static unsigned cells(const struct mv_screen *screen)
{
    unsigned room = screen->columns > LABEL ? screen->columns - LABEL : 0;
    return room < CELLS_MIN ? CELLS_MIN : room > CELLS_MAX ? CELLS_MAX : room;
}

/* A page counts for the cell in which it starts, so a full cell may look one page short. */
static int level_of(json_int_t bytes, uint64_t step)
{
    if (bytes <= 0)
        return 0;
    if ((uint64_t)bytes + PAGE > step)
        return LEVELS - 1;
    return 1 + (int)((double)bytes * 3 / (double)step);
}

static void print_strip(FILE *out, const struct mv_screen *screen, const char *label,
                        const json_t *bytes, uint64_t size, const enum mv_style styles[LEVELS])
{
    size_t i, count = json_array_size(bytes);
    json_t *value;
    const char *edge = screen->utf8 ? "\u2502" : "|";
    uint64_t step = count == 0 ? 0 : size / count;
    enum mv_style style = MV_STYLE_PLAIN;
    fprintf(out, "  %-8s %s", label, edge);
    json_array_foreach(bytes, i, value)
    {
        int level = level_of(json_integer_value(value), step);
        if (styles[level] != style)
            fputs(mv_screen_style(screen, styles[level]), out);
        style = styles[level];
        fputs(shades[screen->utf8][level], out);
    }
    if (style != MV_STYLE_PLAIN)
        fputs(mv_screen_style(screen, MV_STYLE_PLAIN), out);
    fprintf(out, "%s\n", edge);
}

static void print_strips(FILE *out, const struct mv_screen *screen, const json_t *block)
{
    uint64_t size = mv_mem_number(block, "size");
    print_strip(out, screen, "resident", json_object_get(block, "residency"), size,
                resident_styles);
    print_strip(out, screen, "written", json_object_get(block, "written"), size, written_styles);
}

static void print_heat(FILE *out, const json_t *rows, const struct mv_screen *screen)
{
    static const struct mv_text_column heads[] = {{"id", "BLOCK"},
                                                  {"gpa", "GPA", true},
                                                  {"size", "SIZE", true},
                                                  {"resident", "RESIDENT", true},
                                                  {"dirty_rate", "WRITTEN/S", true}};
    static const struct mv_text_table table = {heads, 5, cell, print_strips};
    const char *const *s = shades[screen->utf8];
    char key[256];
    mv_text_table_print(out, screen, &table, rows);
    snprintf(key, sizeof key, "A cell: %s up to a third, %s two thirds, %s more, %s all of it.",
             s[1], s[2], s[3], s[4]);
    mv_screen_print_wrapped(out, screen->columns, 0, key);
}

/* --- the verb */

#define ONCE_MS 250

struct mem_config {
    char *name, *read, *length;
    bool json, map, heat, watch;
    uint64_t gpa, bytes; /* of --read */
};

struct show {
    struct mv_vm_client *client;
    const struct mem_config *config;
    unsigned milliseconds;
};

/* Blocks are looked at for as long as a frame stands, by the VM. */
static int show(void *opaque, FILE *out, const struct mv_screen *screen, struct mv_error *err)
{
    struct show *s = opaque;
    const struct mem_config *c = s->config;
    json_t *rows;
    int r = c->map
                ? mv_vm_client_execute(s->client, "x-query-space", NULL, &rows, err)
                : mv_mem_query(s->client, c->heat ? cells(screen) : 0, s->milliseconds, &rows, err);
    if (r < 0)
        return r;
    if (c->json)
        print_json(out, rows);
    else
        (c->map ? mv_mem_print_map : c->heat ? print_heat : print_table)(out, rows, screen);
    s->milliseconds = MV_WATCH_MS;
    json_decref(rows);
    return !c->map;
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
    struct show s = {.config = c, .milliseconds = ONCE_MS};
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
    .options = MV_OPTIONS("mem", 1),
    .notes = "Examples:\n"
             "  memvisor mem vm1\n"
             "  memvisor mem vm1 --heat --watch\n"
             "  memvisor mem vm1 --read 0x80000000 4K >page\n",
    .config_size = sizeof(struct mem_config),
    .check = check,
    .run = serve,
};
