/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an arm64 guest is told of the machine as a whole, around the nodes that
 * the board's rows write themselves.  No state, no lock; called by boot.c.
 */
#include "board-arm64.h"

#include "arm64.h"
#include "engine.h"
#include "fdt-writer.h"
#include "os.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <libfdt.h>

#define RNG_SEED_SIZE   64
#define KASLR_SEED_SIZE 8

#define APB_CLOCK_HZ 24000000

/* --- nodes */

/* The console, by its node's path; empty where the board has none. */
static void name_console(const struct mv_board_ops *ops, char *ret, size_t size)
{
    ret[0] = '\0';
    for (size_t i = ops->row_count; i-- > 0;) {
        const struct mv_platform_row *row = &ops->rows[i];
        if (row->type->part == offsetof(struct mv_platform, console))
            snprintf(ret, size, "/%s@%" PRIx64, row->type->node, row->gpa);
    }
}

static void add_chosen(struct mv_fdt *fdt, const struct mv_description_params *params)
{
    static const uint8_t zeros[RNG_SEED_SIZE];
    char console[64];
    name_console(params->board->ops, console, sizeof console);
    mv_fdt_begin(fdt, "chosen");
    mv_fdt_text(fdt, "bootargs", params->cmdline);
    if (console[0] != '\0')
        mv_fdt_text(fdt, "stdout-path", console);
    if (params->has_initrd) {
        MV_FDT_CELLS(fdt, "linux,initrd-start", 0, 0);
        MV_FDT_CELLS(fdt, "linux,initrd-end", 0, 0);
    }
    mv_fdt_bytes(fdt, "rng-seed", zeros, RNG_SEED_SIZE);
    mv_fdt_bytes(fdt, "kaslr-seed", zeros, KASLR_SEED_SIZE);
    mv_fdt_end(fdt);

    mv_fdt_begin(fdt, "aliases");
    if (console[0] != '\0')
        mv_fdt_text(fdt, "serial0", console);
    mv_fdt_end(fdt);
}

static void add_psci(struct mv_fdt *fdt)
{
    mv_fdt_begin(fdt, "psci");
    MV_FDT_STRINGS(fdt, "compatible", "arm,psci-1.0\0arm,psci-0.2");
    mv_fdt_text(fdt, "method", "hvc");
    mv_fdt_end(fdt);
}

/* Programs that ask where they are find out (systemd-detect-virt, virt-what). */
static void add_hypervisor(struct mv_fdt *fdt)
{
    mv_fdt_begin(fdt, "hypervisor");
    mv_fdt_text(fdt, "compatible", "memvisor");
    mv_fdt_end(fdt);
}

/* (Devicetree Specification, 3.8.2 and 3.9) */
static void add_cache(struct mv_fdt *fdt, const struct mv_engine_cache *cache)
{
    static const char *const prefixes[] = {"d-", "i-", ""};
    const struct {
        const char *name;
        uint32_t value;
    } figures[] = {{"cache-size", cache->line * cache->sets * cache->ways},
                   {"cache-line-size", cache->line},
                   {"cache-sets", cache->sets}};
    for (size_t i = 0; i < sizeof figures / sizeof figures[0]; i++) {
        char name[32];
        snprintf(name, sizeof name, "%s%s", prefixes[cache->kind], figures[i].name);
        MV_FDT_CELLS(fdt, name, figures[i].value);
    }
}

/* A CPU's own caches stand in its node, the one behind them has a node of its own. */
static void add_own_caches(struct mv_fdt *fdt, const struct mv_engine_cache *cache)
{
    for (; cache != NULL && cache->level == 1; cache++)
        add_cache(fdt, cache);
    if (cache != NULL && cache->level != 0)
        MV_FDT_CELLS(fdt, "next-level-cache", MV_FDT_CACHE);
}

static void add_shared_cache(struct mv_fdt *fdt, const struct mv_engine_cache *cache)
{
    while (cache != NULL && cache->level == 1)
        cache++;
    if (cache == NULL || cache->level == 0)
        return;
    mv_fdt_begin(fdt, "l2-cache");
    mv_fdt_text(fdt, "compatible", "cache");
    MV_FDT_CELLS(fdt, "cache-level", cache->level);
    mv_fdt_empty(fdt, "cache-unified");
    add_cache(fdt, cache);
    MV_FDT_CELLS(fdt, "phandle", MV_FDT_CACHE);
    mv_fdt_end(fdt);
}

static void add_cpus(struct mv_fdt *fdt, const struct mv_description_params *params)
{
    mv_fdt_begin(fdt, "cpus");
    MV_FDT_CELLS(fdt, "#address-cells", 1);
    MV_FDT_CELLS(fdt, "#size-cells", 0);
    for (unsigned i = 0; i < params->board->platform.cpus; i++) {
        /* Affinity 0 to 2 (bindings, arm/cpus.yaml). */
        uint32_t affinity = (uint32_t)mv_arm64_affinity(i);
        mv_fdt_begin_at(fdt, "cpu", affinity);
        mv_fdt_text(fdt, "device_type", "cpu");
        mv_fdt_text(fdt, "compatible", "arm,armv8");
        mv_fdt_text(fdt, "enable-method", "psci");
        MV_FDT_CELLS(fdt, "reg", affinity);
        add_own_caches(fdt, params->caches);
        mv_fdt_end(fdt);
    }
    add_shared_cache(fdt, params->caches);
    mv_fdt_end(fdt);
}

static void add_memory(struct mv_fdt *fdt, const struct mv_bank_layout *layout)
{
    for (size_t i = 0; i < layout->count; i++) {
        mv_fdt_begin_at(fdt, "memory", layout->banks[i].gpa);
        mv_fdt_text(fdt, "device_type", "memory");
        mv_fdt_reg(fdt, layout->banks[i].gpa, layout->banks[i].size);
        mv_fdt_end(fdt);
    }
}

static void describe_timer(struct mv_fdt *fdt, const struct mv_platform *platform,
                           const struct mv_platform_row *row)
{
    mv_fdt_text(fdt, "compatible", "arm,armv8-timer");
    MV_FDT_CELLS(fdt, "interrupts", MV_FDT_INTERRUPT(MV_ARM64_TIMER_SECURE_INTID),
                 MV_FDT_INTERRUPT(MV_ARM64_TIMER_PHYSICAL_INTID),
                 MV_FDT_INTERRUPT(MV_ARM64_TIMER_VIRTUAL_INTID),
                 MV_FDT_INTERRUPT(MV_ARM64_TIMER_HYPERVISOR_INTID));
    mv_fdt_empty(fdt, "always-on");
}

const struct mv_platform_type mv_timer_arm64_type = {.node = "timer", .describe = describe_timer};

static void describe_clock(struct mv_fdt *fdt, const struct mv_platform *platform,
                           const struct mv_platform_row *row)
{
    mv_fdt_text(fdt, "compatible", "fixed-clock");
    MV_FDT_CELLS(fdt, "#clock-cells", 0);
    MV_FDT_CELLS(fdt, "clock-frequency", APB_CLOCK_HZ);
    mv_fdt_text(fdt, "clock-output-names", "clk24mhz");
    MV_FDT_CELLS(fdt, "phandle", MV_FDT_CLOCK);
}

const struct mv_platform_type mv_clock_type = {.node = "apb-pclk", .describe = describe_clock};

static void add_row(struct mv_fdt *fdt, const struct mv_platform *platform,
                    const struct mv_platform_row *row)
{
    if (row->gpa == 0)
        mv_fdt_begin(fdt, row->type->node);
    else
        mv_fdt_begin_at(fdt, row->type->node, row->gpa);
    row->type->describe(fdt, platform, row);
    mv_fdt_end(fdt);
}

/* What drivers may know the board by, and people. */
static void add_names(struct mv_fdt *fdt, const char *board)
{
    static const char family[] = "linux,dummy-virt";
    char text[128];
    int len = snprintf(text, sizeof text - sizeof family, "memvisor,%s", board) + 1;
    memcpy(text + len, family, sizeof family);
    mv_fdt_bytes(fdt, "compatible", text, (size_t)len + sizeof family);
    snprintf(text, sizeof text, "memvisor %s board", board);
    mv_fdt_text(fdt, "model", text);
}

static void write_tree(struct mv_fdt *fdt, const void *opaque)
{
    const struct mv_description_params *params = opaque;
    const struct mv_board *board = params->board;
    mv_fdt_begin(fdt, "");
    add_names(fdt, board->ops->name);
    MV_FDT_CELLS(fdt, "#address-cells", 2);
    MV_FDT_CELLS(fdt, "#size-cells", 2);
    MV_FDT_CELLS(fdt, "interrupt-parent", MV_FDT_INTERRUPTS);
    add_chosen(fdt, params);
    add_psci(fdt);
    add_hypervisor(fdt);
    add_cpus(fdt, params);
    add_memory(fdt, params->layout);
    for (size_t i = 0; i < board->ops->row_count; i++)
        add_row(fdt, &board->platform, &board->ops->rows[i]);
    mv_fdt_end(fdt);
}

int mv_fdt_build(const struct mv_description_params *params, void **ret_fdt, struct mv_error *err)
{
    return mv_fdt_make(write_tree, params, ret_fdt, err);
}

uint32_t mv_fdt_size(const void *fdt)
{
    return fdt_totalsize(fdt);
}

static int set_chosen(void *fdt, const char *name, const void *value, size_t len,
                      struct mv_error *err)
{
    int chosen = fdt_path_offset(fdt, "/chosen");
    int r = chosen < 0 ? chosen : fdt_setprop_inplace(fdt, chosen, name, value, (int)len);
    if (r < 0)
        return mv_error_set(err, EINVAL, "the device tree: /chosen/%s: %s", name, fdt_strerror(r));
    return 0;
}

int mv_fdt_set_initrd(void *fdt, uint64_t gpa, uint64_t size, struct mv_error *err)
{
    uint8_t value[8];
    fdt64_st(value, gpa);
    int r = set_chosen(fdt, "linux,initrd-start", value, sizeof value, err);
    if (r < 0)
        return r;
    fdt64_st(value, gpa + size);
    return set_chosen(fdt, "linux,initrd-end", value, sizeof value, err);
}

int mv_fdt_set_seeds(void *fdt, struct mv_error *err)
{
    uint8_t seed[RNG_SEED_SIZE + KASLR_SEED_SIZE];
    int r = mv_random(seed, sizeof seed);
    if (r < 0)
        return mv_error_set_errno(err, -r, "random bytes for the device tree");
    r = set_chosen(fdt, "rng-seed", seed, RNG_SEED_SIZE, err);
    if (r == 0)
        r = set_chosen(fdt, "kaslr-seed", seed + RNG_SEED_SIZE, KASLR_SEED_SIZE, err);
    return r;
}

const struct mv_loader mv_loader_arm64 = {
    .look = mv_image_parse,
    .place = mv_placement_find,
    .warn = mv_placement_warn,
    .warn_limits = mv_linux_limits_warn,
    .describe = mv_fdt_build,
    .size = mv_fdt_size,
    .set_initrd = mv_fdt_set_initrd,
    .set_seeds = mv_fdt_set_seeds,
};
