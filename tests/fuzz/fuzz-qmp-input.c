/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client's bytes on the control socket: cut into values, parsed, and checked
 * against the arguments of the command that they name.  Nothing is run.  What
 * comes out must not depend on the pieces in which the bytes came.
 */
#include "fuzz.h"

#include "qmp-command.h"
#include "qmp-input.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const mv_fuzz_words[] = {
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "'",
    "\\",
    "\\u0000",
    "\\ud800",
    "\n",
    " ",
    "\xff",
    "\xc3",
    "\x01",
    "0",
    "-1.5e9999",
    "1e400",
    "9223372036854775808",
    "true",
    "null",
    "'id':",
    "{}",
    "\"arguments\":",
    "[[[[[[[[[[[[[[[[",
    "]]]]]]]]]]]]]]]]",
    "{'a':{'a':{'a':",
    "{\"execute\":\"pmemsave\",\"arguments\":{\"val\":0,\"size\":4096,\"filename\":\"x\"}}",
    "{\"execute\":\"x-query-blocks\",\"arguments\":{\"parts\":16}}",
    "{\"execute\":\"qmp_capabilities\",\"arguments\":{\"enable\":[\"oob\"]}}",
    "{\"execute\":\"stop\",\"id\":[1,{}]}",
    "\"execute\":\"cont\"",
};
const size_t mv_fuzz_word_count = sizeof mv_fuzz_words / sizeof mv_fuzz_words[0];

static void fail(const char *why)
{
    fprintf(stderr, "fuzz-qmp-input: %s\n", why);
    abort();
}

/* A number that stands for all values and errors so far. */
static uint64_t mix(uint64_t sum, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        sum = (sum ^ (uint8_t)text[i]) * UINT64_C(1099511628211);
    return (sum ^ 0x100) * UINT64_C(1099511628211);
}

static void check_value(const struct mv_qmp_input *input)
{
    struct mv_error err;
    if (input->len > MV_QMP_INPUT_MAX || input->text[input->len] != '\0')
        fail("a value of a length that cannot be");
    json_t *value =
        json_loadb(input->text, input->len, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
    const char *name = json_string_value(json_object_get(value, "execute"));
    const struct mv_qmp_command *command = name == NULL ? NULL : mv_qmp_command_find(name, false);
    const json_t *arguments = json_object_get(value, "arguments");
    if (command != NULL && arguments != NULL &&
        mv_qmp_type_check(command->arguments, arguments, &err) < 0 && err.text[0] == '\0')
        fail("an error without words");
    json_decref(value);
}

static uint64_t feed(const uint8_t *data, size_t size, size_t piece, bool check)
{
    struct mv_qmp_input input;
    uint64_t sum = UINT64_C(14695981039346656037);
    mv_qmp_input_init(&input);
    for (size_t done = 0; done < size;) {
        size_t taken = 0, len = size - done < piece ? size - done : piece;
        enum mv_qmp_input_result result =
            mv_qmp_input_take(&input, (const char *)data + done, len, &taken);
        if (taken > len || (result == MV_QMP_INPUT_MORE && taken != len))
            fail("bytes are lost");
        if (result == MV_QMP_INPUT_ERROR)
            sum = mix(sum, input.error, strlen(input.error));
        if (result == MV_QMP_INPUT_VALUE) {
            sum = mix(sum, input.text, input.len);
            if (check)
                check_value(&input);
        }
        if (taken == 0 && result == MV_QMP_INPUT_MORE)
            fail("nothing goes on");
        done += taken;
    }
    mv_qmp_input_clear(&input);
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t whole = feed(data, size, size + 1, true);
    for (size_t piece = 1; piece < 8; piece += 3) {
        if (feed(data, size, piece, false) != whole)
            fail("the pieces make a difference");
    }
    return 0;
}
