/* SPDX-License-Identifier: Apache-2.0 */
/* memory/space.c and block-bytes.c: the map, its listeners, copies, threads. */
#include "space.h"

#include "block.h"
#include "size.h"

#include <inttypes.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct mv_block_registry *registry;
static struct mv_space *space;
static struct mv_error err;

static const struct mv_mmio_ops mmio_ops = {.min_access = 4, .max_access = 4};
static const struct mv_mmio_region uart = {.name = "uart", .ops = &mmio_ops};

static int setup(void **state)
{
    err.text[0] = '\0';
    return mv_block_registry_create(&registry, &err) || mv_space_create(&space, &err);
}

static int teardown(void **state)
{
    mv_space_destroy(space);
    mv_block_registry_destroy(registry);
    return 0;
}

static struct mv_block *add_ram(const char *name, uint64_t gpa, uint64_t size)
{
    struct mv_block *block = NULL;
    assert_int_equal(mv_block_create(registry, "", name, size, &block, &err), 0);
    assert_int_equal(mv_space_add_ram(space, gpa, block, 0, size, &err), 0);
    return block;
}

static void test_find(void **state)
{
    struct mv_block *high = add_ram("high", 8 * MV_GIB, MV_MIB);
    struct mv_block *low = add_ram("low", 2 * MV_GIB, MV_MIB);
    assert_int_equal(mv_space_add_mmio(space, 0x1000000, 0x1000, &uart, &err), 0);
    const struct {
        uint64_t gpa;
        const void *owner; /* NULL: nothing there */
        uint64_t start;
    } cases[] = {
        {0, NULL, 0},
        {0xffffff, NULL, 0},
        {0x1000000, &uart, 0x1000000},
        {0x1000fff, &uart, 0x1000000},
        {0x1001000, NULL, 0},
        {2 * MV_GIB - 1, NULL, 0},
        {2 * MV_GIB, low, 2 * MV_GIB},
        {2 * MV_GIB + MV_MIB - 1, low, 2 * MV_GIB},
        {2 * MV_GIB + MV_MIB, NULL, 0},
        {8 * MV_GIB + 5, high, 8 * MV_GIB},
        {UINT64_MAX, NULL, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct mv_range range;
        bool found = mv_space_find(space, cases[i].gpa, &range);
        assert_int_equal(found, cases[i].owner != NULL);
        if (!found)
            continue;
        bool ram = range.kind == MV_RANGE_RAM;
        assert_ptr_equal(ram ? (const void *)range.block : range.region, cases[i].owner);
        assert_int_equal(range.gpa, cases[i].start);
    }
}

static void test_refusals(void **state)
{
    struct mv_block *ram = add_ram("ram0", 0x80000000, MV_MIB);
    static const uint64_t overlaps[][2] = {
        {0x80000000, 4096}, {0x7ffff000, 0x2000}, {0x800ff000, 4096}, {0x7ffff000, 0x200000},
    };
    for (size_t i = 0; i < sizeof overlaps / sizeof overlaps[0]; i++) {
        assert_int_equal(mv_space_add_mmio(space, overlaps[i][0], overlaps[i][1], &uart, &err),
                         -EEXIST);
        assert_non_null(strstr(err.text, "uart"));
        assert_non_null(strstr(err.text, "ram0 at 0x80000000-0x800fffff"));
    }
    assert_int_equal(mv_space_add_mmio(space, 0x1000, 0, &uart, &err), -EINVAL);
    assert_int_equal(mv_space_add_mmio(space, UINT64_MAX - 4095, 8192, &uart, &err), -EINVAL);
    assert_int_equal(mv_space_add_ram(space, 0, ram, 0, MV_MIB + 4096, &err), -EINVAL);
    assert_int_equal(mv_space_add_ram(space, 0, ram, MV_MIB, 4096, &err), -EINVAL);
    assert_int_equal(mv_space_add_ram(space, 0, ram, UINT64_MAX - 4095, 8192, &err), -EINVAL);
    /* Neighbours do not overlap. */
    assert_int_equal(mv_space_add_mmio(space, 0x7ffff000, 0x1000, &uart, &err), 0);
    assert_int_equal(mv_space_add_mmio(space, 0x80100000, 0x1000, &uart, &err), 0);
}

struct journal {
    struct mv_space_listener listener;
    char text[256];
};

static void note(struct mv_space_listener *listener, uint64_t gpa, uint64_t size)
{
    struct journal *journal = (struct journal *)listener;
    struct mv_range range;
    size_t len = strlen(journal->text);
    /* No lock is held: a listener may look. */
    snprintf(journal->text + len, sizeof journal->text - len, "%c%" PRIx64 "+%" PRIx64 " ",
             mv_space_find(space, gpa, &range) ? '+' : '-', gpa, size);
}

static void test_listeners(void **state)
{
    struct journal first = {.listener.changed = note}, second = {.listener.changed = note};
    mv_space_listen(space, &first.listener);
    mv_space_listen(space, &second.listener);
    add_ram("ram0", 0x80000000, 0x1000);
    mv_space_unlisten(space, &first.listener);
    mv_space_remove(space, 0x80000000);
    mv_space_remove(space, 0x80000000);
    assert_string_equal(first.text, "+80000000+1000 ");
    assert_string_equal(second.text, "+80000000+1000 -80000000+1000 ");
}

static void test_copies(void **state)
{
    struct mv_block *a = add_ram("a", 0x80000000, 0x3000);
    struct mv_block *b = add_ram("b", 0x80003000, 0x1000);
    add_ram("c", 0x80005000, 0x1000);
    uint8_t out[0x4000], in[0x4000];
    for (size_t i = 0; i < sizeof in; i++)
        in[i] = (uint8_t)(i * 7 + i / 256);

    /* Every alignment of both ends, across the seam. */
    for (uint64_t skip = 0; skip < 17; skip++) {
        for (uint64_t len = 0; len < 40; len++) {
            uint64_t gpa = 0x80003000 - 20 + skip;
            memset(a->host, 0xee, 0x3000);
            memset(b->host, 0xee, 0x1000);
            assert_int_equal(mv_space_write(space, gpa, in + skip, len), 0);
            memset(out, 0, sizeof out);
            assert_int_equal(mv_space_read(space, gpa, out, len), 0);
            assert_memory_equal(out, in + skip, len);
            assert_int_equal(mv_space_read(space, gpa - 1, out, len + 2), 0);
            assert_int_equal(out[0], 0xee);
            assert_int_equal(out[len + 1], 0xee);
        }
    }
    assert_int_equal(mv_space_write(space, 0x80000000, in, 0x4000), 0);
    assert_memory_equal(a->host, in, 0x3000);
    assert_memory_equal(b->host, in + 0x3000, 0x1000);
    assert_int_equal(mv_space_zero(space, 0x80000fff, 0x2002), 0);
    assert_int_equal(a->host[0xffe], in[0xffe]);
    for (size_t i = 0xfff; i < 0x3000; i++)
        assert_int_equal(a->host[i], 0);
    assert_int_equal(b->host[0], 0);
    assert_int_equal(b->host[1], in[0x3001]);
}

static void test_holes_copy_nothing(void **state)
{
    struct mv_block *a = add_ram("a", 0x80000000, 0x1000);
    add_ram("b", 0x80002000, 0x1000);
    assert_int_equal(mv_space_add_mmio(space, 0x80003000, 0x1000, &uart, &err), 0);
    static uint8_t in[0x5000];
    memset(in, 0x55, sizeof in);
    static const uint64_t cases[][2] = {
        {0x80000000, 0x1001}, {0x80000fff, 2},      {0x80000000, 0x3000}, {0x80002000, 0x1001},
        {0x80003000, 4},      {0x7fffffff, 2},      {0, 1},               {UINT64_MAX, 1},
        {UINT64_MAX, 2},      {0x80000000, UINT64_MAX},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(mv_space_write(space, cases[i][0], in, cases[i][1]), -EFAULT);
        assert_int_equal(mv_space_zero(space, cases[i][0], cases[i][1]), -EFAULT);
    }
    for (size_t i = 0; i < 0x1000; i++)
        assert_int_equal(a->host[i], 0);
    uint8_t out[4] = {1, 2, 3, 4};
    assert_int_equal(mv_space_read(space, 0x80000ffe, out, 4), -EFAULT);
    assert_int_equal(out[0], 1);
    assert_int_equal(mv_space_write(space, 0, in, 0), 0);
}

static void test_ram_run(void **state)
{
    add_ram("c", 0x80003000, 0x1000);
    add_ram("a", 0x80000000, 0x1000);
    add_ram("b", 0x80001000, 0x1000);
    assert_int_equal(mv_space_add_mmio(space, 0x80004000, 0x1000, &uart, &err), 0);
    assert_int_equal(mv_space_ram_run(space, 0x80000000), 0x2000);
    assert_int_equal(mv_space_ram_run(space, 0x80001fff), 1);
    assert_int_equal(mv_space_ram_run(space, 0x80002000), 0);
    assert_int_equal(mv_space_ram_run(space, 0x80003000), 0x1000);
    assert_int_equal(mv_space_ram_run(space, 0x80004000), 0);
}

static int collect(const struct mv_range *range, void *opaque)
{
    uint64_t **next = opaque;
    *(*next)++ = range->gpa;
    return range->gpa == 0x9000 ? 42 : 0;
}

static void test_for_each(void **state)
{
    static const uint64_t gpas[] = {0x5000, 0x1000, 0x9000, 0x3000, 0xb000};
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(mv_space_add_mmio(space, gpas[i], 0x1000, &uart, &err), 0);
    uint64_t seen[5] = {0}, *next = seen;
    assert_int_equal(mv_space_for_each(space, collect, &next), 42);
    static const uint64_t expected[] = {0x1000, 0x3000, 0x5000, 0x9000, 0};
    assert_memory_equal(seen, expected, sizeof seen);
}

/* A map with thousands of ranges answers like a plain search. */
static void test_many_ranges(void **state)
{
    enum { COUNT = 3000 };
    unsigned seed = 1;
    uint64_t sizes[COUNT];
    for (unsigned i = 0; i < COUNT; i++) {
        unsigned slot = (i * 1009) % COUNT; /* a permutation: 1009 is prime to COUNT */
        sizes[slot] = (1 + (uint64_t)rand_r(&seed) % 16) * 0x1000;
        assert_int_equal(
            mv_space_add_mmio(space, (uint64_t)slot * 0x10000, sizes[slot], &uart, &err), 0);
    }
    for (unsigned i = 0; i < 20000; i++) {
        uint64_t gpa = (((uint64_t)rand_r(&seed) << 16) ^ (uint64_t)rand_r(&seed)) %
                       ((uint64_t)COUNT * 0x10000 + 0x1000);
        uint64_t slot = gpa >> 16;
        struct mv_range range;
        bool expected = slot < COUNT && (gpa & 0xffff) < sizes[slot];
        assert_int_equal(mv_space_find(space, gpa, &range), expected);
        if (expected)
            assert_int_equal(range.gpa, slot << 16);
    }
}

/* --- threads: vCPUs store into RAM and look addresses up while the map changes */

static atomic_bool stop;

static void *vcpu_thread(void *opaque)
{
    struct mv_block *ram = opaque;
    uint64_t *words = (uint64_t *)ram->host;
    uint64_t n = 0;
    while (!atomic_load(&stop)) {
        struct mv_range range;
        __atomic_store_n(&words[n % 512], n, __ATOMIC_RELAXED);
        n++;
        if (!mv_space_find(space, 0x80000000 + n % 0x1000, &range))
            return "lost the RAM";
        if (mv_space_find(space, 0x1000000, &range) && range.region != &uart)
            return "found something else";
    }
    return NULL;
}

static void test_threads(void **state)
{
    struct mv_block *ram = add_ram("ram0", 0x80000000, 0x1000);
    pthread_t threads[3];
    atomic_store(&stop, false);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, vcpu_thread, ram), 0);
    uint8_t buf[0x1000];
    for (unsigned i = 0; i < 1000; i++) {
        assert_int_equal(mv_space_add_mmio(space, 0x1000000, 0x1000, &uart, &err), 0);
        assert_int_equal(mv_space_read(space, 0x80000000, buf, sizeof buf), 0);
        assert_int_equal(mv_space_write(space, 0x80000003, buf, 0x800), 0);
        assert_int_equal(mv_space_zero(space, 0x80000005, 100), 0);
        mv_space_remove(space, 0x1000000);
    }
    atomic_store(&stop, true);
    for (size_t i = 0; i < 3; i++) {
        void *complaint;
        pthread_join(threads[i], &complaint);
        if (complaint != NULL)
            fail_msg("%s", (char *)complaint);
    }
}

static atomic_bool found_enough;
static pthread_barrier_t all_there;

static void *find_on(void *opaque)
{
    struct mv_range range;
    pthread_barrier_wait(&all_there);
    while (!atomic_load(&found_enough))
        (void)mv_space_find(space, 0x1000, &range);
    return NULL;
}

/* For ever, where those who look things up never let it in. */
static void test_settle_among_readers(void **state)
{
    pthread_t finders[8];
    assert_int_equal(mv_space_add_mmio(space, 0x1000, 0x1000, &uart, &err), 0);
    pthread_barrier_init(&all_there, NULL, 9);
    for (size_t i = 0; i < 8; i++)
        pthread_create(&finders[i], NULL, find_on, NULL);
    pthread_barrier_wait(&all_there);
    for (unsigned i = 0; i < 200; i++)
        mv_space_settle(space);
    atomic_store(&found_enough, true);
    for (size_t i = 0; i < 8; i++)
        pthread_join(finders[i], NULL);
    pthread_barrier_destroy(&all_there);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_find),
        TEST(test_refusals),
        TEST(test_listeners),
        TEST(test_copies),
        TEST(test_holes_copy_nothing),
        TEST(test_ram_run),
        TEST(test_for_each),
        TEST(test_many_ranges),
        TEST(test_threads),
        TEST(test_settle_among_readers),
    };
    return cmocka_run_group_tests_name("space", tests, NULL, NULL);
}
