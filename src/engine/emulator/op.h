/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_op: one decoded instruction, and the way from one to the next.
 *
 * A page of guest code is an array of 1024 ops, one for each instruction slot,
 * so the op of a PC is found by arithmetic and a branch within the page is a
 * pointer addition.  A slot that is all zero stands for "decode me".
 *
 * A handler does its instruction and tail-calls the next op's handler, so the
 * host's branch predictor sees an indirect jump for each.  Builds with a
 * sanitizer, which cannot tail-call, return the next op to the loop in run.c
 * instead: the same handlers serve both.
 */
#ifndef MV_EMULATOR_OP_H
#define MV_EMULATOR_OP_H

#include <stdbool.h>
#include <stdint.h>

struct mv_cpu;

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

/* Ops are 4 times as large as the instructions they stand for. */
#define MV_OP_SCALE 4
_Static_assert(sizeof(struct mv_op) == 4 * MV_OP_SCALE, "an op is 16 bytes");

/*
 * The list of opcodes: OP(name) for each handler mv_op_NAME.  The first is
 * what a zeroed slot runs, the second what follows the last slot of a page;
 * single_end follows an instruction that is run alone (debug.h).
 */
#define MV_OPCODES(OP) OP(decode) OP(page_end) OP(undef) OP(single_end) MV_OPCODES_ALL(OP)

#define MV_OPCODES_ALL(OP)                                                                         \
    MV_OPCODES_INTEGER(OP) MV_OPCODES_BRANCH(OP) MV_OPCODES_SYSTEM(OP) MV_OPCODES_MEMORY(OP)       \
    MV_OPCODES_ATOMIC(OP) MV_OPCODES_FP(OP) MV_OPCODES_VECTOR(OP)

#include "ops-branch.h"
#include "ops-fp.h"
#include "ops-integer.h"
#include "ops-memory.h"
#include "ops-system.h"
#include "ops-vector.h"

typedef const struct mv_op *mv_op_fn(struct mv_cpu *cpu, const struct mv_op *op);

enum mv_opcode {
#define OP(name) MV_OPCODE_##name,
    MV_OPCODES(OP)
#undef OP
        MV_OPCODE_COUNT
};

#define OP(name) mv_op_fn mv_op_##name;
MV_OPCODES(OP)
#undef OP

extern mv_op_fn *const mv_op_handlers[MV_OPCODE_COUNT];
extern const char *const mv_op_names[MV_OPCODE_COUNT];

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__OPTIMIZE__)
#define MV_DISPATCH(next) return (next)
#else
#define MV_DISPATCH(next) return mv_op_handlers[(next)->code](cpu, (next))
#endif

/* Go on with the following instruction. */
#define MV_NEXT MV_DISPATCH(op + 1)

/* A handler's head. */
#define MV_OP(name) const struct mv_op *mv_op_##name(struct mv_cpu *cpu, const struct mv_op *op)

#define MV_LIKELY(condition) __builtin_expect(!!(condition), 1)
#define MV_UNLIKELY(condition) __builtin_expect(!!(condition), 0)

#endif
