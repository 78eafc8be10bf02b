/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From translations to TLB entries, and the slow path of loads and stores:
 * everything that an inline compare with a tag does not decide.
 */
#include "block.h"
#include "softmmu.h"

#include <stddef.h>

typedef const struct mv_mmu_fault fault_t;

static unsigned access_el(const struct mv_softmmu *mmu, unsigned access)
{
    return access & MV_ACCESS_EL0 ? 0 : mmu->el;
}

/* Permission faults alone tell reads from writes (0b0011xx). */
static bool read_faults_too(struct mv_softmmu *mmu, uint64_t va, unsigned access, unsigned fsc)
{
    struct mv_translation t;
    return (fsc & 0x3c) != 0xc ||
           !mv_softmmu_translate(mmu, va, access_el(mmu, access),
                                 access & ~(unsigned)(MV_ACCESS_WRITE | MV_ACCESS_BOTH), &t);
}

/* WnR of what reads and writes is 0 where the read would have done (D17.2.37, ISS). */
static fault_t *data_fault(struct mv_softmmu *mmu, uint64_t va, unsigned access, unsigned fsc)
{
    bool write = access & (MV_ACCESS_WRITE | MV_ACCESS_CM);
    if ((access & MV_ACCESS_BOTH) && read_faults_too(mmu, va, access, fsc))
        write = false;
    mmu->fault = (fault_t){.kind = MV_MMU_FAULT_DATA,
                           .fsc = (uint8_t)fsc,
                           .write = write,
                           .cm = access & MV_ACCESS_CM,
                           .address = va};
    return &mmu->fault;
}

/* For an entry: others are to see that this vCPU has it, before its tables are read. */
static bool translate_to_keep(struct mv_softmmu *mmu, uint64_t va, unsigned el, unsigned access,
                              struct mv_translation *t)
{
    mv_tlb_see(&mmu->tlb, va, 12);
    bool ok = mv_softmmu_translate(mmu, va, el, access, t);
    while (ok && t->log_size > 12 && mv_tlb_see(&mmu->tlb, va, t->log_size))
        ok = mv_softmmu_translate(mmu, va, el, access, t);
    return ok;
}

static fault_t *fill(struct mv_softmmu *mmu, uint64_t va, unsigned access, unsigned el,
                     struct mv_dtlb_entry **ret)
{
    struct mv_translation t;
    if (!translate_to_keep(mmu, va, el, access, &t))
        return data_fault(mmu, va, access, t.fsc);
    uint64_t page_pa = t.pa & MV_PAGE_MASK;
    /* RAM comes in whole pages; of registers a page may hold several regions, and gaps. */
    const struct mv_range *range =
        mv_tlb_find_range(&mmu->tlb, mmu->space, MV_FOUND_DATA, t.pa);
    if (range == NULL)
        return data_fault(mmu, va, access, MV_FSC_EXTERNAL);

    bool mmio = range->kind == MV_RANGE_MMIO;
    uint64_t offset = mmio ? 0 : range->offset + (page_pa - range->gpa);
    if (!mmio) {
        mv_touch_mark(&range->block->touch, offset, MV_PAGE_SIZE);
        mv_paging_enter(&range->block->paging, offset, MV_PAGE_SIZE);
    }
    struct mv_tlb_set *set = mv_tlb_set_of(&mmu->tlb, va, el);
    struct mv_dtlb_entry *entry = mv_tlb_take(set, va);
    /* While a dirty log listens, the first write to a page comes by here. */
    bool writable = t.writable;
    if (!mmio && writable && mv_dirty_listened(&range->block->log)) {
        writable = access & MV_ACCESS_WRITE;
        if (writable)
            mv_dirty_mark(&range->block->log, offset, MV_PAGE_SIZE);
    }
    bool slow = mmio || (mmu->watch != NULL && mmu->watch->page(mmu->watch, va));
    bool aligned = t.device || mmu->aligned;
    uint64_t tag = (va & MV_PAGE_MASK) | (slow ? MV_TLB_SLOW : 0) | (aligned ? MV_TLB_STRICT : 0);
    entry->read_tag = t.readable ? tag : MV_TLB_NONE;
    entry->write_tag = writable ? tag : MV_TLB_NONE;
    entry->pa = page_pa | (t.device ? MV_TLB_ATTR_DEVICE : 0) | (mmio ? MV_TLB_ATTR_MMIO : 0) |
                (uint64_t)t.log_size << MV_TLB_LOG_SIZE_SHIFT;
    entry->addend = mmio ? 0 : (uintptr_t)(range->block->host + offset) - (va & MV_PAGE_MASK);
    set->used = true;
    mv_tlb_note_size(set, va, t.log_size);
    set->non_global |= !t.global;
    *ret = entry;
    return NULL;
}

static fault_t *find_entry(struct mv_softmmu *mmu, uint64_t va, unsigned access,
                           struct mv_dtlb_entry **ret)
{
    unsigned el = access_el(mmu, access);
    struct mv_dtlb_entry *entry = mv_tlb_recall(mv_tlb_set_of(&mmu->tlb, va, el), va);
    uint64_t tag = access & MV_ACCESS_WRITE ? entry->write_tag : entry->read_tag;
    if ((tag & ~MV_TLB_MARKS) != (va & MV_PAGE_MASK))
        return fill(mmu, va, access, el, ret);
    *ret = entry;
    return NULL;
}

fault_t *mv_softmmu_entry(struct mv_softmmu *mmu, uint64_t pc, uint64_t va, unsigned access,
                          const struct mv_dtlb_entry **ret)
{
    struct mv_dtlb_entry *entry;
    mmu->access_pc = pc;
    fault_t *fault = find_entry(mmu, va, access, &entry);
    if (fault == NULL)
        *ret = entry;
    return fault;
}

fault_t *mv_softmmu_check_watch(struct mv_softmmu *mmu, uint64_t va, unsigned len, unsigned access)
{
    if (MV_LIKELY(mmu->watch == NULL) ||
        !mmu->watch->access(mmu->watch, va, len, access, &mmu->fault))
        return NULL;
    return &mmu->fault;
}

static bool crosses_page(uint64_t va, unsigned len)
{
    return (va & ~MV_PAGE_MASK) + len > MV_PAGE_SIZE;
}

/*
 * All that stands before an access of `len` bytes in elements of `size`; the entry
 * of its first byte.
 */
static fault_t *check(struct mv_softmmu *mmu, uint64_t va, unsigned len, unsigned size,
                      unsigned access, struct mv_dtlb_entry **ret)
{
    bool misaligned = va & (size - 1);
    if (misaligned && ((access & MV_ACCESS_ALIGNED) || mmu->aligned))
        return data_fault(mmu, va, access, MV_FSC_ALIGNMENT);
    fault_t *fault = find_entry(mmu, va, access, ret);
    if (fault != NULL)
        return fault;
    uint64_t attributes = (*ret)->pa;
    if (crosses_page(va, len)) {
        struct mv_dtlb_entry *second;
        fault = find_entry(mmu, (va + len - 1) & MV_PAGE_MASK, access, &second);
        if (fault != NULL)
            return fault;
        attributes |= second->pa;
    }
    if (misaligned && (attributes & MV_TLB_ATTR_DEVICE))
        return data_fault(mmu, va, access, MV_FSC_ALIGNMENT);
    return mv_softmmu_check_watch(mmu, va, len, access);
}

fault_t *mv_softmmu_probe(struct mv_softmmu *mmu, uint64_t pc, uint64_t va, unsigned len,
                          unsigned size, unsigned access)
{
    struct mv_dtlb_entry *entry;
    mmu->access_pc = pc;
    return check(mmu, va, len, size, access, &entry);
}

static uint64_t entry_pa(const struct mv_dtlb_entry *entry, uint64_t va)
{
    return (entry->pa & MV_PAGE_MASK) | (va & ~MV_PAGE_MASK);
}

/* The region of an MMIO access, or the external abort. */
static fault_t *find_region(struct mv_softmmu *mmu, uint64_t va, uint64_t pa, unsigned size,
                            unsigned access, const struct mv_range **ret)
{
    const struct mv_range *range = mv_tlb_find_range(&mmu->tlb, mmu->space, MV_FOUND_MMIO, pa);
    if (range == NULL || range->kind != MV_RANGE_MMIO ||
        size < range->region->ops->min_access || size > range->region->ops->max_access ||
        pa & (size - 1) || pa - range->gpa + size > range->size)
        return data_fault(mmu, va, access, MV_FSC_EXTERNAL);
    *ret = range;
    return NULL;
}

static uint64_t host_load(const void *host, unsigned size)
{
    switch (size) {
    case 1:
        return __atomic_load_n((const uint8_t *)host, __ATOMIC_RELAXED);
    case 2:
        return __atomic_load_n((const mv_u16_any *)host, __ATOMIC_RELAXED);
    case 4:
        return __atomic_load_n((const mv_u32_any *)host, __ATOMIC_RELAXED);
    default:
        return __atomic_load_n((const mv_u64_any *)host, __ATOMIC_RELAXED);
    }
}

static void host_store(void *host, uint64_t value, unsigned size)
{
    switch (size) {
    case 1:
        __atomic_store_n((uint8_t *)host, (uint8_t)value, __ATOMIC_RELAXED);
        break;
    case 2:
        __atomic_store_n((mv_u16_any *)host, (uint16_t)value, __ATOMIC_RELAXED);
        break;
    case 4:
        __atomic_store_n((mv_u32_any *)host, (uint32_t)value, __ATOMIC_RELAXED);
        break;
    default:
        __atomic_store_n((mv_u64_any *)host, value, __ATOMIC_RELAXED);
        break;
    }
}

static uint64_t low_bytes(uint64_t value, unsigned size)
{
    return size == 8 ? value : value & ((UINT64_C(1) << 8 * size) - 1);
}

static fault_t *read_checked(struct mv_softmmu *mmu, const struct mv_dtlb_entry *entry, uint64_t va,
                             unsigned size, unsigned access, uint64_t *ret)
{
    if (!(entry->pa & MV_TLB_ATTR_MMIO)) {
        *ret = host_load((const void *)(va + entry->addend), size);
        return NULL;
    }
    const struct mv_range *range;
    uint64_t pa = entry_pa(entry, va);
    fault_t *fault = find_region(mmu, va, pa, size, access, &range);
    if (fault == NULL)
        *ret = low_bytes(range->region->ops->read(range->region->opaque, pa - range->gpa, size),
                         size);
    return fault;
}

static fault_t *write_checked(struct mv_softmmu *mmu, const struct mv_dtlb_entry *entry,
                              uint64_t va, uint64_t value, unsigned size, unsigned access)
{
    if (!(entry->pa & MV_TLB_ATTR_MMIO)) {
        host_store((void *)(va + entry->addend), value, size);
        return NULL;
    }
    const struct mv_range *range;
    uint64_t pa = entry_pa(entry, va);
    fault_t *fault = find_region(mmu, va, pa, size, access, &range);
    if (fault == NULL)
        range->region->ops->write(range->region->opaque, pa - range->gpa, low_bytes(value, size),
                                  size);
    return fault;
}

/* What crosses a page goes byte by byte: each may be somewhere else, and MMIO never is. */
fault_t *mv_softmmu_read(struct mv_softmmu *mmu, uint64_t pc, uint64_t va, unsigned size,
                         unsigned access, uint64_t *ret)
{
    struct mv_dtlb_entry *entry;
    mmu->access_pc = pc;
    fault_t *fault = check(mmu, va, size, size, access, &entry);
    if (fault != NULL)
        return fault;
    if (!crosses_page(va, size))
        return read_checked(mmu, entry, va, size, access, ret);
    uint64_t value = 0, byte;
    for (unsigned i = 0; i < size; i++) {
        fault = mv_softmmu_read(mmu, pc, va + i, 1, access, &byte);
        if (fault != NULL)
            return fault;
        value |= byte << 8 * i;
    }
    *ret = value;
    return NULL;
}

fault_t *mv_softmmu_write(struct mv_softmmu *mmu, uint64_t pc, uint64_t va, uint64_t value,
                          unsigned size, unsigned access)
{
    struct mv_dtlb_entry *entry;
    access |= MV_ACCESS_WRITE;
    mmu->access_pc = pc;
    fault_t *fault = check(mmu, va, size, size, access, &entry);
    if (fault != NULL)
        return fault;
    if (!crosses_page(va, size))
        return write_checked(mmu, entry, va, value, size, access);
    for (unsigned i = 0; i < size && fault == NULL; i++)
        fault = mv_softmmu_write(mmu, pc, va + i, value >> 8 * i & 0xff, 1, access);
    return fault;
}

fault_t *mv_softmmu_atomic(struct mv_softmmu *mmu, uint64_t pc, uint64_t va, unsigned size,
                           unsigned access, void **ret)
{
    struct mv_dtlb_entry *entry;
    mmu->access_pc = pc;
    fault_t *fault = check(mmu, va, size, size, access | MV_ACCESS_ALIGNED, &entry);
    if (fault != NULL)
        return fault;
    mmu->access_pa = entry_pa(entry, va);
    *ret = entry->pa & MV_TLB_ATTR_MMIO ? NULL : (void *)(va + entry->addend);
    return NULL;
}

static fault_t *fetch_fault(struct mv_softmmu *mmu, enum mv_mmu_fault_kind kind, uint64_t pc,
                            unsigned fsc)
{
    mmu->fault = (fault_t){.kind = kind, .fsc = (uint8_t)fsc, .address = pc};
    return &mmu->fault;
}

fault_t *mv_softmmu_fetch(struct mv_softmmu *mmu, uint64_t pc, struct mv_softmmu_code *ret)
{
    struct mv_translation t;
    mmu->access_pc = pc;
    if (pc & 3)
        return fetch_fault(mmu, MV_MMU_FAULT_PC_ALIGNMENT, pc, 0);
    if (!translate_to_keep(mmu, pc, mmu->el, MV_ACCESS_EXEC, &t))
        return fetch_fault(mmu, MV_MMU_FAULT_FETCH, pc, t.fsc);
    uint64_t page_pa = t.pa & MV_PAGE_MASK;
    const struct mv_range *range =
        mv_tlb_find_range(&mmu->tlb, mmu->space, MV_FOUND_CODE, page_pa);
    if (range == NULL || range->kind != MV_RANGE_RAM)
        return fetch_fault(mmu, MV_MMU_FAULT_FETCH, pc, MV_FSC_EXTERNAL);
    uint64_t offset = range->offset + (page_pa - range->gpa);
    mv_touch_mark(&range->block->touch, offset, MV_PAGE_SIZE);
    mv_paging_enter(&range->block->paging, offset, MV_PAGE_SIZE);
    *ret = (struct mv_softmmu_code){
        .pa = page_pa,
        .host = range->block->host + offset,
        .log_size = t.log_size,
        .global = t.global,
    };
    return NULL;
}

void mv_softmmu_keep_code(struct mv_softmmu *mmu, uint64_t pc, const struct mv_softmmu_code *code,
                          const struct mv_op *ops)
{
    struct mv_tlb_set *set = mmu->set[pc >> 55 & 1];
    set->i[(pc >> 12) % MV_ITLB_ENTRIES] = (struct mv_itlb_entry){
        .tag = pc & MV_PAGE_MASK, .ops = ops, .log_size = code->log_size};
    set->used = true;
    mv_tlb_note_size(set, pc, code->log_size);
    set->non_global |= !code->global;
}
