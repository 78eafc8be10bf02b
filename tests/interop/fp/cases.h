/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The instructions that the floating-point peers execute, one row each:
 *
 *     ROW(id, text, kind, library)
 *
 * `text` is what the arm64 assembler takes; results go to v0, x0 and NZCV,
 * operands are in v0-v3 and x1.  `kind` is the format of the numbers in v1-v3:
 * H, S or D.  `library` is the same done by calls of fp.h, or NOT_IN_LIBRARY.
 */
#ifndef FP_CASES_H
#define FP_CASES_H

#define ROWS_1(ROW, id, function)                                                                  \
    ROW(id##_s, #id " s0, s1", S, PUT32(mv_fp32_##function(A32, env)))                             \
    ROW(id##_d, #id " d0, d1", D, PUT64(mv_fp64_##function(A64, env)))

#define ROWS_2(ROW, id, function)                                                                  \
    ROW(id##_s, #id " s0, s1, s2", S, PUT32(mv_fp32_##function(A32, B32, env)))                    \
    ROW(id##_d, #id " d0, d1, d2", D, PUT64(mv_fp64_##function(A64, B64, env)))

#define ROWS_NMUL(ROW)                                                                             \
    ROW(fnmul_s, "fnmul s0, s1, s2", S, PUT32(mv_fp32_neg(mv_fp32_mul(A32, B32, env))))            \
    ROW(fnmul_d, "fnmul d0, d1, d2", D, PUT64(mv_fp64_neg(mv_fp64_mul(A64, B64, env))))

#define SAME(a) (a)
#define ROWS_3(ROW, id, addend32, a32, addend64, a64)                                              \
    ROW(id##_s, #id " s0, s1, s2, s3", S,                                                          \
        PUT32(mv_fp32_muladd(addend32(C32), a32(A32), B32, env)))                                  \
    ROW(id##_d, #id " d0, d1, d2, d3", D, PUT64(mv_fp64_muladd(addend64(C64), a64(A64), B64, env)))

#define ROWS_RINT(ROW, id, rounding, exact)                                                        \
    ROW(id##_s, #id " s0, s1", S, PUT32(mv_fp32_rint(A32, rounding, exact, env)))                  \
    ROW(id##_d, #id " d0, d1", D, PUT64(mv_fp64_rint(A64, rounding, exact, env)))

#define ROWS_CMP(ROW, id, signal)                                                                  \
    ROW(id##_s, #id " s1, s2", S, FLAGS(mv_fp32_cmp(A32, B32, signal, env)))                       \
    ROW(id##_d, #id " d1, d2", D, FLAGS(mv_fp64_cmp(A64, B64, signal, env)))                       \
    ROW(id##_zero_s, #id " s1, #0.0", S, FLAGS(mv_fp32_cmp(A32, 0, signal, env)))                  \
    ROW(id##_zero_d, #id " d1, #0.0", D, FLAGS(mv_fp64_cmp(A64, 0, signal, env)))

#define ROWS_TO_INT(ROW, id, is_unsigned, rounding)                                                \
    ROW(id##_ws, #id " w0, s1", S, X0(mv_fp32_to_fixed(A32, 0, is_unsigned, 32, rounding, env)))   \
    ROW(id##_xs, #id " x0, s1", S, X0(mv_fp32_to_fixed(A32, 0, is_unsigned, 64, rounding, env)))   \
    ROW(id##_wd, #id " w0, d1", D, X0(mv_fp64_to_fixed(A64, 0, is_unsigned, 32, rounding, env)))   \
    ROW(id##_xd, #id " x0, d1", D, X0(mv_fp64_to_fixed(A64, 0, is_unsigned, 64, rounding, env)))

#define ROWS_TO_FIXED(ROW, id, is_unsigned, fw, fx)                                                \
    ROW(id##_ws_##fw, #id " w0, s1, #" #fw, S,                                                     \
        X0(mv_fp32_to_fixed(A32, fw, is_unsigned, 32, MV_FP_ZERO, env)))                           \
    ROW(id##_xs_##fx, #id " x0, s1, #" #fx, S,                                                     \
        X0(mv_fp32_to_fixed(A32, fx, is_unsigned, 64, MV_FP_ZERO, env)))                           \
    ROW(id##_wd_##fw, #id " w0, d1, #" #fw, D,                                                     \
        X0(mv_fp64_to_fixed(A64, fw, is_unsigned, 32, MV_FP_ZERO, env)))                           \
    ROW(id##_xd_##fx, #id " x0, d1, #" #fx, D,                                                     \
        X0(mv_fp64_to_fixed(A64, fx, is_unsigned, 64, MV_FP_ZERO, env)))

/* The integer is in w1 or x1. */
#define ROWS_FROM_FIXED(ROW, id, is_unsigned, W, fw, fx, wtext, xtext)                             \
    ROW(id##_sw_##fw, #id " s0, w1" wtext, S, PUT32(mv_fp32_from_fixed(W, fw, is_unsigned, env)))  \
    ROW(id##_sx_##fx, #id " s0, x1" xtext, S, PUT32(mv_fp32_from_fixed(X1, fx, is_unsigned, env))) \
    ROW(id##_dw_##fw, #id " d0, w1" wtext, S, PUT64(mv_fp64_from_fixed(W, fw, is_unsigned, env)))  \
    ROW(id##_dx_##fx, #id " d0, x1" xtext, S, PUT64(mv_fp64_from_fixed(X1, fx, is_unsigned, env)))

#define ROWS_FORMATS(ROW)                                                                          \
    ROW(fcvt_sh, "fcvt s0, h1", H, PUT32(mv_fp16_to_fp32(A16, env)))                               \
    ROW(fcvt_dh, "fcvt d0, h1", H, PUT64(mv_fp16_to_fp64(A16, env)))                               \
    ROW(fcvt_hs, "fcvt h0, s1", S, PUT32(mv_fp32_to_fp16(A32, env)))                               \
    ROW(fcvt_hd, "fcvt h0, d1", D, PUT32(mv_fp64_to_fp16(A64, env)))                               \
    ROW(fcvt_ds, "fcvt d0, s1", S, PUT64(mv_fp32_to_fp64(A32, env)))                               \
    ROW(fcvt_sd, "fcvt s0, d1", D, PUT32(mv_fp64_to_fp32(A64, mv_fp_rounding(env), env)))

/* Scalar floating point proper (Arm ARM C4.1.96, "Data processing -- scalar …"). */
#define SCALAR_ROWS(ROW)                                                                           \
    ROWS_2(ROW, fadd, add)                                                                         \
    ROWS_2(ROW, fsub, sub)                                                                         \
    ROWS_2(ROW, fmul, mul)                                                                         \
    ROWS_2(ROW, fdiv, div)                                                                         \
    ROWS_2(ROW, fmax, max)                                                                         \
    ROWS_2(ROW, fmin, min)                                                                         \
    ROWS_2(ROW, fmaxnm, maxnm)                                                                     \
    ROWS_2(ROW, fminnm, minnm)                                                                     \
    ROWS_NMUL(ROW)                                                                                 \
    ROWS_1(ROW, fsqrt, sqrt)                                                                       \
    ROWS_3(ROW, fmadd, SAME, SAME, SAME, SAME)                                                     \
    ROWS_3(ROW, fmsub, SAME, mv_fp32_neg, SAME, mv_fp64_neg)                                       \
    ROWS_3(ROW, fnmadd, mv_fp32_neg, mv_fp32_neg, mv_fp64_neg, mv_fp64_neg)                        \
    ROWS_3(ROW, fnmsub, mv_fp32_neg, SAME, mv_fp64_neg, SAME)                                      \
    ROWS_RINT(ROW, frintn, MV_FP_TIEEVEN, false)                                                   \
    ROWS_RINT(ROW, frintp, MV_FP_POSINF, false)                                                    \
    ROWS_RINT(ROW, frintm, MV_FP_NEGINF, false)                                                    \
    ROWS_RINT(ROW, frintz, MV_FP_ZERO, false)                                                      \
    ROWS_RINT(ROW, frinta, MV_FP_TIEAWAY, false)                                                   \
    ROWS_RINT(ROW, frinti, mv_fp_rounding(env), false)                                             \
    ROWS_RINT(ROW, frintx, mv_fp_rounding(env), true)                                              \
    ROWS_CMP(ROW, fcmp, false)                                                                     \
    ROWS_CMP(ROW, fcmpe, true)                                                                     \
    ROWS_FORMATS(ROW)                                                                              \
    ROWS_TO_INT(ROW, fcvtns, false, MV_FP_TIEEVEN)                                                 \
    ROWS_TO_INT(ROW, fcvtnu, true, MV_FP_TIEEVEN)                                                  \
    ROWS_TO_INT(ROW, fcvtps, false, MV_FP_POSINF)                                                  \
    ROWS_TO_INT(ROW, fcvtpu, true, MV_FP_POSINF)                                                   \
    ROWS_TO_INT(ROW, fcvtms, false, MV_FP_NEGINF)                                                  \
    ROWS_TO_INT(ROW, fcvtmu, true, MV_FP_NEGINF)                                                   \
    ROWS_TO_INT(ROW, fcvtzs, false, MV_FP_ZERO)                                                    \
    ROWS_TO_INT(ROW, fcvtzu, true, MV_FP_ZERO)                                                     \
    ROWS_TO_INT(ROW, fcvtas, false, MV_FP_TIEAWAY)                                                 \
    ROWS_TO_INT(ROW, fcvtau, true, MV_FP_TIEAWAY)                                                  \
    ROWS_TO_FIXED(ROW, fcvtzs, false, 1, 17)                                                       \
    ROWS_TO_FIXED(ROW, fcvtzs, false, 32, 64)                                                      \
    ROWS_TO_FIXED(ROW, fcvtzu, true, 9, 33)                                                        \
    ROWS_TO_FIXED(ROW, fcvtzu, true, 31, 63)                                                       \
    ROWS_FROM_FIXED(ROW, scvtf, false, W1S, 0, 0, "", "")                                          \
    ROWS_FROM_FIXED(ROW, ucvtf, true, W1, 0, 0, "", "")                                            \
    ROWS_FROM_FIXED(ROW, scvtf, false, W1S, 7, 64, ", #7", ", #64")                                \
    ROWS_FROM_FIXED(ROW, ucvtf, true, W1, 32, 40, ", #32", ", #40")

/* The same and more of them in the vector instructions' scalar forms. */
#define VECTOR_ROWS(ROW)                                                                           \
    ROWS_2(ROW, fmulx, mulx)                                                                       \
    ROWS_2(ROW, frecps, recps)                                                                     \
    ROWS_2(ROW, frsqrts, rsqrts)                                                                   \
    ROWS_1(ROW, frecpe, recpe)                                                                     \
    ROWS_1(ROW, frsqrte, rsqrte)                                                                   \
    ROWS_1(ROW, frecpx, recpx)                                                                     \
    ROW(fcvtxn, "fcvtxn s0, d1", D, PUT32(mv_fp64_to_fp32(A64, MV_FP_ODD, env)))                   \
    ROW(urecpe, "urecpe v0.2s, v1.2s", S,                                                          \
        PUT64(mv_fp_urecpe(A32) | (uint64_t)mv_fp_urecpe((uint32_t)(A64 >> 32)) << 32))            \
    ROW(ursqrte, "ursqrte v0.2s, v1.2s", S,                                                        \
        PUT64(mv_fp_ursqrte(A32) | (uint64_t)mv_fp_ursqrte((uint32_t)(A64 >> 32)) << 32))

/* What moves, selects and changes signs. */
#define MOVE_ROWS(ROW)                                                                             \
    ROW(fabs_s, "fabs s0, s1", S, PUT32(mv_fp32_abs(A32)))                                         \
    ROW(fabs_d, "fabs d0, d1", D, PUT64(mv_fp64_abs(A64)))                                         \
    ROW(fneg_s, "fneg s0, s1", S, PUT32(mv_fp32_neg(A32)))                                         \
    ROW(fneg_d, "fneg d0, d1", D, PUT64(mv_fp64_neg(A64)))                                         \
    ROW(fmov_s, "fmov s0, s1", S, NOT_IN_LIBRARY)                                                  \
    ROW(fmov_d, "fmov d0, d1", D, NOT_IN_LIBRARY)                                                  \
    ROW(fmov_sw, "fmov s0, w1", S, NOT_IN_LIBRARY)                                                 \
    ROW(fmov_ws, "fmov w0, s1", S, NOT_IN_LIBRARY)                                                 \
    ROW(fmov_dx, "fmov d0, x1", D, NOT_IN_LIBRARY)                                                 \
    ROW(fmov_xd, "fmov x0, d1", D, NOT_IN_LIBRARY)                                                 \
    ROW(fmov_vx, "fmov v0.d[1], x1", D, NOT_IN_LIBRARY)                                            \
    ROW(fmov_xv, "fmov x0, v1.d[1]", D, NOT_IN_LIBRARY)                                            \
    ROW(fmov_x_zero, "fmov d0, xzr", D, NOT_IN_LIBRARY)                                            \
    ROW(fmov_to_zr, "fmov xzr, d1", D, NOT_IN_LIBRARY)                                             \
    ROW(fmov_imm_s, "fmov s0, #-1.9375", S, NOT_IN_LIBRARY)                                        \
    ROW(fmov_imm_d, "fmov d0, #31.0", D, NOT_IN_LIBRARY)                                           \
    ROW(fmov_imm_small_s, "fmov s0, #0.125", S, NOT_IN_LIBRARY)                                    \
    ROW(fmov_imm_small_d, "fmov d0, #-0.2421875", D, NOT_IN_LIBRARY)                               \
    ROW(fcsel_s, "fcsel s0, s1, s2, gt", S, NOT_IN_LIBRARY)                                        \
    ROW(fcsel_d, "fcsel d0, d1, d2, vc", D, NOT_IN_LIBRARY)                                        \
    ROW(fccmp_s, "fccmp s1, s2, #5, lo", S, NOT_IN_LIBRARY)                                        \
    ROW(fccmp_d, "fccmp d1, d2, #10, ge", D, NOT_IN_LIBRARY)                                       \
    ROW(fccmpe_s, "fccmpe s1, s2, #12, ne", S, NOT_IN_LIBRARY)                                     \
    ROW(fccmpe_d, "fccmpe d1, d2, #3, mi", D, NOT_IN_LIBRARY)                                      \
    ROW(fcvtzs_to_zr, "fcvtzs xzr, d1", D, NOT_IN_LIBRARY)                                         \
    ROW(scvtf_from_zr, "scvtf d0, wzr", D, NOT_IN_LIBRARY)

#define ALL_ROWS(ROW) SCALAR_ROWS(ROW) VECTOR_ROWS(ROW) MOVE_ROWS(ROW)

enum case_id {
#define ROW(id, text, kind, library) CASE_##id,
    ALL_ROWS(ROW)
#undef ROW
        CASE_COUNT
};

#endif
