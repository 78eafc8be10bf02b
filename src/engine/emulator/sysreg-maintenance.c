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

static bool dc_by_address(struct mv_cpu *cpu, const struct mv_op *op, uint64_t va)
{
    mv_memory_entry(cpu, op, va, MV_ACCESS_CM);
    return true;
}

static bool dc_zva(struct mv_cpu *cpu, const struct mv_op *op, uint64_t va)
{
    const struct mv_dtlb_entry *entry = mv_dtlb_entry(cpu, va);
    if (MV_UNLIKELY(entry->write_tag != (va & MV_PAGE_MASK))) { /* of Device memory it is not */
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
    const struct mv_dtlb_entry *entry = mv_memory_entry(cpu, op, va, MV_ACCESS_CM);
    uint64_t pa = (entry->pa & MV_PAGE_MASK) | (va & ~MV_PAGE_MASK);
    mv_shootdown_code_line(&cpu->mailbox, pa);
    return true;
}

/*
 * The table's value says what is dropped, and whether of all vCPUs.  The operand has
 * VA bits 55-12 in bits 43-0, and the ASID in bits 63-48.
 */
#define OF_ALL 16u

static bool maintain(struct mv_cpu *cpu, const struct mv_op *op, uint64_t value)
{
    unsigned which = (unsigned)mv_sysreg_of(op)->value;
    const struct mv_shootdown what = {.kind = which & ~OF_ALL,
                                      .asid = (uint16_t)(value >> 48),
                                      .address = (uint64_t)((int64_t)(value << 20) >> 8)};
    if (which & OF_ALL)
        mv_shootdown_broadcast(&cpu->mailbox, &what);
    else
        mv_shootdown_local(&cpu->mailbox, &what);
    return true;
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

#define SYS(op1, crn, crm, op2, sys_name)                                                          \
    .name = sys_name, .encoding = MV_SYSREG_ENC(1, op1, crn, crm, op2)
#define EL1 .flags = MV_SYSREG_WO
/* What EL0 may do: UCI for maintenance by address, DZE for DC ZVA. */
#define EL0(enable) .flags = MV_SYSREG_WO | MV_SYSREG_EL0_W, MV_SYSREG_GATE(sctlr, enable)
/* Code that was dropped may be what runs, and so may a page that is no longer mapped. */
#define DROP(kind)                                                                                 \
    .flags = MV_SYSREG_WO | MV_SYSREG_EXIT, .write = maintain, .value = MV_SHOOTDOWN_##kind
#define DROP_ALL(kind)                                                                             \
    .flags = MV_SYSREG_WO | MV_SYSREG_EXIT, .write = maintain, .value = MV_SHOOTDOWN_##kind | OF_ALL

static const struct mv_sysreg rows[] = {
    {SYS(0, 7, 1, 0, "IC IALLUIS"), DROP_ALL(CODE_ALL)},
    {SYS(0, 7, 5, 0, "IC IALLU"), DROP(CODE_ALL)},
    {SYS(3, 7, 5, 1, "IC IVAU"), .write = ic_ivau, MV_SYSREG_GATE(sctlr, MV_SCTLR_UCI),
     .flags = MV_SYSREG_WO | MV_SYSREG_EL0_W | MV_SYSREG_CODE},
    {SYS(3, 7, 4, 1, "DC ZVA"), .write = dc_zva, EL0(MV_SCTLR_DZE)},
    {SYS(0, 7, 6, 1, "DC IVAC"), .write = dc_by_address, EL1},
    {SYS(3, 7, 10, 1, "DC CVAC"), .write = dc_by_address, EL0(MV_SCTLR_UCI)},
    {SYS(3, 7, 11, 1, "DC CVAU"), .write = dc_by_address, EL0(MV_SCTLR_UCI)},
    {SYS(3, 7, 14, 1, "DC CIVAC"), .write = dc_by_address, EL0(MV_SCTLR_UCI)},
    {SYS(0, 7, 6, 2, "DC ISW"), EL1},
    {SYS(0, 7, 10, 2, "DC CSW"), EL1},
    {SYS(0, 7, 14, 2, "DC CISW"), EL1},
    {SYS(0, 7, 8, 0, "AT S1E1R"), .write = translate, EL1, .value = 2},
    {SYS(0, 7, 8, 1, "AT S1E1W"), .write = translate, EL1, .value = 3},
    {SYS(0, 7, 8, 2, "AT S1E0R"), .write = translate, EL1, .value = 0},
    {SYS(0, 7, 8, 3, "AT S1E0W"), .write = translate, EL1, .value = 1},
    {SYS(0, 8, 3, 0, "TLBI VMALLE1IS"), DROP_ALL(TLB_ALL)},
    {SYS(0, 8, 3, 1, "TLBI VAE1IS"), DROP_ALL(TLB_VA)},
    {SYS(0, 8, 3, 2, "TLBI ASIDE1IS"), DROP_ALL(TLB_ASID)},
    {SYS(0, 8, 3, 3, "TLBI VAAE1IS"), DROP_ALL(TLB_VA)},
    {SYS(0, 8, 3, 5, "TLBI VALE1IS"), DROP_ALL(TLB_VA)},
    {SYS(0, 8, 3, 7, "TLBI VAALE1IS"), DROP_ALL(TLB_VA)},
    {SYS(0, 8, 7, 0, "TLBI VMALLE1"), DROP(TLB_ALL)},
    {SYS(0, 8, 7, 1, "TLBI VAE1"), DROP(TLB_VA)},
    {SYS(0, 8, 7, 2, "TLBI ASIDE1"), DROP(TLB_ASID)},
    {SYS(0, 8, 7, 3, "TLBI VAAE1"), DROP(TLB_VA)},
    {SYS(0, 8, 7, 5, "TLBI VALE1"), DROP(TLB_VA)},
    {SYS(0, 8, 7, 7, "TLBI VAALE1"), DROP(TLB_VA)},
};
MV_SYSREG_TABLE(mv_sysreg_maintenance, rows);
