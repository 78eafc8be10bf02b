/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Identification registers: an AArch64-only v8.0 processor with LSE, CRC32 and
 * the cryptographic instructions, hardware access flag and dirty state, and
 * E0PD, with pages of 4, 16 and 64 KiB.  The rest of the ID space reads as zero.
 */
#include "cpu.h"
#include "emulator.h"
#include "sysreg.h"

static bool read_mpidr(struct mv_cpu *cpu, const struct mv_op *op, uint64_t *ret)
{
    (void)op;
    *ret = cpu->vcpu.ops->vcpu_mpidr(&cpu->vcpu);
    return true;
}

static bool read_ctr(struct mv_cpu *cpu, const struct mv_op *op, uint64_t *ret)
{
    if (cpu->el == 0 && !(cpu->sys.sctlr & MV_SCTLR_UCT))
        mv_sysreg_trap(cpu, op, true);
    *ret = mv_sysreg_of(op)->value;
    return true;
}

/*
 * Nothing here has caches: what guests are told is what programs tune
 * themselves by and what schedulers place threads by, as on a small server.
 */
const struct mv_engine_cache mv_emulator_caches[] = {
    {.level = 1, .kind = MV_CACHE_DATA, .line = 64, .sets = 128, .ways = 4},
    {.level = 1, .kind = MV_CACHE_INSTRUCTION, .line = 64, .sets = 128, .ways = 4},
    {.level = 2, .kind = MV_CACHE_UNIFIED, .line = 64, .sets = 1024, .ways = 16},
    {.level = 0},
};
/*
 * Two levels: separate, then unified; up to level 2 to the point of coherency
 * and none to the points of unification, as CTR_EL0.IDC has it (D17.2.27).
 */
#define CLIDR 0x2000023

/* Of the cache that CSSELR_EL1 picks by level and InD; of none it is UNKNOWN (D17.2.24). */
static bool read_ccsidr(struct mv_cpu *cpu, const struct mv_op *op, uint64_t *ret)
{
    (void)op;
    unsigned level = (cpu->sys.csselr >> 1 & 7) + 1;
    bool instruction = cpu->sys.csselr & 1;
    *ret = 0;
    for (const struct mv_engine_cache *cache = mv_emulator_caches; cache->level != 0; cache++) {
        if (cache->level == level && (cache->kind == MV_CACHE_INSTRUCTION) == instruction)
            *ret = (uint64_t)(cache->sets - 1) << 13 | (cache->ways - 1) << 3 |
                   (unsigned)(__builtin_ctz(cache->line) - 4);
    }
    return true;
}

/* DZP (bit 4): DC ZVA is prohibited here. */
static bool read_dczid(struct mv_cpu *cpu, const struct mv_op *op, uint64_t *ret)
{
    bool prohibited = cpu->el == 0 && !(cpu->sys.sctlr & MV_SCTLR_DZE);
    *ret = mv_sysreg_of(op)->value | (prohibited ? 1u << 4 : 0);
    return true;
}

#define ID(op1, crm, op2, id_name, id_value)                                                       \
    {                                                                                              \
        .name = id_name, .encoding = MV_SYSREG_ENC(3, op1, 0, crm, op2), .flags = MV_SYSREG_RO,    \
        .value = (id_value)                                                                        \
    }
static const struct mv_sysreg rows[] = {
    ID(0, 0, 0, "MIDR_EL1", 0x000f0510),
    {.name = "MPIDR_EL1",
     .encoding = MV_SYSREG_ENC(3, 0, 0, 0, 5),
     .flags = MV_SYSREG_RO,
     .read = read_mpidr},
    ID(0, 0, 6, "REVIDR_EL1", 0),
    ID(0, 4, 0, "ID_AA64PFR0_EL1", 0x1100000001000011),
    ID(0, 5, 0, "ID_AA64DFR0_EL1", 0x10305006),
    ID(0, 6, 0, "ID_AA64ISAR0_EL1", 0x211120),
    ID(0, 7, 0, "ID_AA64MMFR0_EL1", 0x00100025),
    ID(0, 7, 1, "ID_AA64MMFR1_EL1", 0x2),
    ID(0, 7, 2, "ID_AA64MMFR2_EL1", 0x1000000000000000),
    {.name = "CCSIDR_EL1",
     .encoding = MV_SYSREG_ENC(3, 1, 0, 0, 0),
     .flags = MV_SYSREG_RO,
     .read = read_ccsidr},
    ID(1, 0, 1, "CLIDR_EL1", CLIDR),
    ID(1, 0, 7, "AIDR_EL1", 0),
    {.name = "CTR_EL0",
     .encoding = MV_SYSREG_ENC(3, 3, 0, 0, 1),
     .flags = MV_SYSREG_RO | MV_SYSREG_EL0_R,
     .value = 0x9444c004,
     .read = read_ctr},
    /* DC ZVA works on 2^4 words, 64 bytes. */
    {.name = "DCZID_EL0",
     .encoding = MV_SYSREG_ENC(3, 3, 0, 0, 7),
     .flags = MV_SYSREG_RO | MV_SYSREG_EL0_R,
     .value = 4,
     .read = read_dczid},
};
MV_SYSREG_TABLE(mv_sysreg_id, rows);
