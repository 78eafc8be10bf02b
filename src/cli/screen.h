/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_screen: what standard output is drawn on: how wide, whether it
 * takes colour, and text that keeps within it.
 */
#ifndef MV_CLI_SCREEN_H
#define MV_CLI_SCREEN_H

#include <stdbool.h>
#include <stddef.h>
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

/* A line, broken at spaces where it is wider than the screen; what follows stands `indent` in. */
void mv_screen_print_wrapped(FILE *out, const struct mv_screen *screen, unsigned indent,
                             const char *text);

#endif
