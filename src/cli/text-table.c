/* SPDX-License-Identifier: Apache-2.0 */
/* Called by the verbs that list: ps and mem. */
#include "text-table.h"

#include <stdint.h>
#include <string.h>

#define GAP 2

struct layout {
    FILE *out;
    const struct mv_screen *screen;
    const struct mv_text_table *table;
    const json_t *rows;
    size_t room; /* SIZE_MAX: any */
};

/* The first column stands in front of each of the others. */
static size_t width_of(const struct layout *l, size_t c)
{
    char buf[MV_TEXT_CELL];
    const struct mv_text_column *column = &l->table->columns[c];
    size_t i, widest = strlen(column->head);
    json_t *row;
    json_array_foreach((json_t *)l->rows, i, row)
    {
        size_t width = mv_screen_width(l->table->cell(row, column->key, buf));
        widest = width > widest ? width : widest;
    }
    size_t room = c == 0 ? l->room / 2 : l->room - GAP - width_of(l, 0);
    return widest > room ? room : widest;
}

/* Text that is too wide loses its front: the end of a path tells more. */
static const char *shorten(const char *text, size_t width)
{
    for (size_t have = mv_screen_width(text); have > width && *text != '\0'; text++)
        have = mv_screen_width(text + 1);
    return text;
}

static void print_cell(const struct layout *l, size_t c, const char *text, bool last)
{
    size_t width = width_of(l, c), used = mv_screen_width(text);
    bool right = l->table->columns[c].right, cut = used > width;
    int fill = cut ? 0 : (int)(width - used);
    fprintf(l->out, "%*s%s%s", right ? fill : 0, "", cut ? "<" : "",
            cut ? shorten(text, width - 1) : text);
    if (!last)
        fprintf(l->out, "%*s", (right ? 0 : fill) + GAP, "");
}

/* The first column, and those from `from` on that there is room for: the one behind them. */
static size_t find_end(const struct layout *l, size_t from)
{
    size_t used = width_of(l, 0), end = from;
    for (; end < l->table->count; end++) {
        size_t width = GAP + width_of(l, end);
        if (end > from && width > l->room - used)
            break;
        used += width;
    }
    return end;
}

static void print_heads(const struct layout *l, size_t from, size_t end)
{
    fputs(mv_screen_style(l->screen, MV_STYLE_HEAD), l->out);
    print_cell(l, 0, l->table->columns[0].head, false);
    for (size_t c = from; c < end; c++)
        print_cell(l, c, l->table->columns[c].head, c + 1 == end);
    fprintf(l->out, "%s\n", mv_screen_style(l->screen, MV_STYLE_PLAIN));
}

static void print_row(const struct layout *l, const json_t *row, size_t from, size_t end)
{
    char buf[MV_TEXT_CELL];
    print_cell(l, 0, l->table->cell(row, l->table->columns[0].key, buf), false);
    for (size_t c = from; c < end; c++)
        print_cell(l, c, l->table->cell(row, l->table->columns[c].key, buf), c + 1 == end);
    fputc('\n', l->out);
}

void mv_text_table_print(FILE *out, const struct mv_screen *screen,
                         const struct mv_text_table *table, const json_t *rows)
{
    struct layout l = {out, screen, table, rows, screen->terminal ? screen->columns : SIZE_MAX};
    size_t i;
    json_t *row;
    for (size_t from = 1, end; from < table->count; from = end) {
        end = find_end(&l, from);
        if (from > 1)
            fputc('\n', out);
        print_heads(&l, from, end);
        json_array_foreach((json_t *)rows, i, row) print_row(&l, row, from, end);
    }
}
