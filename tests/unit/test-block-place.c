/* SPDX-License-Identifier: Apache-2.0 */
/* memory/: blocks whose bytes are in a file already, as those of a restored guest. */
#include "backing.h"
#include "bank.h"
#include "block-info.h"
#include "block.h"
#include "size.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define SIZE (2 * MV_MIB)

static struct mv_block_registry *registry;
static struct mv_error err;
static int file;
static char path[64];

static int setup(void **state)
{
    char byte = 'p';
    strcpy(path, "/tmp/memvisor-place-XXXXXX");
    file = mkstemp(path);
    return file < 0 || ftruncate(file, 3 * SIZE) < 0 || pwrite(file, &byte, 1, SIZE) != 1 ||
           mv_block_registry_create(&registry, &err) < 0;
}

static int teardown(void **state)
{
    mv_block_registry_destroy(registry);
    close(file);
    unlink(path);
    return 0;
}

static void offer(struct mv_block_place *place, bool share)
{
    *place = (struct mv_block_place){
        .id = "ram0", .fd = file, .path = path, .offset = SIZE, .share = share};
    mv_block_registry_set_places(registry, place, 1);
}

static struct mv_block *make(const char *name, const struct mv_config_backing *wish)
{
    struct mv_block *block = NULL;
    if (mv_block_create_backed(registry, "", name, SIZE, wish, &block, &err) < 0)
        fail_msg("%s", err.text);
    return block;
}

static char in_file(void)
{
    char byte;
    assert_int_equal(pread(file, &byte, 1, SIZE), 1);
    return byte;
}

static void test_private(void **state)
{
    static const struct mv_config_backing wish;
    struct mv_block_place place;
    struct mv_block_info info;
    offer(&place, false);
    struct mv_block *block = make("ram0", &wish), *other = make("ram1", &wish);
    assert_true(mv_block_is_placed(block));
    assert_false(mv_block_is_placed(other));
    assert_int_equal(block->host[0], 'p');
    assert_true(block->save);
    block->host[0] = 'q';
    assert_int_equal(in_file(), 'p');
    assert_int_equal(mv_block_describe(block, &info, &err), 0);
    assert_string_equal(info.backing, "file");
    assert_string_equal(info.path, path);
    assert_int_equal(info.offset, SIZE);
    assert_false(info.share);
    /* Its bytes are its own: zeros do not uncover the file's. */
    assert_int_equal(mv_block_zero(block, 0, SIZE), 0);
    assert_int_equal(block->host[0], 0);
}

static void test_shared(void **state)
{
    static const struct mv_config_backing wish;
    struct mv_block_place place;
    offer(&place, true);
    struct mv_block *block = make("ram0", &wish);
    block->host[0] = 'q';
    assert_int_equal(in_file(), 'q');
    /* It was saved, and will be again. */
    assert_true(block->save);
}

/* Who is to see the bytes would look for them there. */
static void test_with_a_place_of_its_own(void **state)
{
    struct mv_config_backing wishes[] = {
        {.memfd = true},
        {.share = MV_SWITCH_ON},
        {.file = path, .share = MV_SWITCH_ON, .has_offset = true, .offset = 2 * SIZE},
    };
    struct mv_block_place place;
    offer(&place, false);
    for (size_t i = 0; i < sizeof wishes / sizeof wishes[0]; i++) {
        struct mv_block *block = make("ram0", &wishes[i]);
        assert_false(mv_block_is_placed(block));
        assert_int_equal(block->host[0], 0);
        mv_block_destroy(block);
    }
}

/* What a private block would only have copied is not needed, be it there or not. */
static void test_in_place_of_an_image(void **state)
{
    char gone[] = "/nonexistent/image";
    const struct mv_config_backing wish = {.file = gone, .share = MV_SWITCH_OFF, .create = true};
    struct mv_block_place place;
    offer(&place, false);
    assert_int_equal(make("ram0", &wish)->host[0], 'p');
}

static void test_a_folder_for_all(void **state)
{
    static const struct mv_config_backing wish;
    struct mv_block_place place;
    mv_block_registry_set_backs(registry, NULL, 0, "/tmp");
    offer(&place, false);
    assert_false(mv_block_is_placed(make("ram0", &wish)));
}

/* A device that is plugged again has memory of its own. */
static void test_no_place_later(void **state)
{
    static const struct mv_config_backing wish;
    struct mv_block_place place;
    offer(&place, false);
    mv_block_destroy(make("ram0", &wish));
    mv_block_registry_set_places(registry, NULL, 0);
    assert_int_equal(make("ram0", &wish)->host[0], 0);
}

static void test_too_short(void **state)
{
    static const struct mv_config_backing wish;
    struct mv_block_place place;
    struct mv_block *block = NULL;
    offer(&place, true);
    assert_int_equal(ftruncate(file, SIZE + 4096), 0);
    assert_int_equal(mv_block_create_backed(registry, "", "ram0", SIZE, &wish, &block, &err),
                     -EINVAL);
    assert_non_null(strstr(err.text, path));
    assert_int_equal(lseek(file, 0, SEEK_END), SIZE + 4096);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_private),
        TEST(test_shared),
        TEST(test_with_a_place_of_its_own),
        TEST(test_in_place_of_an_image),
        TEST(test_a_folder_for_all),
        TEST(test_no_place_later),
        TEST(test_too_short),
    };
    return cmocka_run_group_tests_name("block-place", tests, NULL, NULL);
}
