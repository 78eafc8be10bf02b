/* SPDX-License-Identifier: Apache-2.0 */
/* cli/escape.c: what the keys at a raw terminal do. */
#include "escape.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/*
 * Run keys through the machine: what the guest gets is itself, QUIT is 'Q',
 * HELP 'H', UNKNOWN 'U' in brackets.
 */
static void check(const char *keys, const char *expected)
{
    struct mv_escape escape = {false};
    char got[64] = "";
    size_t len = 0;
    for (; *keys != '\0'; keys++) {
        uint8_t byte = 0;
        switch (mv_escape_take(&escape, (uint8_t)*keys, &byte)) {
        case MV_ESCAPE_SEND:
            got[len++] = (char)byte;
            break;
        case MV_ESCAPE_NONE:
            assert_int_equal(byte, 0);
            break;
        case MV_ESCAPE_QUIT:
            len += (size_t)(stpcpy(got + len, "[Q]") - (got + len));
            break;
        case MV_ESCAPE_HELP:
            len += (size_t)(stpcpy(got + len, "[H]") - (got + len));
            break;
        case MV_ESCAPE_UNKNOWN:
            len += (size_t)(stpcpy(got + len, "[U]") - (got + len));
            break;
        }
    }
    got[len] = '\0';
    assert_string_equal(got, expected);
}

static void test_plain_keys(void **state)
{
    check("ls -l\r", "ls -l\r");
    check("\x03\x04\x1a\x1c\x1b[A", "\x03\x04\x1a\x1c\x1b[A");
    check("xXhH", "xXhH");
}

static void test_prefix(void **state)
{
    check("\x01", "");
    check("\x01x", "[Q]");
    check("\x01X", "[Q]");
    check("\x01h", "[H]");
    check("\x01Hy", "[H]y");
    check("\x01?", "[H]");
    check("\x01\x01", "\x01");
    check("\x01"
          "a\x01"
          "A",
          "\x01\x01");
    check("\x01\x01x", "\x01x");
    check("\x01\x01\x01x", "\x01[Q]");
    check("\x01z\x01\x03x", "[U][U]x");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_keys),
        cmocka_unit_test(test_prefix),
    };
    return cmocka_run_group_tests_name("escape", tests, NULL, NULL);
}
