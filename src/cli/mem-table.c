/* SPDX-License-Identifier: Apache-2.0 */
/* memvisor mem's table, and the same as JSON (docs/DESIGN.md, command line). */
#include "mem.h"

#include "json-print.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { COLUMNS = 10, CELL = 64 };

static const struct {
    const char *head;
    bool right;
} columns[COLUMNS] = {
    {"ID", false},   {"GPA", true},      {"SIZE", true}, {"BACKING", false},  {"SHARE", false},
    {"SAVE", false}, {"RESIDENT", true}, {"HUGE", true}, {"WRITTEN/S", true}, {"PATH", false},
};

static const char *on_off(const json_t *row, const char *key)
{
    return json_is_true(json_object_get(row, key)) ? "on" : "off";
}

/* The text of one cell; it lives as long as the row or buf. */
static const char *cell(const json_t *row, int column, char buf[CELL])
{
    static const char *const keys[COLUMNS] = {"id",   "gpa",      "size", "backing",    "share",
                                              "save", "resident", "huge", "dirty_rate", "path"};
    const char *key = keys[column];
    const json_t *value = json_object_get(row, key);
    if (json_is_boolean(value))
        return on_off(row, key);
    if (!json_is_integer(value))
        return mv_mem_text(row, key);
    if (column == 1)
        snprintf(buf, CELL, "0x%" PRIx64, mv_mem_number(row, key));
    else
        mv_mem_size(mv_mem_number(row, key), buf);
    return buf;
}

static void print_cell(const char *text, int column, int width)
{
    if (column + 1 == COLUMNS)
        printf("%s\n", text);
    else
        printf("%*s  ", columns[column].right ? width : -width, text);
}

static void print_table(const json_t *rows, const struct mv_mem_screen *screen)
{
    int widths[COLUMNS];
    char buf[CELL];
    size_t i;
    json_t *row;
    for (int c = 0; c < COLUMNS; c++) {
        widths[c] = (int)strlen(columns[c].head);
        json_array_foreach(rows, i, row)
        {
            int width = (int)strlen(cell(row, c, buf));
            widths[c] = width > widths[c] ? width : widths[c];
        }
    }
    for (int c = 0; c < COLUMNS; c++)
        print_cell(columns[c].head, c, widths[c]);
    json_array_foreach(rows, i, row)
    {
        for (int c = 0; c < COLUMNS; c++)
            print_cell(cell(row, c, buf), c, widths[c]);
    }
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
    return row;
}

static void print_json(const json_t *rows, const struct mv_mem_screen *screen)
{
    size_t i;
    json_t *block, *list = json_array();
    json_array_foreach(rows, i, block) json_array_append_new(list, describe(block));
    mv_json_print(list);
    json_decref(list);
}

const struct mv_mem_view mv_mem_json = {.needs_blocks = true, .print = print_json};
