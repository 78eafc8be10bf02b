/* SPDX-License-Identifier: Apache-2.0 */
/* No state; called by the verbs that draw, list or watch. */
#include "screen.h"

#include <langinfo.h>
#include <locale.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define ESCAPE '\033'

static bool has_value(const char *variable)
{
    const char *value = getenv(variable);
    return value != NULL && value[0] != '\0';
}

struct mv_screen mv_screen_look(void)
{
    struct winsize size;
    const char *columns = getenv("COLUMNS");
    struct mv_screen screen = {.columns = 80, .terminal = isatty(STDOUT_FILENO)};
    setlocale(LC_CTYPE, "");
    screen.utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    screen.steered = screen.terminal && has_value("TERM") && strcmp(getenv("TERM"), "dumb") != 0;
    screen.colour = screen.steered && !has_value("NO_COLOR");
    if (columns != NULL && atoi(columns) > 0)
        screen.columns = (unsigned)atoi(columns);
    if (screen.terminal && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
        screen.columns = size.ws_col;
        screen.rows = size.ws_row;
    }
    return screen;
}

const char *mv_screen_style(const struct mv_screen *screen, enum mv_style style)
{
    static const char *const sequences[] = {
        [MV_STYLE_PLAIN] = "\033[0m",    [MV_STYLE_HEAD] = "\033[1m",
        [MV_STYLE_FAINT] = "\033[2m",    [MV_STYLE_RED] = "\033[31m",
        [MV_STYLE_GREEN] = "\033[32m",   [MV_STYLE_YELLOW] = "\033[33m",
        [MV_STYLE_MAGENTA] = "\033[35m", [MV_STYLE_CYAN] = "\033[36m",
    };
    return screen->colour ? sequences[style] : "";
}

/* The bytes of the sequence that starts here, 0 where none does: those of mv_screen_style. */
static size_t sequence(const char *text, const char *end)
{
    if (*text != ESCAPE)
        return 0;
    const char *at = text + 1;
    while (at < end && *at != 'm')
        at++;
    return (size_t)(at - text) + (at < end);
}

/* All bytes of a character but its first are 10xxxxxx. */
static bool begins_character(char c)
{
    return ((unsigned char)c & 0xc0) != 0x80;
}

/* Columns from text to end; *ret_cut is where the column after `most` begins, else the end. */
static size_t measure(const char *text, const char *end, size_t most, const char **ret_cut)
{
    size_t columns = 0;
    *ret_cut = end;
    while (text < end) {
        size_t skip = sequence(text, end);
        if (skip == 0 && begins_character(*text) && columns++ == most)
            *ret_cut = text;
        text += skip == 0 ? 1 : skip;
    }
    return columns;
}

size_t mv_screen_width(const char *text)
{
    const char *cut;
    return measure(text, text + strlen(text), SIZE_MAX, &cut);
}

void mv_screen_print_cut(FILE *out, const char *line, size_t len, unsigned columns)
{
    const char *cut;
    measure(line, line + len, columns, &cut);
    fwrite(line, 1, (size_t)(cut - line), out);
    /* What switched a colour on may have been switched off in the rest. */
    for (const char *at = cut; at < line + len; at++)
        fwrite(at, 1, sequence(at, line + len), out);
}

void mv_screen_print_wrapped(FILE *out, const struct mv_screen *screen, unsigned indent,
                             const char *text)
{
    size_t used = 0;
    while (*text != '\0') {
        const char *cut, *end = text + strcspn(text, " ");
        size_t width = measure(text, end, SIZE_MAX, &cut);
        if (used > 0 && used + 1 + width > screen->columns) {
            fprintf(out, "\n%*s", (int)indent, "");
            used = indent;
        } else if (used > 0) {
            fputc(' ', out);
            used++;
        }
        fwrite(text, 1, (size_t)(end - text), out);
        used += width;
        text = end + (*end == ' ');
    }
    fputc('\n', out);
}
