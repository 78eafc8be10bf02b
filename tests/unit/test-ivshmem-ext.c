/* SPDX-License-Identifier: Apache-2.0 */
/* device/ivshmem-ext: what docs/ivshmem-ext.md promises. */
#include "ivshmem-ext.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define WINDOW      0x40
#define WINDOW_SIZE 48

static uint32_t read_register(const struct mv_ivshmem_ext *ext, unsigned offset)
{
    return mv_ivshmem_ext_read(ext, offset);
}

static void test_registers(void **state)
{
    struct mv_ivshmem_ext ext;
    mv_ivshmem_ext_init(&ext, 3);
    assert_int_equal(read_register(&ext, 0x10), 0x31585649);
    assert_int_equal(read_register(&ext, 0x14), 1);
    assert_int_equal(read_register(&ext, 0x18), 0);
    assert_int_equal(read_register(&ext, 0x20), 0);
    assert_int_equal(read_register(&ext, 0x24), 3);
    assert_int_equal(read_register(&ext, 0x28), 0xffffffff);
    assert_int_equal(read_register(&ext, 0x2c), 0);
    for (unsigned offset = 0x30; offset < 0x40; offset += 4)
        assert_int_equal(read_register(&ext, offset), 0);
    for (unsigned offset = 0x40; offset < 0x100; offset += 4)
        assert_int_equal(read_register(&ext, offset), 0xffffffff);
    /* What is read-only stays as it is. */
    for (unsigned offset = 0x10; offset < 0x100; offset += 4) {
        uint32_t before = read_register(&ext, offset);
        if (offset == 0x28 || offset == 0x2c)
            continue;
        mv_ivshmem_ext_write(&ext, offset, 0x12345678);
        assert_int_equal(read_register(&ext, offset), before);
    }
    mv_ivshmem_ext_write(&ext, 0x2c, 0x123456);
    assert_int_equal(read_register(&ext, 0x2c), 0x3456);
    mv_ivshmem_ext_write(&ext, 0x28, 2);
    assert_int_equal(read_register(&ext, 0x28), 2);
    mv_ivshmem_ext_write(&ext, 0x28, 3); /* there is none */
    assert_int_equal(read_register(&ext, 0x28), 0xffffffff);
    mv_ivshmem_ext_write(&ext, 0x28, 0);
    mv_ivshmem_ext_reset(&ext);
    assert_int_equal(read_register(&ext, 0x28), 0xffffffff);
    assert_int_equal(read_register(&ext, 0x2c), 0);
    mv_ivshmem_ext_destroy(&ext);
}

static void test_changes(void **state)
{
    struct mv_ivshmem_ext ext;
    mv_ivshmem_ext_init(&ext, 1);
    uint32_t changes = read_register(&ext, 0x1c);
    assert_false(mv_ivshmem_ext_set_connected(&ext, false)); /* it was not */
    assert_int_equal(read_register(&ext, 0x1c), changes);
    assert_false(mv_ivshmem_ext_set_connected(&ext, true)); /* nobody wants to be told */
    assert_int_equal(read_register(&ext, 0x1c), changes + 1);
    assert_int_equal(read_register(&ext, 0x18), 1);
    mv_ivshmem_ext_write(&ext, 0x28, 0);
    assert_true(mv_ivshmem_ext_set_peer(&ext, 7, 1));
    assert_true(mv_ivshmem_ext_set_peer(&ext, 7, 2));
    assert_int_equal(read_register(&ext, 0x20), 1);
    assert_int_equal(read_register(&ext, WINDOW), 7 << 16 | 2);
    assert_true(mv_ivshmem_ext_set_peer(&ext, 7, 0));
    assert_false(mv_ivshmem_ext_set_peer(&ext, 7, 0)); /* gone already */
    assert_int_equal(read_register(&ext, 0x1c), changes + 4);
    assert_true(mv_ivshmem_ext_set_peer(&ext, 65535, 2048));
    assert_int_equal(read_register(&ext, WINDOW), 0xffff0800);
    assert_true(mv_ivshmem_ext_set_connected(&ext, false));
    assert_int_equal(read_register(&ext, 0x18), 0);
    assert_int_equal(read_register(&ext, 0x20), 1); /* who can still be rung */
    assert_int_equal(read_register(&ext, WINDOW), 0xffff0800);
    assert_int_equal(read_register(&ext, 0x1c), changes + 6);
    assert_true(mv_ivshmem_ext_set_connected(&ext, true));
    assert_int_equal(read_register(&ext, 0x18), 1);
    assert_int_equal(read_register(&ext, 0x20), 0); /* until the server tells */
    assert_int_equal(read_register(&ext, WINDOW), 0xffffffff);
    assert_int_equal(read_register(&ext, 0x1c), changes + 7);
    mv_ivshmem_ext_destroy(&ext);
}

/* The table as a driver reads it, by windows, against one that is simply kept. */
static size_t read_table(struct mv_ivshmem_ext *ext, uint32_t *ret)
{
    size_t count = 0;
    uint32_t select = 0;
    for (;;) {
        mv_ivshmem_ext_write(ext, 0x2c, select);
        for (unsigned i = 0; i < WINDOW_SIZE; i++) {
            uint32_t entry = read_register(ext, WINDOW + 4 * i);
            if (entry == 0xffffffff)
                return count;
            ret[count++] = entry;
            select = (entry >> 16) + 1;
        }
        if (select > 0xffff)
            return count;
    }
}

static void test_table(void **state)
{
    static uint16_t vectors[65536];
    static uint32_t table[65536];
    struct mv_ivshmem_ext ext;
    uint32_t random = 1;
    mv_ivshmem_ext_init(&ext, 1);
    mv_ivshmem_ext_set_connected(&ext, true);
    for (unsigned round = 0; round < 3000; round++) {
        random = random * 1664525 + 1013904223;
        /* Few enough that peers are met again; the last ID among them. */
        unsigned id = random >> 24 == 0 ? 65535 : (random >> 16) % 300 * 218;
        unsigned count = random >> 9 & 1 ? (random >> 10) % 2049 : 0;
        mv_ivshmem_ext_set_peer(&ext, id, count);
        vectors[id] = (uint16_t)count;
        if (round % 100 != 99)
            continue;
        size_t told = read_table(&ext, table), n = 0;
        for (unsigned i = 0; i < 65536; i++) {
            if (vectors[i] == 0)
                continue;
            assert_true(n < told);
            assert_int_equal(table[n++], (uint32_t)i << 16 | vectors[i]);
        }
        assert_int_equal(n, told);
        assert_int_equal(read_register(&ext, 0x20), told);
    }
    mv_ivshmem_ext_destroy(&ext);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_registers),
        cmocka_unit_test(test_changes),
        cmocka_unit_test(test_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
