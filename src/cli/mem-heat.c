/* SPDX-License-Identifier: Apache-2.0 */
/* memvisor mem --heat: which parts of each block are resident, and which are being written. */
#include "mem.h"

#include <inttypes.h>
#include <string.h>

#define LABEL     13 /* columns in front of the cells and behind them */
#define CELLS_MIN 8
#define CELLS_MAX 512
#define LEVELS    5
#define PAGE      4096
#define GAP       2

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

/* --- the line over a block's strips */

enum column { BLOCK, GPA, SIZE, RESIDENT, WRITTEN, COLUMNS };

static const char *const heads[COLUMNS] = {"BLOCK", "GPA", "SIZE", "RESIDENT", "WRITTEN/S"};

struct line {
    char text[COLUMNS][128];
};

static void describe(const json_t *block, struct line *ret)
{
    char size[MV_MEM_SIZE];
    snprintf(ret->text[BLOCK], sizeof ret->text[BLOCK], "%s", mv_mem_text(block, "id"));
    snprintf(ret->text[GPA], sizeof ret->text[GPA], "-");
    if (json_is_integer(json_object_get(block, "gpa")))
        snprintf(ret->text[GPA], sizeof ret->text[GPA], "0x%" PRIx64, mv_mem_number(block, "gpa"));
    strcpy(ret->text[SIZE], mv_mem_size(mv_mem_number(block, "size"), size));
    strcpy(ret->text[RESIDENT], mv_mem_size(mv_mem_number(block, "resident"), size));
    strcpy(ret->text[WRITTEN], mv_mem_size(mv_mem_number(block, "dirty_rate"), size));
}

struct layout {
    int widths[COLUMNS];
    bool stacked; /* the block's id has a line of its own */
};

static struct layout make_layout(const json_t *rows, const struct mv_screen *screen)
{
    struct layout l = {0};
    unsigned total = (COLUMNS - 1) * GAP;
    for (int c = 0; c < COLUMNS; c++) {
        size_t i, widest = strlen(heads[c]);
        json_t *block;
        json_array_foreach((json_t *)rows, i, block)
        {
            struct line line;
            describe(block, &line);
            size_t width = mv_screen_width(line.text[c]);
            widest = width > widest ? width : widest;
        }
        l.widths[c] = (int)widest;
        total += (unsigned)widest;
    }
    l.stacked = total > screen->columns;
    return l;
}

static void print_cells(FILE *out, const struct layout *l, const char *block, const char *gpa,
                        const char *size, const char *resident, const char *written)
{
    if (l->stacked)
        fprintf(out, "%s\n ", block);
    else
        fprintf(out, "%-*s ", l->widths[BLOCK], block);
    fprintf(out, " %*s  %*s  %*s  %*s\n", l->widths[GPA], gpa, l->widths[SIZE], size,
            l->widths[RESIDENT], resident, l->widths[WRITTEN], written);
}

static void print_heads(FILE *out, const struct layout *l, const struct mv_screen *screen)
{
    fputs(mv_screen_style(screen, MV_STYLE_HEAD), out);
    print_cells(out, l, heads[BLOCK], heads[GPA], heads[SIZE], heads[RESIDENT], heads[WRITTEN]);
    fputs(mv_screen_style(screen, MV_STYLE_PLAIN), out);
}

/* --- strips */

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

static void print_block(FILE *out, const json_t *block, const struct layout *l,
                        const struct mv_screen *screen)
{
    struct line line;
    uint64_t size = mv_mem_number(block, "size");
    describe(block, &line);
    print_cells(out, l, line.text[BLOCK], line.text[GPA], line.text[SIZE], line.text[RESIDENT],
                line.text[WRITTEN]);
    print_strip(out, screen, "resident", json_object_get(block, "residency"), size,
                resident_styles);
    print_strip(out, screen, "written", json_object_get(block, "written"), size, written_styles);
}

static void print(FILE *out, const json_t *rows, const struct mv_screen *screen)
{
    const char *const *s = shades[screen->utf8];
    struct layout l = make_layout(rows, screen);
    char key[256];
    size_t i;
    json_t *block;
    print_heads(out, &l, screen);
    json_array_foreach((json_t *)rows, i, block) print_block(out, block, &l, screen);
    snprintf(key, sizeof key, "A cell: %s up to a third, %s two thirds, %s more, %s all of it.",
             s[1], s[2], s[3], s[4]);
    mv_screen_print_wrapped(out, screen, 0, key);
}

const struct mv_mem_view mv_mem_heat = {.parts = cells, .needs_blocks = true, .print = print};
