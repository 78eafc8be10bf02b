/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_op: one decoded instruction, and the table of what there is of them.
 *
 * A page of guest code is an array of 1024 ops, one for each instruction slot,
 * so the op of a PC is found by arithmetic and a branch within the page is a
 * pointer addition.  A slot that is all zero stands for "decode me".
 */
#ifndef MV_EMULATOR_OP_H
#define MV_EMULATOR_OP_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Register numbers in rd, rn, rm and ra index mv_cpu.x: 0-30, and three more
 * so that no handler has to ask for register 31.
 */
enum {
    MV_REG_LR = 30,
    MV_REG_ZR = 31,   /* reads as zero; no handler writes it */
    MV_REG_SP = 32,   /* the current stack pointer */
    MV_REG_SINK = 33, /* writes to the zero register land here */
    MV_REG_COUNT = 34,
};

struct mv_op {
    uint16_t code; /* enum mv_opcode */
    uint8_t rd;
    uint8_t rn;
    uint8_t rm;
    uint8_t ra;
    uint16_t aux;
    uint64_t imm;
};

/* How an operand is shifted, in `aux`. */
enum mv_shift_kind { MV_SHIFT_LSL, MV_SHIFT_LSR, MV_SHIFT_ASR, MV_SHIFT_ROR };

/* Ops are 4 times as large as the instructions they stand for. */
#define MV_OP_SCALE 4
_Static_assert(sizeof(struct mv_op) == 4 * MV_OP_SCALE, "an op is 16 bytes");

/* Code is translated for this host (jit/). */
#if defined(__x86_64__)
#define MV_HAS_JIT 1
#endif

/*
 * The opcodes of opcodes.h.  The first is what a zeroed slot runs, the second what
 * follows the last slot of a page; single_end follows an instruction that is run
 * alone (debug.h).
 */
enum mv_opcode {
#define OP(name, ...) MV_OPCODE_##name,
#include "opcodes.h"
#undef OP
    MV_OPCODE_COUNT
};

/* What an op reads or writes: registers by the field that names them, and the rest. */
enum mv_operand {
    MV_OPERAND_XD = 1u << 0,
    MV_OPERAND_XN = 1u << 1,
    MV_OPERAND_XM = 1u << 2,
    MV_OPERAND_XA = 1u << 3,
    MV_OPERAND_VD = 1u << 4,
    MV_OPERAND_VN = 1u << 5,
    MV_OPERAND_VM = 1u << 6,
    MV_OPERAND_VA = 1u << 7,
    MV_OPERAND_LINK = 1u << 8,  /* x30 */
    MV_OPERAND_FLAGS = 1u << 9, /* NZCV */
    MV_OPERAND_FPCR = 1u << 10,
    MV_OPERAND_FPSR = 1u << 11, /* written: cumulative bits are set */
    MV_OPERAND_MEMORY = 1u << 12,
    MV_OPERAND_MONITOR = 1u << 13, /* the exclusive monitor */
    /* The system's state, by which FLAGS, FPCR, FPSR and the stack pointer may be reached too. */
    MV_OPERAND_OTHER = 1u << 14,
};

enum mv_op_flags {
    MV_OP_FAULTS = 1, /* may take an exception, with nothing done */
    MV_OP_ENDS = 2,   /* may go on elsewhere than at the next op, or leave the handlers */
    MV_OP_LOCAL = 4,  /* a branch that the next opcode does where the target is in its page */
    MV_OP_PAIRS = 8,  /* XD and XM stand for two registers each */
    MV_OP_LIST_D = 16, /* VD and */
    MV_OP_LIST_N = 32, /* VN stand for `ra` registers, round the end of the file */
};

struct mv_op_traits {
    uint16_t reads; /* MV_OPERAND_… */
    uint16_t writes;
    uint8_t flags; /* MV_OP_… */
};
extern const struct mv_op_traits mv_op_traits[MV_OPCODE_COUNT];
extern const char *const mv_op_names[MV_OPCODE_COUNT];

/*
 * The registers that an op's operands (MV_OPERAND_…, those of its traits) name:
 * bits 0-30 and MV_REG_SP of mv_cpu.x, bits 0-31 of mv_cpu.v.
 */
struct mv_op_registers {
    uint64_t x;
    uint32_t v;
};
struct mv_op_registers mv_op_registers(const struct mv_op *op, unsigned operands);

#endif
