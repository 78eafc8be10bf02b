/* SPDX-License-Identifier: Apache-2.0 */
/*
 * migration/chain.c: files that build on each other are found, checked and refused by name;
 * ram-view.c: each page comes from the first file that has it.
 */
#include "state-fixture.h"

#include <sys/stat.h>

static struct mv_chain chain;

static void expect_error(const char *first, ...)
{
    va_list words;
    va_start(words, first);
    for (const char *word = first; word != NULL; word = va_arg(words, const char *)) {
        if (strstr(err.text, word) == NULL)
            fail_msg("no '%s' in: %s", word, err.text);
    }
    va_end(words);
}

static void write_three(void)
{
    fixture_write("a", &(struct fixture_state){.id = 'A', .pages = "1234 "});
    fixture_write(
        "b", &(struct fixture_state){.id = 'B', .pages = "-x- y", .base = "a", .base_id = 'A'});
    fixture_write(
        "c", &(struct fixture_state){.id = 'C', .pages = "--z--", .base = "b", .base_id = 'B'});
}

/* The letter of each page of the block. */
static void expect_pages(const char *wanted)
{
    CLEANUP_FREE uint8_t *buffer = aligned_alloc(MV_RAM_PAGE, 2 * MV_RAM_CHUNK);
    struct mv_ram_view view;
    bool zero;
    if (mv_ram_view_open(&chain, "ram0", &view, &err) < 0 ||
        mv_ram_view_read(&view, 0, buffer, buffer + MV_RAM_CHUNK, &zero, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(view.size, strlen(wanted) * MV_RAM_PAGE);
    assert_false(zero);
    for (size_t i = 0; i < strlen(wanted); i++) {
        char letter = wanted[i] == ' ' ? '\0' : wanted[i];
        assert_int_equal(buffer[i * MV_RAM_PAGE], letter);
        assert_int_equal(buffer[(i + 1) * MV_RAM_PAGE - 1], letter);
    }
    mv_ram_view_close(&view);
}

static void test_follow(void **state)
{
    char path[FIXTURE_PATH];
    write_three();
    assert_int_equal(fixture_follow("c", &chain), 0);
    assert_int_equal(chain.count, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(chain.files[i].state->id[0], "CBA"[i]);
        assert_string_equal(chain.files[i].path,
                            fixture_path((const char *[]){"c", "b", "a"}[i], path));
    }
    expect_pages("1xz y");
    mv_chain_close(&chain);
    assert_int_equal(chain.count, 0);
    assert_int_equal(fixture_follow("b", &chain), 0);
    expect_pages("1x3 y");
    mv_chain_close(&chain);
    assert_int_equal(fixture_follow("a", &chain), 0);
    assert_int_equal(chain.count, 1);
    expect_pages("1234 ");
    mv_chain_close(&chain);
}

/* Beside each other they are found wherever they are. */
static void test_moved(void **state)
{
    char from[FIXTURE_PATH], to[FIXTURE_PATH];
    write_three();
    assert_int_equal(mkdir(fixture_path("moved", to), 0700), 0);
    for (const char *name = "abc"; *name != '\0'; name++) {
        char moved[] = {'m', 'o', 'v', 'e', 'd', '/', *name, '\0'};
        assert_int_equal(rename(fixture_path(moved + 6, from), fixture_path(moved, to)), 0);
    }
    assert_int_equal(fixture_follow("moved/c", &chain), 0);
    assert_int_equal(chain.count, 3);
    assert_string_equal(chain.files[2].path, fixture_path("moved/a", to));
    expect_pages("1xz y");
    mv_chain_close(&chain);
}

static void test_missing(void **state)
{
    char a[FIXTURE_PATH], b[FIXTURE_PATH];
    write_three();
    assert_int_equal(unlink(fixture_path("a", a)), 0);
    assert_int_equal(fixture_follow("c", &chain), -ENOENT);
    expect_error("the base of ", fixture_path("b", b), "cannot open", a, NULL);
    assert_int_equal(chain.count, 2); /* those before it */
    struct mv_ram_view view;
    assert_int_equal(mv_ram_view_open(&chain, "ram0", &view, &err), -EINVAL);
    expect_error("the base of ", b, "is missing", NULL);
    mv_chain_close(&chain);
}

static void test_another_state(void **state)
{
    char a[FIXTURE_PATH], b[FIXTURE_PATH];
    write_three();
    fixture_write("a", &(struct fixture_state){.id = 'N', .pages = "1234 "});
    assert_int_equal(fixture_follow("c", &chain), -ESTALE);
    expect_error(fixture_path("a", a), "is not the state that", fixture_path("b", b), NULL);
    assert_int_equal(chain.count, 2);
    mv_chain_close(&chain);
}

static void test_in_a_circle(void **state)
{
    fixture_write("a",
                  &(struct fixture_state){.id = 'A', .pages = "-", .base = "b", .base_id = 'B'});
    fixture_write("b",
                  &(struct fixture_state){.id = 'B', .pages = "-", .base = "a", .base_id = 'A'});
    assert_int_equal(fixture_follow("a", &chain), -ELOOP);
    expect_error("builds on itself", NULL);
    mv_chain_close(&chain);
    fixture_write("a",
                  &(struct fixture_state){.id = 'A', .pages = "-", .base = "a", .base_id = 'A'});
    assert_int_equal(fixture_follow("a", &chain), -ELOOP);
    mv_chain_close(&chain);
}

static void test_as_many_as_can_be(void **state)
{
    char name[8], base[8];
    fixture_write("0", &(struct fixture_state){.id = ' ', .pages = "0"});
    for (int i = 1; i <= MV_CHAIN_MAX; i++) {
        snprintf(name, sizeof name, "%d", i);
        snprintf(base, sizeof base, "%d", i - 1);
        fixture_write(name, &(struct fixture_state){.id = (char)(' ' + i),
                                                    .pages = "-",
                                                    .base = base,
                                                    .base_id = (char)(' ' + i - 1)});
    }
    assert_int_equal(fixture_follow(base, &chain), 0);
    assert_int_equal(chain.count, MV_CHAIN_MAX);
    expect_pages("0");
    mv_chain_close(&chain);
    assert_int_equal(fixture_follow(name, &chain), -E2BIG);
    expect_error("64 files", NULL);
    mv_chain_close(&chain);
}

static void test_two_ids(void **state)
{
    char path[FIXTURE_PATH];
    fixture_write("a", &(struct fixture_state){.id = 'A', .pages = "1", .is_torn = true});
    assert_int_equal(mv_chain_open(fixture_path("a", path), &chain, &err), -EINVAL);
    expect_error(path, "another than the header's", NULL);
}

static void test_a_base_of_another_size(void **state)
{
    write_three();
    fixture_write("a", &(struct fixture_state){.id = 'A', .pages = "123456"});
    assert_int_equal(fixture_follow("b", &chain), 0);
    struct mv_ram_view view;
    assert_int_equal(mv_ram_view_open(&chain, "ram0", &view, &err), -EINVAL);
    expect_error("block ram0 has 20 KiB", "24 KiB", NULL);
    mv_chain_close(&chain);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_begin, fixture_end)
    const struct CMUnitTest tests[] = {
        TEST(test_follow),      TEST(test_moved),
        TEST(test_missing),     TEST(test_another_state),
        TEST(test_in_a_circle), TEST(test_as_many_as_can_be),
        TEST(test_two_ids),     TEST(test_a_base_of_another_size),
    };
    return cmocka_run_group_tests_name("chain", tests, NULL, NULL);
}
