/* SPDX-License-Identifier: Apache-2.0 */
/* Called by the verbs that list: ps and mem. */
#include "text-table.h"

#include <stdio.h>
#include <string.h>

static void print_cell(const char *text, bool right, int width, bool last)
{
    if (last)
        printf("%*s\n", right ? width : 0, text);
    else
        printf("%*s  ", right ? width : -width, text);
}

static int width_of(const json_t *rows, const struct mv_text_column *column,
                    const char *(*cell)(const json_t *row, const char *key, char buf[MV_TEXT_CELL]))
{
    char buf[MV_TEXT_CELL];
    size_t i, widest = strlen(column->head);
    json_t *row;
    json_array_foreach(rows, i, row)
    {
        size_t width = strlen(cell(row, column->key, buf));
        widest = width > widest ? width : widest;
    }
    return (int)widest;
}

void mv_text_table_print(const json_t *rows, const struct mv_text_column *columns, size_t count,
                         const char *(*cell)(const json_t *row, const char *key,
                                             char buf[MV_TEXT_CELL]))
{
    char buf[MV_TEXT_CELL];
    size_t i;
    json_t *row;
    for (size_t c = 0; c < count; c++)
        print_cell(columns[c].head, columns[c].right, width_of(rows, &columns[c], cell),
                   c + 1 == count);
    json_array_foreach(rows, i, row)
    {
        for (size_t c = 0; c < count; c++)
            print_cell(cell(row, columns[c].key, buf), columns[c].right,
                       width_of(rows, &columns[c], cell), c + 1 == count);
    }
}
