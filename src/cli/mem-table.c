/* SPDX-License-Identifier: Apache-2.0 */
/* memvisor mem's table, and the same as JSON (docs/DESIGN.md, command line). */
#include "mem.h"

#include "screen.h"

#include <inttypes.h>
#include <string.h>

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
