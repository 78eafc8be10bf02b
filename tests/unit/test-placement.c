/* SPDX-License-Identifier: Apache-2.0 */
/* machine/placement-arm64.c: where an Image and what belongs to it go. */
#include "board-arm64.h"

#include "size.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MAX_BANKS 64
#define FDT       (8 * MV_KIB)

static struct mv_error err;
static struct mv_bank banks[MAX_BANKS];
static char ids[MAX_BANKS][24];

static struct mv_bank_layout layout_of(const uint64_t (*list)[2], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        snprintf(ids[i], sizeof ids[i], "ram%zu", i);
        banks[i] = (struct mv_bank){ids[i], list[i][0], list[i][1]};
    }
    return (struct mv_bank_layout){banks, count};
}

static bool in_ram(const struct mv_bank_layout *layout, uint64_t gpa, uint64_t size)
{
    for (size_t i = 0; i < layout->count && size > 0; i++) {
        const struct mv_bank *bank = &layout->banks[i];
        if (gpa < bank->gpa || gpa >= bank->gpa + bank->size)
            continue;
        uint64_t part = bank->gpa + bank->size - gpa;
        if (part > size)
            part = size;
        gpa += part;
        size -= part;
    }
    return size == 0;
}

static bool apart(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
    return a + a_size <= b || b + b_size <= a;
}

/* What Documentation/arm64/booting.rst asks for. */
static void check_rules(const struct mv_placement_request *r, const struct mv_bank_layout *layout,
                        const struct mv_placement *p)
{
    uint64_t base = p->kernel - r->image.text_offset;
    assert_int_equal(base % (2 * MV_MIB), 0);
    assert_int_equal(p->fdt % 8, 0);
    assert_true(in_ram(layout, p->kernel, r->image.memory_size));
    assert_true(in_ram(layout, p->fdt, r->fdt_size));
    assert_true(apart(p->kernel, r->image.memory_size, p->fdt, r->fdt_size));
    if (r->initrd_size == 0) {
        assert_int_equal(p->initrd, 0);
        return;
    }
    assert_true(in_ram(layout, p->initrd, r->initrd_size));
    assert_true(apart(p->kernel, r->image.memory_size, p->initrd, r->initrd_size));
    assert_true(apart(p->fdt, r->fdt_size, p->initrd, r->initrd_size));
    uint64_t low = p->kernel < p->initrd ? p->kernel : p->initrd;
    uint64_t high = p->kernel + r->image.memory_size;
    if (high < p->initrd + r->initrd_size)
        high = p->initrd + r->initrd_size;
    assert_true(high - (low & ~(MV_GIB - 1)) <= 32 * MV_GIB);
}

#define RAM(...)                                                                                   \
    (const uint64_t[][2]){__VA_ARGS__}, sizeof((const uint64_t[][2]){__VA_ARGS__}) / 16

static void test_images(void **state)
{
    const struct {
        const char *name;
        const uint64_t (*list)[2];
        size_t count;
        uint64_t text_offset, memory_size, initrd_size;
        uint64_t kernel; /* expected */
    } cases[] = {
        {"one bank", RAM({0x80000000, 256 * MV_MIB}), 0, 28 * MV_MIB, 2 * MV_MIB, 0x80000000},
        {"text offset", RAM({0x80000000, 64 * MV_MIB}), 0x80000, MV_MIB, 0, 0x80080000},
        {"a bank off the alignment", RAM({0x80001000, 64 * MV_MIB}), 0, MV_MIB, 0, 0x80200000},
        {"the low bank is too small", RAM({0x10000000, 16 * MV_MIB}, {0x80000000, 64 * MV_MIB}), 0,
         28 * MV_MIB, 2 * MV_MIB, 0x80000000},
        {"the low bank holds the kernel but not all",
         RAM({0x10000000, 28 * MV_MIB}, {0x80000000, 64 * MV_MIB}), 0, 28 * MV_MIB, 2 * MV_MIB,
         0x80000000},
        {"the low bank holds all", RAM({0x10000000, 64 * MV_MIB}, {0x80000000, 64 * MV_MIB}), 0,
         28 * MV_MIB, 2 * MV_MIB, 0x10000000},
        {"adjacent banks",
         RAM({0x80000000, 16 * MV_MIB}, {0x81000000, 16 * MV_MIB}, {0x82000000, 16 * MV_MIB}), 0,
         28 * MV_MIB, 2 * MV_MIB, 0x80000000},
        {"adjacent banks behind a hole",
         RAM({0x80000000, 16 * MV_MIB}, {0x82000000, 16 * MV_MIB}, {0x83000000, 16 * MV_MIB},
             {0x84000000, 4 * MV_MIB}),
         0, 28 * MV_MIB, 2 * MV_MIB, 0x82000000},
        {"above 4 GiB", RAM({0x80000000, 4096}, {8 * MV_GIB, 64 * MV_MIB}), 0, 28 * MV_MIB,
         2 * MV_MIB, 8 * MV_GIB},
        {"an initrd of 30 GiB", RAM({0x80000000, 64 * MV_GIB}), 0, 28 * MV_MIB, 30 * MV_GIB,
         0x80000000},
        {"to the last byte", RAM({0x80000000, 4 * MV_MIB}), 0, 2 * MV_MIB, 2 * MV_MIB - FDT,
         0x80000000},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct mv_bank_layout layout = layout_of(cases[i].list, cases[i].count);
        struct mv_placement_request request = {
            false, {cases[i].text_offset, cases[i].memory_size}, cases[i].initrd_size, FDT};
        struct mv_placement p;
        if (mv_placement_find(&request, &layout, &p, &err) != 0)
            fail_msg("%s: %s", cases[i].name, err.text);
        if (p.kernel != cases[i].kernel)
            fail_msg("%s: at 0x%llx", cases[i].name, (unsigned long long)p.kernel);
        check_rules(&request, &layout, &p);
    }
}

static void test_sixty_four_banks(void **state)
{
    uint64_t list[64][2];
    for (size_t i = 0; i < 64; i++) {
        list[i][0] = 0x80000000 + i * 16 * MV_MIB;
        list[i][1] = 16 * MV_MIB;
    }
    struct mv_bank_layout layout = layout_of(list, 64);
    struct mv_placement_request request = {false, {0, 28 * MV_MIB}, 600 * MV_MIB, FDT};
    struct mv_placement p;
    assert_int_equal(mv_placement_find(&request, &layout, &p, &err), 0);
    check_rules(&request, &layout, &p);
    /* With a hole in the middle neither half is large enough. */
    list[32][1] = 4096;
    layout = layout_of(list, 64);
    assert_int_equal(mv_placement_find(&request, &layout, &p, &err), -ENOSPC);
    assert_non_null(strstr(err.text, "ram0 0x80000000-0x80ffffff (16 MiB)"));
    assert_non_null(strstr(err.text, " more"));
}

static void test_refusals(void **state)
{
    const struct {
        const uint64_t (*list)[2];
        size_t count;
        struct mv_placement_request request;
        const char *word[4];
    } cases[] = {
        {RAM({0x80000000, 16 * MV_MIB}), {false, {0, 0x1aa0000}, 0, FDT},
         {"kernel (27 MiB)", "27 MiB", "ram0 0x80000000-0x80ffffff (16 MiB)", "-m"}},
        {RAM({0x80000000, 64 * MV_MIB}, {8 * MV_GIB, 64 * MV_MIB}),
         {false, {0, 0x1aa0000}, 100 * MV_MIB, FDT},
         {"initrd (100 MiB)", "127 MiB", "ram0 0x80000000", "ram1 0x200000000"}},
        /* One byte more than fits. */
        {RAM({0x80000000, 4 * MV_MIB}), {false, {0, 2 * MV_MIB}, 2 * MV_MIB - FDT + 1, FDT},
         {"kernel (2 MiB)", NULL}},
        /* More than the window that booting.rst allows. */
        {RAM({0x80000000, 64 * MV_GIB}), {false, {0, MV_MIB}, 32 * MV_GIB, FDT}, {"32 GiB", NULL}},
        /* Headers with nonsense. */
        {RAM({0x80000000, 64 * MV_GIB}), {false, {0, UINT64_MAX}, 1, FDT}, {"kernel", NULL}},
        {RAM({0x80000000, 64 * MV_GIB}), {false, {UINT64_MAX - 3, 64}, 0, FDT}, {"kernel", NULL}},
        {RAM({0x80000000, 64 * MV_GIB}), {false, {0, MV_MIB}, UINT64_MAX, FDT}, {"initrd", NULL}},
        /* The lowest bank is the firmware's, large banks above or not. */
        {RAM({0x80000000, 0x80000}, {8 * MV_GIB, MV_GIB}), {true, {0, 64}, 0, FDT},
         {"firmware (1 KiB)", "512 KiB", NULL}},
        {RAM({0x80000000, MV_GIB}), {false, {0, MV_MIB}, 0, 2 * MV_MIB + 8},
         {"device tree", "2 MiB", NULL}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct mv_bank_layout layout = layout_of(cases[i].list, cases[i].count);
        struct mv_placement p = {1, 2, 3};
        int r = mv_placement_find(&cases[i].request, &layout, &p, &err);
        if (r != -ENOSPC && r != -EFBIG)
            fail_msg("case %zu: %d", i, r);
        assert_int_equal(p.kernel, 1);
        for (size_t w = 0; w < 4 && cases[i].word[w] != NULL; w++)
            if (strstr(err.text, cases[i].word[w]) == NULL)
                fail_msg("case %zu lacks '%s': %s", i, cases[i].word[w], err.text);
    }
}

static void test_firmware(void **state)
{
    const struct {
        const uint64_t (*list)[2];
        size_t count;
        uint64_t size, initrd_size;
        uint64_t clear; /* of anything but the firmware, from the start */
    } cases[] = {
        {RAM({0x80000000, 64 * MV_MIB}), MV_MIB, MV_MIB, 32 * MV_MIB},
        {RAM({0x80000000, MV_GIB}), MV_MIB, 0, 128 * MV_MIB},
        {RAM({0x10000000, 64 * MV_MIB}, {0x80000000, MV_GIB}), 4096, 4096, 32 * MV_MIB},
        /* Larger than its bank, and than half of RAM. */
        {RAM({0x80000000, 2 * MV_MIB}, {0x80200000, 6 * MV_MIB}), 6 * MV_MIB, 0, 4 * MV_MIB},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct mv_bank_layout layout = layout_of(cases[i].list, cases[i].count);
        uint64_t start = layout.banks[0].gpa, size = cases[i].size;
        struct mv_placement_request request = {true, {0, size}, cases[i].initrd_size, FDT};
        struct mv_placement p;
        assert_int_equal(mv_placement_find(&request, &layout, &p, &err), 0);
        assert_int_equal(p.kernel, start + 0x80000);
        assert_true(p.fdt >= start + cases[i].clear);
        assert_true(apart(p.kernel, size, p.fdt, FDT));
        assert_true(in_ram(&layout, p.kernel, size) && in_ram(&layout, p.fdt, FDT));
        if (request.initrd_size != 0) {
            assert_true(p.initrd >= start + cases[i].clear);
            assert_true(apart(p.initrd, request.initrd_size, p.fdt, FDT));
            assert_true(in_ram(&layout, p.initrd, request.initrd_size));
        }
    }
}

/* What is found keeps the rules, and what is refused has no place. */
static void test_random(void **state)
{
    unsigned seed = 3;
    unsigned found = 0;
    for (unsigned round = 0; round < 20000; round++) {
        uint64_t list[6][2], at = 0x80000000;
        size_t count = 1 + (size_t)rand_r(&seed) % 6;
        for (size_t i = 0; i < count; i++) {
            list[i][0] = at;
            list[i][1] = 4096 * (1 + (uint64_t)rand_r(&seed) % 4096);
            at += list[i][1] + (rand_r(&seed) % 2 ? 0 : 4096 * ((uint64_t)rand_r(&seed) % 1024));
        }
        struct mv_bank_layout layout = layout_of(list, count);
        struct mv_placement_request request = {
            false,
            {rand_r(&seed) % 2 ? 0 : 0x80000, 1 + (uint64_t)rand_r(&seed) % (16 * MV_MIB)},
            (uint64_t)rand_r(&seed) % 2 * ((uint64_t)rand_r(&seed) % (16 * MV_MIB)),
            FDT};
        struct mv_placement p;
        if (mv_placement_find(&request, &layout, &p, &err) == 0) {
            check_rules(&request, &layout, &p);
            found++;
            continue;
        }
        uint64_t need = 2 * MV_MIB + 0x80000 + request.image.memory_size + request.initrd_size +
                        FDT + 3 * 4096;
        for (size_t i = 0; i < count; i++)
            assert_true(list[i][1] < need);
    }
    assert_true(found > 1000 && found < 19000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_images),
        cmocka_unit_test(test_sixty_four_banks),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_firmware),
        cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests_name("placement", tests, NULL, NULL);
}
