/* SPDX-License-Identifier: Apache-2.0 */
/* See qmp-json.h.  No state but what each thread has of its own. */
#include "qmp-json.h"

#include "qmp-input.h"
#include "size.h"

#include <stdlib.h>
#include <string.h>

#define FLAGS (JSON_DECODE_ANY | JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL)

/* --- values */

json_t *mv_qmp_value_parse(const char *text, size_t len, json_error_t *ret_why)
{
    return json_loadb(text, len, FLAGS, ret_why);
}

json_t *mv_qmp_value_load(const char *text, size_t len)
{
    struct mv_qmp_input input;
    size_t taken, end;
    mv_qmp_input_init(&input);
    input.max = SIZE_MAX; /* the caller has it in memory already */
    enum mv_qmp_input_result result = mv_qmp_input_take(&input, text, len, &taken);
    if (result == MV_QMP_INPUT_MORE) /* a number ends where the text does */
        result = mv_qmp_input_take(&input, "\n", 1, &end);
    while (taken < len && strchr(" \t\r\n", text[taken]) != NULL && text[taken] != '\0')
        taken++;
    bool whole = result == MV_QMP_INPUT_VALUE && taken == len;
    json_t *value = whole ? mv_qmp_value_parse(input.text, input.len, NULL) : NULL;
    mv_qmp_input_clear(&input);
    return value;
}

/* Take the marks off: "\u0000123" becomes 123.  A quote in a string has a backslash before it. */
static void unmark(char *text)
{
    static const char mark[] = "\"" MV_QMP_INPUT_LARGE;
    const size_t len = sizeof mark - 1;
    char *to = strstr(text, mark);
    const char *from = to;
    while (from != NULL) {
        size_t digits = strcspn(from + len, "\"");
        memmove(to, from + len, digits);
        to += digits;
        from += len + digits + 1;
        const char *next = strstr(from, mark);
        size_t rest = next == NULL ? strlen(from) + 1 : (size_t)(next - from);
        memmove(to, from, rest);
        to += rest;
        from = next;
    }
}

char *mv_qmp_value_dump(const json_t *value, size_t flags)
{
    char *text = json_dumps(value, flags);
    if (text != NULL)
        unmark(text);
    return text;
}

json_t *mv_qmp_value_uints(const uint64_t *numbers, size_t count)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, json_integer((json_int_t)numbers[i]));
    return list;
}

bool mv_qmp_value_is_large(const json_t *value)
{
    return json_string_length(value) > 0 && json_string_value(value)[0] == '\0';
}

uint64_t mv_qmp_value_uint(const json_t *value)
{
    if (mv_qmp_value_is_large(value))
        return strtoull(json_string_value(value) + 1, NULL, 10);
    json_int_t number = json_integer_value(value);
    return number < 0 ? 0 : (uint64_t)number;
}

/* --- memory */

/*
 * Memory that the parse of one byte needs at most.  "[" becomes an array with room for
 * eight values (jansson 2.14: 48 and 64 bytes); "{}," becomes an object, 70 bytes for each
 * of the three. And what an empty text needs.
 */
#define PARSE_BYTES_EACH 128
#define PARSE_BYTES      4096
#define ALIGNMENT        16

static _Thread_local bool lacking;
static _Thread_local struct {
    char *start, *end;
    char *next; /* NULL: nothing is taken from here any more */
} parsing;

void mv_json_memory_note(void)
{
    lacking = true;
}

bool mv_json_memory_failed(void)
{
    bool failed = lacking;
    lacking = false;
    return failed;
}

static void *allocate(size_t size)
{
    size_t room = parsing.next == NULL ? 0 : (size_t)(parsing.end - parsing.next);
    if (size < room && room - size >= ALIGNMENT) {
        char *block = parsing.next;
        parsing.next += (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
        return block;
    }
    void *block = malloc(size);
    if (block == NULL)
        mv_json_memory_note();
    return block;
}

static void release(void *block)
{
    uintptr_t at = (uintptr_t)block;
    if (at < (uintptr_t)parsing.start || at >= (uintptr_t)parsing.end)
        free(block);
}

void mv_json_memory_watch(void)
{
    json_set_alloc_funcs(allocate, release);
}

bool mv_json_memory_begin_parse(size_t len)
{
    uint64_t size;
    if (mv_mul_overflows(len, PARSE_BYTES_EACH, &size) ||
        mv_add_overflows(size, PARSE_BYTES, &size))
        return false;
    parsing.start = parsing.next = malloc(size);
    parsing.end = parsing.start == NULL ? NULL : parsing.start + size;
    return parsing.start != NULL;
}

void mv_json_memory_end_parse(void)
{
    parsing.next = NULL;
}

void mv_json_memory_free_parsed(void)
{
    free(parsing.start);
    parsing.start = parsing.end = parsing.next = NULL;
}
