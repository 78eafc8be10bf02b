/* SPDX-License-Identifier: Apache-2.0 */
/* No state; called by the verbs that draw, list or watch.  main() notices a failed write. */
#include "screen.h"

#include "cleanup.h"
#include "qmp-json.h"

#include <inttypes.h>
#include <langinfo.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* --- the screen */

#define DUMP_ROW 16
#define ESCAPE   '\033'

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
    /* Keep the escape sequences of the rest: one may switch a colour off. */
    for (const char *at = cut; at < line + len; at++)
        fwrite(at, 1, sequence(at, line + len), out);
}

void mv_screen_print_wrapped(FILE *out, unsigned columns, unsigned indent, const char *text)
{
    size_t used = indent;
    while (*text != '\0') {
        const char *cut, *end = text + strcspn(text, " ");
        size_t width = measure(text, end, SIZE_MAX, &cut);
        if (used > indent && used + 1 + width > columns) {
            fprintf(out, "\n%*s", (int)indent, "");
            used = indent;
        } else if (used > indent) {
            fputc(' ', out);
            used++;
        }
        fwrite(text, 1, (size_t)(end - text), out);
        used += width;
        text = end + strspn(end, " ");
    }
    fputc('\n', out);
}

void mv_screen_dump(const char *prefix, uint64_t address, const uint8_t *bytes, size_t size,
                    const char *edge)
{
    for (size_t at = 0; at < size; at += DUMP_ROW) {
        size_t end = size - at < DUMP_ROW ? size - at : DUMP_ROW;
        printf("%s%0*" PRIx64, prefix, prefix[0] == '\0' ? 8 : 0, address + at);
        for (size_t i = 0; i < DUMP_ROW; i++) {
            printf(i % 8 == 0 ? "  " : " ");
            printf(i < end ? "%02x" : "  ", bytes[i < end ? at + i : at]);
        }
        printf("  %s", edge);
        for (size_t i = at; i < at + end; i++)
            putchar(bytes[i] >= 0x20 && bytes[i] < 0x7f ? bytes[i] : '.');
        printf("%s\n", edge);
    }
}

/* --- tables */

#define GAP 2

struct layout {
    FILE *out;
    const struct mv_screen *screen;
    const struct mv_text_table *table;
    const json_t *rows;
    size_t room;  /* SIZE_MAX: any */
    bool stacked; /* the first column has a line of its own */
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
static size_t find_end(const struct layout *l, size_t from, size_t room)
{
    size_t used = width_of(l, 0), end = from;
    for (; end < l->table->count; end++) {
        used += GAP + width_of(l, end);
        if (end > from && used > room)
            break;
    }
    return end;
}

/* NULL: the heads. */
static void print_row(const struct layout *l, const json_t *row, size_t from, size_t end)
{
    char buf[MV_TEXT_CELL];
    for (size_t c = 0; c < end; c = c == 0 ? from : c + 1) {
        const struct mv_text_column *column = &l->table->columns[c];
        const char *text = row == NULL ? column->head : l->table->cell(row, column->key, buf);
        if (c == 0 && l->stacked)
            fprintf(l->out, "%s\n%*s", text, GAP, "");
        else
            print_cell(l, c, text, c + 1 == end);
    }
}

static void print_part(const struct layout *l, size_t from, size_t end)
{
    size_t i;
    json_t *row;
    fputs(mv_screen_style(l->screen, MV_STYLE_HEAD), l->out);
    print_row(l, NULL, from, end);
    fprintf(l->out, "%s\n", mv_screen_style(l->screen, MV_STYLE_PLAIN));
    json_array_foreach((json_t *)l->rows, i, row)
    {
        print_row(l, row, from, end);
        fputc('\n', l->out);
        if (l->table->below != NULL)
            l->table->below(l->out, l->screen, row);
    }
}

void mv_text_table_print(FILE *out, const struct mv_screen *screen,
                         const struct mv_text_table *table, const json_t *rows)
{
    bool whole = table->below != NULL || !screen->terminal;
    struct layout l = {out, screen, table, rows, whole ? SIZE_MAX : screen->columns, false};
    l.stacked = table->below != NULL && find_end(&l, 1, screen->columns) < table->count;
    for (size_t from = 1, end; from < table->count; from = end) {
        end = find_end(&l, from, l.room);
        if (from > 1)
            fputc('\n', out);
        print_part(&l, from, end);
    }
}

/* --- JSON */

static bool print_value(FILE *out, const json_t *value)
{
    CLEANUP_FREE char *text = mv_qmp_value_dump(value, JSON_ENCODE_ANY);
    if (text != NULL)
        fputs(text, out);
    return text != NULL;
}

int mv_json_print(FILE *out, const json_t *value)
{
    bool whole = true;
    if (!json_is_array(value)) {
        whole = print_value(out, value);
        fputs(whole ? "\n" : "", out);
        return whole ? 0 : -ENOMEM;
    }
    size_t i;
    json_t *element;
    fputc('[', out);
    json_array_foreach(value, i, element)
    {
        fputs(i == 0 ? "" : ",\n ", out);
        whole &= print_value(out, element);
    }
    fputs("]\n", out);
    return whole ? 0 : -ENOMEM;
}
