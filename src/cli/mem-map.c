/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memvisor mem --map: banks, holes and device windows by address, each with a
 * bar to scale.  A hole or window that would leave no room for anything else is
 * folded into a few cells, and says so.
 */
#include "mem.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define FOLD_CELLS  3
#define BAR_MIN     12
#define NAME        40
#define NAME_NARROW 13 /* as in pci/01.0/bar2 */
/* A window is folded where it is so many times larger than all else that is to scale. */
#define FOLD_TIMES 4

enum kind { RAM, DEVICE, HOLE };

struct segment {
    uint64_t gpa, size;
    enum kind kind;
    bool folded;
    char name[NAME];
};

struct map {
    struct segment *list;
    size_t count;
};

static const struct {
    const char *word, *cells[2]; /* in ASCII, and in UTF-8 */
    enum mv_style style;
} kinds[] = {[RAM] = {"ram", {"#", "\u2588"}, MV_STYLE_GREEN},
             [DEVICE] = {"device", {"=", "\u2592"}, MV_STYLE_YELLOW},
             [HOLE] = {"hole", {".", "\u00b7"}, MV_STYLE_FAINT}};
static const char *const fold_cells[2] = {"~", "\u223c"};

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

static void add_window(struct map *map, const json_t *range)
{
    struct segment *s = &map->list[map->count++];
    *s = (struct segment){
        .gpa = mv_mem_number(range, "gpa"), .size = mv_mem_number(range, "size"), .kind = DEVICE};
    snprintf(s->name, NAME, "%s", mv_mem_text(range, "name"));
}

/* A device's region within a window is what that window is for. */
static void add_region(struct map *map, const json_t *range)
{
    if (!is_inside(map, mv_mem_number(range, "gpa"), mv_mem_number(range, "size")))
        add_window(map, range);
}

/* Memory in a device's BAR takes its place in a window, of which the rest stays. */
static void add_ram(struct map *map, const json_t *range)
{
    uint64_t gpa = mv_mem_number(range, "gpa"), end = gpa + mv_mem_number(range, "size");
    add_window(map, range);
    map->list[map->count - 1].kind = RAM;
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

/* Fold windows for devices that would leave nothing to be seen of what is smaller, and of RAM. */
static void fold_windows(struct map *map)
{
    for (size_t i = 0; i < map->count; i++) {
        struct segment *s = &map->list[i];
        uint64_t others = 0;
        for (size_t j = 0; j < map->count; j++) {
            const struct segment *other = &map->list[j];
            if (other->kind == RAM || other->size < s->size)
                others += other->size;
        }
        s->folded = s->kind == DEVICE && s->size / FOLD_TIMES > others;
    }
}

static void add_holes(struct map *map)
{
    uint64_t at = 0, used = 0;
    size_t count = map->count;
    for (size_t i = 0; i < count; i++)
        used += map->list[i].folded ? 0 : map->list[i].size;
    for (size_t i = 0; i < count; i++) {
        const struct segment *s = &map->list[i];
        if (s->gpa > at) {
            uint64_t size = s->gpa - at;
            map->list[map->count++] =
                (struct segment){.gpa = at, .size = size, .kind = HOLE, .folded = size > used};
        }
        at = s->gpa + s->size > at ? s->gpa + s->size : at;
    }
    qsort(map->list, map->count, sizeof *map->list, by_address);
}

/* --- drawing */

struct layout {
    int gpa, size, name; /* columns of each */
    bool with_kind;
    int gap;
    unsigned bar, fold; /* cells of all, and of what is folded */
    double scale;       /* cells a byte */
};

static int wider(int width, size_t other)
{
    return (int)other > width ? (int)other : width;
}

/* A narrow screen is without the kind, which the cells tell too, and has names cut. */
static struct layout make_layout(const struct map *map, const struct mv_screen *screen)
{
    struct layout l = {
        .gpa = 3, .size = 4, .name = 4, .with_kind = true, .gap = 2, .fold = FOLD_CELLS};
    unsigned folds = 0;
    double total = 0;
    char text[MV_MEM_SIZE];
    for (size_t i = 0; i < map->count; i++) {
        const struct segment *s = &map->list[i];
        l.gpa = wider(l.gpa, (size_t)snprintf(NULL, 0, "0x%" PRIx64, s->gpa));
        l.size = wider(l.size, strlen(mv_mem_size(s->size, text)));
        l.name = wider(l.name, mv_screen_width(s->name));
        folds += s->folded;
        total += s->folded ? 0 : (double)s->size;
    }
    unsigned left = (unsigned)(l.gpa + l.size + l.name) + 6 + 4 * 2;
    if (screen->columns < left + BAR_MIN + folds * FOLD_CELLS) {
        l.with_kind = false;
        l.gap = l.fold = 1;
        l.name = l.name > NAME_NARROW ? NAME_NARROW : l.name;
        left = (unsigned)(l.gpa + l.size + l.name) + 3;
    }
    l.bar = screen->columns > left ? screen->columns - left : 0;
    l.bar = l.bar < folds * l.fold + BAR_MIN / 2 ? folds * l.fold + BAR_MIN / 2 : l.bar;
    l.scale = total == 0 ? 0 : (l.bar - folds * l.fold) / total;
    return l;
}

/* Parts of a cell are rounded so that what is there is seen. */
static void print_bar(FILE *out, const struct segment *s, double from, double to,
                      const struct layout *l, const struct mv_screen *screen)
{
    unsigned first = (unsigned)from, end = (unsigned)to + (to > (double)(unsigned)to);
    first = first >= l->bar ? l->bar - 1 : first;
    end = end <= first ? first + 1 : end > l->bar ? l->bar : end;
    const char *cell = s->folded ? fold_cells[screen->utf8] : kinds[s->kind].cells[screen->utf8];
    fprintf(out, "%*s%s", (int)first, "", mv_screen_style(screen, kinds[s->kind].style));
    for (unsigned i = first; i < end; i++)
        fputs(cell, out);
    fprintf(out, "%s\n", mv_screen_style(screen, MV_STYLE_PLAIN));
}

static void print_words(FILE *out, const struct layout *l, const char *gpa, const char *size,
                        const char *kind, const char *name)
{
    fprintf(out, "%*s%*s%*s%*s", l->gpa, gpa, l->gap, "", l->size, size, l->gap, "");
    if (l->with_kind)
        fprintf(out, "%-6s%*s", kind, l->gap, "");
    else if (name[0] == '\0')
        name = kind;
    int fill = l->name - (int)mv_screen_width(name);
    mv_screen_print_cut(out, name, strlen(name), (unsigned)l->name);
    fprintf(out, "%*s", (fill > 0 ? fill : 0) + l->gap, "");
}

static void print_segments(FILE *out, const struct map *map, const struct mv_screen *screen)
{
    struct layout l = make_layout(map, screen);
    double at = 0;
    bool folds = false;
    char text[MV_MEM_SIZE], key[128];
    fputs(mv_screen_style(screen, MV_STYLE_HEAD), out);
    print_words(out, &l, "GPA", "SIZE", "KIND", "NAME");
    fprintf(out, "MAP%s\n", mv_screen_style(screen, MV_STYLE_PLAIN));
    for (size_t i = 0; i < map->count; i++) {
        const struct segment *s = &map->list[i];
        char gpa[24];
        snprintf(gpa, sizeof gpa, "0x%" PRIx64, s->gpa);
        double len = s->folded ? l.fold : (double)s->size * l.scale;
        print_words(out, &l, gpa, mv_mem_size(s->size, text), kinds[s->kind].word, s->name);
        print_bar(out, s, at, at + len, &l, screen);
        at += len;
        folds = folds || s->folded;
    }
    if (l.scale == 0)
        return;
    snprintf(key, sizeof key, "A cell is %s%s%s%s.", mv_mem_size((uint64_t)(1 / l.scale), text),
             folds ? "; what is drawn as " : "", folds ? fold_cells[screen->utf8] : "",
             folds ? " is larger" : "");
    mv_screen_print_wrapped(out, screen->columns, 0, key);
}

void mv_mem_print_map(FILE *out, const json_t *ranges, const struct mv_screen *screen)
{
    size_t count = json_array_size(ranges);
    /* Each may leave the rest of a window behind it, and a hole may come before each of those. */
    struct map map = {calloc(4 * count + 1, sizeof *map.list), 0};
    if (map.list == NULL)
        return;
    add_kind(&map, ranges, "reserved", add_window);
    add_kind(&map, ranges, "mmio", add_region);
    add_kind(&map, ranges, "ram", add_ram);
    qsort(map.list, map.count, sizeof *map.list, by_address);
    fold_windows(&map);
    add_holes(&map);
    print_segments(out, &map, screen);
    free(map.list);
}
