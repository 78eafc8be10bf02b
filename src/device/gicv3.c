/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The emulated GICv3 as a device and an irqchip: its making, reset, state
 * table and inputs.  gicv3-state.h says how the rest is divided and locked.
 * Called by boards (making, reset), devices (inputs) and engines (irqchip).
 */
#include "gicv3-state.h"

#include "fdt-writer.h"

#include <string.h>

#define BITS(name, member, type, legal) MV_STATE_BITS(name, struct mv_gicv3, member, type, legal)
#define BANKS(name, member)             MV_STATE_ANY(name, struct mv_gicv3, member, MV_STATE_U32)
#define CPUS(name, member, least, most)                                                            \
    MV_STATE_RANGE(name, struct mv_gicv3, member, MV_STATE_U8, least, most)

static const struct mv_state_field state_fields[] = {
    MV_STATE_SAME("cpus", struct mv_gicv3, params.cpus, MV_STATE_U32),
    MV_STATE_SAME("spis", struct mv_gicv3, params.spi_count, MV_STATE_U32),
    MV_STATE_SAME("msi-first", struct mv_gicv3, params.msi_base_intid, MV_STATE_U32),
    MV_STATE_SAME("msis", struct mv_gicv3, params.msi_count, MV_STATE_U32),
    BITS("group-enable", group_enable, MV_STATE_U8, MV_GICD_CTLR_GROUP0 | MV_GICD_CTLR_GROUP1),
    BANKS("group", group),
    BANKS("enabled", enabled),
    BANKS("pending", pending),
    BANKS("active", active),
    BANKS("edge", edge),
    BANKS("level", level),
    BANKS("message-level", message_level),
    BITS("priority", priority, MV_STATE_U8, MV_GICV3_PRIORITY_MASK),
    BITS("router", router, MV_STATE_U64, MV_GICD_IROUTER_MASK),
    MV_STATE_FLAG("asleep", struct mv_gicv3, asleep),
    BITS("pmr", pmr, MV_STATE_U8, MV_GICV3_PRIORITY_MASK),
    BITS("cpu-ctlr", cpu_ctlr, MV_STATE_U8, MV_ICC_CTLR_CBPR | MV_ICC_CTLR_EOIMODE),
    CPUS("bpr0", bpr[0], MV_GICV3_BPR0_MIN, MV_GICV3_BPR_MAX),
    CPUS("bpr1", bpr[1], MV_GICV3_BPR1_MIN, MV_GICV3_BPR_MAX),
    CPUS("cpu-group0-enable", cpu_group_enable[0], 0, 1),
    CPUS("cpu-group1-enable", cpu_group_enable[1], 0, 1),
    BANKS("apr0", apr[0]),
    BANKS("apr1", apr[1]),
};

/* --- what a state may say, given the CPUs and SPIs that there are */

/* Interrupts of CPUs and SPIs that are not there have no state, and are level-sensitive. */
static int check_absent(const struct mv_gicv3 *gic, unsigned bank, struct mv_error *err)
{
    for (size_t i = 0; i < sizeof state_fields / sizeof state_fields[0]; i++) {
        const struct mv_state_field *field = &state_fields[i];
        uint64_t bits = field->count == MV_GICV3_BANKS ? mv_state_get(field, gic, bank) : 0;
        if (bits != 0)
            return mv_state_refuse(err, field->name,
                                   "bank %u has 0x%x, and none of its interrupts is there", bank,
                                   (uint32_t)bits);
    }
    for (unsigned i = bank * 32; i < bank * 32 + 32; i++) {
        if (gic->priority[i] != 0)
            return mv_state_refuse(err, "priority", "interrupt %u of bank %u is not there", i % 32,
                                   bank);
    }
    return 0;
}

/* SGIs have no wires and are edge-triggered; messages are for SPIs alone. */
static int check_private(const struct mv_gicv3 *gic, unsigned cpu, struct mv_error *err)
{
    if ((gic->edge[cpu] & MV_GICV3_SGI_MASK) != MV_GICV3_SGI_MASK)
        return mv_state_refuse(err, "edge", "CPU %u has 0x%x, and SGIs are edge-triggered: 0x%x",
                               cpu, gic->edge[cpu], MV_GICV3_SGI_MASK);
    if ((gic->level[cpu] & MV_GICV3_SGI_MASK) != 0)
        return mv_state_refuse(err, "level", "CPU %u has 0x%x, and SGIs have no wire", cpu,
                               gic->level[cpu]);
    if (gic->message_level[cpu] != 0)
        return mv_state_refuse(err, "message-level", "CPU %u has 0x%x, and messages are SPIs'", cpu,
                               gic->message_level[cpu]);
    return 0;
}

static int check_state(const void *object, struct mv_error *err)
{
    const struct mv_gicv3 *gic = object;
    int r = 0;
    for (unsigned bank = 0; bank < MV_GICV3_BANKS && r == 0; bank++) {
        if (bank < gic->params.cpus)
            r = check_private(gic, bank, err);
        else if (bank < MV_GICV3_SPI_BANK0 ||
                 bank - MV_GICV3_SPI_BANK0 >= gic->params.spi_count / 32)
            r = check_absent(gic, bank, err);
    }
    for (unsigned spi = gic->params.spi_count; spi < MV_GICV3_SPI_MAX && r == 0; spi++) {
        if (gic->router[spi] != 0)
            r = mv_state_refuse(err, "router", "SPI %u is not there", spi);
    }
    return r;
}

/* --- what follows from the state: routes, readiness, the CPUs' lines.  Lock held. */

static void derive_all(struct mv_gicv3 *gic)
{
    for (unsigned spi = 0; spi < gic->params.spi_count; spi++)
        mv_gicv3_spi_route(gic, spi);
    mv_gicv3_all_update(gic);
    for (unsigned cpu = 0; cpu < gic->params.cpus; cpu++)
        gic->dirty |= UINT64_C(1) << cpu;
    mv_gicv3_signal(gic);
}

static void state_loaded(void *object)
{
    struct mv_gicv3 *gic = object;
    MV_LOCK_SCOPE(&gic->device.lock);
    derive_all(gic);
}

static const struct mv_state_table state_table = MV_STATE_TABLE(
    struct mv_gicv3, "gicv3", 1, state_fields, .mutex = offsetof(struct mv_gicv3, device.lock),
    .check = check_state, .loaded = state_loaded);

/*
 * Power-on values.  The wires into the chip keep their level: a device that is
 * reset too lowers its own.
 */
static void gicv3_reset(struct mv_device *device)
{
    struct mv_gicv3 *gic = (struct mv_gicv3 *)device;
    MV_LOCK_SCOPE(&gic->device.lock);
    for (size_t i = 0; i < state_table.field_count; i++) {
        const struct mv_state_field *field = &state_fields[i];
        if (!field->is_same && field->offset != offsetof(struct mv_gicv3, level))
            memset((char *)gic + field->offset, 0, field->count * field->stride);
    }
    for (unsigned cpu = 0; cpu < gic->params.cpus; cpu++) {
        gic->edge[cpu] = MV_GICV3_SGI_MASK;
        gic->asleep[cpu] = true;
    }
    memset(gic->bpr[0], MV_GICV3_BPR0_MIN, sizeof gic->bpr[0]);
    memset(gic->bpr[1], MV_GICV3_BPR1_MIN, sizeof gic->bpr[1]);
    derive_all(gic);
}

static const struct mv_device_ops device_ops = {"gicv3", &state_table, gicv3_reset};

static void set_spi(struct mv_irqchip *chip, unsigned intid, bool level)
{
    struct mv_gicv3 *gic = mv_gicv3_of_chip(chip);
    int bank = mv_gicv3_bank_of(gic, 0, intid);
    if (intid < MV_INTID_SPI_BASE || bank < 0)
        return;
    MV_LOCK_SCOPE(&gic->device.lock);
    mv_gicv3_input_set(gic, (unsigned)bank, UINT32_C(1) << (intid % 32), level);
    mv_gicv3_signal(gic);
}

static void set_ppi(struct mv_irqchip *chip, unsigned cpu, unsigned intid, bool level)
{
    struct mv_gicv3 *gic = mv_gicv3_of_chip(chip);
    if (cpu >= gic->params.cpus || intid < MV_INTID_PPI_BASE || intid >= MV_INTID_SPI_BASE)
        return;
    MV_LOCK_SCOPE(&gic->device.lock);
    mv_gicv3_input_set(gic, cpu, UINT32_C(1) << intid, level);
    mv_gicv3_signal(gic);
}

/* A pulse: an SPI that is configured as level-sensitive does not remember it. */
void mv_gicv3_message(struct mv_irqchip *chip, unsigned intid)
{
    struct mv_gicv3 *gic = mv_gicv3_of_chip(chip);
    int bank = mv_gicv3_bank_of(gic, 0, intid);
    if (intid < MV_INTID_SPI_BASE || bank < 0)
        return;
    uint32_t bit = UINT32_C(1) << (intid % 32);
    MV_LOCK_SCOPE(&gic->device.lock);
    gic->pending[bank] |= gic->edge[bank] & bit;
    mv_gicv3_bank_update(gic, (unsigned)bank, bit);
    mv_gicv3_signal(gic);
}

/* A new sink hears of the lines that are up; it takes them to be down. */
static void set_sink(struct mv_irqchip *chip, struct mv_irq_sink *sink)
{
    struct mv_gicv3 *gic = mv_gicv3_of_chip(chip);
    MV_LOCK_SCOPE(&gic->device.lock);
    gic->sink = sink;
    for (unsigned cpu = 0; cpu < gic->params.cpus; cpu++) {
        gic->lines[cpu] = 0;
        gic->dirty |= UINT64_C(1) << cpu;
    }
    mv_gicv3_signal(gic);
}

static const struct mv_irqchip_ops irqchip_ops = {
    .set_spi = set_spi,
    .set_ppi = set_ppi,
    .message = mv_gicv3_message,
    .cpu_read = mv_gicv3_cpu_read,
    .cpu_write = mv_gicv3_cpu_write,
    .set_sink = set_sink,
};

static int check_params(const struct mv_gicv3_params *params, struct mv_error *err)
{
    if (params->cpus < 1 || params->cpus > MV_GICV3_CPUS_MAX)
        return mv_error_set(err, EINVAL, "the GIC cannot serve %u CPUs: 1 to %u are possible",
                            params->cpus, MV_GICV3_CPUS_MAX);
    if (params->spi_count > MV_GICV3_SPI_MAX || params->spi_count % 32 != 0)
        return mv_error_set(err, EINVAL,
                            "the GIC cannot have %u SPIs: a multiple of 32 up to %u is possible",
                            params->spi_count, MV_GICV3_SPI_MAX);
    unsigned end = MV_INTID_SPI_BASE + params->spi_count;
    if (params->msi_count != 0 &&
        (params->msi_base_intid < MV_INTID_SPI_BASE || params->msi_base_intid >= end ||
         params->msi_count > end - params->msi_base_intid))
        return mv_error_set(err, EINVAL,
                            "the GICv2m frame cannot have %u SPIs from INTID %u on: INTIDs 32 to "
                            "%u are SPIs",
                            params->msi_count, params->msi_base_intid, end - 1);
    return 0;
}

/* --- on a board */

static int create(const struct mv_platform *platform, const struct mv_platform_row *row,
                  struct mv_device **ret, struct mv_error *err)
{
    const struct mv_gicv3_wiring *wiring = row->wiring;
    struct mv_gicv3_params params = wiring->params;
    params.cpus = platform->cpus;
    int r = check_params(&params, err);
    if (r < 0)
        return r;
    struct mv_gicv3 *gic =
        mv_device_alloc(sizeof *gic, &device_ops, "gic-distributor", &mv_gicv3_dist_ops, err);
    if (gic == NULL)
        return -ENOMEM;
    gic->chip.ops = &irqchip_ops;
    gic->params = params;
    gic->redist_region = (struct mv_mmio_region){"gic-redistributors", &mv_gicv3_redist_ops, gic};
    gic->v2m_region = (struct mv_mmio_region){"gic-v2m", &mv_gicv3_v2m_ops, gic};
    gicv3_reset(&gic->device);
    *ret = &gic->device;
    return 0;
}

static int added(struct mv_platform *platform, const struct mv_platform_row *row,
                 struct mv_device *device, struct mv_error *err)
{
    const struct mv_gicv3_wiring *wiring = row->wiring;
    struct mv_gicv3 *gic = (struct mv_gicv3 *)device;
    platform->irqchip = &gic->chip;
    platform->msi.gpa = wiring->v2m_gpa;
    platform->msi.size = MV_GICV2M_SIZE;
    platform->msi.region = &gic->v2m_region;
    int r = mv_space_add_mmio(platform->space, wiring->redist_gpa,
                              (uint64_t)platform->cpus * MV_GICV3_REDIST_SIZE, &gic->redist_region,
                              err);
    if (r == 0 && wiring->params.msi_count != 0)
        r = mv_space_add_mmio(platform->space, wiring->v2m_gpa, MV_GICV2M_SIZE, &gic->v2m_region,
                              err);
    return r;
}

static void describe_v2m(struct mv_fdt *fdt, const struct mv_gicv3_wiring *wiring)
{
    mv_fdt_begin_at(fdt, "msi-controller", wiring->v2m_gpa);
    mv_fdt_text(fdt, "compatible", "arm,gic-v2m-frame");
    mv_fdt_empty(fdt, "msi-controller");
    mv_fdt_reg(fdt, wiring->v2m_gpa, MV_GICV2M_SIZE);
    /* Counted as INTIDs, like the frame's own MSI_TYPER. */
    MV_FDT_CELLS(fdt, "arm,msi-base-spi", wiring->params.msi_base_intid);
    MV_FDT_CELLS(fdt, "arm,msi-num-spis", wiring->params.msi_count);
    MV_FDT_CELLS(fdt, "phandle", MV_FDT_MESSAGES);
    mv_fdt_end(fdt);
}

static void describe(struct mv_fdt *fdt, const struct mv_platform *platform,
                     const struct mv_platform_row *row)
{
    const struct mv_gicv3_wiring *wiring = row->wiring;
    uint64_t redist_size = (uint64_t)platform->cpus * MV_GICV3_REDIST_SIZE;
    mv_fdt_text(fdt, "compatible", "arm,gic-v3");
    MV_FDT_CELLS(fdt, "#interrupt-cells", 3);
    mv_fdt_empty(fdt, "interrupt-controller");
    MV_FDT_CELLS(fdt, "reg", MV_FDT_U64(row->gpa), MV_FDT_U64(MV_GICV3_DIST_SIZE),
                 MV_FDT_U64(wiring->redist_gpa), MV_FDT_U64(redist_size));
    MV_FDT_CELLS(fdt, "#redistributor-regions", 1);
    MV_FDT_CELLS(fdt, "#address-cells", 2);
    MV_FDT_CELLS(fdt, "#size-cells", 2);
    mv_fdt_empty(fdt, "ranges");
    MV_FDT_CELLS(fdt, "phandle", MV_FDT_INTERRUPTS);
    if (wiring->params.msi_count != 0)
        describe_v2m(fdt, wiring);
}

const struct mv_platform_type mv_gicv3_type = {"interrupt-controller", 0,     create,
                                               MV_GICV3_DIST_SIZE,     added, describe};
