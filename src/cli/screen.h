/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What verbs print on.  struct mv_screen: how wide standard output is, whether it takes
 * colour, and text that keeps within it; rows of text under heads; JSON.
 */
#ifndef MV_CLI_SCREEN_H
#define MV_CLI_SCREEN_H

#include "error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct mv_screen {
    unsigned columns, rows; /* a file or pipe has no rows, which is 0 */
    bool terminal;
    bool steered; /* a terminal that knows where its cursor is sent */
    bool colour;
    bool utf8;
};

/* How text is set off, where the screen has colour; else it stays as it is. */
enum mv_style {
    MV_STYLE_PLAIN,
    MV_STYLE_HEAD,
    MV_STYLE_FAINT,
    MV_STYLE_RED,
    MV_STYLE_GREEN,
    MV_STYLE_YELLOW,
    MV_STYLE_MAGENTA,
    MV_STYLE_CYAN,
};

/*
 * Standard output as it is now.  Its width is the terminal's, else $COLUMNS,
 * else 80.  No colour where $NO_COLOR has a value, or $TERM is missing or dumb.
 */
struct mv_screen mv_screen_look(void);

/* What switches to the style, "" where there is no colour. */
const char *mv_screen_style(const struct mv_screen *screen, enum mv_style style);

/* The columns that text takes: escape sequences take none, a character one. */
size_t mv_screen_width(const char *text);

/* A line without its end, cut after so many columns. */
void mv_screen_print_cut(FILE *out, const char *line, size_t len, unsigned columns);

/* Words from column `indent` on, where what follows stands too once so many columns are full. */
void mv_screen_print_wrapped(FILE *out, unsigned columns, unsigned indent, const char *text);

/*
 * Bytes to standard output, 16 in a row: the address of the first, which has eight digits
 * where it has no prefix, each in hex, and as text between edges.
 */
void mv_screen_dump(const char *prefix, uint64_t address, const uint8_t *bytes, size_t size,
                    const char *edge);

/* --- rows of text under heads, as wide as what is in them */

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
    /* Print what stands below a row, whose first column has its own line where room is short. */
    void (*below)(FILE *out, const struct mv_screen *screen, const json_t *row);
};

/*
 * Print a list of objects.  Columns that a terminal has no room for follow
 * below, each time behind the first one; a file gets all in one line.
 */
void mv_text_table_print(FILE *out, const struct mv_screen *screen,
                         const struct mv_text_table *table, const json_t *rows);

/* --- JSON, as --json prints it */

/* A list has a line for each element, anything else a line of its own.  -ENOMEM where not all is.
 */
int mv_json_print(FILE *out, const json_t *value);

/*
 * --- watch.c: what is shown anew each second.  On a terminal each frame takes the place of
 * the one before, on a screen of its own that leaves the user's as it was, within the
 * window; the last frame stays when it ends.  Into a file or pipe frames go one after
 * another.
 */

#define MV_WATCH_MS 1000

/* Print a frame: 0, 1 where that has taken MV_WATCH_MS already, or a negative errno. */
typedef int mv_frame_fn(void *opaque, FILE *out, const struct mv_screen *screen,
                        struct mv_error *err);

/* Once, or again and again until an error.  Ctrl-C and its kin end the process in order. */
int mv_watch(bool again, mv_frame_fn *print, void *opaque, struct mv_error *err);

#endif
