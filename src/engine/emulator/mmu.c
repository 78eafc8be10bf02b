/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From translations to TLB entries, and the slow path of loads and stores:
 * everything that the inline compare of memory.h does not settle.
 */
#include "mmu.h"

#include "block.h"
#include "code-cache.h"
#include "cpu.h"
#include "emulator.h"
#include "exception.h"
#include "memory.h"

#include <stddef.h>
#include <string.h>

static unsigned access_el(const struct mv_cpu *cpu, unsigned access)
{
    return access & MV_ACCESS_EL0 ? 0 : cpu->el;
}

/* Permission faults alone tell reads from writes (0b0011xx). */
static bool read_faults_too(struct mv_cpu *cpu, uint64_t va, unsigned access, uint32_t fsc)
{
    struct mv_translation t;
    return (fsc & 0x3c) != 0xc ||
           !mv_mmu_translate(cpu, va, access_el(cpu, access),
                             access & ~(unsigned)(MV_ACCESS_WRITE | MV_ACCESS_BOTH), &t);
}

/* WnR of what reads and writes is 0 where the read would have done (D17.2.37, ISS). */
static _Noreturn void abort_access(struct mv_cpu *cpu, const struct mv_op *op, uint64_t va,
                                   unsigned access, uint32_t fsc)
{
    bool write = access & (MV_ACCESS_WRITE | MV_ACCESS_CM);
    if ((access & MV_ACCESS_BOTH) && read_faults_too(cpu, va, access, fsc))
        write = false;
    mv_exception_data_abort(cpu, op, va,
                            fsc | (write ? MV_ISS_WNR : 0) |
                                (access & MV_ACCESS_CM ? MV_ISS_CM : 0));
}

static struct mv_tlb_set *access_set(struct mv_cpu *cpu, uint64_t va, unsigned el)
{
    return va >> 55 & 1 ? &cpu->tlbs.high[el] : &cpu->tlbs.low[cpu->tlbs.slot][el];
}

static bool holds_page(const struct mv_dtlb_entry *entry, uint64_t va)
{
    uint64_t page = va & MV_PAGE_MASK;
    return (entry->read_tag & ~(uint64_t)MV_TLB_SLOW) == page ||
           (entry->write_tag & ~(uint64_t)MV_TLB_SLOW) == page;
}

/* The entry that va is found at, with what the set knows of va's page in it. */
static struct mv_dtlb_entry *recall(struct mv_tlb_set *set, uint64_t va)
{
    struct mv_dtlb_entry *entry = &set->d[mv_dtlb_index(va)];
    if (holds_page(entry, va))
        return entry;
    for (unsigned i = MV_DTLB_ENTRIES; i < MV_DTLB_ALL; i++)
        if (holds_page(&set->d[i], va)) {
            struct mv_dtlb_entry other = *entry;
            *entry = set->d[i];
            set->d[i] = other;
            break;
        }
    return entry;
}

/* Keep what an entry holds of another page among the victims. */
static void make_room(struct mv_tlb_set *set, const struct mv_dtlb_entry *entry, uint64_t va)
{
    if ((entry->read_tag & entry->write_tag) == MV_TLB_NONE || holds_page(entry, va))
        return;
    set->d[MV_DTLB_ENTRIES + set->next_victim] = *entry;
    set->next_victim = (set->next_victim + 1) % MV_DTLB_VICTIMS;
}

/* For an entry: others are to see that this vCPU has it, before its tables are read. */
static bool translate_to_keep(struct mv_cpu *cpu, uint64_t va, unsigned el, unsigned access,
                              struct mv_translation *t)
{
    mv_tlb_see(cpu, va, 12);
    bool ok = mv_mmu_translate(cpu, va, el, access, t);
    while (ok && t->log_size > 12 && mv_tlb_see(cpu, va, t->log_size))
        ok = mv_mmu_translate(cpu, va, el, access, t);
    return ok;
}

static struct mv_dtlb_entry *fill(struct mv_cpu *cpu, const struct mv_op *op, uint64_t va,
                                  unsigned access, unsigned el)
{
    struct mv_translation t;
    if (!translate_to_keep(cpu, va, el, access, &t))
        abort_access(cpu, op, va, access, t.fsc);
    uint64_t page_pa = t.pa & MV_PAGE_MASK;
    /* RAM comes in whole pages; of registers a page may hold several regions, and gaps. */
    const struct mv_range *range = mv_tlb_find_range(cpu, MV_FOUND_DATA, t.pa);
    if (range == NULL)
        abort_access(cpu, op, va, access, MV_FSC_EXTERNAL);

    struct mv_tlb_set *set = access_set(cpu, va, el);
    struct mv_dtlb_entry *entry = &set->d[mv_dtlb_index(va)];
    make_room(set, entry, va);
    bool mmio = range->kind == MV_RANGE_MMIO;
    uint64_t offset = mmio ? 0 : range->offset + (page_pa - range->gpa);
    /* While a dirty log listens, the first write to a page comes by here. */
    bool writable = t.writable;
    if (!mmio && writable && mv_dirty_listened(&range->block->log)) {
        writable = access & MV_ACCESS_WRITE;
        if (writable)
            mv_dirty_mark(&range->block->log, offset, MV_PAGE_SIZE);
    }
    bool slow = mmio || (cpu->debug.watching && mv_debug_watches_page(cpu, va));
    bool aligned = t.device || (cpu->sys.sctlr & MV_SCTLR_A);
    uint64_t tag = (va & MV_PAGE_MASK) | (slow ? MV_TLB_SLOW : 0);
    entry->read_tag = t.readable ? tag : MV_TLB_NONE;
    entry->write_tag = writable ? tag : MV_TLB_NONE;
    entry->pa = page_pa | (t.device ? MV_TLB_ATTR_DEVICE : 0) | (mmio ? MV_TLB_ATTR_MMIO : 0) |
                (aligned ? MV_TLB_ATTR_ALIGNED : 0) | (uint64_t)t.log_size << MV_TLB_LOG_SIZE_SHIFT;
    entry->addend = mmio ? 0 : (uintptr_t)(range->block->host + offset) - (va & MV_PAGE_MASK);
    set->used = true;
    set->blocks |= t.log_size > 12;
    set->non_global |= !t.global;
    return entry;
}

struct mv_dtlb_entry *mv_mmu_data(struct mv_cpu *cpu, const struct mv_op *op, uint64_t va,
                                  unsigned access)
{
    unsigned el = access_el(cpu, access);
    mv_access_begin(cpu, op);
    struct mv_dtlb_entry *entry = recall(access_set(cpu, va, el), va);
    uint64_t tag = access & MV_ACCESS_WRITE ? entry->write_tag : entry->read_tag;
    if ((tag & ~(uint64_t)MV_TLB_SLOW) == (va & MV_PAGE_MASK))
        return entry;
    return fill(cpu, op, va, access, el);
}

static void check_alignment(struct mv_cpu *cpu, const struct mv_op *op, uint64_t va,
                            unsigned size, unsigned access)
{
    if (va & (size - 1) && ((access & MV_ACCESS_ALIGNED) || (cpu->sys.sctlr & MV_SCTLR_A)))
        abort_access(cpu, op, va, access, MV_FSC_ALIGNMENT);
}

static void check_device_alignment(struct mv_cpu *cpu, const struct mv_op *op, uint64_t va,
                                   unsigned size, unsigned access, uint64_t attributes)
{
    if ((attributes & MV_TLB_ATTR_DEVICE) && va & (size - 1))
        abort_access(cpu, op, va, access, MV_FSC_ALIGNMENT);
}

static bool crosses_page(uint64_t va, unsigned len)
{
    return (va & ~MV_PAGE_MASK) + len > MV_PAGE_SIZE;
}

void mv_memory_probe(struct mv_cpu *cpu, const struct mv_op *op, uint64_t va, unsigned len,
                     unsigned size, unsigned access)
{
    check_alignment(cpu, op, va, size, access);
    uint64_t attributes = mv_mmu_data(cpu, op, va, access)->pa;
    if (crosses_page(va, len))
        attributes |= mv_mmu_data(cpu, op, (va + len - 1) & MV_PAGE_MASK, access)->pa;
    check_device_alignment(cpu, op, va, size, access, attributes);
    if (MV_UNLIKELY(cpu->debug.watching))
        mv_debug_check_access(cpu, op, va, len, access);
}

/* The region and offset of an MMIO access, or the external abort. */
static const struct mv_range *mmio_range(struct mv_cpu *cpu, const struct mv_op *op, uint64_t va,
                                         uint64_t pa, unsigned size, unsigned access)
{
    const struct mv_range *range = mv_tlb_find_range(cpu, MV_FOUND_MMIO, pa);
    if (range == NULL || range->kind != MV_RANGE_MMIO ||
        size < range->region->ops->min_access || size > range->region->ops->max_access ||
        pa & (size - 1) || pa - range->gpa + size > range->size)
        abort_access(cpu, op, va, access, MV_FSC_EXTERNAL);
    return range;
}

static uint64_t entry_pa(const struct mv_dtlb_entry *entry, uint64_t va)
{
    return (entry->pa & MV_PAGE_MASK) | (va & ~MV_PAGE_MASK);
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

uint64_t mv_memory_read(struct mv_cpu *cpu, const struct mv_op *op, uint64_t va, unsigned size,
                        unsigned access)
{
    check_alignment(cpu, op, va, size, access);
    if (crosses_page(va, size)) {
        mv_memory_probe(cpu, op, va, size, size, access);
        uint64_t value = 0;
        for (unsigned i = 0; i < size; i++)
            value |= mv_memory_read(cpu, op, va + i, 1, access) << 8 * i;
        return value;
    }
    const struct mv_dtlb_entry *entry = mv_mmu_data(cpu, op, va, access);
    check_device_alignment(cpu, op, va, size, access, entry->pa);
    if (MV_UNLIKELY(cpu->debug.watching))
        mv_debug_check_access(cpu, op, va, size, access);
    if (entry->pa & MV_TLB_ATTR_MMIO) {
        uint64_t pa = entry_pa(entry, va);
        const struct mv_range *range = mmio_range(cpu, op, va, pa, size, access);
        uint64_t value = range->region->ops->read(range->region->opaque, pa - range->gpa, size);
        return size == 8 ? value : value & ((UINT64_C(1) << 8 * size) - 1);
    }
    return host_load((const void *)(va + entry->addend), size);
}

void mv_memory_write(struct mv_cpu *cpu, const struct mv_op *op, uint64_t va, uint64_t value,
                     unsigned size, unsigned access)
{
    access |= MV_ACCESS_WRITE;
    check_alignment(cpu, op, va, size, access);
    if (crosses_page(va, size)) {
        mv_memory_probe(cpu, op, va, size, size, access);
        for (unsigned i = 0; i < size; i++)
            mv_memory_write(cpu, op, va + i, value >> 8 * i & 0xff, 1, access);
        return;
    }
    const struct mv_dtlb_entry *entry = mv_mmu_data(cpu, op, va, access);
    check_device_alignment(cpu, op, va, size, access, entry->pa);
    if (MV_UNLIKELY(cpu->debug.watching))
        mv_debug_check_access(cpu, op, va, size, access);
    if (size < 8)
        value &= (UINT64_C(1) << 8 * size) - 1;
    if (entry->pa & MV_TLB_ATTR_MMIO) {
        uint64_t pa = entry_pa(entry, va);
        const struct mv_range *range = mmio_range(cpu, op, va, pa, size, access);
        range->region->ops->write(range->region->opaque, pa - range->gpa, value, size);
        return;
    }
    host_store((void *)(va + entry->addend), value, size);
}

void mv_memory_read128(struct mv_cpu *cpu, const struct mv_op *op, uint64_t va, uint64_t ret[2])
{
    uint64_t value[2];
    mv_memory_probe(cpu, op, va, 16, 16, 0);
    value[0] = mv_memory_read(cpu, op, va, 8, 0);
    value[1] = mv_memory_read(cpu, op, va + 8, 8, 0);
    memcpy(ret, value, sizeof value);
}

void mv_memory_write128(struct mv_cpu *cpu, const struct mv_op *op, uint64_t va, uint64_t low,
                        uint64_t high)
{
    mv_memory_probe(cpu, op, va, 16, 16, MV_ACCESS_WRITE);
    mv_memory_write(cpu, op, va, low, 8, 0);
    mv_memory_write(cpu, op, va + 8, high, 8, 0);
}

void *mv_memory_atomic(struct mv_cpu *cpu, const struct mv_op *op, uint64_t va, unsigned size,
                       unsigned access)
{
    if (op->rn == MV_REG_SP && (va & 15) &&
        (cpu->sys.sctlr & (cpu->el == 0 ? MV_SCTLR_SA0 : MV_SCTLR_SA))) {
        mv_exception_at(cpu, op, MV_EC_SP_ALIGNMENT, 0);
        mv_exception_unwind(cpu);
    }
    check_alignment(cpu, op, va, size, access | MV_ACCESS_ALIGNED);
    const struct mv_dtlb_entry *entry = mv_mmu_data(cpu, op, va, access);
    cpu->access_pa = entry_pa(entry, va);
    if (MV_UNLIKELY(cpu->debug.watching))
        mv_debug_check_access(cpu, op, va, size, access);
    return entry->pa & MV_TLB_ATTR_MMIO ? NULL : (void *)(va + entry->addend);
}

static void insn_abort(struct mv_cpu *cpu, uint64_t pc, uint32_t fsc)
{
    cpu->sys.far = pc;
    mv_exception_take(cpu, MV_EC_INSN_ABORT, fsc, pc);
}

const struct mv_op *mv_mmu_fetch(struct mv_cpu *cpu, uint64_t pc)
{
    struct mv_tlb_set *set = cpu->tlb[pc >> 55 & 1];
    mv_access_begin(cpu, NULL);
    struct mv_itlb_entry *entry = &set->i[(pc >> 12) % MV_ITLB_ENTRIES];
    if (entry->tag == (pc & ~UINT64_C(0xffc)))
        return entry->ops;
    if (pc & 3) {
        cpu->sys.far = pc;
        mv_exception_take(cpu, MV_EC_PC_ALIGNMENT, 0, pc);
        return NULL;
    }
    struct mv_translation t;
    if (!translate_to_keep(cpu, pc, cpu->el, MV_ACCESS_EXEC, &t)) {
        insn_abort(cpu, pc, t.fsc);
        return NULL;
    }
    uint64_t page_pa = t.pa & MV_PAGE_MASK;
    const struct mv_range *range = mv_tlb_find_range(cpu, MV_FOUND_CODE, page_pa);
    if (range == NULL || range->kind != MV_RANGE_RAM) {
        insn_abort(cpu, pc, MV_FSC_EXTERNAL);
        return NULL;
    }
    bool dropped;
    const uint8_t *host = range->block->host + range->offset + (page_pa - range->gpa);
    const struct mv_op *ops = mv_code_cache_page(cpu->code, page_pa, host, &dropped);
    if (dropped)
        mv_tlb_flush_code(cpu);
    if (MV_UNLIKELY(cpu->debug.on) && mv_debug_in_page(cpu, pc))
        return ops;
    entry->tag = pc & MV_PAGE_MASK;
    entry->ops = ops;
    entry->log_size = t.log_size;
    set->used = true;
    set->blocks |= t.log_size > 12;
    set->non_global |= !t.global;
    return ops;
}
