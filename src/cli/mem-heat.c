/* SPDX-License-Identifier: Apache-2.0 */
/* memvisor mem --heat: which parts of each block are resident, and which are being written. */
#include "mem.h"

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

static void print(FILE *out, const json_t *rows, const struct mv_screen *screen)
{
    static const struct mv_text_column columns[] = {{"id", "BLOCK"},
                                                    {"gpa", "GPA", true},
                                                    {"size", "SIZE", true},
                                                    {"resident", "RESIDENT", true},
                                                    {"dirty_rate", "WRITTEN/S", true}};
    static const struct mv_text_table table = {columns, 5, mv_mem_cell, print_strips};
    const char *const *s = shades[screen->utf8];
    char key[256];
    mv_text_table_print(out, screen, &table, rows);
    snprintf(key, sizeof key, "A cell: %s up to a third, %s two thirds, %s more, %s all of it.",
             s[1], s[2], s[3], s[4]);
    mv_screen_print_wrapped(out, screen->columns, 0, key);
}

const struct mv_mem_view mv_mem_heat = {.parts = cells, .needs_blocks = true, .print = print};
