/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cutter: a state machine over bytes that knows strings, words (numbers
 * and literals) and the six structural characters, and counts the brackets.
 * What stands between the brackets is the JSON parser's business.
 *
 * A value that is too large or too deep is told of once; the rest of it is
 * counted and dropped.  Called by qmp-session.c.
 */
#include "qmp-input.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum state {
    BETWEEN,  /* no token */
    WORD,     /* a number or a literal */
    STRING,   /* behind the quote */
    ESCAPE,   /* behind a backslash in a string */
    RECOVERY, /* behind an error: until a structural character or a line's end */
};

void mv_qmp_input_init(struct mv_qmp_input *input)
{
    *input = (struct mv_qmp_input){.state = BETWEEN, .max = MV_QMP_INPUT_MAX};
}

void mv_qmp_input_clear(struct mv_qmp_input *input)
{
    free(input->text);
    mv_qmp_input_init(input);
}

static void start_anew(struct mv_qmp_input *input, enum state state)
{
    input->state = (int)state;
    input->discarding = false;
    input->braces = input->brackets = 0;
}

static void fail(struct mv_qmp_input *input, const char *why)
{
    input->error = why;
    input->len = 0;
    input->result = MV_QMP_INPUT_ERROR;
}

/* The same, and what follows of the value is dropped. */
static void drop(struct mv_qmp_input *input, const char *why)
{
    fail(input, why);
    input->discarding = true;
}

static bool grow(struct mv_qmp_input *input)
{
    size_t capacity = input->capacity == 0 ? 256 : 2 * input->capacity;
    char *text = realloc(input->text, capacity);
    if (text == NULL)
        return false;
    input->text = text;
    input->capacity = capacity;
    return true;
}

static void keep(struct mv_qmp_input *input, char c)
{
    if (input->discarding)
        return;
    if (input->len >= input->max) {
        drop(input, "the value is larger than 256 KiB");
    } else if (input->len + 1 >= input->capacity && !grow(input)) {
        drop(input, "out of memory");
    } else {
        input->text[input->len++] = c;
        input->text[input->len] = '\0';
    }
}

static void keep_text(struct mv_qmp_input *input, const char *text)
{
    while (*text != '\0')
        keep(input, *text++);
}

/*
 * At the end of a word: an integer that the JSON parser cannot hold becomes a
 * marked string, or a real number where 64 bits cannot hold it either.
 */
static void end_word(struct mv_qmp_input *input)
{
    char digits[24];
    if (input->discarding)
        return;
    const char *word = input->text + input->token;
    size_t len = input->len - input->token;
    bool negative = word[0] == '-';
    if (len < 19 || strspn(word + negative, "0123456789") != len - negative ||
        word[negative] == '0')
        return;
    errno = 0;
    strtoll(word, NULL, 10);
    if (errno == 0)
        return;
    errno = 0;
    if (!negative)
        strtoull(word, NULL, 10);
    if (negative || errno != 0) {
        keep_text(input, ".0");
        return;
    }
    memcpy(digits, word, len);
    digits[len] = '\0';
    input->len = input->token;
    keep_text(input, "\"" MV_QMP_INPUT_LARGE);
    keep_text(input, digits);
    keep(input, '"');
}

/* At the end of a token: the value may be complete. */
static void end_token(struct mv_qmp_input *input)
{
    bool open = input->braces > 0 || input->brackets > 0;
    bool unbalanced = input->braces < 0 || input->brackets < 0;
    if (open && !unbalanced)
        return;
    if (!input->discarding)
        input->result = MV_QMP_INPUT_VALUE;
    start_anew(input, BETWEEN);
}

static bool is_one_of(char c, const char *set)
{
    return c != '\0' && strchr(set, c) != NULL;
}

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || is_one_of(c, "-+._");
}

static void stray(struct mv_qmp_input *input)
{
    start_anew(input, RECOVERY);
    fail(input, "a byte that JSON does not have in this place");
}

static void take_structural(struct mv_qmp_input *input, char c)
{
    input->braces += (c == '{') - (c == '}');
    input->brackets += (c == '[') - (c == ']');
    keep(input, c);
    if (!input->discarding && input->braces + input->brackets > MV_QMP_DEPTH_MAX)
        drop(input, "the value has more than 1024 levels");
    end_token(input);
}

/* A byte that begins a token, or stands between two. */
static void take_between(struct mv_qmp_input *input, char c)
{
    if (is_one_of(c, "{}[],:")) {
        take_structural(input, c);
    } else if (c == '"' || c == '\'') {
        input->state = STRING;
        input->quote = c;
        input->token = 0;
        keep(input, '"');
    } else if (is_word(c)) {
        input->state = WORD;
        input->token = input->len;
        keep(input, c);
    } else if (!is_one_of(c, " \t\r\n")) {
        stray(input);
    } else if (input->braces > 0 || input->brackets > 0) {
        keep(input, ' ');
    }
}

static void take_in_string(struct mv_qmp_input *input, char c)
{
    if (c == input->quote) {
        input->state = BETWEEN;
        keep(input, '"');
        end_token(input);
        return;
    }
    if (c == '\\') {
        input->state = ESCAPE;
        return;
    }
    /* A string must not look like a marked integer; and the JSON library would end it at a NUL. */
    if (input->token != 0 && !input->discarding && input->len - input->token == 3) {
        if (c == '0' && memcmp(input->text + input->token, "000", 3) == 0)
            drop(input, "\\u0000 in a string");
        input->token = 0;
    }
    /* Only in a string of single quotes does a double one come without its backslash. */
    if (c == '"')
        keep(input, '\\');
    keep(input, c);
}

static void take_escaped(struct mv_qmp_input *input, char c)
{
    input->state = STRING;
    if (c != '\'')
        keep(input, '\\');
    keep(input, c);
    input->token = c == 'u' ? input->len : 0;
}

/* Take one byte: false where it belongs to the next token, and is to be taken again. */
static bool take_byte(struct mv_qmp_input *input, char c)
{
    bool in_string = input->state == STRING || input->state == ESCAPE;
    if (in_string && ((unsigned char)c < 0x20 || (unsigned char)c > 0xfd)) {
        stray(input);
    } else if (input->state == STRING) {
        take_in_string(input, c);
    } else if (input->state == ESCAPE) {
        take_escaped(input, c);
    } else if (input->state == WORD && is_word(c)) {
        keep(input, c);
    } else if (input->state == WORD) {
        input->state = BETWEEN;
        end_word(input);
        end_token(input);
        return false;
    } else if (input->state == BETWEEN || is_one_of(c, "{}[],:\n\r")) {
        input->state = BETWEEN;
        take_between(input, c);
    }
    return true;
}

enum mv_qmp_input_result mv_qmp_input_take(struct mv_qmp_input *input, const char *buf, size_t len,
                                           size_t *ret_taken)
{
    size_t taken = 0;
    /* What was handed out last is done with. */
    if (input->state == BETWEEN && input->braces == 0 && input->brackets == 0 && !input->discarding)
        input->len = 0;
    input->result = MV_QMP_INPUT_MORE;
    while (taken < len && input->result == MV_QMP_INPUT_MORE)
        taken += take_byte(input, buf[taken]);
    *ret_taken = taken;
    return input->result;
}
