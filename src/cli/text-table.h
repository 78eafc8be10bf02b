/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of text under heads, as wide as what is in them. */
#ifndef MV_CLI_TEXT_TABLE_H
#define MV_CLI_TEXT_TABLE_H

#include "screen.h"

#include <jansson.h>

#define MV_TEXT_CELL 4160 /* a path and what stands beside it */

struct mv_text_column {
    const char *key;
    const char *head;
    bool right; /* where its text stands */
};

struct mv_text_table {
    const struct mv_text_column *columns;
    size_t count;
    /* The text of a row under a key; it lives as long as the row or buf. */
    const char *(*cell)(const json_t *row, const char *key, char buf[MV_TEXT_CELL]);
};

/*
 * Print a list of objects.  Columns that a terminal has no room for follow
 * below, each time behind the first one; a file gets all in one line.
 */
void mv_text_table_print(FILE *out, const struct mv_screen *screen,
                         const struct mv_text_table *table, const json_t *rows);

#endif
