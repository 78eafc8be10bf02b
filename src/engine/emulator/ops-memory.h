/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opcodes of loads, stores and atomics.  The addressing mode is a suffix: imm
 * (base + immediate), post, pre (with writeback), reg (base + register <<
 * immediate), ext (base + extended register).
 */
#ifndef MV_EMULATOR_OPS_MEMORY_H
#define MV_EMULATOR_OPS_MEMORY_H

#define MV_OP_MODES(OP, name)                                                                      \
    OP(name##_imm) OP(name##_post) OP(name##_pre) OP(name##_reg) OP(name##_ext)
#define MV_OP_PAIR_MODES(OP, name) OP(name##_imm) OP(name##_post) OP(name##_pre)

#define MV_OPCODES_MEMORY(OP)                                                                      \
    MV_OP_MODES(OP, ldr8) MV_OP_MODES(OP, ldr16) MV_OP_MODES(OP, ldr32) MV_OP_MODES(OP, ldr64)     \
    MV_OP_MODES(OP, ldrs8_x) MV_OP_MODES(OP, ldrs16_x) MV_OP_MODES(OP, ldrs32_x)                   \
    MV_OP_MODES(OP, ldrs8_w) MV_OP_MODES(OP, ldrs16_w)                                             \
    MV_OP_MODES(OP, str8) MV_OP_MODES(OP, str16) MV_OP_MODES(OP, str32) MV_OP_MODES(OP, str64)     \
    MV_OP_MODES(OP, ldr_v8) MV_OP_MODES(OP, ldr_v16) MV_OP_MODES(OP, ldr_v32)                      \
    MV_OP_MODES(OP, ldr_v64) MV_OP_MODES(OP, ldr_v128)                                             \
    MV_OP_MODES(OP, str_v8) MV_OP_MODES(OP, str_v16) MV_OP_MODES(OP, str_v32)                      \
    MV_OP_MODES(OP, str_v64) MV_OP_MODES(OP, str_v128)                                             \
    MV_OP_PAIR_MODES(OP, ldp32) MV_OP_PAIR_MODES(OP, ldp64) MV_OP_PAIR_MODES(OP, ldps32)           \
    MV_OP_PAIR_MODES(OP, stp32) MV_OP_PAIR_MODES(OP, stp64)                                        \
    MV_OP_PAIR_MODES(OP, ldp_v32) MV_OP_PAIR_MODES(OP, ldp_v64) MV_OP_PAIR_MODES(OP, ldp_v128)     \
    MV_OP_PAIR_MODES(OP, stp_v32) MV_OP_PAIR_MODES(OP, stp_v64) MV_OP_PAIR_MODES(OP, stp_v128)     \
    OP(ldr32_lit) OP(ldr64_lit) OP(ldrs32_lit) OP(ldr_v32_lit) OP(ldr_v64_lit) OP(ldr_v128_lit)    \
    OP(ldtr) OP(sttr)

#define MV_OP_SIZES(OP, name) OP(name##8) OP(name##16) OP(name##32) OP(name##64)

#define MV_OPCODES_ATOMIC(OP)                                                                      \
    MV_OP_SIZES(OP, ldar) MV_OP_SIZES(OP, stlr) MV_OP_SIZES(OP, ldxr) MV_OP_SIZES(OP, stxr)        \
    OP(ldxp32) OP(ldxp64) OP(stxp32) OP(stxp64)                                                    \
    MV_OP_SIZES(OP, ldadd) MV_OP_SIZES(OP, ldclr) MV_OP_SIZES(OP, ldeor) MV_OP_SIZES(OP, ldset)    \
    MV_OP_SIZES(OP, ldsmax) MV_OP_SIZES(OP, ldsmin) MV_OP_SIZES(OP, ldumax)                        \
    MV_OP_SIZES(OP, ldumin) MV_OP_SIZES(OP, swp) MV_OP_SIZES(OP, cas) OP(casp32) OP(casp64)

#endif
