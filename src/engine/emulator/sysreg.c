/* SPDX-License-Identifier: Apache-2.0 */
#include "sysreg.h"

#include "cpu.h"
#include "exception.h"

#include <stdlib.h>

static const struct mv_sysreg_table *const tables[] = {
    &mv_sysreg_control, &mv_sysreg_id, &mv_sysreg_device, &mv_sysreg_debug,
    &mv_sysreg_maintenance,
};
#define TABLE_COUNT (sizeof tables / sizeof tables[0])

/* ID space that is not allocated reads as zero (Arm ARM D17.3.1). */
static const struct mv_sysreg reserved_id = {
    .name = "reserved ID register", .flags = MV_SYSREG_RO};

static bool is_id_space(uint16_t encoding)
{
    return encoding >= MV_SYSREG_ENC(3, 0, 0, 1, 0) && encoding <= MV_SYSREG_ENC(3, 0, 0, 7, 7);
}

const struct mv_sysreg *mv_sysreg_find(uint16_t encoding)
{
    for (size_t t = 0; t < TABLE_COUNT; t++)
        for (size_t i = 0; i < tables[t]->count; i++)
            if (tables[t]->rows[i].encoding == encoding)
                return &tables[t]->rows[i];
    return is_id_space(encoding) ? &reserved_id : NULL;
}

void mv_sysreg_reset(struct mv_cpu *cpu)
{
    for (size_t t = 0; t < TABLE_COUNT; t++) {
        for (size_t i = 0; i < tables[t]->count; i++) {
            const struct mv_sysreg *reg = &tables[t]->rows[i];
            if (reg->offset != 0)
                *(uint64_t *)((char *)cpu + reg->offset) = reg->value;
        }
    }
}

/* ISS of EC 0x18: Op0, Op2, Op1, CRn, Rt, CRm, direction (Arm ARM D17.2.37). */
static uint32_t iss_of(uint16_t encoding, unsigned rt, bool is_read)
{
    uint32_t op0 = encoding >> 14 & 3, op1 = encoding >> 11 & 7, crn = encoding >> 7 & 15,
             crm = encoding >> 3 & 15, op2 = encoding & 7;
    return op0 << 20 | op2 << 17 | op1 << 14 | crn << 10 | rt << 5 | crm << 1 | is_read;
}

_Noreturn void mv_sysreg_trap(struct mv_cpu *cpu, const struct mv_op *op, bool is_read)
{
    unsigned rt = op->rd == MV_REG_SINK ? 31 : op->rd;
    mv_exception_at(cpu, op, MV_EC_SYSREG, iss_of(mv_sysreg_of(op)->encoding, rt, is_read));
    mv_exception_unwind(cpu);
}
