/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handlers of scalar floating point (Arm ARM C7.2).  A result of 16, 32 or 64
 * bits zeroes the rest of its register.  The arithmetic itself is fp.h's.
 */
#include "alu.h"
#include "fp.h"
#include "vector.h"

#define ENV (&cpu->fp)

#define XN cpu->x[op->rn]
#define XD cpu->x[op->rd]
#define HN cpu->v[op->rn].h[0]
#define SN cpu->v[op->rn].s[0]
#define SM cpu->v[op->rm].s[0]
#define SA cpu->v[op->ra].s[0]
#define DN cpu->v[op->rn].d[0]
#define DM cpu->v[op->rm].d[0]
#define DA cpu->v[op->ra].d[0]

static inline void set_scalar(struct mv_cpu *cpu, const struct mv_op *op, uint64_t value)
{
    cpu->v[op->rd].d[0] = value;
    cpu->v[op->rd].d[1] = 0;
}

/* A handler of one statement, behind the check that all of them have. */
#define ONE(name, statement)                                                                       \
    MV_OP(name)                                                                                    \
    {                                                                                              \
        MV_CHECK_FP;                                                                               \
        statement;                                                                                 \
        MV_NEXT;                                                                                   \
    }
#define SCALAR(name, value) ONE(name, set_scalar(cpu, op, (value)))
#define BOTH(name, value_s, value_d) SCALAR(name##_s, value_s) SCALAR(name##_d, value_d)

#define TWO_OPERANDS(name, function)                                                               \
    BOTH(name, mv_fp32_##function(SN, SM, ENV), mv_fp64_##function(DN, DM, ENV))
TWO_OPERANDS(fadd, add)
TWO_OPERANDS(fsub, sub)
TWO_OPERANDS(fmul, mul)
TWO_OPERANDS(fdiv, div)
TWO_OPERANDS(fmax, max)
TWO_OPERANDS(fmin, min)
TWO_OPERANDS(fmaxnm, maxnm)
TWO_OPERANDS(fminnm, minnm)
/* The product's sign is turned whatever it is, a NaN's too. */
BOTH(fnmul, mv_fp32_neg(mv_fp32_mul(SN, SM, ENV)), mv_fp64_neg(mv_fp64_mul(DN, DM, ENV)))

/* Operands are negated before anything else, so a NaN among them is as well. */
BOTH(fmadd, mv_fp32_muladd(SA, SN, SM, ENV), mv_fp64_muladd(DA, DN, DM, ENV))
BOTH(fmsub, mv_fp32_muladd(SA, mv_fp32_neg(SN), SM, ENV),
     mv_fp64_muladd(DA, mv_fp64_neg(DN), DM, ENV))
BOTH(fnmadd, mv_fp32_muladd(mv_fp32_neg(SA), mv_fp32_neg(SN), SM, ENV),
     mv_fp64_muladd(mv_fp64_neg(DA), mv_fp64_neg(DN), DM, ENV))
BOTH(fnmsub, mv_fp32_muladd(mv_fp32_neg(SA), SN, SM, ENV),
     mv_fp64_muladd(mv_fp64_neg(DA), DN, DM, ENV))

BOTH(fabs, mv_fp32_abs(SN), mv_fp64_abs(DN))
BOTH(fneg, mv_fp32_neg(SN), mv_fp64_neg(DN))
BOTH(fsqrt, mv_fp32_sqrt(SN, ENV), mv_fp64_sqrt(DN, ENV))

/* aux: the rounding, or whether an inexact result is noted. */
#define ROUNDING ((enum mv_fp_rounding)op->aux)
BOTH(frint, mv_fp32_rint(SN, ROUNDING, false, ENV), mv_fp64_rint(DN, ROUNDING, false, ENV))
BOTH(frint_fpcr, mv_fp32_rint(SN, mv_fp_rounding(ENV), op->aux, ENV),
     mv_fp64_rint(DN, mv_fp_rounding(ENV), op->aux, ENV))

/* imm: whether a quiet NaN is an invalid operation; fccmp: ra, and imm the flags. */
ONE(fcmp_s, cpu->nzcv = mv_fp32_cmp(SN, SM, op->imm, ENV) << 28)
ONE(fcmp_d, cpu->nzcv = mv_fp64_cmp(DN, DM, op->imm, ENV) << 28)
ONE(fcmp_zero_s, cpu->nzcv = mv_fp32_cmp(SN, 0, op->imm, ENV) << 28)
ONE(fcmp_zero_d, cpu->nzcv = mv_fp64_cmp(DN, 0, op->imm, ENV) << 28)

#define COND mv_cond_holds(cpu, op->aux)
ONE(fccmp_s, cpu->nzcv = (COND ? mv_fp32_cmp(SN, SM, op->ra, ENV) : (unsigned)op->imm) << 28)
ONE(fccmp_d, cpu->nzcv = (COND ? mv_fp64_cmp(DN, DM, op->ra, ENV) : (unsigned)op->imm) << 28)
BOTH(fcsel, COND ? SN : SM, COND ? DN : DM)

SCALAR(fcvt_h_to_s, mv_fp16_to_fp32(HN, ENV))
SCALAR(fcvt_h_to_d, mv_fp16_to_fp64(HN, ENV))
SCALAR(fcvt_s_to_h, mv_fp32_to_fp16(SN, ENV))
SCALAR(fcvt_s_to_d, mv_fp32_to_fp64(SN, ENV))
SCALAR(fcvt_d_to_h, mv_fp64_to_fp16(DN, ENV))
SCALAR(fcvt_d_to_s, mv_fp64_to_fp32(DN, mv_fp_rounding(ENV), ENV))

/* imm: fraction bits; ra: the integer's size; rm: whether it is unsigned. */
ONE(fcvt_to_fixed_s, XD = mv_fp32_to_fixed(SN, (unsigned)op->imm, op->rm, op->ra, ROUNDING, ENV))
ONE(fcvt_to_fixed_d, XD = mv_fp64_to_fixed(DN, (unsigned)op->imm, op->rm, op->ra, ROUNDING, ENV))

static inline uint64_t integer_operand(const struct mv_cpu *cpu, const struct mv_op *op)
{
    if (op->ra == 64)
        return XN;
    return op->rm ? (uint32_t)XN : (uint64_t)(int32_t)XN;
}
BOTH(fcvt_from_fixed,
     mv_fp32_from_fixed(integer_operand(cpu, op), (unsigned)op->imm, op->rm, ENV),
     mv_fp64_from_fixed(integer_operand(cpu, op), (unsigned)op->imm, op->rm, ENV))

BOTH(fmov, SN, DN)
SCALAR(fmov_imm, op->imm)
SCALAR(fmov_w_to_s, (uint32_t)XN)
SCALAR(fmov_x_to_d, XN)
ONE(fmov_x_to_high, cpu->v[op->rd].d[1] = XN)
ONE(fmov_s_to_w, XD = SN)
ONE(fmov_d_to_x, XD = DN)
ONE(fmov_high_to_x, XD = cpu->v[op->rn].d[1])
