/* SPDX-License-Identifier: Apache-2.0 */
/* memory/read-ahead.c: what is brought for guests that go on, step, jump and do all at once. */
#include "dirty-log.h"
#include "read-ahead.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PAGE  MV_DIRTY_PAGE
#define PAGES (UINT64_C(64) << 20 >> 12)
#define SIZE  (PAGES * PAGE)

/* A guest's memory: what is here, and how often it waited. */
struct guest {
    struct mv_read_ahead ahead;
    bool here[PAGES];
    unsigned misses;
    uint64_t brought; /* pages */
};

static int setup(void **state)
{
    *state = calloc(1, sizeof(struct guest));
    return *state == NULL ? -1 : 0;
}

static int teardown(void **state)
{
    free(*state);
    return 0;
}

static void touch(struct guest *guest, uint64_t page)
{
    struct mv_read_ahead_run runs[MV_READ_AHEAD_RUNS];
    if (guest->here[page])
        return;
    guest->misses++;
    guest->here[page] = true;
    size_t count = mv_read_ahead_miss(&guest->ahead, page * PAGE, SIZE, runs);
    uint64_t bytes = 0;
    assert_in_range(count, 0, MV_READ_AHEAD_RUNS);
    for (size_t i = 0; i < count; i++) {
        assert_true(runs[i].len > 0 && runs[i].offset % PAGE == 0 && runs[i].len % PAGE == 0);
        assert_true(runs[i].offset < SIZE && runs[i].len <= SIZE - runs[i].offset);
        bytes += runs[i].len;
        for (uint64_t at = runs[i].offset / PAGE; at < (runs[i].offset + runs[i].len) / PAGE; at++)
            guest->here[at] = true;
    }
    assert_true(bytes <= MV_READ_AHEAD_MOST);
    guest->brought += bytes / PAGE;
}

static void test_one_that_goes_on(void **state)
{
    struct guest *guest = *state;
    for (uint64_t page = 100; page < PAGES; page++)
        touch(guest, page);
    /* Windows grow to 1 MiB soon. */
    assert_in_range(guest->misses, 64, 75);
}

static void test_several_at_once(void **state)
{
    struct guest *guest = *state;
    for (uint64_t i = 0; i < 2048; i++)
        for (uint64_t stream = 0; stream < 4; stream++)
            touch(guest, stream * 4096 + i);
    assert_in_range(guest->misses, 4 * 8, 4 * 20);
}

/* Each 100th page, up or down: a place or two until that is seen, and then the pages alone. */
static void test_one_that_steps(void **state)
{
    struct guest *guest = *state;
    for (uint64_t i = 0; i < 100; i++)
        touch(guest, 1000 + 100 * i);
    assert_in_range(guest->misses, 3, 60);
    assert_in_range(guest->brought, 60, 150);
    memset(guest, 0, sizeof *guest);
    for (uint64_t i = 0; i < 100; i++)
        touch(guest, 12000 - 100 * i);
    assert_in_range(guest->misses, 3, 60);
}

static void test_one_that_goes_down(void **state)
{
    struct guest *guest = *state;
    for (uint64_t page = PAGES; page-- > 0;)
        touch(guest, page);
    assert_in_range(guest->misses, 64, 80);
}

/* Nothing is to be learned: no more than a page's place is brought for each. */
static void test_one_that_jumps(void **state)
{
    struct guest *guest = *state;
    uint64_t random = 1;
    for (unsigned i = 0; i < 1000; i++) {
        random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        touch(guest, (random >> 33) % PAGES);
    }
    assert_true(guest->brought <= guest->misses * 10);
}

static void test_the_ends(void **state)
{
    struct guest *guest = *state;
    touch(guest, PAGES - 1);
    touch(guest, 0);
    touch(guest, 8);
    touch(guest, PAGES - 9);
    assert_int_equal(guest->misses, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_one_that_goes_on, setup, teardown),
        cmocka_unit_test_setup_teardown(test_several_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_one_that_steps, setup, teardown),
        cmocka_unit_test_setup_teardown(test_one_that_goes_down, setup, teardown),
        cmocka_unit_test_setup_teardown(test_one_that_jumps, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_ends, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
