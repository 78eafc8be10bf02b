/* SPDX-License-Identifier: Apache-2.0 */
/* machine/fdt-arm64.c: the tree as libfdt reads it back. */
#include "board-arm64.h"

#include "engine.h"
#include "size.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <libfdt.h>

static struct mv_error err;

static void *build(unsigned cpus, struct mv_bank *banks, size_t count, const char *cmdline,
                   bool initrd)
{
    static const struct mv_engine_cache caches[] = {
        {.level = 1, .kind = MV_CACHE_DATA, .line = 64, .sets = 256, .ways = 2},
        {.level = 1, .kind = MV_CACHE_INSTRUCTION, .line = 64, .sets = 128, .ways = 3},
        {.level = 2, .kind = MV_CACHE_UNIFIED, .line = 128, .sets = 1024, .ways = 8},
        {.level = 0},
    };
    struct mv_bank_layout layout = {banks, count};
    struct mv_board board = {.ops = &mv_board_arm64, .platform.cpus = cpus};
    const struct mv_description_params params = {&board, &layout, cmdline, initrd, caches};
    void *fdt = NULL;
    board.platform.pci64.gpa = mv_board_pci64(board.ops, &layout, &board.platform.pci64.size);
    assert_int_equal(mv_fdt_build(&params, &fdt, &err), 0);
    assert_int_equal(fdt_check_full(fdt, mv_fdt_size(fdt)), 0);
    return fdt;
}

static struct mv_bank one_bank = {"ram0", 0x80000000, 256 << 20};

static int node(const void *fdt, const char *path)
{
    int offset = fdt_path_offset(fdt, path);
    if (offset < 0)
        fail_msg("%s: %s", path, fdt_strerror(offset));
    return offset;
}

static const char *text(const void *fdt, const char *path, const char *name)
{
    int len;
    const char *value = fdt_getprop(fdt, node(fdt, path), name, &len);
    if (value == NULL || value[len - 1] != '\0')
        fail_msg("%s/%s is no text", path, name);
    return value;
}

static void expect_cells(const void *fdt, const char *path, const char *name,
                         const uint32_t *expected, size_t count)
{
    int len;
    const fdt32_t *value = fdt_getprop(fdt, node(fdt, path), name, &len);
    if (value == NULL)
        fail_msg("%s has no %s", path, name);
    assert_int_equal(len, (int)(4 * count));
    for (size_t i = 0; i < count; i++)
        if (fdt32_to_cpu(value[i]) != expected[i])
            fail_msg("%s/%s cell %zu: 0x%x", path, name, i, fdt32_to_cpu(value[i]));
}
#define EXPECT(fdt, path, name, ...)                                                               \
    expect_cells(fdt, path, name, (const uint32_t[]){__VA_ARGS__},                                 \
                 sizeof(const uint32_t[]){__VA_ARGS__} / 4)

static void test_nodes(void **state)
{
    void *fdt = build(2, &one_bank, 1, "console=ttyS0 a=b", false);
    EXPECT(fdt, "/", "#address-cells", 2);
    EXPECT(fdt, "/", "#size-cells", 2);
    assert_int_equal(fdt_node_check_compatible(fdt, 0, "memvisor,arm64"), 0);
    assert_int_equal(fdt_node_check_compatible(fdt, node(fdt, "/psci"), "arm,psci-0.2"), 0);
    assert_string_equal(text(fdt, "/psci", "method"), "hvc");
    assert_string_equal(text(fdt, "/chosen", "bootargs"), "console=ttyS0 a=b");
    assert_null(fdt_getprop(fdt, node(fdt, "/chosen"), "linux,initrd-start", NULL));
    EXPECT(fdt, "/memory@80000000", "reg", 0, 0x80000000, 0, 0x10000000);
    EXPECT(fdt, "/timer", "interrupts", 1, 13, 4, 1, 14, 4, 1, 11, 4, 1, 10, 4);
    assert_non_null(fdt_getprop(fdt, node(fdt, "/timer"), "always-on", NULL));

    const char *gic = "/interrupt-controller@3fff0000";
    EXPECT(fdt, gic, "reg", 0, 0x3fff0000, 0, 0x10000, 0, 0x3f7f0000, 0, 0x40000);
    EXPECT(fdt, "/", "interrupt-parent", fdt_get_phandle(fdt, node(fdt, gic)));
    const char *v2m = "/interrupt-controller@3fff0000/msi-controller@3f7e0000";
    assert_int_equal(fdt_node_check_compatible(fdt, node(fdt, v2m), "arm,gic-v2m-frame"), 0);
    EXPECT(fdt, v2m, "arm,msi-base-spi", 64);

    const char *uart = text(fdt, "/chosen", "stdout-path");
    assert_int_equal(fdt_node_check_compatible(fdt, node(fdt, uart), "ns16550a"), 0);
    EXPECT(fdt, uart, "reg", 0, 0x1000000, 0, 8);

    int gpio = node(fdt, "/gpio@1020000");
    assert_int_equal(fdt_node_check_compatible(fdt, gpio, "arm,primecell"), 0);
    EXPECT(fdt, "/gpio-keys/power-button", "gpios", fdt_get_phandle(fdt, gpio), 3, 0);
    EXPECT(fdt, "/gpio-keys/power-button", "linux,code", 116);
    int generation = node(fdt, "/rng@1030000");
    assert_int_equal(fdt_node_check_compatible(fdt, generation, "microsoft,vmgenid"), 0);
    EXPECT(fdt, "/rng@1030000", "reg", 0, 0x1030000, 0, 0x1000);
    EXPECT(fdt, "/rng@1030000", "interrupts", 0, 8, 1); /* rising edges */
    int clock = node(fdt, "/apb-pclk");
    EXPECT(fdt, "/rtc@1010000", "clocks", fdt_get_phandle(fdt, clock));
    free(fdt);
}

static void test_phandles_differ(void **state)
{
    void *fdt = build(1, &one_bank, 1, "", false);
    uint32_t seen[16];
    size_t count = 0;
    for (int at = 0; at >= 0; at = fdt_next_node(fdt, at, NULL)) {
        uint32_t handle = fdt_get_phandle(fdt, at);
        if (handle == 0)
            continue;
        for (size_t i = 0; i < count; i++)
            assert_int_not_equal(seen[i], handle);
        seen[count++] = handle;
    }
    assert_int_equal(count, 5);
    free(fdt);
}

/* The affinity that SGIs and PSCI use: sixteen to an Aff1. */
static void test_cpus(void **state)
{
    void *fdt = build(MV_VCPU_MAX, &one_bank, 1, "", false);
    unsigned count = 0;
    int cpu;
    fdt_for_each_subnode(cpu, fdt, node(fdt, "/cpus"))
    {
        char name[32];
        if (strcmp(fdt_get_name(fdt, cpu, NULL), "l2-cache") == 0)
            continue;
        uint32_t affinity = (count >> 4) << 8 | (count & 15);
        snprintf(name, sizeof name, "cpu@%x", affinity);
        assert_string_equal(fdt_get_name(fdt, cpu, NULL), name);
        assert_string_equal(fdt_getprop(fdt, cpu, "enable-method", NULL), "psci");
        count++;
    }
    assert_int_equal(count, MV_VCPU_MAX);
    EXPECT(fdt, "/cpus/cpu@30f", "reg", 0x30f);
    EXPECT(fdt, "/cpus/cpu@30f", "d-cache-size", 32768);
    EXPECT(fdt, "/cpus/cpu@30f", "d-cache-sets", 256);
    EXPECT(fdt, "/cpus/cpu@30f", "i-cache-size", 24576);
    EXPECT(fdt, "/cpus/cpu@30f", "i-cache-line-size", 64);
    EXPECT(fdt, "/cpus/cpu@30f", "next-level-cache",
           fdt_get_phandle(fdt, node(fdt, "/cpus/l2-cache")));
    EXPECT(fdt, "/cpus/l2-cache", "cache-size", 1 << 20);
    EXPECT(fdt, "/cpus/l2-cache", "cache-level", 2);
    assert_string_equal(text(fdt, "/hypervisor", "compatible"), "memvisor");
    EXPECT(fdt, "/interrupt-controller@3fff0000", "reg", 0, 0x3fff0000, 0, 0x10000, 0, 0x3f7f0000,
           0, 0x800000);
    free(fdt);
}

static void test_many_banks(void **state)
{
    enum { COUNT = 2000 };
    struct mv_bank *banks = calloc(COUNT, sizeof *banks);
    for (size_t i = 0; i < COUNT; i++)
        banks[i] = (struct mv_bank){"ram", (i + 2) << 30, (i + 1) << 12};
    void *fdt = build(64, banks, COUNT, "", true);
    assert_true(mv_fdt_size(fdt) <= MV_FDT_SIZE_MAX);
    for (size_t i = 0; i < COUNT; i++) {
        char path[32];
        snprintf(path, sizeof path, "/memory@%" PRIx64, banks[i].gpa);
        assert_string_equal(text(fdt, path, "device_type"), "memory");
        EXPECT(fdt, path, "reg", (uint32_t)(banks[i].gpa >> 32), (uint32_t)banks[i].gpa,
               (uint32_t)(banks[i].size >> 32), (uint32_t)banks[i].size);
    }
    free(fdt);
    free(banks);
}

/* Banks that leave no 512 GiB free get a smaller window, and never one beyond the end. */
static void test_window_among_banks(void **state)
{
    enum { COUNT = 511 };
    const uint64_t step = UINT64_C(0x8000000000), ipa_end = UINT64_C(1) << 48;
    struct mv_bank *banks = calloc(COUNT, sizeof *banks);
    for (size_t i = 0; i < COUNT; i++)
        banks[i] = (struct mv_bank){.id = "ram", .gpa = (i + 1) * step, .size = 4096};
    for (size_t count = 0; count <= COUNT; count += count < 4 ? 1 : 13) {
        struct mv_bank_layout layout = {banks, count};
        uint64_t size, gpa = mv_board_pci64(&mv_board_arm64, &layout, &size);
        assert_true(size >= MV_ARM64_PCI64_MIN && (size & (size - 1)) == 0);
        assert_int_equal(gpa & (size - 1), 0);
        assert_true(gpa >= MV_ARM64_RAM && gpa < ipa_end && size <= ipa_end - gpa);
        for (size_t i = 0; i < count; i++)
            assert_false(banks[i].gpa < gpa + size && gpa < banks[i].gpa + banks[i].size);
        assert_int_equal(size, count < COUNT ? MV_ARM64_PCI64_SIZE : MV_ARM64_PCI64_SIZE / 2);
    }
    void *fdt = build(1, banks, COUNT, "", false);
    EXPECT(fdt, "/pcie@40000000", "ranges", 2u << 24, 0, 0x50000000, 0, 0x50000000, 0, 0x30000000,
           3u << 24, 0xffc0, 0, 0xffc0, 0, 0x40, 0);
    free(fdt);
    free(banks);
}

static void test_long_command_line(void **state)
{
    enum { LEN = 100000 };
    char *cmdline = malloc(LEN + 1);
    memset(cmdline, 'a', LEN);
    cmdline[LEN] = '\0';
    void *fdt = build(1, &one_bank, 1, cmdline, false);
    assert_string_equal(text(fdt, "/chosen", "bootargs"), cmdline);
    free(fdt);
    free(cmdline);
}

static void test_initrd_and_seeds(void **state)
{
    void *fdt = build(1, &one_bank, 1, "", true);
    uint32_t size = mv_fdt_size(fdt);
    assert_int_equal(mv_fdt_set_initrd(fdt, UINT64_C(0x280000000), 0x12345, &err), 0);
    EXPECT(fdt, "/chosen", "linux,initrd-start", 2, 0x80000000);
    EXPECT(fdt, "/chosen", "linux,initrd-end", 2, 0x80012345);

    uint8_t before[64], zeros[64] = {0};
    int len;
    assert_int_equal(mv_fdt_set_seeds(fdt, &err), 0);
    const void *seed = fdt_getprop(fdt, node(fdt, "/chosen"), "rng-seed", &len);
    assert_int_equal(len, 64);
    assert_memory_not_equal(seed, zeros, 64);
    memcpy(before, seed, 64);
    assert_int_equal(mv_fdt_set_seeds(fdt, &err), 0);
    assert_memory_not_equal(seed, before, 64);
    seed = fdt_getprop(fdt, node(fdt, "/chosen"), "kaslr-seed", &len);
    assert_int_equal(len, 8);
    assert_memory_not_equal(seed, zeros, 8);

    /* It was placed by the size it had. */
    assert_int_equal(mv_fdt_size(fdt), size);
    assert_int_equal(fdt_check_full(fdt, size), 0);
    free(fdt);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nodes),
        cmocka_unit_test(test_phandles_differ),
        cmocka_unit_test(test_cpus),
        cmocka_unit_test(test_many_banks),
        cmocka_unit_test(test_window_among_banks),
        cmocka_unit_test(test_long_command_line),
        cmocka_unit_test(test_initrd_and_seeds),
    };
    return cmocka_run_group_tests_name("fdt-arm64", tests, NULL, NULL);
}
