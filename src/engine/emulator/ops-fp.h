/* SPDX-License-Identifier: Apache-2.0 */
/* Opcodes of scalar floating point; _s is single precision, _d double. */
#ifndef MV_EMULATOR_OPS_FP_H
#define MV_EMULATOR_OPS_FP_H

#define MV_OP_SD(OP, name) OP(name##_s) OP(name##_d)

#define MV_OPCODES_FP(OP)                                                                          \
    MV_OP_SD(OP, fadd) MV_OP_SD(OP, fsub) MV_OP_SD(OP, fmul) MV_OP_SD(OP, fnmul)                   \
    MV_OP_SD(OP, fdiv) MV_OP_SD(OP, fmax) MV_OP_SD(OP, fmin)                                       \
    MV_OP_SD(OP, fmaxnm) MV_OP_SD(OP, fminnm)                                                      \
    MV_OP_SD(OP, fmadd) MV_OP_SD(OP, fmsub) MV_OP_SD(OP, fnmadd) MV_OP_SD(OP, fnmsub)              \
    MV_OP_SD(OP, fabs) MV_OP_SD(OP, fneg) MV_OP_SD(OP, fsqrt)                                      \
    MV_OP_SD(OP, frint) MV_OP_SD(OP, frint_fpcr)                                                   \
    MV_OP_SD(OP, fcmp) MV_OP_SD(OP, fcmp_zero) MV_OP_SD(OP, fccmp) MV_OP_SD(OP, fcsel)             \
    OP(fcvt_h_to_s) OP(fcvt_h_to_d) OP(fcvt_s_to_h)                                                \
    OP(fcvt_s_to_d) OP(fcvt_d_to_h) OP(fcvt_d_to_s)                                                \
    MV_OP_SD(OP, fcvt_to_fixed) MV_OP_SD(OP, fcvt_from_fixed)                                      \
    MV_OP_SD(OP, fmov) OP(fmov_imm)                                                                \
    OP(fmov_w_to_s) OP(fmov_x_to_d) OP(fmov_x_to_high)                                             \
    OP(fmov_s_to_w) OP(fmov_d_to_x) OP(fmov_high_to_x)

#endif
