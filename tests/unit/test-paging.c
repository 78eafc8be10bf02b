/* SPDX-License-Identifier: Apache-2.0 */
/* memory/paging.c: pages that come later, who waits for them, and sources that fail. */
#include "block-info.h"
#include "block.h"
#include "fault.h"
#include "paging.h"
#include "space.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define PAGE  MV_DIRTY_PAGE
#define PAGES 300
#define SIZE  (PAGES * PAGE)
#define BASE  UINT64_C(0x80000000)

static struct mv_block_registry *registry;
static struct mv_space *space;
static struct mv_block *block;
static struct mv_error err;
static unsigned faults;

/* A source: what it was asked for, and whether it brings that at once. */
static struct {
    enum { BRINGS, FAILS, STAYS_SILENT } mode;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned asked;
    uint64_t pages; /* asked for */
    uint64_t last, last_len;
    bool ended;
} source = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

/* Each byte of a page is its number, plus one. */
static void bring(uint64_t offset, uint64_t len)
{
    uint8_t *bytes = malloc(len);
    for (uint64_t at = 0; at < len; at++)
        bytes[at] = (uint8_t)((offset + at) / PAGE + 1);
    assert_int_equal(mv_paging_fill(block, offset, bytes, len), 0);
    free(bytes);
}

static void want(void *opaque, uint64_t offset, uint64_t len, bool waits)
{
    pthread_mutex_lock(&source.lock);
    source.asked++;
    source.pages += len / PAGE;
    source.last = offset;
    source.last_len = len;
    int mode = source.mode;
    pthread_cond_broadcast(&source.changed);
    pthread_mutex_unlock(&source.lock);
    if (mode == BRINGS)
        bring(offset, len);
    else if (mode == FAILS)
        mv_paging_fail(block, "it is gone", "bring it back");
}

static void await_asked(unsigned count)
{
    pthread_mutex_lock(&source.lock);
    while (source.asked < count)
        pthread_cond_wait(&source.changed, &source.lock);
    pthread_mutex_unlock(&source.lock);
}

static void end(void *opaque)
{
    source.ended = true;
}

static void on_fault(void *opaque, const struct mv_block *which, uint64_t offset)
{
    assert_ptr_equal(which, block);
    faults++;
}

static int setup(void **state)
{
    const struct mv_paging_source paging = {"test://source", false, want, end, NULL};
    source.mode = BRINGS;
    source.asked = 0;
    source.pages = 0;
    source.ended = false;
    faults = 0;
    assert_int_equal(mv_block_registry_create(&registry, &err), 0);
    mv_block_registry_on_fault(registry, on_fault, NULL);
    assert_int_equal(mv_space_create(&space, &err), 0);
    assert_int_equal(mv_block_create(registry, "", "ram0", SIZE, &block, &err), 0);
    assert_int_equal(mv_space_add_ram(space, BASE, block, 0, SIZE, &err), 0);
    assert_int_equal(mv_paging_begin(block, &paging, NULL, &err), 0);
    return 0;
}

static int teardown(void **state)
{
    mv_space_destroy(space);
    mv_block_registry_destroy(registry);
    assert_true(source.ended);
    return 0;
}

static void test_they_come_when_needed(void **state)
{
    uint8_t bytes[2 * PAGE];
    uint64_t value;
    assert_int_equal(mv_paging_absent(block), SIZE);
    assert_int_equal(mv_space_read(space, BASE + 7 * PAGE + 100, bytes, PAGE), 0);
    assert_int_equal(bytes[0], 8);
    assert_int_equal(bytes[PAGE - 1], 9);
    assert_int_equal(source.pages, 2);
    assert_int_equal(mv_paging_absent(block), SIZE - 2 * PAGE);
    assert_int_equal(mv_block_load(block, 64 * PAGE, 8, true, &value), 0);
    assert_true(value == UINT64_C(0x4141414141414141));
    assert_int_equal(mv_block_store(block, 65 * PAGE, 4, false, 0), 0);
    assert_int_equal(mv_space_read(space, BASE + 65 * PAGE, bytes, 8), 0);
    assert_int_equal(bytes[3], 0);
    assert_int_equal(bytes[4], 66);
    assert_int_equal(source.pages, 4);
}

static void test_whole_pages_are_replaced(void **state)
{
    static uint8_t bytes[4 * PAGE];
    uint64_t offset = 0, len;
    memset(bytes, 0xee, sizeof bytes);
    assert_int_equal(mv_space_write(space, BASE + 10 * PAGE, bytes, 2 * PAGE), 0);
    assert_int_equal(source.asked, 0);
    assert_int_equal(mv_space_write(space, BASE + 20 * PAGE - 1, bytes, 2 * PAGE + 2), 0);
    assert_int_equal(source.pages, 2); /* at both ends */
    assert_int_equal(mv_space_read(space, BASE + 19 * PAGE, bytes, 4 * PAGE), 0);
    assert_int_equal(bytes[PAGE - 2], 20);
    assert_int_equal(bytes[PAGE - 1], 0xee);
    assert_int_equal(bytes[3 * PAGE], 0xee);
    assert_int_equal(bytes[3 * PAGE + 1], 23);
    assert_int_equal(mv_space_zero(space, BASE + 30 * PAGE, PAGE), 0);
    assert_int_equal(source.pages, 2);
    /* What comes too late changes nothing. */
    bring(10 * PAGE, PAGE);
    bring(30 * PAGE, 2 * PAGE);
    assert_int_equal(mv_space_read(space, BASE + 10 * PAGE, bytes, 1), 0);
    assert_int_equal(bytes[0], 0xee);
    assert_int_equal(mv_space_read(space, BASE + 31 * PAGE - 1, bytes, 2), 0);
    assert_int_equal(bytes[0], 0);
    assert_int_equal(bytes[1], 32);
    assert_true(mv_paging_next_absent(block, &offset, &len));
    assert_int_equal(offset, 0);
    assert_int_equal(len, 10 * PAGE);
    offset += len;
    assert_true(mv_paging_next_absent(block, &offset, &len));
    assert_int_equal(offset, 12 * PAGE);
    assert_int_equal(len, 7 * PAGE);
}

static void test_all_of_them(void **state)
{
    uint64_t offset = 0, len;
    bring(5 * PAGE, PAGE);
    assert_int_equal(mv_paging_fetch(&block->paging, 0, SIZE, NULL), 0);
    assert_int_equal(source.asked, 2); /* each run once */
    assert_int_equal(mv_paging_absent(block), 0);
    assert_false(mv_paging_is_active(&block->paging));
    assert_false(mv_paging_next_absent(block, &offset, &len));
    assert_int_equal(mv_paging_fill(block, 0, NULL, PAGE), 0);
    assert_int_equal(mv_block_read(block, 0, &len, 1), 0);
    assert_int_equal((uint8_t)len, 1);
}

static void test_a_source_that_fails(void **state)
{
    uint8_t byte;
    struct mv_block_fault fault;
    source.mode = FAILS;
    assert_int_equal(mv_block_read(block, PAGE + 3, &byte, 1), -EIO);
    assert_int_equal(faults, 1);
    mv_block_fault_explain(block, PAGE + 3, &fault);
    assert_string_equal(fault.reason, "source-lost");
    assert_string_equal(fault.what.text,
                        "block ram0 has no byte 0x1003: test://source: it is gone");
    assert_string_equal(fault.remedy.text, "bring it back");
    assert_int_equal(mv_paging_fetch(&block->paging, 0, PAGE, NULL), -EIO);
    assert_int_equal(faults, 1); /* a job's is its own business */
    source.mode = BRINGS;
    mv_paging_retry_all(registry);
    assert_int_equal(mv_block_read(block, PAGE + 3, &byte, 1), 0);
    assert_int_equal(byte, 2);
}

/* --- threads */

static void *read_page(void *opaque)
{
    uint8_t byte = 0;
    int r = mv_block_read(block, *(uint64_t *)opaque * PAGE, &byte, 1);
    return (void *)(intptr_t)(r < 0 ? r : byte);
}

static void test_threads_wait(void **state)
{
    pthread_t threads[4];
    uint64_t pages[4] = {0, 1, 1, 250};
    void *result;
    source.mode = STAYS_SILENT;
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_page, &pages[i]), 0);
    await_asked(4);
    bring(250 * PAGE, PAGE);
    bring(0, 2 * PAGE);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], &result), 0);
        assert_int_equal((intptr_t)result, (uint8_t)(pages[i] + 1));
    }
}

static void test_the_end_wakes_them(void **state)
{
    pthread_t thread;
    uint64_t page = 3;
    void *result;
    source.mode = STAYS_SILENT;
    assert_int_equal(pthread_create(&thread, NULL, read_page, &page), 0);
    await_asked(1);
    mv_paging_end(block);
    assert_int_equal(pthread_join(thread, &result), 0);
    assert_int_equal((intptr_t)result, -EIO);
}

static void *cancel(void *opaque)
{
    await_asked(1);
    atomic_store((atomic_bool *)opaque, true);
    return NULL;
}

static void test_a_job_is_cancelled(void **state)
{
    pthread_t thread;
    atomic_bool cancelled = false;
    source.mode = STAYS_SILENT;
    assert_int_equal(pthread_create(&thread, NULL, cancel, &cancelled), 0);
    assert_int_equal(mv_paging_fetch(&block->paging, 0, SIZE, &cancelled), -ECANCELED);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

/* --- a thread that may be wanted elsewhere meanwhile */

struct busy {
    struct mv_fault_waiter waiter; /* first */
    unsigned waits, wakes;
    bool is_wanted;
};

static void wait_busy(struct mv_fault_waiter *waiter)
{
    struct busy *busy = (struct busy *)waiter;
    busy->waits++;
    if (!busy->is_wanted)
        bring(source.last, source.last_len);
}

static void wake_busy(struct mv_fault_waiter *waiter)
{
    ((struct busy *)waiter)->wakes++;
}

/* What sigsetjmp returned; 0 where it came through. */
static int enter(struct busy *busy, uint64_t page, const uint8_t **ret_address)
{
    struct mv_fault_point point = {.address = NULL};
    mv_fault_enter(&point);
    point.waiter = &busy->waiter;
    int why = sigsetjmp(point.jump, 0);
    if (why == 0)
        mv_paging_enter(&block->paging, page * PAGE, PAGE);
    mv_fault_leave(&point);
    *ret_address = point.address;
    return why;
}

static void test_an_engine_comes_back(void **state)
{
    struct busy busy = {.waiter = {wait_busy, wake_busy}, .is_wanted = true};
    const uint8_t *address;
    source.mode = STAYS_SILENT;
    assert_int_equal(enter(&busy, 9, &address), MV_FAULT_WAITED);
    assert_int_equal(busy.waits, 1);
    assert_int_equal(busy.wakes, 0);
    busy.is_wanted = false;
    assert_int_equal(enter(&busy, 9, &address), MV_FAULT_WAITED);
    assert_int_equal(busy.wakes, 1);
    assert_int_equal(enter(&busy, 9, &address), 0);
    assert_int_equal(busy.waits, 2);
    source.mode = FAILS;
    busy.is_wanted = true; /* by itself it would be brought */
    assert_int_equal(enter(&busy, 10, &address), MV_FAULT_WAITED); /* it was told by waking it */
    assert_int_equal(enter(&busy, 10, &address), MV_FAULT_CAUGHT);
    assert_ptr_equal(address, block->host + 10 * PAGE);
    assert_int_equal(faults, 0);
}

static struct mv_block *stale;

static void want_zeros(void *opaque, uint64_t offset, uint64_t len, bool waits)
{
    assert_int_equal(mv_paging_fill(stale, offset, NULL, len), 0);
}

static void test_some_are_there(void **state)
{
    static uint64_t here[(PAGES + 63) / 64] = {UINT64_C(1) << 63, 1};
    const struct mv_paging_source paging = {"test://other", false, want, NULL, NULL};
    struct mv_block *other;
    uint64_t offset = 0, len;
    assert_int_equal(mv_block_create(registry, "", "ram1", SIZE, &other, &err), 0);
    memset(other->host + 63 * PAGE, 7, 2 * PAGE);
    assert_int_equal(mv_paging_begin(other, &paging, here, &err), 0);
    assert_int_equal(mv_paging_absent(other), SIZE - 2 * PAGE);
    assert_true(mv_paging_next_absent(other, &offset, &len));
    assert_int_equal(len, 63 * PAGE);
    assert_string_equal(mv_paging_source_name(other), "test://other");
    mv_block_destroy(other);
}

/* What is there of absent pages from before is never seen: not even where zeros come for it. */
static void test_old_bytes(void **state)
{
    static uint64_t here[(PAGES + 63) / 64] = {1};
    const struct mv_paging_source paging = {
        .what = "test://other", .want = want_zeros, .stale = true};
    struct mv_wait_times waits = {0};
    struct mv_block *other;
    uint8_t bytes[2 * PAGE], nines[PAGE];
    assert_int_equal(mv_block_create(registry, "", "ram1", SIZE, &other, &err), 0);
    memset(other->host, 7, SIZE);
    memset(nines, 9, sizeof nines);
    stale = other;
    assert_int_equal(mv_paging_begin(other, &paging, here, &err), 0);
    assert_int_equal(mv_block_read(other, 0, bytes, 2 * PAGE), 0);
    assert_true(bytes[0] == 7 && bytes[PAGE - 1] == 7);
    assert_true(bytes[PAGE] == 0 && bytes[2 * PAGE - 1] == 0);
    assert_int_equal(mv_block_write(other, 5 * PAGE + 8, nines, PAGE), 0);
    assert_int_equal(mv_block_read(other, 5 * PAGE, bytes, 2 * PAGE), 0);
    assert_true(bytes[7] == 0 && bytes[8] == 9 && bytes[PAGE + 7] == 9 && bytes[PAGE + 8] == 0);
    assert_int_equal(mv_paging_fill(other, 0, NULL, SIZE), 0);
    assert_int_equal(mv_paging_absent(other), 0);
    assert_int_equal(other->host[0], 7);
    assert_int_equal(other->host[SIZE - 1], 0);
    mv_paging_add_waits(other, &waits);
    assert_int_equal(waits.count, 0); /* nobody but vCPUs is counted */
    mv_block_destroy(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_they_come_when_needed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_whole_pages_are_replaced, setup, teardown),
        cmocka_unit_test_setup_teardown(test_all_of_them, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_source_that_fails, setup, teardown),
        cmocka_unit_test_setup_teardown(test_threads_wait, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_end_wakes_them, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_job_is_cancelled, setup, teardown),
        cmocka_unit_test_setup_teardown(test_an_engine_comes_back, setup, teardown),
        cmocka_unit_test_setup_teardown(test_some_are_there, setup, teardown),
        cmocka_unit_test_setup_teardown(test_old_bytes, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
