/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The GIC's distributor frame (IHI 0069, 12.9): one Security state, affinity
 * routing always on, message-based SPIs, no LPIs.  MMIO callbacks from any
 * vCPU's thread; each takes the chip's lock.  An offset or a size that means
 * nothing is RAZ/WI.
 */
#include "gicv3-state.h"

/* GICD_TYPER */
#define TYPER_MBIS         (1u << 16)
#define TYPER_IDBITS(bits) (((bits)-1u) << 19)
#define TYPER_A3V          (1u << 24)

#define IROUTER 0x6000

#define PART_DISTRIBUTOR 0x92

#define SIZE_ANY 0xff

/* The registers from `first` to `last` (bytes), for accesses of `sizes`. */
struct dist_register {
    uint32_t first;
    uint32_t last;
    uint8_t sizes; /* sum of sizes in bytes */
    uint64_t (*read)(struct mv_gicv3 *gic, uint32_t offset, unsigned size);
    void (*write)(struct mv_gicv3 *gic, uint32_t offset, unsigned size, uint64_t value);
};

static uint64_t read_ctlr(struct mv_gicv3 *gic, uint32_t offset, unsigned size)
{
    return MV_GICD_CTLR_DS | MV_GICD_CTLR_ARE | gic->group_enable;
}

static void write_ctlr(struct mv_gicv3 *gic, uint32_t offset, unsigned size, uint64_t value)
{
    gic->group_enable = value & (MV_GICD_CTLR_GROUP0 | MV_GICD_CTLR_GROUP1);
    mv_gicv3_all_update(gic);
}

/* ITLinesNumber n stands for INTIDs below 32 * (n + 1). */
static uint64_t read_typer(struct mv_gicv3 *gic, uint32_t offset, unsigned size)
{
    return gic->params.spi_count / 32 | TYPER_MBIS | TYPER_IDBITS(10) | TYPER_A3V;
}

static uint64_t read_iidr(struct mv_gicv3 *gic, uint32_t offset, unsigned size)
{
    return MV_GICV3_IIDR;
}

/* The bank and bit of a message's SPI; -1 where there is no such SPI. */
static int find_spi(const struct mv_gicv3 *gic, uint64_t intid, uint32_t *ret_bit)
{
    if (intid < MV_INTID_SPI_BASE || intid > MV_GICV3_SPURIOUS)
        return -1;
    *ret_bit = UINT32_C(1) << (intid % 32);
    return mv_gicv3_bank_of(gic, 0, (unsigned)intid);
}

/*
 * SETSPI pends an edge-triggered SPI once; a level-sensitive one stays pending
 * until CLRSPI, whatever ICPENDR says (IHI 0069, 12.9, GICD_SETSPI_NSR).
 */
static void write_setspi(struct mv_gicv3 *gic, uint32_t offset, unsigned size, uint64_t value)
{
    uint32_t bit;
    int bank = find_spi(gic, value & 0x1fff, &bit);
    if (bank < 0)
        return;
    if ((gic->edge[bank] & bit) != 0)
        gic->pending[bank] |= bit;
    else
        gic->message_level[bank] |= bit;
    mv_gicv3_bank_update(gic, (unsigned)bank, bit);
}

static void write_clrspi(struct mv_gicv3 *gic, uint32_t offset, unsigned size, uint64_t value)
{
    uint32_t bit;
    int bank = find_spi(gic, value & 0x1fff, &bit);
    if (bank < 0)
        return;
    if ((gic->edge[bank] & bit) != 0)
        gic->pending[bank] &= ~bit;
    gic->message_level[bank] &= ~bit;
    mv_gicv3_bank_update(gic, (unsigned)bank, bit);
}

static uint64_t read_banks(struct mv_gicv3 *gic, uint32_t offset, unsigned size)
{
    return mv_gicv3_bank_read(gic, MV_GICV3_OWNER_DIST, offset, size);
}

static void write_banks(struct mv_gicv3 *gic, uint32_t offset, unsigned size, uint64_t value)
{
    mv_gicv3_bank_write(gic, MV_GICV3_OWNER_DIST, offset, size, (uint32_t)value);
}

/* A pair of registers stands for each INTID, the private ones' reserved. */
static bool find_router(const struct mv_gicv3 *gic, uint32_t offset, unsigned *ret_spi)
{
    unsigned intid = (offset - IROUTER) / 8;
    if (intid < MV_INTID_SPI_BASE || intid - MV_INTID_SPI_BASE >= gic->params.spi_count)
        return false;
    *ret_spi = intid - MV_INTID_SPI_BASE;
    return true;
}

static uint64_t read_router(struct mv_gicv3 *gic, uint32_t offset, unsigned size)
{
    unsigned spi;
    if (!find_router(gic, offset, &spi))
        return 0;
    uint64_t value = gic->router[spi] >> (8 * (offset % 8));
    return size == 4 ? (uint32_t)value : value;
}

static void write_router(struct mv_gicv3 *gic, uint32_t offset, unsigned size, uint64_t value)
{
    unsigned spi;
    if (!find_router(gic, offset, &spi))
        return;
    uint64_t mask = size == 4 ? UINT64_C(0xffffffff) << (8 * (offset % 8)) : UINT64_MAX;
    uint64_t placed = value << (8 * (offset % 8));
    gic->router[spi] = ((gic->router[spi] & ~mask) | (placed & mask)) & MV_GICD_IROUTER_MASK;
    mv_gicv3_spi_route(gic, spi);
}

static uint64_t read_id(struct mv_gicv3 *gic, uint32_t offset, unsigned size)
{
    return mv_gicv3_id_read(offset, PART_DISTRIBUTOR);
}

static const struct dist_register registers[] = {
    {0x0000, 0x0003, 4, read_ctlr, write_ctlr},
    {0x0004, 0x0007, 4, read_typer, NULL},
    {0x0008, 0x000b, 4, read_iidr, NULL},
    {0x0040, 0x0043, 2 | 4, NULL, write_setspi}, /* SETSPI_NSR */
    {0x0048, 0x004b, 2 | 4, NULL, write_clrspi}, /* CLRSPI_NSR */
    {0x0080, 0x0dff, SIZE_ANY, read_banks, write_banks},
    {IROUTER, 0x7fff, 4 | 8, read_router, write_router},
    {0xffd0, 0xffff, 4, read_id, NULL},
};

static const struct dist_register *find_register(uint64_t offset, unsigned size)
{
    if ((offset & (size - 1)) != 0)
        return NULL;
    for (size_t i = 0; i < sizeof registers / sizeof registers[0]; i++) {
        const struct dist_register *reg = &registers[i];
        if (offset >= reg->first && offset <= reg->last)
            return (reg->sizes & size) != 0 ? reg : NULL;
    }
    return NULL;
}

static uint64_t dist_read(void *opaque, uint64_t offset, unsigned size)
{
    struct mv_gicv3 *gic = opaque;
    const struct dist_register *reg = find_register(offset, size);
    if (reg == NULL || reg->read == NULL)
        return 0;
    MV_LOCK_SCOPE(&gic->lock);
    return reg->read(gic, (uint32_t)offset, size);
}

static void dist_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct mv_gicv3 *gic = opaque;
    const struct dist_register *reg = find_register(offset, size);
    if (reg == NULL || reg->write == NULL)
        return;
    MV_LOCK_SCOPE(&gic->lock);
    reg->write(gic, (uint32_t)offset, size, value);
    mv_gicv3_signal(gic);
}

const struct mv_mmio_ops mv_gicv3_dist_ops = {
    .read = dist_read,
    .peek = dist_read,
    .write = dist_write,
    .min_access = 1,
    .max_access = 8,
};

/*
 * --- the GICv2m frame: a write of an INTID to one register is an edge of that
 * SPI, which makes it the target of PCI devices' messages (Arm Server Base
 * System Architecture, GICv2m).
 */

#define V2M_TYPER     0x008
#define V2M_SETSPI_NS 0x040
#define V2M_IIDR      0xfcc

static uint64_t v2m_read(void *opaque, uint64_t offset, unsigned size)
{
    const struct mv_gicv3_params *params = &((struct mv_gicv3 *)opaque)->params;
    if (size != 4)
        return 0;
    if (offset == V2M_TYPER)
        return (uint64_t)params->msi_base_intid << 16 | params->msi_count;
    return offset == V2M_IIDR ? MV_GICV3_IIDR : 0;
}

static void v2m_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct mv_gicv3 *gic = opaque;
    if (offset != V2M_SETSPI_NS || (size != 2 && size != 4))
        return;
    unsigned intid = value & 0x3ff;
    if (intid >= gic->params.msi_base_intid &&
        intid - gic->params.msi_base_intid < gic->params.msi_count)
        mv_gicv3_message(&gic->chip, intid);
}

const struct mv_mmio_ops mv_gicv3_v2m_ops = {
    .read = v2m_read,
    .peek = v2m_read,
    .write = v2m_write,
    .min_access = 1,
    .max_access = 8,
};
