/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The translation registers, and the table walk (Arm ARM D8.2, AArch64.TranslationTableWalk).  The
 * granules are those that ID_AA64MMFR0_EL1 has, with addresses of 48 bits; a
 * contiguous set is translated entry by entry, as the architecture allows.
 */
#include "block.h"
#include "softmmu.h"

#define PA_BITS 48
#define DESC_VALID 1u
#define DESC_TABLE 2u
#define DESC_AF (1u << 10)
#define DESC_NG (1u << 11)
#define DESC_AP2 (1u << 7) /* read-only */
#define DESC_AP1 (1u << 6) /* EL0 */
#define DESC_DBM (UINT64_C(1) << 51)
#define DESC_PXN (UINT64_C(1) << 53)
#define DESC_UXN (UINT64_C(1) << 54)
#define TABLE_PXN (UINT64_C(1) << 59)
#define TABLE_UXN (UINT64_C(1) << 60)
#define TABLE_NO_EL0 (UINT64_C(1) << 61)
#define TABLE_READ_ONLY (UINT64_C(1) << 62)
#define ADDRESS_BITS UINT64_C(0x0000ffffffffffff)
#define TCR_HA (UINT64_C(1) << 39)
#define TCR_HD (UINT64_C(1) << 40)
#define TCR_A1 (1u << 22)
#define TCR_AS (UINT64_C(1) << 36)

/* Granules by the size of their pages; what is reserved in TCR_EL1.TG0 and TG1 is 4 KiB. */
enum granule { GRANULE_4K = 12, GRANULE_16K = 14, GRANULE_64K = 16 };
static const uint8_t granules[2][4] = {
    {GRANULE_4K, GRANULE_64K, GRANULE_16K, GRANULE_4K},
    {GRANULE_4K, GRANULE_16K, GRANULE_4K, GRANULE_64K},
};

/* --- registers */

static struct mv_softmmu_half half_of(const struct mv_softmmu_registers *registers, unsigned half)
{
    uint64_t tcr = registers->tcr;
    unsigned low = half ? 16 : 0;
    unsigned granule = granules[half][tcr >> (low + 14) & 3];
    unsigned tsz = tcr >> low & 0x3f;
    /* Beyond 16..39 is implementation defined: taken as the nearest. */
    tsz = tsz < 16 ? 16 : tsz > 39 ? 39 : tsz;
    unsigned in_bits = 64 - tsz, stride = granule - 3;
    unsigned level = 4 - (in_bits - granule + stride - 1) / stride;
    unsigned shift = granule + stride * (3 - level);
    /* The first table has as few descriptors as it takes. */
    uint64_t size = UINT64_C(8) << (in_bits - shift);
    return (struct mv_softmmu_half){
        .table = registers->ttbr[half] & ADDRESS_BITS & ~(uint64_t)1 & ~(size - 1),
        .granule = (uint8_t)granule,
        .in_bits = (uint8_t)in_bits,
        .level = (uint8_t)level,
        .shift = (uint8_t)shift,
        .tbi = tcr >> (37 + half) & 1,
        .disabled = tcr >> (low + 7) & 1,
        .e0pd = tcr >> (55 + half) & 1,
    };
}

static uint16_t asid_of(const struct mv_softmmu_registers *registers)
{
    uint64_t asid = registers->ttbr[registers->tcr & TCR_A1 ? 1 : 0] >> 48;
    return (uint16_t)(registers->tcr & TCR_AS ? asid : asid & 0xff);
}

void mv_softmmu_init(struct mv_softmmu *mmu, struct mv_space *space, bool alone)
{
    mmu->space = space;
    mv_tlb_init(&mmu->tlb, alone);
    mv_softmmu_set_el(mmu, 0);
    mv_softmmu_set_registers(mmu, &(struct mv_softmmu_registers){0});
}

/*
 * Entries made under another TCR or MAIR could stay until the guest's TLBI, but a
 * change of these is rare, and flushing is always right.
 */
void mv_softmmu_set_registers(struct mv_softmmu *mmu, const struct mv_softmmu_registers *registers)
{
    static const uint8_t bits[8] = {32, 36, 40, 42, 44, 48, 48, 48};
    const uint64_t sctlr_bits = MV_SCTLR_M | MV_SCTLR_A | MV_SCTLR_WXN;
    const struct mv_softmmu_registers *old = &mmu->registers;
    if (((old->sctlr ^ registers->sctlr) & sctlr_bits) || old->tcr != registers->tcr ||
        old->mair != registers->mair)
        mv_tlb_flush_all(&mmu->tlb);
    mmu->registers = *registers;
    for (unsigned half = 0; half < 2; half++)
        mmu->half[half] = half_of(registers, half);
    mmu->output_bits = bits[registers->tcr >> 32 & 7];
    mmu->on = registers->sctlr & MV_SCTLR_M;
    mmu->aligned = registers->sctlr & MV_SCTLR_A;
    mmu->wxn = registers->sctlr & MV_SCTLR_WXN;
    mmu->set_af = registers->tcr & TCR_HA;
    mmu->set_dirty = registers->tcr & TCR_HD;
    mv_tlb_select_asid(&mmu->tlb, asid_of(registers));
    mv_softmmu_set_el(mmu, mmu->el);
}

/* --- the walk */

static bool fault(struct mv_translation *ret, unsigned status, unsigned level)
{
    ret->fsc = (uint8_t)(status | level);
    return false;
}

/* Does the address lie in its half's input range? */
static bool in_range(uint64_t va, unsigned half, const struct mv_softmmu_half *h)
{
    unsigned top = h->tbi ? 55 : 63;
    uint64_t mask = (UINT64_C(2) << (top - h->in_bits)) - 1;
    uint64_t bits = va >> h->in_bits & mask;
    return bits == (half ? mask : 0);
}

struct leaf {
    uint64_t *host; /* the descriptor's address */
    struct mv_block *block; /* where that is, and its offset there */
    uint64_t offset;
    uint64_t desc;
    uint64_t tables; /* attributes of the tables passed, or-ed */
    unsigned level;
};

/*
 * Find the descriptor at pa; false where no RAM is.  A debugger's access comes
 * while the vCPU stands still, which may not have heard of changes yet.
 */
static inline __attribute__((always_inline)) bool
find_descriptor(struct mv_softmmu *mmu, uint64_t pa, unsigned access, struct leaf *leaf)
{
    struct mv_range fresh;
    const struct mv_range *range = &fresh;
    if (!(access & MV_ACCESS_DEBUG))
        range = mv_tlb_find_range(&mmu->tlb, mmu->space, MV_FOUND_TABLES, pa);
    else if (!mv_space_find(mmu->space, pa, &fresh))
        range = NULL;
    if (range == NULL || range->kind != MV_RANGE_RAM)
        return false;
    leaf->block = range->block;
    leaf->offset = range->offset + (pa - range->gpa);
    leaf->host = (uint64_t *)(range->block->host + leaf->offset);
    mv_touch_mark(&leaf->block->touch, leaf->offset, sizeof *leaf->host);
    mv_paging_enter(&leaf->block->paging, leaf->offset, sizeof *leaf->host);
    return true;
}

/* Inlined with constants for the shifts of 4 KiB, which most guests have. */
static inline __attribute__((always_inline)) bool
walk_granule(struct mv_softmmu *mmu, uint64_t va, const struct mv_softmmu_half *h,
             const unsigned page_shift, unsigned access, struct leaf *leaf,
             struct mv_translation *ret)
{
    /* From which level on there are blocks (D8.3.1). */
    const unsigned block_level = page_shift == GRANULE_4K ? 1 : 2;
    /* A table has a page's worth of descriptors. */
    const unsigned stride = page_shift - 3;
    unsigned out_bits = mmu->output_bits, level = h->level, shift = h->shift, reached = 0;
    uint64_t base = h->table;
    uint64_t index = (va & ((UINT64_C(1) << h->in_bits) - 1)) >> shift;
    leaf->tables = 0;
    for (;; level++, shift -= stride) {
        if (out_bits < PA_BITS && base >> out_bits)
            return fault(ret, MV_FSC_ADDRESS_SIZE, reached);
        if (!find_descriptor(mmu, base + index * 8, access, leaf))
            return fault(ret, MV_FSC_EXTERNAL_WALK, level);
        uint64_t desc = __atomic_load_n(leaf->host, __ATOMIC_ACQUIRE);
        bool table = desc & DESC_TABLE;
        if (!(desc & DESC_VALID) || (!table && (level == 3 || level < block_level)))
            return fault(ret, MV_FSC_TRANSLATION, level);
        if (level == 3 || !table) {
            uint64_t address = desc & ADDRESS_BITS & ~((UINT64_C(1) << shift) - 1);
            if (out_bits < PA_BITS && address >> out_bits)
                return fault(ret, MV_FSC_ADDRESS_SIZE, level);
            leaf->desc = desc;
            leaf->level = level;
            ret->pa = address | (va & ((UINT64_C(1) << shift) - 1));
            ret->log_size = (uint8_t)shift;
            return true;
        }
        leaf->tables |= desc;
        reached = level;
        base = desc & ADDRESS_BITS & ~((UINT64_C(1) << page_shift) - 1);
        index = va >> (shift - stride) & ((UINT64_C(1) << stride) - 1);
    }
}

static __attribute__((noinline)) bool walk_large(struct mv_softmmu *mmu, uint64_t va,
                                                 const struct mv_softmmu_half *h, unsigned access,
                                                 struct leaf *leaf, struct mv_translation *ret)
{
    return walk_granule(mmu, va, h, h->granule, access, leaf, ret);
}

static inline __attribute__((always_inline)) bool
walk_tables(struct mv_softmmu *mmu, uint64_t va, const struct mv_softmmu_half *h, unsigned access,
            struct leaf *leaf, struct mv_translation *ret)
{
    if (MV_UNLIKELY(h->granule != GRANULE_4K))
        return walk_large(mmu, va, h, access, leaf, ret);
    return walk_granule(mmu, va, h, GRANULE_4K, access, leaf, ret);
}

static void set_permissions(const struct mv_softmmu *mmu, const struct leaf *leaf, unsigned el,
                            bool *ret_dirtiable, struct mv_translation *ret)
{
    uint64_t desc = leaf->desc, tables = leaf->tables;
    bool el0_access = (desc & DESC_AP1) && !(tables & TABLE_NO_EL0);
    bool dirtiable = (desc & DESC_AP2) && (desc & DESC_DBM) && mmu->set_dirty;
    bool may_write = (!(desc & DESC_AP2) || dirtiable) && !(tables & TABLE_READ_ONLY);
    bool uxn = (desc & DESC_UXN) || (tables & TABLE_UXN);
    bool pxn = (desc & DESC_PXN) || (tables & TABLE_PXN);
    bool visible = el == 1 || el0_access;
    bool write_here = visible && may_write;
    ret->readable = visible;
    /* What EL0 can write, EL1 cannot execute. */
    ret->executable = el == 0 ? !uxn : !pxn && !(el0_access && may_write);
    if (write_here && mmu->wxn)
        ret->executable = false;
    *ret_dirtiable = write_here && dirtiable;
    ret->writable = write_here && !dirtiable;
}

static bool permitted(const struct mv_translation *t, bool dirtiable, unsigned access)
{
    if (access & MV_ACCESS_EXEC)
        return t->executable;
    if (access & MV_ACCESS_WRITE)
        return t->writable || dirtiable;
    return t->readable;
}

/*
 * Set the access flag and the dirty state in the descriptor, by
 * compare-and-swap: false where the guest changed it meanwhile.
 */
static bool update_descriptor(struct leaf *leaf, uint64_t new_desc)
{
    if (new_desc == leaf->desc)
        return true;
    uint64_t expected = leaf->desc;
    if (!__atomic_compare_exchange_n(leaf->host, &expected, new_desc, false, __ATOMIC_SEQ_CST,
                                     __ATOMIC_SEQ_CST))
        return false;
    mv_dirty_mark(&leaf->block->log, leaf->offset, sizeof new_desc);
    return true;
}

static bool translate_off(uint64_t va, unsigned access, struct mv_translation *ret)
{
    if (va >> PA_BITS)
        return fault(ret, MV_FSC_ADDRESS_SIZE, 0);
    *ret = (struct mv_translation){
        .pa = va,
        .log_size = 12,
        .device = !(access & MV_ACCESS_EXEC),
        .sh = 2,
        .global = true,
        .readable = true,
        .writable = true,
        .executable = true,
    };
    return true;
}

bool mv_softmmu_translate(struct mv_softmmu *mmu, uint64_t va, unsigned el, unsigned access,
                          struct mv_translation *ret)
{
    if (!mmu->on)
        return translate_off(va, access, ret);
    unsigned half = va >> 55 & 1;
    const struct mv_softmmu_half *h = &mmu->half[half];
    if (!in_range(va, half, h) || h->disabled || (h->e0pd && el == 0))
        return fault(ret, MV_FSC_TRANSLATION, 0);
    for (;;) {
        struct leaf leaf;
        bool dirtiable;
        if (!walk_tables(mmu, va, h, access, &leaf, ret))
            return false;
        uint64_t desc = leaf.desc;
        if (!(desc & DESC_AF) && !(access & MV_ACCESS_DEBUG)) {
            if (!mmu->set_af)
                return fault(ret, MV_FSC_ACCESS_FLAG, leaf.level);
            desc |= DESC_AF;
        }
        set_permissions(mmu, &leaf, el, &dirtiable, ret);
        if (!permitted(ret, dirtiable, access)) {
            if (!update_descriptor(&leaf, desc))
                continue;
            return fault(ret, MV_FSC_PERMISSION, leaf.level);
        }
        if ((access & MV_ACCESS_WRITE) && dirtiable) {
            desc &= ~(uint64_t)DESC_AP2;
            ret->writable = true;
        }
        if (!update_descriptor(&leaf, desc))
            continue;
        ret->attr = (uint8_t)(mmu->registers.mair >> (8 * (desc >> 2 & 7)));
        ret->sh = desc >> 8 & 3;
        ret->device = (ret->attr & 0xf0) == 0;
        ret->global = !(desc & DESC_NG);
        return true;
    }
}
