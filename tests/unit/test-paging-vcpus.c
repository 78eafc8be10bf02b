/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vCPUs whose tables, code and data are absent pages: three of them go through the same
 * pages, with atomics and broadcast TLBIs, while threads bring pages in any order, drop others,
 * and kick the vCPUs.  Everything is done once, and nobody waits for ever.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "emulator-fixture.h"
#include "paging.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#define PAGE     MV_DIRTY_PAGE
#define BASE     UINT64_C(0x80000000)
#define PAGES    1024
#define TABLES   1 /* level 1, level 2, and one of level 3 for each 2 MiB */
#define CODE     8
#define CODE_TOO 100
#define DATA     512
#define ROUNDS   400 /* pages of data */

/* From DATA on, add 1 to the first doubleword of each page, and call the other page. */
static const uint32_t code[] = {
    0xd2800024, /* mov x4, #1 */
    0xf8240005, /* ldadd x4, x5, [x0] */
    0x91400400, /* add x0, x0, #0x1000 */
    0xd63f0120, /* blr x9 */
    0xf1000442, /* subs x2, x2, #1 */
    0x54ffff61, /* b.ne code */
    0xd4000002, /* hvc #0 */
};
static const uint32_t code_too[] = {
    0xd508831f, /* tlbi vmalle1is */
    0xd5033b9f, /* dsb ish */
    0xd5033fdf, /* isb */
    0xd65f03c0, /* ret */
};

static struct fixture fixture;
static struct mv_block *block;
static uint8_t image[PAGES][PAGE]; /* what the source has */

/* The source: pages that were asked for, brought by a thread, the last one first. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint64_t wanted[4 * PAGES];
    size_t count;
    bool stop;
    unsigned brought;
} source = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void want(void *opaque, uint64_t offset, uint64_t len, bool waits)
{
    pthread_mutex_lock(&source.lock);
    for (uint64_t at = offset; at < offset + len; at += PAGE) {
        if (source.count < 4 * PAGES)
            source.wanted[source.count++] = at / PAGE;
    }
    pthread_cond_signal(&source.changed);
    pthread_mutex_unlock(&source.lock);
}

static void *bring(void *opaque)
{
    pthread_mutex_lock(&source.lock);
    while (!source.stop) {
        if (source.count == 0) {
            pthread_cond_wait(&source.changed, &source.lock);
            continue;
        }
        uint64_t page = source.wanted[--source.count];
        source.brought++;
        pthread_mutex_unlock(&source.lock);
        sched_yield();
        mv_paging_fill(block, page * PAGE, image[page], PAGE);
        pthread_mutex_lock(&source.lock);
    }
    pthread_mutex_unlock(&source.lock);
    return NULL;
}

static void end(void *opaque)
{
}

static void put64(uint64_t page, uint64_t index, uint64_t value)
{
    memcpy(&image[page][index * 8], &value, 8);
}

/* BASE and what follows, by pages, each at its own address. */
static void make_tables(void)
{
    const uint64_t table = 3, leaf = 3 | 1 << 10 | 3 << 8; /* AF, inner shareable */
    put64(TABLES, BASE >> 30, (BASE + (TABLES + 1) * PAGE) | table);
    for (uint64_t i = 0; i < PAGES / 512; i++)
        put64(TABLES + 1, i, (BASE + (TABLES + 2 + i) * PAGE) | table);
    for (uint64_t page = 0; page < PAGES; page++)
        put64(TABLES + 2 + page / 512, page % 512, (BASE + page * PAGE) | leaf);
}

static int setup(void **state)
{
    const struct mv_paging_source paging = {"test://source", true, want, end, NULL};
    source.count = 0;
    if (fixture_setup(&fixture) < 0)
        return -1;
    fixture_add_ram(&fixture, "ram0", BASE, PAGES * PAGE);
    block = mv_block_find(fixture.registry, "ram0");
    make_tables();
    memcpy(image[CODE], code, sizeof code);
    memcpy(image[CODE_TOO], code_too, sizeof code_too);
    for (uint64_t page = DATA; page < PAGES; page++)
        put64(page, 0, page);
    return mv_paging_begin(block, &paging, NULL, &fixture_error);
}

static int teardown(void **state)
{
    return fixture_teardown(&fixture);
}

static void enter(struct mv_vcpu *vcpu)
{
    static struct mv_arm64_state s;
    mv_emulator_ops.vcpu_get_state(vcpu, &s);
    s.x[0] = BASE + DATA * PAGE;
    s.x[2] = ROUNDS;
    s.x[9] = BASE + CODE_TOO * PAGE;
    s.pc = BASE + CODE * PAGE;
    s.pstate = 0x3c5; /* EL1h, nothing is taken */
    s.sys.ttbr0 = BASE + TABLES * PAGE;
    s.sys.tcr = 25 | UINT64_C(2) << 32; /* addresses of 39 bits, and of 40 */
    s.sys.mair = 0xff;
    s.sys.sctlr |= 1;
    if (mv_emulator_ops.vcpu_set_state(vcpu, &s, &fixture_error) != 0)
        fail_msg("%s", fixture_error.text);
}

static atomic_uint running;

/*
 * Pages that nobody has changed go, as often as can be: the image is as they were, so that
 * one that was changed and dropped all the same would show.
 */
static void *drop(void *opaque)
{
    static uint64_t kept[PAGES / 64];
    struct mv_dirty_cursor *cursor = opaque;
    uint64_t hand = 0, pages, *dropped = calloc(1, sizeof *dropped);
    while (atomic_load(&running) > 0) {
        if (mv_paging_leave(block, &hand, 64, kept) == 0)
            continue;
        mv_space_forget(fixture.space);
        uint64_t offset = 0, len;
        assert_int_equal(mv_dirty_cursor_take(cursor, &pages, &fixture_error), 0);
        for (; mv_dirty_cursor_next(cursor, &offset, &len); offset += len)
            for (uint64_t page = offset / PAGE; page < (offset + len) / PAGE; page++)
                kept[page / 64] |= UINT64_C(1) << page % 64;
        *dropped += mv_paging_drop(block, kept);
    }
    return dropped;
}

static void *run(void *opaque)
{
    struct mv_vcpu *vcpu = opaque;
    enum mv_exit_reason why;
    while ((why = mv_emulator_ops.vcpu_run(vcpu)) == MV_EXIT_KICK)
        ;
    atomic_fetch_sub(&running, 1);
    return (void *)(uintptr_t)why;
}

static void test_all_comes_and_once(void **state)
{
    pthread_t bringer, dropper, threads[FIXTURE_CPUS];
    struct mv_dirty_cursor *cursor;
    void *why, *dropped;
    if (mv_dirty_cursor_open(fixture.space, block, &cursor, &fixture_error) != 0)
        fail_msg("%s", fixture_error.text);
    atomic_store(&running, FIXTURE_CPUS);
    for (unsigned i = 0; i < FIXTURE_CPUS; i++)
        enter(&fixture.cpu[i]->vcpu);
    assert_int_equal(pthread_create(&bringer, NULL, bring, NULL), 0);
    assert_int_equal(pthread_create(&dropper, NULL, drop, cursor), 0);
    for (unsigned i = 0; i < FIXTURE_CPUS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run, &fixture.cpu[i]->vcpu), 0);
    for (unsigned i = 0; atomic_load(&running) > 0; i++) {
        mv_emulator_ops.vcpu_kick(&fixture.cpu[i % FIXTURE_CPUS]->vcpu);
        sched_yield();
    }
    for (unsigned i = 0; i < FIXTURE_CPUS; i++) {
        assert_int_equal(pthread_join(threads[i], &why), 0);
        assert_int_equal((uintptr_t)why, MV_EXIT_HYPERCALL);
    }
    assert_int_equal(pthread_join(dropper, &dropped), 0);
    assert_true(*(uint64_t *)dropped > 0);
    free(dropped);
    mv_dirty_cursor_close(cursor);
    for (uint64_t page = DATA; page < DATA + ROUNDS; page++) {
        uint64_t value;
        assert_int_equal(mv_block_load(block, page * PAGE, 8, true, &value), 0);
        assert_int_equal(value, page + FIXTURE_CPUS);
    }
    /* Besides, tables and two pages of code may be here, and nothing else was asked for. */
    assert_in_range(mv_paging_absent(block), (PAGES - 2 - PAGES / 512 - 2 - ROUNDS) * PAGE,
                    (PAGES - ROUNDS) * PAGE);
    pthread_mutex_lock(&source.lock);
    source.stop = true;
    pthread_cond_signal(&source.changed);
    pthread_mutex_unlock(&source.lock);
    assert_int_equal(pthread_join(bringer, NULL), 0);
}

/* A vCPU that waits is no one that others wait for, and a failure is an exit. */
static void test_one_that_cannot_come(void **state)
{
    pthread_t thread;
    void *why;
    source.stop = false;
    enter(&fixture.cpu[0]->vcpu);
    atomic_store(&running, 1);
    assert_int_equal(pthread_create(&thread, NULL, run, &fixture.cpu[0]->vcpu), 0);
    pthread_mutex_lock(&source.lock);
    while (source.count == 0)
        pthread_cond_wait(&source.changed, &source.lock);
    uint64_t page = source.wanted[source.count = 0];
    pthread_mutex_unlock(&source.lock);
    while (atomic_load(&fixture.cpu[0]->mailbox.running))
        sched_yield();
    mv_space_settle(fixture.space);
    mv_paging_fail(block, "it is gone", "bring it back");
    assert_int_equal(pthread_join(thread, &why), 0);
    assert_int_equal((uintptr_t)why, MV_EXIT_FAULT);
    assert_ptr_equal(mv_emulator_ops.vcpu_fault(&fixture.cpu[0]->vcpu),
                     block->host + page * PAGE + 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_all_comes_and_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_one_that_cannot_come, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
