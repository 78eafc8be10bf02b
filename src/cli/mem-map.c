/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memvisor mem --map: banks, holes and device windows by address, each with a
 * bar to scale.  A hole that would leave no room for anything else is folded
 * into a few cells, and says so.
 */
#include "mem.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define FOLD_CELLS 3
#define BAR_MIN    12
#define NAME       40

enum kind { RAM, DEVICE, HOLE, FOLD };

struct segment {
    uint64_t gpa, size;
    enum kind kind;
    char name[NAME];
};

struct map {
    struct segment *list;
    size_t count;
};

static const char *const words[] = {
    [RAM] = "ram", [DEVICE] = "device", [HOLE] = "hole", [FOLD] = "hole"};
static const char *const cells[2][4] = {
    {[RAM] = "#", [DEVICE] = "=", [HOLE] = ".", [FOLD] = "~"},
    {[RAM] = "\u2588", [DEVICE] = "\u2592", [HOLE] = "\u00b7", [FOLD] = "\u223c"},
};

static int by_address(const void *a, const void *b)
{
    const struct segment *x = a, *y = b;
    return x->gpa < y->gpa ? -1 : x->gpa > y->gpa;
}

static bool is_inside(const struct map *map, uint64_t gpa, uint64_t size)
{
    for (size_t i = 0; i < map->count; i++) {
        const struct segment *s = &map->list[i];
        if (gpa >= s->gpa && gpa - s->gpa < s->size && size <= s->size - (gpa - s->gpa))
            return true;
    }
    return false;
}

static void add(struct map *map, const json_t *range, enum kind kind)
{
    struct segment *s = &map->list[map->count++];
    *s = (struct segment){mv_mem_number(range, "gpa"), mv_mem_number(range, "size"), kind, ""};
    snprintf(s->name, NAME, "%s", mv_mem_text(range, "name"));
}

/* A device's region within a window is what that window is for. */
static void add_region(struct map *map, const json_t *range)
{
    if (!is_inside(map, mv_mem_number(range, "gpa"), mv_mem_number(range, "size")))
        add(map, range, DEVICE);
}

static void add_window(struct map *map, const json_t *range)
{
    add(map, range, DEVICE);
}

/* Memory in a device's BAR takes its place in a window, of which the rest stays. */
static void add_ram(struct map *map, const json_t *range)
{
    uint64_t gpa = mv_mem_number(range, "gpa"), end = gpa + mv_mem_number(range, "size");
    add(map, range, RAM);
    for (size_t i = 0; i < map->count; i++) {
        struct segment *s = &map->list[i];
        uint64_t window_end = s->gpa + s->size;
        if (s->kind != DEVICE || gpa < s->gpa || gpa >= window_end)
            continue;
        if (end < window_end) {
            struct segment *rest = &map->list[map->count++];
            *rest = *s;
            rest->gpa = end;
            rest->size = window_end - end;
        }
        s->size = gpa - s->gpa;
        if (s->size == 0)
            *s = map->list[--map->count];
        return;
    }
}

static void add_kind(struct map *map, const json_t *ranges, const char *kind,
                     void (*add_one)(struct map *map, const json_t *range))
{
    size_t i;
    json_t *range;
    json_array_foreach(ranges, i, range)
    {
        if (strcmp(mv_mem_text(range, "kind"), kind) == 0 && mv_mem_number(range, "size") != 0)
            add_one(map, range);
    }
}

static void add_holes(struct map *map)
{
    uint64_t at = 0, used = 0;
    size_t count = map->count;
    for (size_t i = 0; i < count; i++)
        used += map->list[i].size;
    for (size_t i = 0; i < count; i++) {
        const struct segment *s = &map->list[i];
        if (s->gpa > at) {
            uint64_t size = s->gpa - at;
            map->list[map->count++] = (struct segment){at, size, size > used ? FOLD : HOLE, ""};
        }
        at = s->gpa + s->size > at ? s->gpa + s->size : at;
    }
    qsort(map->list, map->count, sizeof *map->list, by_address);
}

/* Parts of a cell are rounded so that what is there is seen. */
static void print_bar(const struct segment *s, double from, double to, unsigned width, bool utf8)
{
    unsigned first = (unsigned)from, end = (unsigned)to + (to > (double)(unsigned)to);
    first = first >= width ? width - 1 : first;
    end = end <= first ? first + 1 : end > width ? width : end;
    printf("%*s", (int)first, "");
    for (unsigned i = first; i < end; i++)
        fputs(cells[utf8][s->kind], stdout);
    putchar('\n');
}

static void print_segments(const struct map *map, const struct mv_mem_screen *screen)
{
    int gpa_width = 0, name_width = 0;
    unsigned folds = 0;
    double total = 0, at = 0;
    char text[MV_MEM_SIZE];
    for (size_t i = 0; i < map->count; i++) {
        const struct segment *s = &map->list[i];
        int gpa = snprintf(NULL, 0, "0x%" PRIx64, s->gpa), name = (int)strlen(s->name);
        gpa_width = gpa > gpa_width ? gpa : gpa_width;
        name_width = name > name_width ? name : name_width;
        folds += s->kind == FOLD;
        total += s->kind == FOLD ? 0 : (double)s->size;
    }
    unsigned left = (unsigned)(gpa_width + name_width) + 24;
    unsigned width = screen->columns > left ? screen->columns - left : 0;
    width = width < BAR_MIN + folds * FOLD_CELLS ? BAR_MIN + folds * FOLD_CELLS : width;
    double scale = total == 0 ? 0 : (width - folds * FOLD_CELLS) / total;
    for (size_t i = 0; i < map->count; i++) {
        const struct segment *s = &map->list[i];
        char gpa[24];
        snprintf(gpa, sizeof gpa, "0x%" PRIx64, s->gpa);
        double len = s->kind == FOLD ? FOLD_CELLS : (double)s->size * scale;
        printf("%*s  %10s  %-6s  %-*s  ", gpa_width, gpa, mv_mem_size(s->size, text),
               words[s->kind], name_width, s->name);
        print_bar(s, at, at + len, width, screen->utf8);
        at += len;
    }
    if (scale > 0)
        printf("a cell is %s", mv_mem_size((uint64_t)(1 / scale), text));
    if (folds > 0)
        printf("; %s holes are larger than drawn", cells[screen->utf8][FOLD]);
    putchar('\n');
}

static void print(const json_t *rows, const struct mv_mem_screen *screen)
{
    size_t count = json_array_size(rows);
    /* Each may leave the rest of a window behind it, and a hole may come before each of those. */
    struct map map = {calloc(4 * count + 1, sizeof *map.list), 0};
    if (map.list == NULL)
        return;
    add_kind(&map, rows, "reserved", add_window);
    add_kind(&map, rows, "mmio", add_region);
    add_kind(&map, rows, "ram", add_ram);
    qsort(map.list, map.count, sizeof *map.list, by_address);
    add_holes(&map);
    print_segments(&map, screen);
    free(map.list);
}

const struct mv_mem_view mv_mem_map = {.print = print};
