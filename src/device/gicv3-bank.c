/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The GIC's registers that hold one bit, two bits or a byte for each INTID.
 * They stand at the same offsets in the distributor (for SPIs) and in a
 * redistributor's SGI frame (for SGIs and PPIs); the place of the others is
 * RAZ/WI (IHI 0069, 12.9 to 12.11, with affinity routing on).  Called by
 * gicv3-dist.c and gicv3-redist.c with the chip's lock held.
 */
#include "gicv3-state.h"

/* An access: INTIDs of one bank from bit `first` of it on. */
struct place {
    unsigned bank;
    unsigned first;
    unsigned size; /* of the access, in bytes */
};

static uint32_t read_group(const struct mv_gicv3 *gic, struct place at)
{
    return gic->group[at.bank];
}

static void write_group(struct mv_gicv3 *gic, struct place at, uint32_t value)
{
    uint32_t changed = gic->group[at.bank] ^ value;
    gic->group[at.bank] = value;
    mv_gicv3_bank_update(gic, at.bank, changed);
    if (at.bank < MV_GICV3_SPI_BANK0)
        return;
    for (; changed != 0; changed &= changed - 1)
        mv_gicv3_spi_route(gic, (at.bank - MV_GICV3_SPI_BANK0) * 32 + __builtin_ctz(changed));
}

static uint32_t read_enabled(const struct mv_gicv3 *gic, struct place at)
{
    return gic->enabled[at.bank];
}

static void set_enabled(struct mv_gicv3 *gic, struct place at, uint32_t value)
{
    gic->enabled[at.bank] |= value;
    mv_gicv3_bank_update(gic, at.bank, value);
}

static void clear_enabled(struct mv_gicv3 *gic, struct place at, uint32_t value)
{
    gic->enabled[at.bank] &= ~value;
    mv_gicv3_bank_update(gic, at.bank, value);
}

static uint32_t read_pending(const struct mv_gicv3 *gic, struct place at)
{
    return mv_gicv3_bank_pending(gic, at.bank);
}

static void set_pending(struct mv_gicv3 *gic, struct place at, uint32_t value)
{
    gic->pending[at.bank] |= value;
    mv_gicv3_bank_update(gic, at.bank, value);
}

/* A level that is still asserted keeps its interrupt pending. */
static void clear_pending(struct mv_gicv3 *gic, struct place at, uint32_t value)
{
    gic->pending[at.bank] &= ~value;
    mv_gicv3_bank_update(gic, at.bank, value);
}

static uint32_t read_active(const struct mv_gicv3 *gic, struct place at)
{
    return gic->active[at.bank];
}

static void set_active(struct mv_gicv3 *gic, struct place at, uint32_t value)
{
    gic->active[at.bank] |= value;
    mv_gicv3_bank_update(gic, at.bank, value);
}

static void clear_active(struct mv_gicv3 *gic, struct place at, uint32_t value)
{
    gic->active[at.bank] &= ~value;
    mv_gicv3_bank_update(gic, at.bank, value);
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
    uint32_t edge = gic->edge[at.bank] >> at.first;
    uint32_t value = 0;
    for (unsigned i = 0; i < 16; i++)
        value |= (edge >> i & 1) << (2 * i + 1);
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
    gic->edge[at.bank] = (gic->edge[at.bank] & ~mask) | (edge & mask);
    mv_gicv3_bank_update(gic, at.bank, mask);
}

/* IGRPMODR, NSACR (one Security state) and ITARGETSR (ARE) are RAZ/WI. */
static const struct bank_register {
    uint32_t offset; /* of INTID 0 */
    uint8_t bits;    /* of an INTID; there is room for 1024 of them */
    uint8_t sizes;   /* sum of the sizes of access, in bytes */
    uint32_t (*read)(const struct mv_gicv3 *gic, struct place at);
    void (*write)(struct mv_gicv3 *gic, struct place at, uint32_t value);
} registers[] = {
    {0x080, 1, 4, read_group, write_group},
    {0x100, 1, 4, read_enabled, set_enabled},
    {0x180, 1, 4, read_enabled, clear_enabled},
    {0x200, 1, 4, read_pending, set_pending},
    {0x280, 1, 4, read_pending, clear_pending},
    {0x300, 1, 4, read_active, set_active},
    {0x380, 1, 4, read_active, clear_active},
    {0x400, 8, 1 | 4, read_priorities, write_priorities},
    {0xc00, 2, 4, read_config, write_config},
};

/* The register an aligned access reaches, and where in the state; else NULL. */
static const struct bank_register *find_register(const struct mv_gicv3 *gic, int owner,
                                                 uint32_t offset, unsigned size,
                                                 struct place *ret_at)
{
    for (size_t i = 0; i < sizeof registers / sizeof registers[0]; i++) {
        const struct bank_register *reg = &registers[i];
        if (offset < reg->offset || offset - reg->offset >= 1024u * reg->bits / 8)
            continue;
        unsigned intid = (offset - reg->offset) * 8 / reg->bits;
        bool is_private = intid < MV_INTID_SPI_BASE;
        if ((reg->sizes & size) == 0 || is_private == (owner == MV_GICV3_OWNER_DIST))
            return NULL;
        int bank = is_private ? owner : mv_gicv3_bank_of(gic, 0, intid);
        if (bank < 0)
            return NULL;
        *ret_at = (struct place){.bank = (unsigned)bank, .first = intid % 32, .size = size};
        return reg;
    }
    return NULL;
}

uint64_t mv_gicv3_bank_read(struct mv_gicv3 *gic, int owner, uint32_t offset, unsigned size)
{
    struct place at;
    const struct bank_register *reg = find_register(gic, owner, offset, size, &at);
    return reg == NULL ? 0 : reg->read(gic, at);
}

void mv_gicv3_bank_write(struct mv_gicv3 *gic, int owner, uint32_t offset, unsigned size,
                         uint32_t value)
{
    struct place at;
    const struct bank_register *reg = find_register(gic, owner, offset, size, &at);
    if (reg != NULL)
        reg->write(gic, at, value);
}

/* PIDR4-7, PIDR0-3, CIDR0-3 as CoreSight lays them out; PIDR2 says GICv3. */
uint32_t mv_gicv3_id_read(uint32_t offset, uint8_t part)
{
    static const uint8_t ids[] = {0x44, 0, 0, 0, 0, 0xb4, 0x3b, 0, 0x0d, 0xf0, 0x05, 0xb1};
    uint32_t index = (offset - 0xffd0) / 4;
    if (offset < 0xffd0 || index >= sizeof ids)
        return 0;
    return index == 4 ? part : ids[index];
}
