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

static enum mv_qmp_input_result fail(struct mv_qmp_input *input, const char *why)
{
    input->error = why;
    input->len = 0;
    return MV_QMP_INPUT_ERROR;
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

/* Keep a byte: MORE, or ERROR where there is no room, and the rest is dropped. */
static enum mv_qmp_input_result keep(struct mv_qmp_input *input, char c)
{
    if (input->discarding)
        return MV_QMP_INPUT_MORE;
    bool full = input->len >= input->max;
    if (full || (input->len + 1 >= input->capacity && !grow(input))) {
        input->discarding = true;
        return fail(input, full ? "the value is larger than 256 KiB" : "out of memory");
    }
    input->text[input->len++] = c;
    input->text[input->len] = '\0';
    return MV_QMP_INPUT_MORE;
}

static enum mv_qmp_input_result keep_text(struct mv_qmp_input *input, const char *text)
{
    enum mv_qmp_input_result result = MV_QMP_INPUT_MORE;
    while (*text != '\0' && result == MV_QMP_INPUT_MORE)
        result = keep(input, *text++);
    return result;
}

/*
 * At the end of a word: an integer that the JSON parser cannot hold becomes a
 * marked string, or a real number where 64 bits cannot hold it either.
 */
static enum mv_qmp_input_result end_word(struct mv_qmp_input *input)
{
    char digits[24];
    if (input->discarding)
        return MV_QMP_INPUT_MORE;
    const char *word = input->text + input->token;
    size_t len = input->len - input->token;
    bool negative = word[0] == '-';
    if (len < 19 || strspn(word + negative, "0123456789") != len - negative ||
        word[negative] == '0')
        return MV_QMP_INPUT_MORE;
    errno = 0;
    strtoll(word, NULL, 10);
    if (errno == 0)
        return MV_QMP_INPUT_MORE;
    errno = 0;
    if (!negative)
        strtoull(word, NULL, 10);
    if (negative || errno != 0)
        return keep_text(input, ".0");
    memcpy(digits, word, len);
    digits[len] = '\0';
    input->len = input->token;
    enum mv_qmp_input_result result = keep_text(input, "\"" MV_QMP_INPUT_LARGE);
    if (result == MV_QMP_INPUT_MORE)
        result = keep_text(input, digits);
    return result == MV_QMP_INPUT_MORE ? keep(input, '"') : result;
}

/* At the end of a token: whether the value is complete. */
static enum mv_qmp_input_result end_token(struct mv_qmp_input *input)
{
    bool open = input->braces > 0 || input->brackets > 0;
    bool unbalanced = input->braces < 0 || input->brackets < 0;
    if (open && !unbalanced)
        return MV_QMP_INPUT_MORE;
    bool dropped = input->discarding;
    start_anew(input, BETWEEN);
    return dropped ? MV_QMP_INPUT_MORE : MV_QMP_INPUT_VALUE;
}

static bool is_word(unsigned char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
           c == '+' || c == '.' || c == '_';
}

static bool is_space(unsigned char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static enum mv_qmp_input_result stray(struct mv_qmp_input *input)
{
    start_anew(input, RECOVERY);
    return fail(input, "a byte that JSON does not have in this place");
}

static enum mv_qmp_input_result take_structural(struct mv_qmp_input *input, char c)
{
    input->braces += (c == '{') - (c == '}');
    input->brackets += (c == '[') - (c == ']');
    enum mv_qmp_input_result result = keep(input, c);
    if (result == MV_QMP_INPUT_MORE && !input->discarding &&
        input->braces + input->brackets > MV_QMP_DEPTH_MAX) {
        input->discarding = true;
        result = fail(input, "the value has more than 1024 levels");
    }
    return result == MV_QMP_INPUT_MORE ? end_token(input) : result;
}

/* A byte that begins a token, or stands between two. */
static enum mv_qmp_input_result take_between(struct mv_qmp_input *input, char c)
{
    unsigned char byte = (unsigned char)c;
    if (strchr("{}[],:", c) != NULL && c != '\0')
        return take_structural(input, c);
    if (c == '"' || c == '\'') {
        input->state = STRING;
        input->quote = c;
        input->token = 0;
        return keep(input, '"');
    }
    if (is_word(byte)) {
        input->state = WORD;
        input->token = input->len;
        return keep(input, c);
    }
    if (!is_space(byte))
        return stray(input);
    bool inside = input->braces > 0 || input->brackets > 0;
    return inside ? keep(input, ' ') : MV_QMP_INPUT_MORE;
}

static enum mv_qmp_input_result take_in_string(struct mv_qmp_input *input, char c)
{
    unsigned char byte = (unsigned char)c;
    if (byte < 0x20 || byte > 0xfd)
        return stray(input);
    if (c == input->quote) {
        input->state = BETWEEN;
        enum mv_qmp_input_result result = keep(input, '"');
        return result == MV_QMP_INPUT_MORE ? end_token(input) : result;
    }
    if (c == '\\') {
        input->state = ESCAPE;
        return MV_QMP_INPUT_MORE;
    }
    /* A string must not look like a marked integer; and the JSON library would end it at a NUL. */
    if (input->token != 0 && !input->discarding && input->len - input->token == 3) {
        bool nul = c == '0' && memcmp(input->text + input->token, "000", 3) == 0;
        input->token = 0;
        if (nul) {
            input->discarding = true;
            return fail(input, "\\u0000 in a string");
        }
    }
    /* Only in a string of single quotes does a double one come without its backslash. */
    enum mv_qmp_input_result result = c == '"' ? keep(input, '\\') : MV_QMP_INPUT_MORE;
    return result == MV_QMP_INPUT_MORE ? keep(input, c) : result;
}

static enum mv_qmp_input_result take_escaped(struct mv_qmp_input *input, char c)
{
    unsigned char byte = (unsigned char)c;
    if (byte < 0x20 || byte > 0xfd)
        return stray(input);
    input->state = STRING;
    enum mv_qmp_input_result result = c == '\'' ? MV_QMP_INPUT_MORE : keep(input, '\\');
    if (result == MV_QMP_INPUT_MORE)
        result = keep(input, c);
    input->token = c == 'u' ? input->len : 0;
    return result;
}

/* Take one byte, or none where *ret_again is set and it belongs to the next token. */
static enum mv_qmp_input_result take_byte(struct mv_qmp_input *input, char c, bool *ret_again)
{
    enum mv_qmp_input_result word, result;
    switch ((enum state)input->state) {
    case STRING:
        return take_in_string(input, c);
    case ESCAPE:
        return take_escaped(input, c);
    case WORD:
        if (is_word((unsigned char)c))
            return keep(input, c);
        input->state = BETWEEN;
        *ret_again = true;
        word = end_word(input);
        result = end_token(input);
        return word == MV_QMP_INPUT_MORE ? result : word;
    case RECOVERY:
        if (c == '\0' || strchr("{}[],:\n\r", c) == NULL)
            return MV_QMP_INPUT_MORE;
        input->state = BETWEEN;
        return take_between(input, c);
    case BETWEEN:
        break;
    }
    return take_between(input, c);
}

enum mv_qmp_input_result mv_qmp_input_take(struct mv_qmp_input *input, const char *buf, size_t len,
                                           size_t *ret_taken)
{
    /* What was handed out last is done with. */
    if (input->state == BETWEEN && input->braces == 0 && input->brackets == 0 && !input->discarding)
        input->len = 0;
    for (size_t i = 0; i < len; i++) {
        bool again = false;
        enum mv_qmp_input_result result = take_byte(input, buf[i], &again);
        if (result != MV_QMP_INPUT_MORE) {
            *ret_taken = again ? i : i + 1;
            return result;
        }
        if (again)
            i--;
    }
    *ret_taken = len;
    return MV_QMP_INPUT_MORE;
}
