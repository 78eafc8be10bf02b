/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The SYS instructions: cache and TLB maintenance, DC ZVA, address translation
 * (Arm ARM C5.3-C5.5).  They are rows like registers that are only written.
 * There is no data cache to maintain, but the address is translated all the
 * same, because that may fault.
 */
#include "cpu.h"
#include "memory.h"
#include "exception.h"
#include "sysreg.h"

#define ZVA_BYTES 64

/* What EL0 may do: UCI for maintenance by address, DZE for DC ZVA. */
static void check_el0(struct mv_cpu *cpu, const struct mv_op *op, uint32_t enable)
{
    if (cpu->el == 0 && !(cpu->sys.sctlr & enable))
        mv_sysreg_trap(cpu, op, false);
}

static bool dc_by_address(struct mv_cpu *cpu, const struct mv_op *op, uint64_t va)
{
    check_el0(cpu, op, MV_SCTLR_UCI);
    mv_memory_entry(cpu, op, va, MV_ACCESS_CM);
    return true;
}

static bool dc_by_set(struct mv_cpu *cpu, const struct mv_op *op, uint64_t value)
{
    (void)cpu;
    (void)op;
    (void)value;
    return true;
}

static bool dc_zva(struct mv_cpu *cpu, const struct mv_op *op, uint64_t va)
{
    check_el0(cpu, op, MV_SCTLR_DZE);
    const struct mv_dtlb_entry *entry = mv_dtlb_entry(cpu, va);
    if (MV_UNLIKELY(entry->write_tag != (va & MV_PAGE_MASK) || entry->pa & MV_TLB_ATTR_DEVICE)) {
        entry = mv_memory_entry(cpu, op, va, MV_ACCESS_WRITE);
        if (entry->pa & (MV_TLB_ATTR_DEVICE | MV_TLB_ATTR_MMIO))
            mv_memory_abort(cpu, op, va, MV_FSC_ALIGNMENT, true);
        mv_memory_check_watch(cpu, op, va & ~(uint64_t)(ZVA_BYTES - 1), ZVA_BYTES,
                              MV_ACCESS_WRITE);
    }
    uint64_t *host = (uint64_t *)((va & ~(uint64_t)(ZVA_BYTES - 1)) + entry->addend);
    mv_access_begin(cpu, op);
    for (unsigned i = 0; i < ZVA_BYTES / 8; i++)
        __atomic_store_n(&host[i], 0, __ATOMIC_RELAXED);
    return true;
}

static bool ic_ivau(struct mv_cpu *cpu, const struct mv_op *op, uint64_t va)
{
    check_el0(cpu, op, MV_SCTLR_UCI);
    const struct mv_dtlb_entry *entry = mv_memory_entry(cpu, op, va, MV_ACCESS_CM);
    uint64_t pa = (entry->pa & MV_PAGE_MASK) | (va & ~MV_PAGE_MASK);
    mv_shootdown_code_line(&cpu->mailbox, pa);
    return true;
}

/* The table's value says whether it is broadcast. */
static bool maintain(struct mv_cpu *cpu, const struct mv_op *op, const struct mv_shootdown *what)
{
    if (mv_sysreg_of(op)->value)
        mv_shootdown_broadcast(&cpu->mailbox, what);
    else
        mv_shootdown_local(&cpu->mailbox, what);
    return true;
}

static bool ic_all(struct mv_cpu *cpu, const struct mv_op *op, uint64_t value)
{
    (void)value;
    return maintain(cpu, op, &(struct mv_shootdown){.kind = MV_SHOOTDOWN_CODE_ALL});
}

static bool tlbi_all(struct mv_cpu *cpu, const struct mv_op *op, uint64_t value)
{
    (void)value;
    return maintain(cpu, op, &(struct mv_shootdown){.kind = MV_SHOOTDOWN_TLB_ALL});
}

static bool tlbi_asid(struct mv_cpu *cpu, const struct mv_op *op, uint64_t value)
{
    return maintain(
        cpu, op,
        &(struct mv_shootdown){.kind = MV_SHOOTDOWN_TLB_ASID, .asid = (uint16_t)(value >> 48)});
}

static bool tlbi_va(struct mv_cpu *cpu, const struct mv_op *op, uint64_t value)
{
    /* The operand has VA bits 55-12 in bits 43-0. */
    uint64_t va = (uint64_t)((int64_t)(value << 20) >> 8);
    return maintain(cpu, op, &(struct mv_shootdown){.kind = MV_SHOOTDOWN_TLB_VA, .address = va});
}

#define PAR_F 1u
#define PAR_RES1 (1u << 11)

/* The table's value: exception level << 1 | write. */
static bool translate(struct mv_cpu *cpu, const struct mv_op *op, uint64_t va)
{
    unsigned which = (unsigned)mv_sysreg_of(op)->value;
    struct mv_translation t;
    mv_access_begin(cpu, op);
    if (!mv_softmmu_translate(&cpu->mmu, va, which >> 1, which & 1 ? MV_ACCESS_WRITE : 0, &t)) {
        cpu->sys.par = PAR_F | PAR_RES1 | (uint64_t)t.fsc << 1;
        return true;
    }
    /* Device and Normal Non-cacheable memory are outer shareable. */
    unsigned sh = t.device || t.attr == 0x44 ? 2 : t.sh;
    cpu->sys.par = (uint64_t)t.attr << 56 | (t.pa & UINT64_C(0x0000fffffffff000)) | PAR_RES1 |
                   (uint64_t)sh << 7;
    return true;
}

#define SYS(op1, crn, crm, op2, sys_name, fn)                                                      \
    .name = sys_name, .encoding = MV_SYSREG_ENC(1, op1, crn, crm, op2), .write = fn
#define EL1 .flags = MV_SYSREG_WO
#define EL0 .flags = MV_SYSREG_WO | MV_SYSREG_EL0_W
/* Code that was dropped may be what runs, and so may a page that is no longer mapped. */
#define CODE .flags = MV_SYSREG_WO | MV_SYSREG_EXIT
#define LOCAL .value = 0
#define BROADCAST .value = 1

static const struct mv_sysreg rows[] = {
    {SYS(0, 7, 1, 0, "IC IALLUIS", ic_all), CODE, BROADCAST},
    {SYS(0, 7, 5, 0, "IC IALLU", ic_all), CODE, LOCAL},
    {SYS(3, 7, 5, 1, "IC IVAU", ic_ivau), EL0},
    {SYS(3, 7, 4, 1, "DC ZVA", dc_zva), EL0},
    {SYS(0, 7, 6, 1, "DC IVAC", dc_by_address), EL1},
    {SYS(3, 7, 10, 1, "DC CVAC", dc_by_address), EL0},
    {SYS(3, 7, 11, 1, "DC CVAU", dc_by_address), EL0},
    {SYS(3, 7, 14, 1, "DC CIVAC", dc_by_address), EL0},
    {SYS(0, 7, 6, 2, "DC ISW", dc_by_set), EL1},
    {SYS(0, 7, 10, 2, "DC CSW", dc_by_set), EL1},
    {SYS(0, 7, 14, 2, "DC CISW", dc_by_set), EL1},
    {SYS(0, 7, 8, 0, "AT S1E1R", translate), EL1, .value = 2},
    {SYS(0, 7, 8, 1, "AT S1E1W", translate), EL1, .value = 3},
    {SYS(0, 7, 8, 2, "AT S1E0R", translate), EL1, .value = 0},
    {SYS(0, 7, 8, 3, "AT S1E0W", translate), EL1, .value = 1},
    {SYS(0, 8, 3, 0, "TLBI VMALLE1IS", tlbi_all), CODE, BROADCAST},
    {SYS(0, 8, 3, 1, "TLBI VAE1IS", tlbi_va), CODE, BROADCAST},
    {SYS(0, 8, 3, 2, "TLBI ASIDE1IS", tlbi_asid), CODE, BROADCAST},
    {SYS(0, 8, 3, 3, "TLBI VAAE1IS", tlbi_va), CODE, BROADCAST},
    {SYS(0, 8, 3, 5, "TLBI VALE1IS", tlbi_va), CODE, BROADCAST},
    {SYS(0, 8, 3, 7, "TLBI VAALE1IS", tlbi_va), CODE, BROADCAST},
    {SYS(0, 8, 7, 0, "TLBI VMALLE1", tlbi_all), CODE, LOCAL},
    {SYS(0, 8, 7, 1, "TLBI VAE1", tlbi_va), CODE, LOCAL},
    {SYS(0, 8, 7, 2, "TLBI ASIDE1", tlbi_asid), CODE, LOCAL},
    {SYS(0, 8, 7, 3, "TLBI VAAE1", tlbi_va), CODE, LOCAL},
    {SYS(0, 8, 7, 5, "TLBI VALE1", tlbi_va), CODE, LOCAL},
    {SYS(0, 8, 7, 7, "TLBI VAALE1", tlbi_va), CODE, LOCAL},
};
MV_SYSREG_TABLE(mv_sysreg_maintenance, rows);
