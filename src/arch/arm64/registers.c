/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The registers of an arm64 vCPU as one table, in GDB's order: x0-x30, sp, pc,
 * cpsr (org.gnu.gdb.aarch64.core), v0-v31, fpsr, fpcr (org.gnu.gdb.aarch64.fpu),
 * then system registers, then what the CPU is.
 */
#include "arm64.h"

#include "state.h"

#define PSTATE_MASK                                                                                \
    (MV_NZCV_ALL | MV_SPSR_SS | MV_SPSR_IL | MV_DAIF_ALL | MV_SPSR_EL1 | MV_SPSR_SP)

/* The stack pointer in use: of EL1, or that of EL0, which EL1 may use too. */
static size_t sp_place(const void *state)
{
    uint32_t pstate = ((const struct mv_arm64_state *)state)->pstate;
    return (pstate & MV_SPSR_EL1) && (pstate & MV_SPSR_SP)
               ? offsetof(struct mv_arm64_state, sp_el1)
               : offsetof(struct mv_arm64_state, sp_el0);
}

/*
 * A row R has the name by which a debugger knows the register, the one that it has
 * in saved state, its group, its member, that one's type, the bits that there are,
 * and its type in a debugger's description.
 */
#define ALL UINT64_MAX
#define X(R, n) R("x" #n, "x" #n, CORE, x[n], U64, ALL, NULL)
#define V(R, n) R("v" #n, "v" #n, VECTOR, v[n], U64, ALL, "aarch64v")
#define SYSTEM(R, name, id, member) R(name, id, SYSTEM, sys.member, U64, ALL, NULL)
#define BREAKPOINT(R, n)                                                                           \
    SYSTEM(R, "DBGBVR" #n "_EL1", "dbgbvr" #n "_el1", dbgbvr[n])                                   \
    SYSTEM(R, "DBGBCR" #n "_EL1", "dbgbcr" #n "_el1", dbgbcr[n])
#define WATCHPOINT(R, n)                                                                           \
    SYSTEM(R, "DBGWVR" #n "_EL1", "dbgwvr" #n "_el1", dbgwvr[n])                                   \
    SYSTEM(R, "DBGWCR" #n "_EL1", "dbgwcr" #n "_el1", dbgwcr[n])
#define ID(R, name, id_name, member) R(name, id_name, ID, id.member, U64, ALL, NULL)
#define FOUR(ROW, R, a, b, c, d) ROW(R, a) ROW(R, b) ROW(R, c) ROW(R, d)
#define EIGHT(ROW, R, a, b, c, d, e, f, g, h) FOUR(ROW, R, a, b, c, d) FOUR(ROW, R, e, f, g, h)

#define GENERAL_REGISTERS(R)                                                                       \
    EIGHT(X, R, 0, 1, 2, 3, 4, 5, 6, 7)                                                            \
    EIGHT(X, R, 8, 9, 10, 11, 12, 13, 14, 15)                                                      \
    EIGHT(X, R, 16, 17, 18, 19, 20, 21, 22, 23)                                                    \
    FOUR(X, R, 24, 25, 26, 27)                                                                     \
    X(R, 28) X(R, 29) X(R, 30)

#define OTHER_REGISTERS(R)                                                                         \
    R("pc", "pc", CORE, pc, U64, ALL, "code_ptr")                                                  \
    R("cpsr", "pstate", CORE, pstate, U32, PSTATE_MASK, "pstate")                                  \
    EIGHT(V, R, 0, 1, 2, 3, 4, 5, 6, 7)                                                            \
    EIGHT(V, R, 8, 9, 10, 11, 12, 13, 14, 15)                                                      \
    EIGHT(V, R, 16, 17, 18, 19, 20, 21, 22, 23)                                                    \
    EIGHT(V, R, 24, 25, 26, 27, 28, 29, 30, 31)                                                    \
    R("fpsr", "fpsr", VECTOR, fpsr, U32, MV_FPSR_MASK, NULL)                                       \
    R("fpcr", "fpcr", VECTOR, fpcr, U32, MV_FPCR_MASK, NULL)                                       \
    SYSTEM(R, "SCTLR_EL1", "sctlr_el1", sctlr)                                                     \
    SYSTEM(R, "ACTLR_EL1", "actlr_el1", actlr)                                                     \
    R("CPACR_EL1", "cpacr_el1", SYSTEM, sys.cpacr, U64, MV_CPACR_MASK, NULL)                       \
    SYSTEM(R, "TTBR0_EL1", "ttbr0_el1", ttbr0)                                                     \
    SYSTEM(R, "TTBR1_EL1", "ttbr1_el1", ttbr1)                                                     \
    SYSTEM(R, "TCR_EL1", "tcr_el1", tcr)                                                           \
    SYSTEM(R, "SPSR_EL1", "spsr_el1", spsr)                                                        \
    SYSTEM(R, "ELR_EL1", "elr_el1", elr)                                                           \
    SYSTEM(R, "AFSR0_EL1", "afsr0_el1", afsr0)                                                     \
    SYSTEM(R, "AFSR1_EL1", "afsr1_el1", afsr1)                                                     \
    SYSTEM(R, "ESR_EL1", "esr_el1", esr)                                                           \
    SYSTEM(R, "FAR_EL1", "far_el1", far)                                                           \
    SYSTEM(R, "PAR_EL1", "par_el1", par)                                                           \
    SYSTEM(R, "MAIR_EL1", "mair_el1", mair)                                                        \
    SYSTEM(R, "AMAIR_EL1", "amair_el1", amair)                                                     \
    SYSTEM(R, "VBAR_EL1", "vbar_el1", vbar)                                                        \
    SYSTEM(R, "CONTEXTIDR_EL1", "contextidr_el1", contextidr)                                      \
    SYSTEM(R, "TPIDR_EL1", "tpidr_el1", tpidr_el1)                                                 \
    SYSTEM(R, "CSSELR_EL1", "csselr_el1", csselr)                                                  \
    SYSTEM(R, "TPIDR_EL0", "tpidr_el0", tpidr_el0)                                                 \
    SYSTEM(R, "TPIDRRO_EL0", "tpidrro_el0", tpidrro_el0)                                           \
    SYSTEM(R, "CNTKCTL_EL1", "cntkctl_el1", cntkctl)                                               \
    SYSTEM(R, "CNTFRQ_EL0", "cntfrq_el0", cntfrq)                                                  \
    SYSTEM(R, "MDCCINT_EL1", "mdccint_el1", mdccint)                                               \
    SYSTEM(R, "MDSCR_EL1", "mdscr_el1", mdscr)                                                     \
    FOUR(BREAKPOINT, R, 0, 1, 2, 3)                                                                \
    BREAKPOINT(R, 4) BREAKPOINT(R, 5)                                                              \
    FOUR(WATCHPOINT, R, 0, 1, 2, 3)                                                                \
    R("OSLSR_EL1", "oslsr_el1", SYSTEM, sys.oslsr, U64, MV_OSLSR_OSLM | MV_OSLSR_OSLK, NULL)       \
    SYSTEM(R, "OSDLR_EL1", "osdlr_el1", osdlr)                                                     \
    ID(R, "MIDR_EL1", "midr_el1", midr)                                                            \
    ID(R, "MPIDR_EL1", "mpidr_el1", mpidr)                                                         \
    ID(R, "REVIDR_EL1", "revidr_el1", revidr)                                                      \
    ID(R, "AIDR_EL1", "aidr_el1", aidr)                                                            \
    ID(R, "ID_AA64PFR0_EL1", "id_aa64pfr0_el1", pfr0)                                              \
    ID(R, "ID_AA64DFR0_EL1", "id_aa64dfr0_el1", dfr0)                                              \
    ID(R, "ID_AA64ISAR0_EL1", "id_aa64isar0_el1", isar0)                                           \
    ID(R, "ID_AA64MMFR0_EL1", "id_aa64mmfr0_el1", mmfr0)                                           \
    ID(R, "ID_AA64MMFR1_EL1", "id_aa64mmfr1_el1", mmfr1)                                           \
    ID(R, "ID_AA64MMFR2_EL1", "id_aa64mmfr2_el1", mmfr2)                                           \
    ID(R, "CLIDR_EL1", "clidr_el1", clidr)                                                         \
    ID(R, "CTR_EL0", "ctr_el0", ctr)                                                               \
    ID(R, "DCZID_EL0", "dczid_el0", dczid)                                                         \
    ID(R, "counter_hz", "counter_hz", counter_hz)

#define AS_REGISTER(register_name, id, register_group, member, c_type, bits, gdb_type)             \
    {                                                                                              \
        .name = register_name, .group = MV_REGISTER_##register_group,                              \
        .size = sizeof(((struct mv_arm64_state *)0)->member),                                      \
        .offset = offsetof(struct mv_arm64_state, member), .mask = bits, .type = gdb_type          \
    },

static const struct mv_register registers[] = {
    GENERAL_REGISTERS(AS_REGISTER)
    {.name = "sp", .group = MV_REGISTER_CORE, .size = 8, .mask = ALL, .type = "data_ptr",
     .place = sp_place},
    OTHER_REGISTERS(AS_REGISTER)
};

/* --- for a debugger's description (GDB's manual, appendix G) */

#define PSTATE_FIELD(name, first, last)                                                            \
    "<field name=\"" name "\" start=\"" #first "\" end=\"" #last "\"/>\n"
#define VECTOR(name, type, count)                                                                  \
    "<vector id=\"" name "\" type=\"" type "\" count=\"" #count "\"/>\n"
#define UNION_FIELD(name, type) "<field name=\"" name "\" type=\"" type "\"/>\n"
/* Of each element's size a union of what it may be: a float, unsigned, signed. */
#define INTEGERS(name, bits, count)                                                                \
    VECTOR("v" name "u", "uint" #bits, count) VECTOR("v" name "s", "int" #bits, count)             \
    "<union id=\"vn" name "\">\n"
#define INTEGER_FIELDS(name)                                                                       \
    UNION_FIELD("u", "v" name "u") UNION_FIELD("s", "v" name "s") "</union>\n"
#define REALS(name, real, bits, count)                                                             \
    VECTOR("v" name "f", real, count) INTEGERS(name, bits, count)                                  \
    UNION_FIELD("f", "v" name "f") INTEGER_FIELDS(name)

static const char pstate_type[] =
    "<flags id=\"pstate\" size=\"4\">\n"
    PSTATE_FIELD("SP", 0, 0) PSTATE_FIELD("EL", 2, 3) PSTATE_FIELD("F", 6, 6)
    PSTATE_FIELD("I", 7, 7) PSTATE_FIELD("A", 8, 8) PSTATE_FIELD("D", 9, 9)
    PSTATE_FIELD("IL", 20, 20) PSTATE_FIELD("SS", 21, 21) PSTATE_FIELD("V", 28, 28)
    PSTATE_FIELD("C", 29, 29) PSTATE_FIELD("Z", 30, 30) PSTATE_FIELD("N", 31, 31)
    "</flags>\n";

static const char vector_types[] =
    REALS("d", "ieee_double", 64, 2)
    REALS("s", "ieee_single", 32, 4)
    REALS("h", "ieee_half", 16, 8)
    INTEGERS("b", 8, 16) INTEGER_FIELDS("b")
    INTEGERS("q", 128, 1) INTEGER_FIELDS("q")
    "<union id=\"aarch64v\">\n"
    UNION_FIELD("d", "vnd") UNION_FIELD("s", "vns") UNION_FIELD("h", "vnh")
    UNION_FIELD("b", "vnb") UNION_FIELD("q", "vnq")
    "</union>\n";

static const struct mv_arch_feature features[] = {
    {"org.gnu.gdb.aarch64.core", MV_REGISTER_CORE, pstate_type},
    {"org.gnu.gdb.aarch64.fpu", MV_REGISTER_VECTOR, vector_types},
    {"org.memvisor.aarch64.system", MV_REGISTER_SYSTEM, ""},
};

/* --- what a machine does to a state */

/* EL1h, interrupts masked, the MMU off, x0 with the argument (Linux, booting.rst; DEN 0022, 6.4). */
static void enter(void *opaque, uint64_t pc, uint64_t argument)
{
    struct mv_arm64_state *state = opaque;
    state->x[0] = argument;
    state->pc = pc;
    state->pstate = MV_DAIF_ALL | MV_SPSR_EL1 | MV_SPSR_SP;
}

static void set_pc(void *state, uint64_t pc)
{
    ((struct mv_arm64_state *)state)->pc = pc;
}

/* --- the state as it is saved: the registers, and what no debugger is shown */

#define AS_FIELD(register_name, id, register_group, member, c_type, bits, gdb_type)                \
    MV_STATE_MEMBER(id, struct mv_arm64_state, member, MV_STATE_##c_type, bits, 0, UINT64_MAX,     \
                    MV_REGISTER_##register_group == MV_REGISTER_ID),
#define FIELD_ANY(name, member) MV_STATE_ANY(name, struct mv_arm64_state, member, MV_STATE_U64)
#define FIELD_BITS(name, member, bits)                                                             \
    MV_STATE_BITS(name, struct mv_arm64_state, member, MV_STATE_U64, bits)
#define TIMER_BITS (MV_TIMER_CTL_ENABLE | MV_TIMER_CTL_IMASK)

static const struct mv_state_field fields[] = {
    GENERAL_REGISTERS(AS_FIELD)
    FIELD_ANY("sp_el0", sp_el0),
    FIELD_ANY("sp_el1", sp_el1),
    OTHER_REGISTERS(AS_FIELD)
    FIELD_BITS("dbgclaim_el1", sys.dbgclaim, MV_CLAIM_MASK),
    FIELD_ANY("cntvoff_el2", cntvoff),
    FIELD_BITS("cntv_ctl_el0", virtual_timer.ctl, TIMER_BITS),
    FIELD_ANY("cntv_cval_el0", virtual_timer.cval),
    FIELD_BITS("cntp_ctl_el0", physical_timer.ctl, TIMER_BITS),
    FIELD_ANY("cntp_cval_el0", physical_timer.cval),
    MV_STATE_FLAG("event", struct mv_arm64_state, event),
    MV_STATE_FLAG("monitor.armed", struct mv_arm64_state, monitor.armed),
    MV_STATE_RANGE("monitor.size", struct mv_arm64_state, monitor.size, MV_STATE_U8, 0, 16),
    FIELD_ANY("monitor.address", monitor.pa),
    FIELD_ANY("monitor.value", monitor.value),
    MV_STATE_FLAG("step.valid", struct mv_arm64_state, step_valid),
    MV_STATE_FLAG("step.exclusive", struct mv_arm64_state, step_exclusive),
};

static int check(const void *object, struct mv_error *err)
{
    const struct mv_arm64_state *state = object;
    unsigned size = state->monitor.size;
    if (!(state->pstate & MV_SPSR_EL1) && (state->pstate & MV_SPSR_SP))
        return mv_state_refuse(err, "pstate", "0x%x: EL0 has one stack pointer", state->pstate);
    if ((state->sys.sctlr & MV_SCTLR_RES1) != MV_SCTLR_RES1)
        return mv_state_refuse(err, "sctlr_el1", "0x%llx: the bits 0x%x are 1 for ever",
                               (unsigned long long)state->sys.sctlr, MV_SCTLR_RES1);
    if (!(state->sys.oslsr & MV_OSLSR_OSLM))
        return mv_state_refuse(err, "oslsr_el1", "0x%llx: bit 3 is 1 for ever",
                               (unsigned long long)state->sys.oslsr);
    if (size & (size - 1))
        return mv_state_refuse(err, "monitor.size", "%u: a power of two", size);
    if (state->monitor.armed && size == 0)
        return mv_state_refuse(err, "monitor.size", "0: the monitor is armed");
    if (state->monitor.armed && state->monitor.pa % size != 0)
        return mv_state_refuse(err, "monitor.address", "0x%llx: a multiple of monitor.size, %u",
                               (unsigned long long)state->monitor.pa, size);
    return 0;
}

static const struct mv_state_table state_table =
    MV_STATE_TABLE(struct mv_arm64_state, "arm64-cpu", 1, fields, .check = check);

const struct mv_arch mv_arm64 = {
    .name = "arm64",
    .state_size = sizeof(struct mv_arm64_state),
    .state = &state_table,
    .registers = registers,
    .register_count = sizeof registers / sizeof registers[0],
    .gdb_name = "aarch64",
    .features = features,
    .feature_count = sizeof features / sizeof features[0],
    .enter = enter,
    .hypercall = mv_psci_call,
    .set_pc = set_pc,
};
