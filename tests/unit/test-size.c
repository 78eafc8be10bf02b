/* SPDX-License-Identifier: Apache-2.0 */
/* base/size.c: what is a size, what is an address, and how sizes read. */
#include "size.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

struct parse_case {
    const char *text;
    int result; /* 0 or -errno */
    uint64_t value;
    const char *message; /* a part of it */
};

static void check_cases(int (*parse)(const char *, uint64_t *, struct mv_error *),
                        const struct parse_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct parse_case *c = &cases[i];
        struct mv_error err = {""};
        uint64_t value = 0xdeadbeef;
        int r = parse(c->text, &value, &err);
        if (r != c->result)
            fail_msg("'%s': %d where %d is right (%s)", c->text, r, c->result, err.text);
        assert_int_equal(value, r == 0 ? c->value : 0xdeadbeef);
        if (r != 0 && strstr(err.text, c->message) == NULL)
            fail_msg("'%s': message '%s' lacks '%s'", c->text, err.text, c->message);
        if (r != 0 && c->text[0] != '\0')
            assert_non_null(strstr(err.text, c->text));
    }
}

#define CHECK_CASES(parse, cases) check_cases(parse, cases, sizeof cases / sizeof cases[0])

static void test_sizes(void **state)
{
    static const struct parse_case cases[] = {
        {"512", 0, 512 * MV_MIB, NULL},
        {"0", 0, 0, NULL},
        {"4k", 0, 4096, NULL},
        {"4K", 0, 4096, NULL},
        {"256M", 0, 256 * MV_MIB, NULL},
        {"256m", 0, 256 * MV_MIB, NULL},
        {"8G", 0, 8 * MV_GIB, NULL},
        {"3t", 0, 3 * MV_TIB, NULL},
        {"2P", 0, 2048 * MV_TIB, NULL},
        {"007", 0, 7 * MV_MIB, NULL},
        {"17592186044415", 0, 17592186044415 * MV_MIB, NULL},
        {"17592186044416", -ERANGE, 0, "too large"},
        {"16383P", 0, 16383 * 1024 * MV_TIB, NULL},
        {"16384P", -ERANGE, 0, "too large"},
        {"18446744073709551616", -ERANGE, 0, "too large"},
        {"99999999999999999999999999K", -ERANGE, 0, "too large"},
        {"", -EINVAL, 0, "no size"},
        {"M", -EINVAL, 0, "no size"},
        {"-1", -EINVAL, 0, "no size"},
        {"+1", -EINVAL, 0, "no size"},
        {" 1", -EINVAL, 0, "no size"},
        {"1 M", -EINVAL, 0, "no size"},
        {"1.5G", -EINVAL, 0, "no size"},
        {"256MB", -EINVAL, 0, "no size"},
        {"256MiB", -EINVAL, 0, "no size"},
        {"1E", -EINVAL, 0, "no size"},
        {"12abc", -EINVAL, 0, "no size"},
        {"0x1000", -EINVAL, 0, "hexadecimal"},
        {"0X1000", -EINVAL, 0, "hexadecimal"},
    };
    CHECK_CASES(mv_size_parse, cases);
}

static void test_addresses(void **state)
{
    static const struct parse_case cases[] = {
        {"0x0", 0, 0, NULL},
        {"0x80000000", 0, 2 * MV_GIB, NULL},
        {"0XABCdef", 0, 0xabcdef, NULL},
        {"0xffffffffffffffff", 0, UINT64_MAX, NULL},
        {"0x0000000000000000000000001", 0, 1, NULL},
        {"0x10000000000000000", -ERANGE, 0, "too large"},
        {"2G", 0, 2 * MV_GIB, NULL},
        {"2g", 0, 2 * MV_GIB, NULL},
        {"0K", 0, 0, NULL},
        {"16384P", -ERANGE, 0, "too large"},
        {"99999999999999999999", -ERANGE, 0, "too large"},
        {"2048", -EINVAL, 0, "ambiguous: write 0x800 for 2048 bytes, or a suffix, such as 2048M"},
        {"0", -EINVAL, 0, "ambiguous"},
        {"", -EINVAL, 0, "no address"},
        {"0x", -EINVAL, 0, "no address"},
        {"0xG", -EINVAL, 0, "no address"},
        {"0x1000M", -EINVAL, 0, "no address"},
        {"-2G", -EINVAL, 0, "no address"},
        {"2GB", -EINVAL, 0, "no address"},
        {"80000000h", -EINVAL, 0, "no address"},
    };
    CHECK_CASES(mv_address_parse, cases);
}

static void test_format(void **state)
{
    static const struct {
        uint64_t bytes;
        const char *text;
    } cases[] = {
        {0, "0 bytes"},
        {1, "1 byte"},
        {17, "17 bytes"},
        {4096, "4 KiB"},
        {256 * MV_MIB, "256 MiB"},
        {256 * MV_MIB + 4096, "262148 KiB"},
        {8 * MV_GIB, "8 GiB"},
        {256 * MV_TIB, "256 TiB"},
        {1024 * MV_TIB, "1 PiB"},
        {UINT64_C(1) << 63, "8192 PiB"},
        {UINT64_MAX, "18446744073709551615 bytes"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char buf[MV_SIZE_TEXT];
        assert_ptr_equal(mv_size_format(cases[i].bytes, buf), buf);
        assert_string_equal(buf, cases[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_format),
    };
    return cmocka_run_group_tests_name("size", tests, NULL, NULL);
}
