/* SPDX-License-Identifier: Apache-2.0 */
/*
 * migration/diff.c and diff-state.c: which values, fields and pages of two states differ, each
 * named once, and what cannot be compared.
 */
#include "state-fixture.h"

#include "diff.h"
#include "state.h"

static struct mv_chain a, b;
static struct mv_diff diff;

static int make(const struct fixture_state *first, const struct fixture_state *second)
{
    fixture_write("first", first);
    fixture_write("second", second);
    if (fixture_follow("first", &a) < 0 || fixture_follow("second", &b) < 0)
        fail_msg("%s", err.text);
    diff = (struct mv_diff){0};
    return mv_diff_make(&a, &b, &diff, &err);
}

static void end(void)
{
    mv_diff_clear(&diff);
    mv_chain_close(&a);
    mv_chain_close(&b);
}

static bool is_same(const char *text, const char *wanted)
{
    return text == NULL || wanted == NULL ? text == wanted : strcmp(text, wanted) == 0;
}

static void expect_difference(size_t i, const char *of, const char *name, const char *what,
                              const char *text, const char *other)
{
    assert_true(i < diff.value_count);
    const struct mv_diff_value *value = &diff.values[i];
    if (!is_same(value->of, of) || !is_same(value->name, name) || !is_same(value->what, what) ||
        !is_same(value->texts[0], text) || !is_same(value->texts[1], other))
        fail_msg("%s '%s' '%s': %s, %s", value->of, value->name, value->what,
                 value->texts[0] == NULL ? "none" : value->texts[0],
                 value->texts[1] == NULL ? "none" : value->texts[1]);
}

/* Pairs of page and number. */
static void expect_runs(const unsigned *pairs, size_t count)
{
    uint64_t bytes = 0;
    assert_int_equal(diff.block_count, 1);
    assert_string_equal(diff.blocks[0].block->id, "ram0");
    assert_int_equal(diff.blocks[0].run_count, count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(diff.blocks[0].runs[i].offset, pairs[2 * i] * MV_RAM_PAGE);
        assert_int_equal(diff.blocks[0].runs[i].size, pairs[2 * i + 1] * MV_RAM_PAGE);
        bytes += diff.blocks[0].runs[i].size;
    }
    assert_int_equal(diff.blocks[0].bytes, bytes);
}

static void test_the_same(void **state)
{
    const struct fixture_state one = {.id = 'A', .pages = "12 4"},
                               other = {.id = 'B', .pages = "12 4"};
    assert_int_equal(make(&one, &other), 0);
    assert_int_equal(diff.value_count + diff.more + diff.block_count, 0);
    end();
}

static void test_values(void **state)
{
    const struct fixture_state one = {.id = 'A', .pages = "1"};
    const struct fixture_state other = {.id = 'B',
                                        .pages = "1",
                                        .name = "other",
                                        .type = "edu",
                                        .backing = "thp=on",
                                        .gpa = 0x200000000,
                                        .cpus = 3,
                                        .version = 7};
    assert_int_equal(make(&one, &other), 0);
    assert_int_equal(diff.value_count, 6);
    expect_difference(0, "machine", "", "name", "vm", "other");
    expect_difference(1, "machine", "", "cpus", "1", "3");
    expect_difference(2, "block", "ram0", "gpa", "0x80000000", "0x200000000");
    expect_difference(3, "block", "ram0", "backing", "", "thp=on");
    expect_difference(4, "device", "uart", "", "ns16550a", "edu");
    expect_difference(5, "device", "uart", "version", "1", "7");
    assert_int_equal(diff.block_count, 0);
    end();
}

static void test_pages(void **state)
{
    static const unsigned runs[] = {1, 2, 4, 1, 6, 1};
    const struct fixture_state one = {.id = 'A', .pages = "1234 6 8"};
    const struct fixture_state other = {.id = 'B', .pages = "1xy4z6q8"};
    assert_int_equal(make(&one, &other), 0);
    assert_int_equal(diff.value_count, 0);
    expect_runs(runs, 3);
    end();
}

/* As far as both have bytes. */
static void test_another_size(void **state)
{
    static const unsigned runs[] = {2, 1};
    const struct fixture_state one = {.id = 'A', .pages = "123"},
                               other = {.id = 'B', .pages = "12x45"};
    assert_int_equal(make(&one, &other), 0);
    assert_int_equal(diff.value_count, 1);
    expect_difference(0, "block", "ram0", "size", "12288", "20480");
    expect_runs(runs, 1);
    end();
}

/* One that builds on another is what a whole one is. */
static void test_with_a_base(void **state)
{
    static const unsigned runs[] = {1, 1};
    const struct fixture_state base = {.id = 'A', .pages = "1234"};
    const struct fixture_state one = {.id = 'B', .pages = "-x- ", .base = "base", .base_id = 'A'};
    const struct fixture_state whole = {.id = 'C', .pages = "1x3 "};
    const struct fixture_state other = {.id = 'D', .pages = "1y3 "};
    fixture_write("base", &base);
    assert_int_equal(make(&one, &whole), 0);
    assert_int_equal(diff.value_count + diff.block_count, 0);
    end();
    assert_int_equal(make(&other, &one), 0);
    expect_runs(runs, 1);
    end();
}

static void test_memory_outside(void **state)
{
    const struct fixture_state one = {.id = 'A', .pages = "12"};
    const struct fixture_state other = {.id = 'B', .pages = "12", .outside = "/nonexistent/ram"};
    assert_int_equal(make(&one, &other), 0);
    assert_int_equal(diff.value_count, 1);
    expect_difference(0, "block", "ram0", "place", "in the state", "/nonexistent/ram");
    assert_int_equal(diff.block_count, 1);
    assert_non_null(strstr(diff.blocks[0].not_compared, "stayed in '/nonexistent/ram'"));
    end();
}

static void test_damaged_memory(void **state)
{
    char path[FIXTURE_PATH];
    const struct fixture_state one = {.id = 'A', .pages = "12"}, other = {.id = 'B', .pages = "1x"};
    assert_int_equal(make(&one, &other), 0);
    end();
    int fd = open(fixture_path("second", path), O_RDWR | O_CLOEXEC);
    assert_int_equal(pwrite(fd, "?", 1, MV_STATEFILE_RAM_OFFSET), 1);
    close(fd);
    assert_int_equal(fixture_follow("first", &a) + fixture_follow("second", &b), 0);
    assert_int_equal(mv_diff_make(&a, &b, &diff, &err), -EBADMSG);
    assert_non_null(strstr(err.text, "ram0"));
    diff = (struct mv_diff){0};
    end();
}

/* --- fields of a part's state */

/* A field of 16-bit values, as state.h has its bytes; where it ends. */
static uint8_t *put_field(uint8_t *at, const char *name, const uint16_t *values, size_t count)
{
    *at++ = (uint8_t)strlen(name);
    at = mempcpy(at, name, strlen(name));
    *at++ = MV_STATE_U16;
    at = mv_bytes_put(at, count, 4);
    for (size_t i = 0; i < count; i++)
        at = mv_bytes_put(at, values[i], 2);
    return at;
}

static void test_fields(void **state)
{
    uint8_t bytes[2][128], *at;
    at = put_field(bytes[0], "same", (const uint16_t[]){1, 2}, 2);
    at = put_field(at, "gone", (const uint16_t[]){7}, 1);
    at = put_field(at, "list", (const uint16_t[]){1, 2, 3}, 3);
    at = put_field(at, "one", (const uint16_t[]){0x1234}, 1);
    at = put_field(at, "grows", (const uint16_t[]){1}, 1);
    const struct fixture_state one = {
        .id = 'A', .pages = "1", .fields = bytes[0], .fields_length = (size_t)(at - bytes[0])};
    /* In another order, which does not count. */
    at = put_field(bytes[1], "one", (const uint16_t[]){0x1235}, 1);
    at = put_field(at, "grows", (const uint16_t[]){1, 1}, 2);
    at = put_field(at, "list", (const uint16_t[]){1, 9, 3}, 3);
    at = put_field(at, "same", (const uint16_t[]){1, 2}, 2);
    at = put_field(at, "new", (const uint16_t[]){7}, 1);
    const struct fixture_state other = {
        .id = 'B', .pages = "1", .fields = bytes[1], .fields_length = (size_t)(at - bytes[1])};
    assert_int_equal(make(&one, &other), 0);
    assert_int_equal(diff.value_count, 5);
    expect_difference(0, "state", "uart", "gone", "1 of 16 bits", NULL);
    expect_difference(1, "state", "uart", "grows", "1 of 16 bits", "2 of 16 bits");
    expect_difference(2, "state", "uart", "list[1]", "0x2", "0x9");
    expect_difference(3, "state", "uart", "new", NULL, "1 of 16 bits");
    expect_difference(4, "state", "uart", "one", "0x1234", "0x1235");
    end();
}

static void test_a_state_that_one_has_not(void **state)
{
    uint8_t bytes[32];
    size_t length = (size_t)(put_field(bytes, "x", (const uint16_t[]){1}, 1) - bytes);
    const struct fixture_state one = {
        .id = 'A', .pages = "1", .fields = bytes, .fields_length = length};
    const struct fixture_state other = {.id = 'B', .pages = "1"};
    assert_int_equal(make(&one, &other), 0);
    assert_int_equal(diff.value_count, 1);
    expect_difference(0, "state", "uart", "", "ns16550a", NULL);
    end();
    assert_int_equal(make(&other, &one), 0);
    expect_difference(0, "state", "uart", "", NULL, "ns16550a");
    end();
}

static void test_bytes_that_are_no_fields(void **state)
{
    uint8_t bytes[32], cut[32];
    size_t length = (size_t)(put_field(bytes, "x", (const uint16_t[]){1}, 1) - bytes);
    memcpy(cut, bytes, length);
    const struct fixture_state one = {
        .id = 'A', .pages = "1", .fields = bytes, .fields_length = length};
    const struct fixture_state other = {
        .id = 'B', .pages = "1", .fields = cut, .fields_length = length - 1};
    assert_int_equal(make(&one, &other), -EINVAL);
    assert_non_null(strstr(err.text, "'uart': its bytes are none of a state"));
    diff = (struct mv_diff){0};
    end();
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_begin, fixture_end)
    const struct CMUnitTest tests[] = {
        TEST(test_the_same),
        TEST(test_values),
        TEST(test_pages),
        TEST(test_another_size),
        TEST(test_with_a_base),
        TEST(test_memory_outside),
        TEST(test_damaged_memory),
        TEST(test_fields),
        TEST(test_a_state_that_one_has_not),
        TEST(test_bytes_that_are_no_fields),
    };
    return cmocka_run_group_tests_name("diff", tests, NULL, NULL);
}
