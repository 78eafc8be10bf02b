/* SPDX-License-Identifier: Apache-2.0 */
/* memvisor mem --heat: which parts of each block are resident, and which are being written. */
#include "mem.h"

#include <inttypes.h>

#define LABEL     13 /* columns in front of the cells and behind them */
#define CELLS_MIN 8
#define CELLS_MAX 512
#define LEVELS    5
#define PAGE      4096

static const char *const shades[2][LEVELS] = {
    {" ", ".", ":", "+", "#"},
    {" ", "\u2591", "\u2592", "\u2593", "\u2588"},
};

static unsigned cells(const struct mv_mem_screen *screen)
{
    unsigned room = screen->columns > LABEL ? screen->columns - LABEL : 0;
    return room < CELLS_MIN ? CELLS_MIN : room > CELLS_MAX ? CELLS_MAX : room;
}

/* A page counts where it starts, so that a full cell may lack one. */
static int level_of(json_int_t bytes, uint64_t step)
{
    if (bytes <= 0)
        return 0;
    if ((uint64_t)bytes + PAGE > step)
        return LEVELS - 1;
    return 1 + (int)((double)bytes * 3 / (double)step);
}

static void print_strip(const char *label, const json_t *bytes, uint64_t size, bool utf8)
{
    size_t i, count = json_array_size(bytes);
    json_t *value;
    const char *edge = utf8 ? "\u2502" : "|";
    uint64_t step = count == 0 ? 0 : size / count;
    printf("  %-8s %s", label, edge);
    json_array_foreach(bytes, i, value)
    {
        fputs(shades[utf8][level_of(json_integer_value(value), step)], stdout);
    }
    printf("%s\n", edge);
}

static void print_block(const json_t *block, bool utf8)
{
    char size[MV_MEM_SIZE], resident[MV_MEM_SIZE], rate[MV_MEM_SIZE];
    printf("%s", mv_mem_text(block, "id"));
    if (json_is_integer(json_object_get(block, "gpa")))
        printf(" at 0x%" PRIx64, mv_mem_number(block, "gpa"));
    printf(": %s, %s resident, %s/s written\n", mv_mem_size(mv_mem_number(block, "size"), size),
           mv_mem_size(mv_mem_number(block, "resident"), resident),
           mv_mem_size(mv_mem_number(block, "dirty_rate"), rate));
    print_strip("resident", json_object_get(block, "residency"), mv_mem_number(block, "size"),
                utf8);
    print_strip("written", json_object_get(block, "written"), mv_mem_number(block, "size"), utf8);
}

static void print(const json_t *rows, const struct mv_mem_screen *screen)
{
    const char *const *s = shades[screen->utf8];
    size_t i;
    json_t *block;
    json_array_foreach(rows, i, block) print_block(block, screen->utf8);
    printf("how much of a cell: '%s' nothing, %s up to a third, %s two thirds, %s more, %s all\n",
           s[0], s[1], s[2], s[3], s[4]);
}

const struct mv_mem_view mv_mem_heat = {.parts = cells, .needs_blocks = true, .print = print};
