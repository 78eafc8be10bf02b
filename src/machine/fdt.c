/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The flattened device tree of the arm64 board, by libfdt's sequential writer
 * (Devicetree Specification 0.3; Linux's Documentation/devicetree/bindings).
 */
#include "board-arm64.h"
#include "board.h"
#include "cleanup.h"

#include <endian.h>
#include <libfdt.h>
#include <stdarg.h>
#include <string.h>
#include <sys/random.h>

enum { PHANDLE_GIC = 1, PHANDLE_V2M, PHANDLE_CLOCK, PHANDLE_GPIO };
enum { GIC_SPI, GIC_PPI };
enum { EDGE_RISING = 1, LEVEL_HIGH = 4 };
#define KEY_POWER 116
#define CLOCK_HZ 24000000
#define RNG_SEED_BYTES 64
#define FIRST_SIZE 8192u

/* A tree being written; the first error stays. */
struct tree {
    void *fdt;
    int error;
};

static void check(struct tree *t, int r)
{
    if (t->error == 0)
        t->error = r;
}

static void begin(struct tree *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void begin(struct tree *t, const char *fmt, ...)
{
    char name[64];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(name, sizeof name, fmt, ap);
    va_end(ap);
    check(t, fdt_begin_node(t->fdt, name));
}

static void end(struct tree *t)
{
    check(t, fdt_end_node(t->fdt));
}

static void flag(struct tree *t, const char *name)
{
    check(t, fdt_property(t->fdt, name, NULL, 0));
}

static void string(struct tree *t, const char *name, const char *value)
{
    check(t, fdt_property_string(t->fdt, name, value));
}

static void cells(struct tree *t, const char *name, const uint32_t *values, unsigned count)
{
    void *place;
    check(t, fdt_property_placeholder(t->fdt, name, (int)(count * sizeof(uint32_t)), &place));
    if (t->error != 0)
        return;
    for (unsigned i = 0; i < count; i++) {
        uint32_t big = htobe32(values[i]);
        memcpy((char *)place + i * sizeof big, &big, sizeof big);
    }
}
#define CELLS(t, name, ...)                                                                        \
    cells(t, name, (const uint32_t[]){__VA_ARGS__},                                                \
          sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t))
#define CELLS64(value) (uint32_t)((uint64_t)(value) >> 32), (uint32_t)(value)

static void compatible(struct tree *t, const char *first, const char *second)
{
    char both[128];
    int len = snprintf(both, sizeof both, "%s%c%s", first, '\0', second);
    check(t, fdt_property(t->fdt, "compatible", both, len + 1));
}

static void interrupt(struct tree *t, unsigned spi)
{
    CELLS(t, "interrupts", GIC_SPI, spi, LEVEL_HIGH);
}

static void write_chosen(struct tree *t, const struct mv_machine *machine)
{
    uint8_t seed[RNG_SEED_BYTES + sizeof(uint64_t)];
    begin(t, "chosen");
    string(t, "bootargs", machine->config->cmdline);
    char path[32];
    snprintf(path, sizeof path, "/uart@%llx", (unsigned long long)MV_ARM64_UART);
    string(t, "stdout-path", path);
    if (machine->boot.initrd.fd >= 0) {
        const struct mv_boot_file *initrd = &machine->boot.initrd;
        CELLS(t, "linux,initrd-start", CELLS64(initrd->gpa));
        CELLS(t, "linux,initrd-end", CELLS64(initrd->gpa + initrd->size));
    }
    if (getrandom(seed, sizeof seed, 0) == (ssize_t)sizeof seed) {
        check(t, fdt_property(t->fdt, "rng-seed", seed, RNG_SEED_BYTES));
        check(t, fdt_property(t->fdt, "kaslr-seed", seed + RNG_SEED_BYTES, sizeof(uint64_t)));
    }
    end(t);
}

static void write_cpus(struct tree *t, const struct mv_machine *machine)
{
    begin(t, "cpus");
    CELLS(t, "#address-cells", 1);
    CELLS(t, "#size-cells", 0);
    for (unsigned i = 0; i < machine->config->cpus; i++) {
        struct mv_vcpu *vcpu = machine->vcpus[i].vcpu;
        uint32_t affinity = vcpu->ops->vcpu_mpidr(vcpu) & 0xffffff;
        begin(t, "cpu@%x", affinity);
        string(t, "device_type", "cpu");
        string(t, "compatible", "arm,armv8");
        CELLS(t, "reg", affinity);
        string(t, "enable-method", "psci");
        end(t);
    }
    end(t);
    begin(t, "psci");
    compatible(t, "arm,psci-1.0", "arm,psci-0.2");
    string(t, "method", "hvc");
    end(t);
}

static void write_memory(struct tree *t, const struct mv_machine *machine)
{
    for (size_t i = 0; i < machine->layout.count; i++) {
        const struct mv_bank *bank = &machine->layout.banks[i];
        begin(t, "memory@%llx", (unsigned long long)bank->gpa);
        string(t, "device_type", "memory");
        CELLS(t, "reg", CELLS64(bank->gpa), CELLS64(bank->size));
        end(t);
    }
}

static void write_gic(struct tree *t, const struct mv_machine *machine)
{
    begin(t, "interrupt-controller@%llx", (unsigned long long)MV_ARM64_GIC_DIST);
    string(t, "compatible", "arm,gic-v3");
    flag(t, "interrupt-controller");
    CELLS(t, "#interrupt-cells", 3);
    CELLS(t, "#address-cells", 2);
    CELLS(t, "#size-cells", 2);
    flag(t, "ranges");
    CELLS(t, "#redistributor-regions", 1);
    CELLS(t, "reg", CELLS64(MV_ARM64_GIC_DIST), CELLS64(MV_GICV3_DIST_SIZE),
          CELLS64(MV_ARM64_GIC_REDIST),
          CELLS64((uint64_t)machine->config->cpus * MV_GICV3_REDIST_SIZE));
    CELLS(t, "phandle", PHANDLE_GIC);
    begin(t, "v2m@%llx", (unsigned long long)MV_ARM64_GICV2M);
    string(t, "compatible", "arm,gic-v2m-frame");
    flag(t, "msi-controller");
    CELLS(t, "reg", CELLS64(MV_ARM64_GICV2M), CELLS64(MV_GICV2M_SIZE));
    CELLS(t, "arm,msi-base-spi", MV_INTID_SPI_BASE + MV_ARM64_MSI_SPI);
    CELLS(t, "arm,msi-num-spis", MV_ARM64_MSI_COUNT);
    CELLS(t, "phandle", PHANDLE_V2M);
    end(t);
    end(t);
}

static void write_timer(struct tree *t)
{
#define PPI(intid) GIC_PPI, (intid)-MV_INTID_PPI_BASE, LEVEL_HIGH
    begin(t, "timer");
    string(t, "compatible", "arm,armv8-timer");
    CELLS(t, "interrupts", PPI(MV_ARM64_TIMER_SECURE), PPI(MV_ARM64_TIMER_PHYSICAL),
          PPI(MV_ARM64_TIMER_VIRTUAL), PPI(MV_ARM64_TIMER_HYP));
    flag(t, "always-on");
    end(t);
#undef PPI
}

/* A PrimeCell device up to its interrupt: the clock is what its driver wants. */
static void begin_primecell(struct tree *t, const char *name, const char *type, uint64_t gpa,
                            uint64_t size, unsigned spi)
{
    begin(t, "%s@%llx", name, (unsigned long long)gpa);
    compatible(t, type, "arm,primecell");
    CELLS(t, "reg", CELLS64(gpa), CELLS64(size));
    interrupt(t, spi);
    CELLS(t, "clocks", PHANDLE_CLOCK);
    string(t, "clock-names", "apb_pclk");
}

static void write_devices(struct tree *t)
{
    begin(t, "apb-pclk");
    string(t, "compatible", "fixed-clock");
    CELLS(t, "#clock-cells", 0);
    CELLS(t, "clock-frequency", CLOCK_HZ);
    string(t, "clock-output-names", "clk24mhz");
    CELLS(t, "phandle", PHANDLE_CLOCK);
    end(t);

    begin(t, "uart@%llx", (unsigned long long)MV_ARM64_UART);
    string(t, "compatible", "ns16550a");
    CELLS(t, "reg", CELLS64(MV_ARM64_UART), CELLS64(MV_NS16550A_SIZE));
    CELLS(t, "clock-frequency", MV_NS16550A_CLOCK);
    interrupt(t, MV_ARM64_UART_SPI);
    end(t);

    begin_primecell(t, "rtc", "arm,pl031", MV_ARM64_RTC, MV_PL031_SIZE, MV_ARM64_RTC_SPI);
    end(t);

    begin_primecell(t, "gpio", "arm,pl061", MV_ARM64_GPIO, MV_PL061_SIZE, MV_ARM64_GPIO_SPI);
    flag(t, "gpio-controller");
    CELLS(t, "#gpio-cells", 2);
    flag(t, "interrupt-controller");
    CELLS(t, "#interrupt-cells", 2);
    CELLS(t, "#address-cells", 0);
    CELLS(t, "phandle", PHANDLE_GPIO);
    end(t);

    begin(t, "gpio-keys");
    string(t, "compatible", "gpio-keys");
    begin(t, "power");
    string(t, "label", "power button");
    CELLS(t, "linux,code", KEY_POWER);
    CELLS(t, "gpios", PHANDLE_GPIO, MV_ARM64_POWER_LINE, 0);
    end(t);
    end(t);
}

static int write_tree(const struct mv_machine *machine, void *fdt, uint32_t size)
{
    struct tree t = {.fdt = fdt};
    check(&t, fdt_create(fdt, (int)size));
    check(&t, fdt_finish_reservemap(fdt));
    begin(&t, "%s", "");
    compatible(&t, "memvisor,arm64", "linux,dummy-virt");
    string(&t, "model", "memvisor");
    CELLS(&t, "#address-cells", 2);
    CELLS(&t, "#size-cells", 2);
    CELLS(&t, "interrupt-parent", PHANDLE_GIC);
    write_chosen(&t, machine);
    write_cpus(&t, machine);
    write_memory(&t, machine);
    write_gic(&t, machine);
    write_timer(&t);
    write_devices(&t);
    end(&t);
    check(&t, fdt_finish(fdt));
    return t.error;
}

int mv_fdt_build(const struct mv_machine *machine, void **ret_fdt, uint32_t *ret_size,
                 struct mv_error *err)
{
    for (uint32_t size = FIRST_SIZE; size <= MV_FDT_MAX_SIZE; size *= 2) {
        CLEANUP_FREE void *fdt = calloc(1, size);
        if (fdt == NULL)
            return mv_error_set(err, ENOMEM, "no memory for the device tree");
        int r = write_tree(machine, fdt, size);
        if (r == -FDT_ERR_NOSPACE)
            continue;
        if (r < 0)
            return mv_error_set(err, EINVAL, "cannot write the device tree: %s", fdt_strerror(r));
        *ret_size = fdt_totalsize(fdt);
        *ret_fdt = fdt;
        fdt = NULL;
        return 0;
    }
    return mv_error_set(err, E2BIG,
                        "the device tree is too large: Linux takes at most 2 MiB; use fewer banks "
                        "or a shorter command line");
}
