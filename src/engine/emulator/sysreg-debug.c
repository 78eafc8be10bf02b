/* SPDX-License-Identifier: Apache-2.0 */
/* Self-hosted debug registers (Arm ARM D17.3). */
#include "cpu.h"
#include "sysreg.h"

static bool write_oslar(struct mv_cpu *cpu, const struct mv_op *op, uint64_t value)
{
    cpu->sys.oslsr = MV_OSLSR_OSLM | (value & 1 ? MV_OSLSR_OSLK : 0);
    return true;
}

static bool write_claim_set(struct mv_cpu *cpu, const struct mv_op *op, uint64_t value)
{
    cpu->sys.dbgclaim |= value & MV_CLAIM_MASK;
    return true;
}

static bool write_claim_clear(struct mv_cpu *cpu, const struct mv_op *op, uint64_t value)
{
    cpu->sys.dbgclaim &= ~value;
    return true;
}

static bool read_claim(struct mv_cpu *cpu, const struct mv_op *op, uint64_t *ret)
{
    *ret = cpu->sys.dbgclaim;
    return true;
}

#define MDSCR_TDCC (1u << 12)

#define DEBUG(crn, crm, op2, reg_name)                                                             \
    .name = reg_name, .encoding = MV_SYSREG_ENC(2, 0, crn, crm, op2)
#define FIELD(field) .offset = MV_SYSREG_AT(sys.field)
/* The channel to an external debugger, which is not there: empty for ever. */
#define CHANNEL(crm, reg_name)                                                                     \
    .name = reg_name, .encoding = MV_SYSREG_ENC(2, 3, 0, crm, 0), MV_SYSREG_GATE(mdscr, MDSCR_TDCC)
/* What breakpoints, watchpoints and steps there are follows from these. */
#define CHANGES .changed = mv_debug_update, .flags = MV_SYSREG_EXIT
#define POINT(n, op2, reg_name, field)                                                             \
    {                                                                                              \
        DEBUG(0, n, op2, reg_name), FIELD(field[n]), CHANGES                                       \
    }
#define BREAKPOINT(n)                                                                              \
    POINT(n, 4, "DBGBVR" #n "_EL1", dbgbvr), POINT(n, 5, "DBGBCR" #n "_EL1", dbgbcr)
#define WATCHPOINT(n)                                                                              \
    POINT(n, 6, "DBGWVR" #n "_EL1", dbgwvr), POINT(n, 7, "DBGWCR" #n "_EL1", dbgwcr)

static const struct mv_sysreg rows[] = {
    {DEBUG(0, 2, 0, "MDCCINT_EL1"), FIELD(mdccint)},
    {DEBUG(0, 2, 2, "MDSCR_EL1"), FIELD(mdscr), CHANGES},
    BREAKPOINT(0),
    BREAKPOINT(1),
    BREAKPOINT(2),
    BREAKPOINT(3),
    BREAKPOINT(4),
    BREAKPOINT(5),
    WATCHPOINT(0),
    WATCHPOINT(1),
    WATCHPOINT(2),
    WATCHPOINT(3),
    {DEBUG(0, 0, 2, "OSDTRRX_EL1")},
    {DEBUG(0, 3, 2, "OSDTRTX_EL1")},
    {DEBUG(0, 6, 2, "OSECCR_EL1")},
    {CHANNEL(1, "MDCCSR_EL0"), .flags = MV_SYSREG_RO | MV_SYSREG_EL0_R | MV_SYSREG_SHUT},
    {CHANNEL(4, "DBGDTR_EL0"), .flags = MV_SYSREG_EL0_RW | MV_SYSREG_SHUT},
    {CHANNEL(5, "DBGDTRRX_EL0"), .flags = MV_SYSREG_EL0_RW | MV_SYSREG_SHUT},
    {DEBUG(1, 0, 0, "MDRAR_EL1"), .flags = MV_SYSREG_RO},
    {DEBUG(1, 0, 4, "OSLAR_EL1"), .flags = MV_SYSREG_WO | MV_SYSREG_EXIT,
     .write = write_oslar},
    {DEBUG(1, 1, 4, "OSLSR_EL1"), FIELD(oslsr), .flags = MV_SYSREG_RO,
     .value = MV_OSLSR_OSLM | MV_OSLSR_OSLK},
    {DEBUG(1, 3, 4, "OSDLR_EL1"), FIELD(osdlr), .flags = MV_SYSREG_EXIT},
    {DEBUG(1, 4, 4, "DBGPRCR_EL1")},
    {DEBUG(7, 8, 6, "DBGCLAIMSET_EL1"), .value = MV_CLAIM_MASK, .write = write_claim_set},
    {DEBUG(7, 9, 6, "DBGCLAIMCLR_EL1"), .read = read_claim, .write = write_claim_clear},
    {DEBUG(7, 14, 6, "DBGAUTHSTATUS_EL1"), .flags = MV_SYSREG_RO},
};
MV_SYSREG_TABLE(mv_sysreg_debug, rows);
