/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The board's device tree.  It is written in libfdt's sequential mode into a
 * buffer that doubles until all fits, so neither banks nor CPUs are counted
 * beforehand.  No state, no lock; called by boot.c.
 */
#include "fdt-arm64.h"

#include "board-arm64.h"
#include "engine.h"
#include "size.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <libfdt.h>

#define RNG_SEED_SIZE   64
#define KASLR_SEED_SIZE 8

#define APB_CLOCK_HZ 24000000
#define KEY_POWER    116 /* Linux, input-event-codes.h */

/* Interrupt specifiers (bindings, interrupt-controller/arm,gic-v3.yaml). */
#define GIC_SPI        0
#define GIC_PPI        1
#define IRQ_LEVEL_HIGH 4

enum phandle { PHANDLE_GIC = 1, PHANDLE_V2M, PHANDLE_CLOCK, PHANDLE_GPIO, PHANDLE_CACHE };

/* Keeps the first error; what comes after it does nothing. */
struct builder {
    void *fdt;
    int error;
};

static void note(struct builder *b, int error)
{
    if (b->error == 0)
        b->error = error;
}

static void begin(struct builder *b, const char *name)
{
    if (b->error == 0)
        note(b, fdt_begin_node(b->fdt, name));
}

static void begin_at(struct builder *b, const char *name, uint64_t address)
{
    char full[64];
    snprintf(full, sizeof full, "%s@%" PRIx64, name, address);
    begin(b, full);
}

static void end(struct builder *b)
{
    if (b->error == 0)
        note(b, fdt_end_node(b->fdt));
}

static void bytes(struct builder *b, const char *name, const void *value, size_t len)
{
    if (b->error == 0)
        note(b, fdt_property(b->fdt, name, value, (int)len));
}

static void text(struct builder *b, const char *name, const char *value)
{
    bytes(b, name, value, strlen(value) + 1);
}

static void empty(struct builder *b, const char *name)
{
    bytes(b, name, NULL, 0);
}

static void cells(struct builder *b, const char *name, const uint32_t *values, size_t count)
{
    void *value = NULL;
    if (b->error == 0)
        note(b, fdt_property_placeholder(b->fdt, name, (int)(4 * count), &value));
    for (size_t i = 0; b->error == 0 && i < count; i++)
        fdt32_st((uint8_t *)value + 4 * i, values[i]);
}

#define CELLS(b, name, ...)                                                                        \
    cells(b, name, (const uint32_t[]){__VA_ARGS__},                                                \
          sizeof(const uint32_t[]){__VA_ARGS__} / sizeof(uint32_t))

static uint32_t high(uint64_t value)
{
    return (uint32_t)(value >> 32);
}

static uint32_t low(uint64_t value)
{
    return (uint32_t)value;
}

static void reg(struct builder *b, uint64_t address, uint64_t size)
{
    CELLS(b, "reg", high(address), low(address), high(size), low(size));
}

static void spi(struct builder *b, uint32_t number)
{
    CELLS(b, "interrupts", GIC_SPI, number, IRQ_LEVEL_HIGH);
}

/* A string list: its strings end in a zero each, the last one by the compiler. */
#define STRINGS(b, name, list) bytes(b, name, list, sizeof(list))

/* --- nodes */

static void add_chosen(struct builder *b, const struct mv_fdt_params *params)
{
    static const uint8_t zeros[RNG_SEED_SIZE];
    char uart[64];
    snprintf(uart, sizeof uart, "/serial@%" PRIx64, MV_BOARD_UART);
    begin(b, "chosen");
    text(b, "bootargs", params->cmdline);
    text(b, "stdout-path", uart);
    if (params->has_initrd) {
        CELLS(b, "linux,initrd-start", 0, 0);
        CELLS(b, "linux,initrd-end", 0, 0);
    }
    bytes(b, "rng-seed", zeros, RNG_SEED_SIZE);
    bytes(b, "kaslr-seed", zeros, KASLR_SEED_SIZE);
    end(b);

    begin(b, "aliases");
    text(b, "serial0", uart);
    end(b);
}

static void add_psci(struct builder *b)
{
    begin(b, "psci");
    STRINGS(b, "compatible", "arm,psci-1.0\0arm,psci-0.2");
    text(b, "method", "hvc");
    end(b);
}

/* Programs that ask where they are find out (systemd-detect-virt, virt-what). */
static void add_hypervisor(struct builder *b)
{
    begin(b, "hypervisor");
    text(b, "compatible", "memvisor");
    end(b);
}

/* (Devicetree Specification, 3.8.2 and 3.9) */
static void add_cache(struct builder *b, const struct mv_engine_cache *cache)
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
        CELLS(b, name, figures[i].value);
    }
}

/* A CPU's own caches stand in its node, the one behind them has a node of its own. */
static void add_own_caches(struct builder *b, const struct mv_engine_cache *cache)
{
    for (; cache != NULL && cache->level == 1; cache++)
        add_cache(b, cache);
    if (cache != NULL && cache->level != 0)
        CELLS(b, "next-level-cache", PHANDLE_CACHE);
}

static void add_shared_cache(struct builder *b, const struct mv_engine_cache *cache)
{
    while (cache != NULL && cache->level == 1)
        cache++;
    if (cache == NULL || cache->level == 0)
        return;
    begin(b, "l2-cache");
    text(b, "compatible", "cache");
    CELLS(b, "cache-level", cache->level);
    empty(b, "cache-unified");
    add_cache(b, cache);
    CELLS(b, "phandle", PHANDLE_CACHE);
    end(b);
}

static void add_cpus(struct builder *b, const struct mv_fdt_params *params)
{
    begin(b, "cpus");
    CELLS(b, "#address-cells", 1);
    CELLS(b, "#size-cells", 0);
    for (unsigned i = 0; i < params->cpus; i++) {
        /* Affinity 0 to 2 (bindings, arm/cpus.yaml). */
        uint32_t affinity = (uint32_t)params->mpidr[i] & 0xffffff;
        begin_at(b, "cpu", affinity);
        text(b, "device_type", "cpu");
        text(b, "compatible", "arm,armv8");
        text(b, "enable-method", "psci");
        CELLS(b, "reg", affinity);
        add_own_caches(b, params->caches);
        end(b);
    }
    add_shared_cache(b, params->caches);
    end(b);
}

static void add_memory(struct builder *b, const struct mv_bank_layout *layout)
{
    for (size_t i = 0; i < layout->count; i++) {
        begin_at(b, "memory", layout->banks[i].gpa);
        text(b, "device_type", "memory");
        reg(b, layout->banks[i].gpa, layout->banks[i].size);
        end(b);
    }
}

static void add_gic(struct builder *b, unsigned cpus)
{
    uint64_t redist_size = (uint64_t)cpus * MV_GICV3_REDIST_SIZE;
    begin_at(b, "interrupt-controller", MV_BOARD_DIST);
    text(b, "compatible", "arm,gic-v3");
    CELLS(b, "#interrupt-cells", 3);
    empty(b, "interrupt-controller");
    CELLS(b, "reg", high(MV_BOARD_DIST), low(MV_BOARD_DIST), 0, MV_GICV3_DIST_SIZE,
          high(MV_BOARD_REDIST), low(MV_BOARD_REDIST), high(redist_size), low(redist_size));
    CELLS(b, "#redistributor-regions", 1);
    CELLS(b, "#address-cells", 2);
    CELLS(b, "#size-cells", 2);
    empty(b, "ranges");
    CELLS(b, "phandle", PHANDLE_GIC);

    begin_at(b, "msi-controller", MV_BOARD_V2M);
    text(b, "compatible", "arm,gic-v2m-frame");
    empty(b, "msi-controller");
    reg(b, MV_BOARD_V2M, MV_GICV2M_SIZE);
    /* Counted as INTIDs, like the frame's own MSI_TYPER. */
    CELLS(b, "arm,msi-base-spi", MV_INTID_SPI_BASE + MV_BOARD_MSI_SPI);
    CELLS(b, "arm,msi-num-spis", MV_BOARD_SPIS - MV_BOARD_MSI_SPI);
    CELLS(b, "phandle", PHANDLE_V2M);
    end(b);
    end(b);
}

static void add_timer(struct builder *b)
{
    begin(b, "timer");
    text(b, "compatible", "arm,armv8-timer");
    CELLS(b, "interrupts",
          GIC_PPI, MV_BOARD_TIMER_SECURE_INTID - MV_INTID_PPI_BASE, IRQ_LEVEL_HIGH,
          GIC_PPI, MV_BOARD_TIMER_PHYSICAL_INTID - MV_INTID_PPI_BASE, IRQ_LEVEL_HIGH,
          GIC_PPI, MV_BOARD_TIMER_VIRTUAL_INTID - MV_INTID_PPI_BASE, IRQ_LEVEL_HIGH,
          GIC_PPI, MV_BOARD_TIMER_HYPERVISOR_INTID - MV_INTID_PPI_BASE, IRQ_LEVEL_HIGH);
    empty(b, "always-on");
    end(b);
}

static void add_uart(struct builder *b)
{
    begin_at(b, "serial", MV_BOARD_UART);
    text(b, "compatible", "ns16550a");
    reg(b, MV_BOARD_UART, MV_NS16550A_SIZE);
    spi(b, MV_BOARD_UART_SPI);
    CELLS(b, "clock-frequency", MV_NS16550A_CLOCK);
    CELLS(b, "reg-shift", 0);
    CELLS(b, "reg-io-width", 1);
    end(b);
}

static void add_clock(struct builder *b)
{
    begin(b, "apb-pclk");
    text(b, "compatible", "fixed-clock");
    CELLS(b, "#clock-cells", 0);
    CELLS(b, "clock-frequency", APB_CLOCK_HZ);
    text(b, "clock-output-names", "clk24mhz");
    CELLS(b, "phandle", PHANDLE_CLOCK);
    end(b);
}

/* What all of Arm's PrimeCell devices have; the node stays open. */
static void begin_primecell(struct builder *b, const char *name, uint64_t address, uint64_t size,
                            uint32_t interrupt)
{
    begin_at(b, name, address);
    reg(b, address, size);
    spi(b, interrupt);
    CELLS(b, "clocks", PHANDLE_CLOCK);
    text(b, "clock-names", "apb_pclk");
}

static void add_rtc(struct builder *b)
{
    begin_primecell(b, "rtc", MV_BOARD_RTC, MV_PL031_SIZE, MV_BOARD_RTC_SPI);
    STRINGS(b, "compatible", "arm,pl031\0arm,primecell");
    end(b);
}

static void add_power_button(struct builder *b)
{
    begin_primecell(b, "gpio", MV_BOARD_GPIO, MV_PL061_SIZE, MV_BOARD_GPIO_SPI);
    STRINGS(b, "compatible", "arm,pl061\0arm,primecell");
    empty(b, "gpio-controller");
    CELLS(b, "#gpio-cells", 2);
    empty(b, "interrupt-controller");
    CELLS(b, "#interrupt-cells", 2);
    CELLS(b, "#address-cells", 0);
    CELLS(b, "phandle", PHANDLE_GPIO);
    end(b);

    begin(b, "gpio-keys");
    text(b, "compatible", "gpio-keys");
    begin(b, "power-button");
    text(b, "label", "Power Button");
    CELLS(b, "linux,code", KEY_POWER);
    CELLS(b, "gpios", PHANDLE_GPIO, MV_BOARD_POWER_LINE, 0);
    end(b);
    end(b);
}

/* INTA# to INTD# of slot n go to shared interrupts 4 to 7, turned by n. */
static void add_pci_interrupts(struct builder *b)
{
    enum { CELLS_EACH = 10 }; /* three of address, pin, GIC, two of its address, three of it */
    uint32_t map[MV_PCI_LINES * MV_PCI_LINES * CELLS_EACH];
    uint32_t *at = map;
    for (uint32_t slot = 0; slot < MV_PCI_LINES; slot++) {
        for (uint32_t pin = 1; pin <= MV_PCI_LINES; pin++) {
            uint32_t number = MV_BOARD_PCI_SPI + (slot + pin - 1) % MV_PCI_LINES;
            const uint32_t entry[CELLS_EACH] = {slot << 11, 0,       0,      pin,
                                                PHANDLE_GIC, 0,      0,      GIC_SPI,
                                                number,      IRQ_LEVEL_HIGH};
            memcpy(at, entry, sizeof entry);
            at += CELLS_EACH;
        }
    }
    CELLS(b, "#interrupt-cells", 1);
    CELLS(b, "interrupt-map-mask", (MV_PCI_LINES - 1) << 11, 0, 0, 7);
    cells(b, "interrupt-map", map, sizeof map / sizeof map[0]);
}

/* Windows of 32-bit and of 64-bit addresses (IEEE 1275, PCI bus binding, 2.2.1.1). */
static void add_pci(struct builder *b, const struct mv_bank_layout *layout)
{
    const uint32_t memory32 = UINT32_C(2) << 24, memory64 = UINT32_C(3) << 24;
    uint64_t window_size, window = mv_board_pci64(layout, &window_size);
    begin_at(b, "pcie", MV_BOARD_ECAM);
    text(b, "compatible", "pci-host-ecam-generic");
    text(b, "device_type", "pci");
    reg(b, MV_BOARD_ECAM, MV_PCI_ECAM_SIZE);
    CELLS(b, "#address-cells", 3);
    CELLS(b, "#size-cells", 2);
    CELLS(b, "bus-range", 0, MV_PCI_ECAM_SIZE / 0x100000 - 1);
    CELLS(b, "linux,pci-domain", 0);
    empty(b, "dma-coherent");
    CELLS(b, "ranges",
          memory32, high(MV_BOARD_PCI), low(MV_BOARD_PCI), high(MV_BOARD_PCI), low(MV_BOARD_PCI),
          0, low(MV_BOARD_RAM_BASE - MV_BOARD_PCI),
          memory64, high(window), low(window), high(window), low(window),
          high(window_size), low(window_size));
    CELLS(b, "msi-parent", PHANDLE_V2M);
    add_pci_interrupts(b);
    end(b);
}

static int build_into(void *fdt, int size, const struct mv_fdt_params *params)
{
    struct builder b = {fdt, 0};
    note(&b, fdt_create(fdt, size));
    if (b.error == 0)
        note(&b, fdt_finish_reservemap(fdt));
    begin(&b, "");
    STRINGS(&b, "compatible", "memvisor,arm64\0linux,dummy-virt");
    text(&b, "model", "memvisor arm64 board");
    CELLS(&b, "#address-cells", 2);
    CELLS(&b, "#size-cells", 2);
    CELLS(&b, "interrupt-parent", PHANDLE_GIC);
    add_chosen(&b, params);
    add_psci(&b);
    add_hypervisor(&b);
    add_cpus(&b, params);
    add_memory(&b, params->layout);
    add_gic(&b, params->cpus);
    add_timer(&b);
    add_clock(&b);
    add_uart(&b);
    add_rtc(&b);
    add_power_button(&b);
    add_pci(&b, params->layout);
    end(&b);
    if (b.error == 0)
        note(&b, fdt_finish(fdt));
    return b.error;
}

int mv_fdt_build(const struct mv_fdt_params *params, void **ret_fdt, struct mv_error *err)
{
    for (int size = 8192; size <= 1 << 30; size *= 2) {
        void *fdt = calloc(1, (size_t)size);
        if (fdt == NULL)
            return mv_error_set(err, ENOMEM, "no memory for the device tree");
        int r = build_into(fdt, size, params);
        if (r == 0) {
            *ret_fdt = fdt;
            return 0;
        }
        free(fdt);
        if (r != -FDT_ERR_NOSPACE)
            return mv_error_set(err, EINVAL, "the device tree: %s", fdt_strerror(r));
    }
    return mv_error_set(err, EFBIG, "the device tree would be larger than 1 GiB");
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
    ssize_t n;
    do
        n = getrandom(seed, sizeof seed, 0);
    while (n < 0 && errno == EINTR);
    if (n != sizeof seed)
        return mv_error_set_errno(err, n < 0 ? errno : EIO, "random bytes for the device tree");
    int r = set_chosen(fdt, "rng-seed", seed, RNG_SEED_SIZE, err);
    if (r == 0)
        r = set_chosen(fdt, "kaslr-seed", seed + RNG_SEED_SIZE, KASLR_SEED_SIZE, err);
    return r;
}
