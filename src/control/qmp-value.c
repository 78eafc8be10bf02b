/* SPDX-License-Identifier: Apache-2.0 */
/* Called by the session, the commands that take integers, and the verbs' client. */
#include "qmp-value.h"

#include "qmp-input.h"

#include <stdlib.h>
#include <string.h>

#define FLAGS (JSON_DECODE_ANY | JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL)

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
