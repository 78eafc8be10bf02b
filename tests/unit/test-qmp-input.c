/* SPDX-License-Identifier: Apache-2.0 */
/* control/qmp-input.c: values out of bytes, in any pieces, and back into step. */
#include "qmp-input.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct mv_qmp_input input;
static char seen[8192]; /* what came out: values and "!" for errors, a line each */

static int setup(void **state)
{
    mv_qmp_input_init(&input);
    seen[0] = '\0';
    return 0;
}

static int teardown(void **state)
{
    mv_qmp_input_clear(&input);
    return 0;
}

static void feed_piece(const char *buf, size_t len)
{
    while (len > 0) {
        size_t taken = 0;
        enum mv_qmp_input_result result = mv_qmp_input_take(&input, buf, len, &taken);
        assert_true(taken <= len);
        if (result == MV_QMP_INPUT_MORE)
            assert_int_equal(taken, len);
        if (result == MV_QMP_INPUT_VALUE) {
            assert_int_equal(strlen(input.text), input.len);
            if (strlen(seen) + input.len + 2 < sizeof seen)
                strcat(strcat(seen, input.text), "\n");
        }
        if (result == MV_QMP_INPUT_ERROR) {
            assert_non_null(input.error);
            strcat(seen, "!\n");
        }
        buf += taken;
        len -= taken;
    }
}

static void feed(const char *text)
{
    feed_piece(text, strlen(text));
}

/* As a whole, and a byte at a time. */
static void expect(const char *text, const char *values)
{
    feed(text);
    assert_string_equal(seen, values);
    teardown(NULL);
    setup(NULL);
    for (; *text != '\0'; text++)
        feed_piece(text, 1);
    assert_string_equal(seen, values);
    teardown(NULL);
    setup(NULL);
}

static void test_values(void **state)
{
    expect("{}", "{}\n");
    expect(" \r\n\t {\"a\":[1,{}]}\n", "{\"a\":[1,{}]}\n");
    expect("{}{}[]{\"}\":\"]\"}", "{}\n{}\n[]\n{\"}\":\"]\"}\n");
    expect("{\"a\": \"b\\\"}\"} {}", "{\"a\": \"b\\\"}\"}\n{}\n");
    expect("{\"a\"\n:\t1}", "{\"a\" : 1}\n");
    expect("12 true \"x\"null[", "12\ntrue\n\"x\"\nnull\n");
    expect("{\"unfinished", "");
}

/* QEMU's extension; what comes out is JSON. */
static void test_single_quotes(void **state)
{
    expect("{'a': 'b'}", "{\"a\": \"b\"}\n");
    expect("'say \"hi\"'", "\"say \\\"hi\\\"\"\n");
    expect("'it\\'s \\n'", "\"it's \\n\"\n");
    expect("\"it's\"", "\"it's\"\n");
    expect("'\\\"'", "\"\\\"\"\n");
}

/* What the JSON parser's integers cannot hold. */
static void test_large_integers(void **state)
{
    expect("[9223372036854775807,-9223372036854775808]",
           "[9223372036854775807,-9223372036854775808]\n");
    expect("[9223372036854775808]", "[\"\\u00009223372036854775808\"]\n");
    expect("{'id':18446744073709551615}", "{\"id\":\"\\u000018446744073709551615\"}\n");
    expect("18446744073709551615 {}", "\"\\u000018446744073709551615\"\n{}\n");
    expect("[18446744073709551616, -9223372036854775809]",
           "[18446744073709551616.0, -9223372036854775809.0]\n");
    /* No integers of JSON: as they came, for the parser to judge. */
    expect("[018446744073709551615,18446744073709551615x,18446744073709551615e1]",
           "[018446744073709551615,18446744073709551615x,18446744073709551615e1]\n");
}

/* A client cannot write what a large integer becomes. */
static void test_no_nul_in_strings(void **state)
{
    expect("[\"\\u00001\"]{}", "!\n{}\n");
    expect("{\"a\": 'x\\u0000'}{}", "!\n{}\n");
    expect("[\"\\\\u0000\", \"\\u0001\\u0010\\u1000\", \"\\u00\"]",
           "[\"\\\\u0000\", \"\\u0001\\u0010\\u1000\", \"\\u00\"]\n");
}

static void test_unbalanced(void **state)
{
    /* They come out at once, for the parser to refuse. */
    expect("}{}", "}\n{}\n");
    expect("{]{}", "{]\n{}\n");
    expect("[}[]", "[}\n[]\n");
    expect(",:", ",\n:\n");
}

static void test_back_in_step(void **state)
{
    expect("{\"a\xff{}", "!\n{}\n");
    expect("{\"a\": @ junk 'x' \n{}", "!\n{}\n");
    expect("\x01{}", "!\n{}\n");
    expect("{\"a\x1b\n{\"b\":1}", "!\n{\"b\":1}\n");
    expect("%$!\n%\n{}", "!\n!\n{}\n");
}

static void test_nul_byte(void **state)
{
    feed_piece("{\"a\0\n{}", 7);
    assert_string_equal(seen, "!\n{}\n");
    feed_piece("\0\0\0\n{}", 6);
    assert_string_equal(seen, "!\n{}\n!\n{}\n");
}

static void repeat(const char *piece, size_t count)
{
    for (size_t i = 0; i < count; i++)
        feed(piece);
}

static void test_too_deep(void **state)
{
    repeat("[", MV_QMP_DEPTH_MAX);
    assert_string_equal(seen, "");
    repeat("[", 100 * 1000);
    repeat("]", 100 * 1000 + MV_QMP_DEPTH_MAX - 1);
    assert_string_equal(seen, "!\n");
    feed("]{}");
    assert_string_equal(seen, "!\n{}\n");
    /* And out of it without the brackets. */
    repeat("[{\"a\":", MV_QMP_DEPTH_MAX);
    feed("\xff{}");
    assert_string_equal(seen, "!\n{}\n!\n!\n{}\n");
}

static void test_deep_enough(void **state)
{
    repeat("[", MV_QMP_DEPTH_MAX);
    repeat("]", MV_QMP_DEPTH_MAX);
    assert_int_equal(strlen(seen), 2 * MV_QMP_DEPTH_MAX + 1);
}

static void test_too_large(void **state)
{
    feed("{\"a\": \"");
    repeat("0123456789abcdef", MV_QMP_INPUT_MAX / 16 + 100);
    assert_string_equal(seen, "!\n");
    feed("\\\"\", \"b\": [");
    repeat("12345678,", MV_QMP_INPUT_MAX / 9);
    feed("1]}");
    feed(" {}");
    assert_string_equal(seen, "!\n{}\n");
    assert_true(input.capacity <= 2 * MV_QMP_INPUT_MAX);
    /* A word has no end of its own. */
    repeat("1", 2 * MV_QMP_INPUT_MAX);
    feed(" {}");
    assert_string_equal(seen, "!\n{}\n!\n{}\n");
}

static void test_space_costs_nothing(void **state)
{
    repeat("                                                                \n",
           2 * MV_QMP_INPUT_MAX / 65);
    feed("{}");
    assert_string_equal(seen, "{}\n");
    assert_true(input.capacity <= 256);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_values, setup, teardown),
        cmocka_unit_test_setup_teardown(test_single_quotes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_large_integers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_nul_in_strings, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unbalanced, setup, teardown),
        cmocka_unit_test_setup_teardown(test_back_in_step, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nul_byte, setup, teardown),
        cmocka_unit_test_setup_teardown(test_too_deep, setup, teardown),
        cmocka_unit_test_setup_teardown(test_deep_enough, setup, teardown),
        cmocka_unit_test_setup_teardown(test_too_large, setup, teardown),
        cmocka_unit_test_setup_teardown(test_space_costs_nothing, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
