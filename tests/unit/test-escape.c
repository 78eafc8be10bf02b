/* SPDX-License-Identifier: Apache-2.0 */
/* cli/input.c: what the keys at a raw terminal do. */
#include "serial.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/*
 * Run keys through the machine: what the guest gets is itself, an action its
 * letter in brackets.
 */
static void check(const char *keys, const char *expected)
{
    static const char *const marks[] = {
        [MV_ESCAPE_SEND] = "",      [MV_ESCAPE_NONE] = "",      [MV_ESCAPE_QUIT] = "[Q]",
        [MV_ESCAPE_POWER] = "[P]",  [MV_ESCAPE_RESET] = "[R]",  [MV_ESCAPE_HELP] = "[H]",
        [MV_ESCAPE_UNKNOWN] = "[U]",
    };
    bool prefixed = false;
    char got[64] = "";
    size_t len = 0;
    for (; *keys != '\0'; keys++) {
        uint8_t byte = (uint8_t)*keys;
        enum mv_escape_action action = mv_escape_take(&prefixed, &byte);
        if (action == MV_ESCAPE_SEND)
            got[len++] = (char)byte;
        len = (size_t)(stpcpy(got + len, marks[action]) - got);
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
    check("\x01p\x01P", "[P][P]");
    check("\x01r\x01R", "[R][R]");
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
