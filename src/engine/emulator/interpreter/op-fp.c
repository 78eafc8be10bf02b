/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handlers of scalar floating point (Arm ARM C7.2).  A result of 16, 32 or 64
 * bits zeroes the rest of its register.  The arithmetic itself is fp.h's.
 */
#include "alu.h"
#include "fp.h"
#include "vector.h"

#define ENV (&cpu->fp)

#define XN           cpu->x[op->rn]
#define XD           cpu->x[op->rd]
#define N            (*(const element *)MV_VN)
#define M            (*(const element *)MV_VM)
#define A            (*(const element *)&cpu->v[op->ra])
#define FP(function) MV_FP_OF(element, function)

static inline void set_scalar(struct mv_cpu *cpu, const struct mv_op *op, uint64_t value)
{
    cpu->v[op->rd].d[0] = value;
    cpu->v[op->rd].d[1] = 0;
}

/* A handler of one statement, behind the check that all of them have. */
#define ONE(name, type, statement)                                                                 \
    MV_OP(name)                                                                                    \
    {                                                                                              \
        MV_CHECK_FP;                                                                               \
        typedef __attribute__((unused)) type element;                                              \
        statement;                                                                                 \
        MV_NEXT;                                                                                   \
    }
#define SCALAR(name, type, value) ONE(name, type, set_scalar(cpu, op, (value)))
/* For single and for double precision. */
#define EACH(name, statement) ONE(name##_s, uint32_t, statement) ONE(name##_d, uint64_t, statement)
#define BOTH(name, value)     EACH(name, set_scalar(cpu, op, (value)))

BOTH(fadd, FP(add)(N, M, ENV))
BOTH(fsub, FP(sub)(N, M, ENV))
BOTH(fmul, FP(mul)(N, M, ENV))
BOTH(fdiv, FP(div)(N, M, ENV))
BOTH(fmax, FP(max)(N, M, ENV))
BOTH(fmin, FP(min)(N, M, ENV))
BOTH(fmaxnm, FP(maxnm)(N, M, ENV))
BOTH(fminnm, FP(minnm)(N, M, ENV))
/* The product's sign is turned whatever it is, a NaN's too. */
BOTH(fnmul, FP(neg)(FP(mul)(N, M, ENV)))

/* Operands are negated before anything else, so a NaN among them is as well. */
BOTH(fmadd, FP(muladd)(A, N, M, ENV))
BOTH(fmsub, FP(muladd)(A, FP(neg)(N), M, ENV))
BOTH(fnmadd, FP(muladd)(FP(neg)(A), FP(neg)(N), M, ENV))
BOTH(fnmsub, FP(muladd)(FP(neg)(A), N, M, ENV))

BOTH(fabs, FP(abs)(N))
BOTH(fneg, FP(neg)(N))
BOTH(fsqrt, FP(sqrt)(N, ENV))

/* aux: the rounding, or whether an inexact result is noted. */
#define ROUNDING ((enum mv_fp_rounding)op->aux)
BOTH(frint, FP(rint)(N, ROUNDING, false, ENV))
BOTH(frint_fpcr, FP(rint)(N, mv_fp_rounding(ENV), op->aux, ENV))

/* imm: whether a quiet NaN is an invalid operation; fccmp: ra, and imm the flags. */
#define COND mv_cond_holds(cpu, op->aux)
EACH(fcmp, cpu->nzcv = FP(cmp)(N, M, op->imm, ENV) << 28)
EACH(fcmp_zero, cpu->nzcv = FP(cmp)(N, 0, op->imm, ENV) << 28)
EACH(fccmp, cpu->nzcv = (COND ? FP(cmp)(N, M, op->ra, ENV) : (unsigned)op->imm) << 28)
BOTH(fcsel, COND ? N : M)

SCALAR(fcvt_h_to_s, uint16_t, mv_fp16_to_fp32(N, ENV))
SCALAR(fcvt_h_to_d, uint16_t, mv_fp16_to_fp64(N, ENV))
SCALAR(fcvt_s_to_h, uint32_t, mv_fp32_to_fp16(N, ENV))
SCALAR(fcvt_s_to_d, uint32_t, mv_fp32_to_fp64(N, ENV))
SCALAR(fcvt_d_to_h, uint64_t, mv_fp64_to_fp16(N, ENV))
SCALAR(fcvt_d_to_s, uint64_t, mv_fp64_to_fp32(N, mv_fp_rounding(ENV), ENV))

/* imm: fraction bits; ra: the integer's size; rm: whether it is unsigned. */
static inline uint64_t integer_operand(const struct mv_cpu *cpu, const struct mv_op *op)
{
    if (op->ra == 64)
        return XN;
    return op->rm ? (uint32_t)XN : (uint64_t)(int32_t)XN;
}
EACH(fcvt_to_fixed, XD = FP(to_fixed)(N, (unsigned)op->imm, op->rm, op->ra, ROUNDING, ENV))
BOTH(fcvt_from_fixed, FP(from_fixed)(integer_operand(cpu, op), (unsigned)op->imm, op->rm, ENV))

BOTH(fmov, N)
SCALAR(fmov_imm, void, op->imm)
SCALAR(fmov_w_to_s, void, (uint32_t)XN)
SCALAR(fmov_x_to_d, void, XN)
ONE(fmov_x_to_high, void, cpu->v[op->rd].d[1] = XN)
ONE(fmov_s_to_w, uint32_t, XD = N)
ONE(fmov_d_to_x, uint64_t, XD = N)
ONE(fmov_high_to_x, void, XD = cpu->v[op->rn].d[1])
