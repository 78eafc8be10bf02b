/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The GIC's frames of memory-mapped registers: the distributor (IHI 0069, 12.9),
 * the redistributors (12.10 and 12.11), two frames of 64 KiB for each CPU, and the
 * GICv2m frame.  One Security state, affinity routing always on, message-based
 * SPIs, no LPIs.  MMIO callbacks from any vCPU's thread; each takes the chip's
 * lock.  An offset or a size that means nothing is RAZ/WI.
 */
#include "gicv3-state.h"

/* Whose registers an access reaches: a CPU's by its number, or the distributor's. */
#define DISTRIBUTOR (-1)

/*
 * --- registers that hold one bit, two bits or a byte for each INTID.  They stand at
 * the same offsets in the distributor (for SPIs) and in a redistributor's SGI frame
 * (for SGIs and PPIs); the place of the others is RAZ/WI.
 */

/* An access: INTIDs of one bank from bit `first` of it on. */
struct place {
    unsigned bank;
    unsigned first;
    unsigned size;  /* of the access, in bytes */
    uint32_t *bits; /* the bank's part of the register's bitmap, where it has one */
};

static uint32_t read_bits(const struct mv_gicv3 *gic, struct place at)
{
    return *at.bits;
}

static void set_bits(struct mv_gicv3 *gic, struct place at, uint32_t value)
{
    *at.bits |= value;
    mv_gicv3_bank_update(gic, at.bank, value);
}

/* A level that is still asserted keeps its interrupt pending. */
static void clear_bits(struct mv_gicv3 *gic, struct place at, uint32_t value)
{
    *at.bits &= ~value;
    mv_gicv3_bank_update(gic, at.bank, value);
}

static void write_group(struct mv_gicv3 *gic, struct place at, uint32_t value)
{
    uint32_t changed = *at.bits ^ value;
    *at.bits = value;
    mv_gicv3_bank_update(gic, at.bank, changed);
    if (at.bank < MV_GICV3_SPI_BANK0)
        return;
    for (; changed != 0; changed &= changed - 1)
        mv_gicv3_spi_route(gic, (at.bank - MV_GICV3_SPI_BANK0) * 32 + __builtin_ctz(changed));
}

static uint32_t read_pending(const struct mv_gicv3 *gic, struct place at)
{
    return mv_gicv3_bank_pending(gic, at.bank);
}

static uint32_t read_priorities(const struct mv_gicv3 *gic, struct place at)
{
    const uint8_t *priority = &gic->priority[at.bank * 32 + at.first];
    uint32_t value = 0;
    for (unsigned i = 0; i < at.size; i++)
        value |= (uint32_t)priority[i] << (8 * i);
    return value;
}

static void write_priorities(struct mv_gicv3 *gic, struct place at, uint32_t value)
{
    uint8_t *priority = &gic->priority[at.bank * 32 + at.first];
    for (unsigned i = 0; i < at.size; i++)
        priority[i] = (value >> (8 * i)) & MV_GICV3_PRIORITY_MASK;
    mv_gicv3_bank_update(gic, at.bank, ((UINT32_C(1) << at.size) - 1) << at.first);
}

/* ICFGR: bit 1 of each pair says edge-triggered, bit 0 is RES0. */
static uint32_t read_config(const struct mv_gicv3 *gic, struct place at)
{
    uint32_t value = 0;
    for (unsigned i = 0; i < 16; i++)
        value |= (*at.bits >> (at.first + i) & 1) << (2 * i + 1);
    return value;
}

static void write_config(struct mv_gicv3 *gic, struct place at, uint32_t value)
{
    uint32_t mask = UINT32_C(0xffff) << at.first;
    if (at.bank < MV_GICV3_SPI_BANK0)
        mask &= ~MV_GICV3_SGI_MASK; /* SGIs are always edge-triggered */
    uint32_t edge = 0;
    for (unsigned i = 0; i < 16; i++)
        edge |= (value >> (2 * i + 1) & 1) << (at.first + i);
    *at.bits = (*at.bits & ~mask) | (edge & mask);
    mv_gicv3_bank_update(gic, at.bank, mask);
}

/* IGRPMODR, NSACR (one Security state) and ITARGETSR (ARE) are RAZ/WI. */
#define BITMAP(member) offsetof(struct mv_gicv3, member)
static const struct bank_register {
    uint32_t offset; /* of INTID 0 */
    uint8_t bits;    /* of an INTID; there is room for 1024 of them */
    uint8_t sizes;   /* sum of the sizes of access, in bytes; 0 ends the table */
    size_t bitmap;   /* where it stands in the state */
    uint32_t (*read)(const struct mv_gicv3 *gic, struct place at);
    void (*write)(struct mv_gicv3 *gic, struct place at, uint32_t value);
} bank_registers[] = {
    {0x080, 1, 4, BITMAP(group), read_bits, write_group},
    {0x100, 1, 4, BITMAP(enabled), read_bits, set_bits},
    {0x180, 1, 4, BITMAP(enabled), read_bits, clear_bits},
    {0x200, 1, 4, BITMAP(pending), read_pending, set_bits},
    {0x280, 1, 4, BITMAP(pending), read_pending, clear_bits},
    {0x300, 1, 4, BITMAP(active), read_bits, set_bits},
    {0x380, 1, 4, BITMAP(active), read_bits, clear_bits},
    {0x400, 8, 1 | 4, 0, read_priorities, write_priorities},
    {0xc00, 2, 4, BITMAP(edge), read_config, write_config},
    {0},
};

/* The register that an access reaches, and where in the state; else NULL. */
static const struct bank_register *find_bank(struct mv_gicv3 *gic, int owner, uint32_t offset,
                                             unsigned size, struct place *ret_at)
{
    const struct bank_register *reg = bank_registers;
    while (reg->sizes != 0 &&
           (offset < reg->offset || offset - reg->offset >= 1024u * reg->bits / 8))
        reg++;
    if ((reg->sizes & size) == 0)
        return NULL;
    unsigned intid = (offset - reg->offset) * 8 / reg->bits;
    bool is_private = intid < MV_INTID_SPI_BASE;
    int bank = is_private ? owner : mv_gicv3_bank_of(gic, 0, intid);
    if (bank < 0 || is_private == (owner == DISTRIBUTOR))
        return NULL;
    uint32_t *bits = (uint32_t *)(void *)((char *)gic + reg->bitmap) + bank;
    *ret_at = (struct place){(unsigned)bank, intid % 32, size, bits};
    return reg;
}

static uint64_t read_banks(struct mv_gicv3 *gic, int owner, uint32_t offset, unsigned size)
{
    struct place at;
    const struct bank_register *reg = find_bank(gic, owner, offset & 0xffff, size, &at);
    return reg == NULL ? 0 : reg->read(gic, at);
}

static void write_banks(struct mv_gicv3 *gic, int owner, uint32_t offset, unsigned size,
                        uint64_t value)
{
    struct place at;
    const struct bank_register *reg = find_bank(gic, owner, offset & 0xffff, size, &at);
    if (reg != NULL)
        reg->write(gic, at, (uint32_t)value);
}

/* --- what both kinds of frame have */

#define PART_DISTRIBUTOR   0x92
#define PART_REDISTRIBUTOR 0x93

/* PIDR4-7, PIDR0-3, CIDR0-3 as CoreSight lays them out; PIDR2 says GICv3. */
static uint64_t read_id(struct mv_gicv3 *gic, int owner, uint32_t offset, unsigned size)
{
    static const uint8_t ids[] = {0x44, 0, 0, 0, 0, 0xb4, 0x3b, 0, 0x0d, 0xf0, 0x05, 0xb1};
    uint32_t index = (offset - 0xffd0) / 4;
    if (index == 4)
        return owner == DISTRIBUTOR ? PART_DISTRIBUTOR : PART_REDISTRIBUTOR;
    return ids[index];
}

static uint64_t read_iidr(struct mv_gicv3 *gic, int owner, uint32_t offset, unsigned size)
{
    return MV_GICV3_IIDR;
}

/* The half of a register of 64 bits that is read, or all of it. */
static uint64_t part_of(uint64_t value, uint32_t offset, unsigned size)
{
    value >>= 8 * (offset % 8);
    return size == 4 ? (uint32_t)value : value;
}

#define SIZE_ANY 0xff

/* The registers from `first` to `last` (bytes), for accesses of `sizes`. */
struct frame_register {
    uint32_t first;
    uint32_t last;
    uint8_t sizes; /* sum of sizes in bytes; 0 ends a table */
    uint64_t (*read)(struct mv_gicv3 *gic, int owner, uint32_t offset, unsigned size);
    void (*write)(struct mv_gicv3 *gic, int owner, uint32_t offset, unsigned size, uint64_t value);
};

/* The one that an access reaches, else the table's end. */
static const struct frame_register *find(const struct frame_register *reg, uint64_t offset,
                                         unsigned size)
{
    while (reg->sizes != 0 && ((offset & (size - 1)) != 0 || (reg->sizes & size) == 0 ||
                               offset < reg->first || offset > reg->last))
        reg++;
    return reg;
}

static uint64_t read_frame(struct mv_gicv3 *gic, const struct frame_register *table, int owner,
                           uint64_t offset, unsigned size)
{
    const struct frame_register *reg = find(table, offset, size);
    if (reg->read == NULL)
        return 0;
    MV_LOCK_SCOPE(&gic->device.lock);
    return reg->read(gic, owner, (uint32_t)offset, size);
}

static void write_frame(struct mv_gicv3 *gic, const struct frame_register *table, int owner,
                        uint64_t offset, uint64_t value, unsigned size)
{
    const struct frame_register *reg = find(table, offset, size);
    if (reg->write == NULL)
        return;
    MV_LOCK_SCOPE(&gic->device.lock);
    reg->write(gic, owner, (uint32_t)offset, size, value);
    mv_gicv3_signal(gic);
}

/* --- the distributor */

#define TYPER_MBIS         (1u << 16)
#define TYPER_IDBITS(bits) (((bits)-1u) << 19)
#define TYPER_A3V          (1u << 24)

#define SETSPI_NSR 0x0040
#define CLRSPI_NSR 0x0048
#define IROUTER    0x6000

static uint64_t read_ctlr(struct mv_gicv3 *gic, int owner, uint32_t offset, unsigned size)
{
    return MV_GICD_CTLR_DS | MV_GICD_CTLR_ARE | gic->group_enable;
}

static void write_ctlr(struct mv_gicv3 *gic, int owner, uint32_t offset, unsigned size,
                       uint64_t value)
{
    gic->group_enable = value & (MV_GICD_CTLR_GROUP0 | MV_GICD_CTLR_GROUP1);
    mv_gicv3_all_update(gic);
}

/* ITLinesNumber n stands for INTIDs below 32 * (n + 1). */
static uint64_t read_dist_typer(struct mv_gicv3 *gic, int owner, uint32_t offset, unsigned size)
{
    return gic->params.spi_count / 32 | TYPER_MBIS | TYPER_IDBITS(10) | TYPER_A3V;
}

/*
 * SETSPI pends an edge-triggered SPI once; a level-sensitive one stays pending
 * until CLRSPI, whatever ICPENDR says (IHI 0069, 12.9, GICD_SETSPI_NSR).
 */
static void write_message(struct mv_gicv3 *gic, int owner, uint32_t offset, unsigned size,
                          uint64_t value)
{
    unsigned intid = value & 0x1fff;
    uint32_t bit = UINT32_C(1) << (intid % 32);
    int bank = mv_gicv3_bank_of(gic, 0, intid);
    if (intid < MV_INTID_SPI_BASE || bank < 0)
        return;
    uint32_t edge = gic->edge[bank] & bit;
    if (offset < CLRSPI_NSR) {
        gic->pending[bank] |= edge;
        gic->message_level[bank] |= bit & ~edge;
    } else {
        gic->pending[bank] &= ~edge;
        gic->message_level[bank] &= ~bit;
    }
    mv_gicv3_bank_update(gic, (unsigned)bank, bit);
}

/* A pair of registers stands for each INTID, the private ones' reserved. */
static bool find_router(const struct mv_gicv3 *gic, uint32_t offset, unsigned *ret_spi)
{
    unsigned intid = (offset - IROUTER) / 8;
    *ret_spi = intid - MV_INTID_SPI_BASE;
    return intid >= MV_INTID_SPI_BASE && *ret_spi < gic->params.spi_count;
}

static uint64_t read_router(struct mv_gicv3 *gic, int owner, uint32_t offset, unsigned size)
{
    unsigned spi;
    return find_router(gic, offset, &spi) ? part_of(gic->router[spi], offset, size) : 0;
}

static void write_router(struct mv_gicv3 *gic, int owner, uint32_t offset, unsigned size,
                         uint64_t value)
{
    unsigned spi;
    if (!find_router(gic, offset, &spi))
        return;
    uint64_t mask = size == 4 ? UINT64_C(0xffffffff) << (8 * (offset % 8)) : UINT64_MAX;
    uint64_t placed = value << (8 * (offset % 8));
    gic->router[spi] = ((gic->router[spi] & ~mask) | (placed & mask)) & MV_GICD_IROUTER_MASK;
    mv_gicv3_spi_route(gic, spi);
}

static const struct frame_register dist_registers[] = {
    {0x0000, 0x0003, 4, read_ctlr, write_ctlr},
    {0x0004, 0x0007, 4, read_dist_typer, NULL},
    {0x0008, 0x000b, 4, read_iidr, NULL},
    {SETSPI_NSR, SETSPI_NSR + 3, 2 | 4, NULL, write_message},
    {CLRSPI_NSR, CLRSPI_NSR + 3, 2 | 4, NULL, write_message},
    {0x0080, 0x0dff, SIZE_ANY, read_banks, write_banks},
    {IROUTER, 0x7fff, 4 | 8, read_router, write_router},
    {0xffd0, 0xffff, 4, read_id, NULL},
    {0},
};

static uint64_t dist_read(void *opaque, uint64_t offset, unsigned size)
{
    return read_frame(opaque, dist_registers, DISTRIBUTOR, offset, size);
}

static void dist_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    write_frame(opaque, dist_registers, DISTRIBUTOR, offset, value, size);
}

const struct mv_mmio_ops mv_gicv3_dist_ops = {dist_read, dist_write, dist_read, 1, 8};

/* --- the redistributors: for each CPU a frame for itself, and one for its SGIs and PPIs */

#define TYPER_LAST      (UINT64_C(1) << 4)
#define TYPER_NUMBER(n) ((uint64_t)(n) << 8)

#define WAKER_PROCESSOR_SLEEP (1u << 1)
#define WAKER_CHILDREN_ASLEEP (1u << 2)

/* Aff3 to Aff0 in the upper half. */
static uint64_t read_redist_typer(struct mv_gicv3 *gic, int owner, uint32_t offset, unsigned size)
{
    unsigned cpu = (unsigned)owner;
    uint64_t last = cpu == gic->params.cpus - 1 ? TYPER_LAST : 0;
    return part_of(mv_arm64_affinity(cpu) << 32 | TYPER_NUMBER(cpu) | last, offset, size);
}

static uint64_t read_waker(struct mv_gicv3 *gic, int owner, uint32_t offset, unsigned size)
{
    return gic->asleep[owner] ? WAKER_PROCESSOR_SLEEP | WAKER_CHILDREN_ASLEEP : 0;
}

/*
 * The handshake alone: ChildrenAsleep follows ProcessorSleep at once, and a
 * sleeping CPU still has its interrupts signalled, since nothing but a wake-up
 * could come of them and programs started at EL1 may rely on a firmware for
 * the waking.
 */
static void write_waker(struct mv_gicv3 *gic, int owner, uint32_t offset, unsigned size,
                        uint64_t value)
{
    gic->asleep[owner] = (value & WAKER_PROCESSOR_SLEEP) != 0;
}

/* CTLR has no writable bits without LPIs. */
static const struct frame_register redist_registers[] = {
    {0x0004, 0x0007, 4, read_iidr, NULL},
    {0x0008, 0x000f, 4 | 8, read_redist_typer, NULL},
    {0x0014, 0x0017, 4, read_waker, write_waker},
    {0xffd0, 0xffff, 4, read_id, NULL},
    {0x10080, 0x10dff, SIZE_ANY, read_banks, write_banks},
    {0},
};

static uint64_t redist_read(void *opaque, uint64_t offset, unsigned size)
{
    struct mv_gicv3 *gic = opaque;
    uint64_t cpu = offset / MV_GICV3_REDIST_SIZE;
    return cpu >= gic->params.cpus
               ? 0
               : read_frame(gic, redist_registers, (int)cpu, offset % MV_GICV3_REDIST_SIZE, size);
}

static void redist_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct mv_gicv3 *gic = opaque;
    uint64_t cpu = offset / MV_GICV3_REDIST_SIZE;
    if (cpu < gic->params.cpus)
        write_frame(gic, redist_registers, (int)cpu, offset % MV_GICV3_REDIST_SIZE, value, size);
}

const struct mv_mmio_ops mv_gicv3_redist_ops = {redist_read, redist_write, redist_read, 1, 8};

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
    unsigned intid = value & 0x3ff;
    if (offset == V2M_SETSPI_NS && (size == 2 || size == 4) &&
        intid >= gic->params.msi_base_intid &&
        intid - gic->params.msi_base_intid < gic->params.msi_count)
        mv_gicv3_message(&gic->chip, intid);
}

const struct mv_mmio_ops mv_gicv3_v2m_ops = {v2m_read, v2m_write, v2m_read, 1, 8};
