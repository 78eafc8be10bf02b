/* SPDX-License-Identifier: Apache-2.0 */
/* memory/bank.c: where banks come to stand, every refusal, and random layouts. */
#include "bank.h"

#include "config.h"
#include "size.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define RAM_BASE (2 * MV_GIB)
#define IPA_BITS 48

/* The board's windows of docs/DESIGN.md, not in address order. */
static const struct mv_window windows[] = {
    {"PCI memory", 0x50000000, 0x30000000}, {"UART", 0x01000000, 8},
    {"GIC", 0x3ffd0000, 0x30000},           {"RTC", 0x01010000, 0x1000},
    {"PCI ECAM", 0x40000000, 0x10000000},
};
#define WINDOW_COUNT (sizeof windows / sizeof windows[0])

enum { WISHES_MAX = 16 };

struct made {
    int result;
    struct mv_bank_layout layout;
    struct mv_error err;
};

/* Lay out the banks of a text, each as -m takes it, separated by blanks. */
static struct made make(const char *text)
{
    struct made made = {0};
    struct mv_config_bank wishes[WISHES_MAX] = {0};
    size_t count = 0;
    char *copy = strdup(text), *rest = copy;
    while (rest != NULL) {
        assert_true(count < WISHES_MAX);
        assert_int_equal(mv_config_parse_bank(strsep(&rest, " "), &wishes[count++], &made.err), 0);
    }
    free(copy);
    made.result = mv_bank_layout_make(wishes, count, windows, WINDOW_COUNT, RAM_BASE, IPA_BITS,
                                      &made.layout, &made.err);
    for (size_t i = 0; i < count; i++)
        mv_config_bank_clear(&wishes[i]);
    return made;
}

static void test_layouts(void **state)
{
    static const struct {
        const char *wishes;
        const char *layout; /* id gpa size, ... */
    } cases[] = {
        {"512M", "ram0 80000000 20000000"},
        {"256M@2G 256M@8G", "ram0 80000000 10000000, ram1 200000000 10000000"},
        {"256M@8G 256M@2G", "ram0 80000000 10000000, ram1 200000000 10000000"},
        {"64M@0x10000000", "ram0 10000000 4000000"},
        {"4K@0x0 4K@0x1000000000", "ram0 0 1000, ram1 1000000000 1000"},
        {"1G 2G 4K", "ram0 80000000 40000000, ram1 c0000000 80000000, ram2 140000000 1000"},
        {"256M 256M@2G", "ram0 80000000 10000000, ram1 90000000 10000000"},
        {"64M@0x88000000 128M 64M 256M",
         "ram0 80000000 8000000, ram1 88000000 4000000, ram2 8c000000 4000000, "
         "ram3 90000000 10000000"},
        {"64M@0x88000000 256M 64M", "ram0 80000000 4000000, ram1 88000000 4000000, "
                                    "ram2 8c000000 10000000"},
        {"256M@2G 256M@0x90000000", "ram0 80000000 10000000, ram1 90000000 10000000"},
        {"1G@4G,id=high 1G@2G,id=low", "low 80000000 40000000, high 100000000 40000000"},
        {"1G@4G 1G@2G,id=low", "low 80000000 40000000, ram1 100000000 40000000"},
        {"1G@4G,id=ram1 1G@2G", "ram0 80000000 40000000, ram1 100000000 40000000"},
        {"64G 8G", "ram0 80000000 1000000000, ram1 1080000000 200000000"},
        {"4K@0xfffffffff000", "ram0 fffffffff000 1000"},
        {"262142G@2G", "ram0 80000000 ffff80000000"},
        {"262142G", "ram0 80000000 ffff80000000"},
        {"252M@0x10000000 4K@0x1001000", "ram0 1001000 1000, ram1 10000000 fc00000"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[1024] = "";
        struct made made = make(cases[i].wishes);
        if (made.result != 0)
            fail_msg("'%s': %s", cases[i].wishes, made.err.text);
        for (size_t k = 0; k < made.layout.count; k++) {
            const struct mv_bank *b = &made.layout.banks[k];
            snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s %" PRIx64 " %" PRIx64,
                     k == 0 ? "" : ", ", b->id, b->gpa, b->size);
        }
        assert_string_equal(text, cases[i].layout);
        mv_bank_layout_free(&made.layout);
    }
}

static void test_refusals(void **state)
{
    static const struct {
        const char *wishes;
        int result;
        const char *parts[6];
    } cases[] = {
        {"0", -EINVAL, {"bank '0'", "zero", "0 bytes", "4 KiB"}},
        {"0@2G", -EINVAL, {"bank '0@2G'", "0x80000000", "zero"}},
        {"6K@2G", -EINVAL, {"6 KiB", "0x80000000", "unaligned", "4 KiB or 8 KiB"}},
        {"1K", -EINVAL, {"1 KiB", "unaligned", "4 KiB or 8 KiB"}},
        {"256M@0x80000001", -EINVAL, {"0x80000001", "256 MiB", "unaligned", "4 KiB"}},
        {"256M@0x80000800", -EINVAL, {"0x80000800", "such as 0x80000000"}},
        {"256M@2G 256M@0x88000000",
         -EEXIST,
         {"ram0", "0x80000000-0x8fffffff", "ram1", "0x88000000-0x97ffffff", "overlap", "256 MiB"}},
        {"1M@2G 2M@2G,id=x", -EEXIST, {"banks ram0", "and x", "overlap"}},
        {"4G@2G 1M@8G 1M@3G", -EEXIST, {"0x80000000-0x17fffffff", "0xc0000000-0xc00fffff"}},
        {"256M@0x50000000",
         -EEXIST,
         {"ram0", "0x50000000-0x5fffffff", "256 MiB", "overlaps", "'PCI memory'",
          "0x50000000-0x7fffffff"}},
        {"4G@0x0", -EEXIST, {"overlaps", "'UART'", "0x1000000-0x1000007", "8 bytes"}},
        {"1G@0x10000000", -EEXIST, {"'GIC'", "0x3ffd0000-0x3fffffff"}},
        {"4K@0x7ffff000 1M@2G", -EEXIST, {"ram0", "'PCI memory'"}},
        {"4K@0x1000000000000",
         -ERANGE,
         {"beyond", "48 bits", "0xffffffffffff", "fits there is none"}},
        {"8K@0xfffffffff000",
         -ERANGE,
         {"0xfffffffff000-0x1000000000fff", "48 bits",
          "the largest size that fits there is 4 KiB"}},
        {"257T@0x80000000", -ERANGE, {"beyond", "48 bits", "262142 GiB"}},
        {"16382P@1P", -ERANGE, {"beyond", "none"}},
        {"16383P@2P", -ERANGE, {"too large"}},
        {"1M@0xfffffffffff00000", -ERANGE, {"too large", "48 bits"}},
        {"16383P@2G", -ERANGE, {"48 bits", "262142 GiB"}},
        {"300T", -ENOSPC, {"300 TiB", "too large", "48 bits", "262142 GiB", "0x80000000"}},
        {"16383P", -ENOSPC, {"too large"}},
        {"1G@2G,id=a 1G@4G,id=a", -EEXIST, {"'a'", "0x80000000-0xbfffffff", "1G@4G,id=a"}},
        {"1G@2G,id=ram1 1G@4G", -EEXIST, {"'ram1'", "automatic", "1G@4G"}},
        {"1G@2G 1G@4G,id=ram0", -EEXIST, {"'ram0'", "automatic", "'1G@2G'"}},
        {"262142G 4K", -ENOSPC, {"4 KiB", "none"}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct made made = make(cases[i].wishes);
        if (made.result != cases[i].result)
            fail_msg("'%s': %d where %d is right: %s", cases[i].wishes, made.result,
                     cases[i].result, made.err.text);
        assert_null(made.layout.banks);
        for (size_t k = 0; k < 6 && cases[i].parts[k] != NULL; k++) {
            if (strstr(made.err.text, cases[i].parts[k]) == NULL)
                fail_msg("'%s': '%s' lacks '%s'", cases[i].wishes, made.err.text,
                         cases[i].parts[k]);
        }
    }
}

/* --- random layouts on a small space, against a map of its pages --- */

enum { PAGES = 64, BASE_PAGE = 16, SMALL_BITS = 18 };

struct small_case {
    struct mv_config_bank wishes[6];
    size_t wish_count;
    struct mv_window windows[3];
    size_t window_count;
};

static void make_small_case(struct small_case *c)
{
    static char text[] = "random";
    memset(c, 0, sizeof *c);
    c->window_count = (size_t)(rand() % 4);
    for (size_t i = 0; i < c->window_count; i++)
        c->windows[i] = (struct mv_window){"window", (uint64_t)(rand() % (PAGES - 8)) * 4096,
                                           (uint64_t)(1 + rand() % 8) * 4096};
    c->wish_count = (size_t)(1 + rand() % 6);
    for (size_t i = 0; i < c->wish_count; i++)
        c->wishes[i] = (struct mv_config_bank){.size = (uint64_t)(1 + rand() % 12) * 4096,
                                               .has_gpa = rand() % 2 == 0,
                                               .gpa = (uint64_t)(rand() % PAGES) * 4096,
                                               .text = text};
}

static bool pages_are_free(const bool *used, size_t first, size_t count)
{
    if (first + count > PAGES)
        return false;
    for (size_t i = first; i < first + count; i++) {
        if (used[i])
            return false;
    }
    return true;
}

/* The place of every wish by trying every page; false where one has none. */
static bool place_by_brute_force(const struct small_case *c, uint64_t *gpas)
{
    bool used[PAGES] = {false};
    for (size_t i = 0; i < c->window_count; i++)
        memset(used + c->windows[i].gpa / 4096, true, c->windows[i].size / 4096);
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < c->wish_count; i++) {
            const struct mv_config_bank *w = &c->wishes[i];
            size_t count = w->size / 4096, page = w->has_gpa ? w->gpa / 4096 : BASE_PAGE;
            if (w->has_gpa != (pass == 0))
                continue;
            while (!w->has_gpa && page < PAGES && !pages_are_free(used, page, count))
                page++;
            if (!pages_are_free(used, page, count))
                return false;
            memset(used + page, true, count);
            gpas[i] = page * 4096;
        }
    }
    return true;
}

static bool holds(const struct mv_bank_layout *layout, uint64_t gpa, uint64_t size)
{
    for (size_t i = 0; i < layout->count; i++) {
        if (layout->banks[i].gpa == gpa && layout->banks[i].size == size)
            return true;
    }
    return false;
}

static void test_random_layouts(void **state)
{
    int good = 0, refused = 0;
    unsigned seed = (unsigned)time(NULL);
    srand(seed);
    for (int round = 0; round < 50000; round++) {
        struct small_case c;
        struct mv_bank_layout layout;
        struct mv_error err = {""};
        uint64_t gpas[6];
        make_small_case(&c);
        bool possible = place_by_brute_force(&c, gpas);
        int r = mv_bank_layout_make(c.wishes, c.wish_count, c.windows, c.window_count,
                                    (uint64_t)BASE_PAGE * 4096, SMALL_BITS, &layout, &err);
        if (possible != (r == 0))
            fail_msg("seed %u, round %d: %d where %spossible: %s", seed, round, r,
                     possible ? "" : "im", err.text);
        if (r < 0) {
            assert_true(strlen(err.text) > 0);
            refused++;
            continue;
        }
        good++;
        assert_int_equal(layout.count, c.wish_count);
        for (size_t i = 0; i < c.wish_count; i++)
            assert_true(holds(&layout, gpas[i], c.wishes[i].size));
        for (size_t i = 0; i < layout.count; i++) {
            char id[32];
            snprintf(id, sizeof id, "ram%zu", i);
            assert_string_equal(layout.banks[i].id, id);
            assert_true(i == 0 ||
                        layout.banks[i - 1].gpa + layout.banks[i - 1].size <= layout.banks[i].gpa);
        }
        mv_bank_layout_free(&layout);
    }
    /* Both sides of the comparison were there. */
    assert_true(good > 1000 && refused > 1000);
}

static void test_thousands_of_banks(void **state)
{
    enum { COUNT = 4000 };
    static char text[] = "many";
    struct mv_config_bank *wishes = calloc(COUNT, sizeof *wishes);
    for (size_t i = 0; i < COUNT; i++)
        wishes[i] = (struct mv_config_bank){.size = MV_MIB,
                                            .has_gpa = i % 2 == 0,
                                            .gpa = 2 * MV_GIB + i * 2 * MV_MIB,
                                            .text = text};
    struct mv_bank_layout layout;
    struct mv_error err;
    assert_int_equal(mv_bank_layout_make(wishes, COUNT, windows, WINDOW_COUNT, RAM_BASE, IPA_BITS,
                                         &layout, &err),
                     0);
    assert_int_equal(layout.count, COUNT);
    /* Those without a place fill the lowest holes: two of them behind each. */
    for (size_t i = 0; i < COUNT / 2; i++)
        assert_int_equal(layout.banks[i].gpa, 2 * MV_GIB + i * MV_MIB);
    mv_bank_layout_free(&layout);
    free(wishes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layouts),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_random_layouts),
        cmocka_unit_test(test_thousands_of_banks),
    };
    return cmocka_run_group_tests_name("bank", tests, NULL, NULL);
}
