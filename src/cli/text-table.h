/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of text under heads, as wide as what is in them. */
#ifndef MV_CLI_TEXT_TABLE_H
#define MV_CLI_TEXT_TABLE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define MV_TEXT_CELL 64

struct mv_text_column {
    const char *key;
    const char *head;
    bool right; /* where its text stands */
};

/*
 * Print a list of objects.  `cell` tells the text of a row under a key; it
 * lives as long as the row or buf.
 */
void mv_text_table_print(const json_t *rows, const struct mv_text_column *columns, size_t count,
                         const char *(*cell)(const json_t *row, const char *key,
                                             char buf[MV_TEXT_CELL]));

#endif
