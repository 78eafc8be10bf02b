/* SPDX-License-Identifier: Apache-2.0 */
/* The table of opcodes, as names and traits.  Constant: any thread. */
#include "op.h"

/* The words of opcodes.h. */
enum {
    XD = MV_OPERAND_XD,
    XN = MV_OPERAND_XN,
    XM = MV_OPERAND_XM,
    XA = MV_OPERAND_XA,
    VD = MV_OPERAND_VD,
    VN = MV_OPERAND_VN,
    VM = MV_OPERAND_VM,
    VA = MV_OPERAND_VA,
    LINK = MV_OPERAND_LINK,
    FLAGS = MV_OPERAND_FLAGS,
    FPCR = MV_OPERAND_FPCR,
    FPSR = MV_OPERAND_FPSR,
    MEMORY = MV_OPERAND_MEMORY,
    MONITOR = MV_OPERAND_MONITOR,
    OTHER = MV_OPERAND_OTHER,
    FAULTS = MV_OP_FAULTS,
    ENDS = MV_OP_ENDS,
    LOCAL = MV_OP_LOCAL,
    PAIRS = MV_OP_PAIRS,
    LIST_D = MV_OP_LIST_D,
    LIST_N = MV_OP_LIST_N,
};

const struct mv_op_traits mv_op_traits[MV_OPCODE_COUNT] = {
#define OP(name, op_reads, op_writes, op_flags)                                                    \
    {.reads = op_reads, .writes = op_writes, .flags = op_flags},
#include "opcodes.h"
#undef OP
};

const char *const mv_op_names[MV_OPCODE_COUNT] = {
#define OP(name, ...) #name,
#include "opcodes.h"
#undef OP
};

/* `count` general registers from reg on; register 31 is none. */
static uint64_t x_bits(unsigned reg, unsigned count)
{
    uint64_t run = ((UINT64_C(1) << count) - 1) << reg;
    return run & ~(UINT64_C(1) << MV_REG_ZR | UINT64_C(1) << MV_REG_SINK);
}

/* The same of vector registers: 0 follows 31. */
static uint32_t v_bits(unsigned reg, unsigned count)
{
    uint64_t run = ((UINT64_C(1) << count) - 1) << reg;
    return (uint32_t)(run | run >> 32);
}

struct mv_op_registers mv_op_registers(const struct mv_op *op, unsigned operands)
{
    unsigned flags = mv_op_traits[op->code].flags;
    unsigned pair = flags & PAIRS ? 2 : 1;
    return (struct mv_op_registers){
        .x = (operands & XD ? x_bits(op->rd, pair) : 0) | (operands & XN ? x_bits(op->rn, 1) : 0) |
             (operands & XM ? x_bits(op->rm, pair) : 0) | (operands & XA ? x_bits(op->ra, 1) : 0) |
             (operands & LINK ? x_bits(MV_REG_LR, 1) : 0) |
             (operands & OTHER ? x_bits(MV_REG_SP, 1) : 0),
        .v = (operands & VD ? v_bits(op->rd, flags & LIST_D ? op->ra : 1) : 0) |
             (operands & VN ? v_bits(op->rn, flags & LIST_N ? op->ra : 1) : 0) |
             (operands & VM ? v_bits(op->rm, 1) : 0) | (operands & VA ? v_bits(op->ra, 1) : 0),
    };
}
