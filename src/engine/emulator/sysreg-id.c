/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Identification registers: an AArch64-only v8.0 processor with LSE, CRC32 and
 * the cryptographic instructions, hardware access flag and dirty state, and
 * E0PD, with pages of 4, 16 and 64 KiB.  The rest of the ID space reads as zero.
 */
#include "cpu.h"
#include "emulator.h"
#include "sysreg.h"

/*
 * Two levels of caches: separate, then unified; up to level 2 to the point of
 * coherency and none to the points of unification, as CTR_EL0.IDC has it (D17.2.27).
 */
#define CLIDR 0x2000023

static bool read_ctr(struct mv_cpu *cpu, const struct mv_op *op, uint64_t *ret)
{
    *ret = cpu->id.ctr;
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

/* Of the cache that CSSELR_EL1 picks by level and InD; of none it is UNKNOWN (D17.2.24). */
static bool read_ccsidr(struct mv_cpu *cpu, const struct mv_op *op, uint64_t *ret)
{
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
    *ret = cpu->id.dczid | (prohibited ? 1u << 4 : 0);
    return true;
}

#define ID(op1, crm, op2, id_name, field, constant)                                                \
    .name = id_name, .encoding = MV_SYSREG_ENC(3, op1, 0, crm, op2),                               \
    .offset = MV_SYSREG_AT(id.field), .value = constant

static const struct mv_sysreg rows[] = {
    {ID(0, 0, 0, "MIDR_EL1", midr, 0x000f0510), .flags = MV_SYSREG_RO},
    {ID(0, 0, 5, "MPIDR_EL1", mpidr, 0), .flags = MV_SYSREG_RO}, /* mv_sysreg_reset */
    {ID(0, 0, 6, "REVIDR_EL1", revidr, 0), .flags = MV_SYSREG_RO},
    {ID(0, 4, 0, "ID_AA64PFR0_EL1", pfr0, 0x1100000001000011), .flags = MV_SYSREG_RO},
    {ID(0, 5, 0, "ID_AA64DFR0_EL1", dfr0, 0x10305006), .flags = MV_SYSREG_RO},
    {ID(0, 6, 0, "ID_AA64ISAR0_EL1", isar0, 0x211120), .flags = MV_SYSREG_RO},
    {ID(0, 7, 0, "ID_AA64MMFR0_EL1", mmfr0, 0x00100025), .flags = MV_SYSREG_RO},
    {ID(0, 7, 1, "ID_AA64MMFR1_EL1", mmfr1, 0x2), .flags = MV_SYSREG_RO},
    {ID(0, 7, 2, "ID_AA64MMFR2_EL1", mmfr2, 0x1000000000000000), .flags = MV_SYSREG_RO},
    {.name = "CCSIDR_EL1",
     .encoding = MV_SYSREG_ENC(3, 1, 0, 0, 0),
     .flags = MV_SYSREG_RO,
     .read = read_ccsidr},
    {ID(1, 0, 1, "CLIDR_EL1", clidr, CLIDR), .flags = MV_SYSREG_RO},
    {ID(1, 0, 7, "AIDR_EL1", aidr, 0), .flags = MV_SYSREG_RO},
    {ID(3, 0, 1, "CTR_EL0", ctr, 0x9444c004), .flags = MV_SYSREG_RO | MV_SYSREG_EL0_R,
     MV_SYSREG_GATE(sctlr, MV_SCTLR_UCT), .read = read_ctr},
    /* DC ZVA works on 2^4 words, 64 bytes. */
    {ID(3, 0, 7, "DCZID_EL0", dczid, 4), .flags = MV_SYSREG_RO | MV_SYSREG_EL0_R,
     .read = read_dczid},
};
MV_SYSREG_TABLE(mv_sysreg_id, rows);
