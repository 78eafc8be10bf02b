/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The list of what is emitted, by opcode; all else is left to the opcode's handler.  With
 * EMITTER(name) defined it makes rows (emitters.c), else declarations.
 */
#ifndef MV_JIT_EMITTERS_H
#define MV_JIT_EMITTERS_H

#include "translator.h"

#define MV_EMIT_XW(name) EMITTER(name##_x) EMITTER(name##_w)
#define MV_EMIT_SHIFTED(name) MV_EMIT_XW(name##_reg) MV_EMIT_XW(name##_lsl) MV_EMIT_XW(name##_sh)
#define MV_EMIT_SD(name) EMITTER(name##_s) EMITTER(name##_d)
#define MV_EMIT_WD(name) EMITTER(name##_32) EMITTER(name##_64)
#define MV_EMIT_SIZES(name)                                                                        \
    EMITTER(name##8) EMITTER(name##16) EMITTER(name##32) EMITTER(name##64)
#define MV_EMIT_WIDTHS(name)                                                                       \
    EMITTER(name##_8) EMITTER(name##_16) EMITTER(name##_32) EMITTER(name##_64)
#define MV_EMIT_BRANCH(name) EMITTER(name) EMITTER(name##_page)
#define MV_EMIT_PAIR(name) EMITTER(name##_imm) EMITTER(name##_post) EMITTER(name##_pre)
#define MV_EMIT_MODES(name) MV_EMIT_PAIR(name) EMITTER(name##_reg) EMITTER(name##_ext)

#define MV_EMITTERS                                                                                \
    EMITTER(adr) EMITTER(adrp) MV_EMIT_XW(add_imm) MV_EMIT_XW(adds_imm) MV_EMIT_XW(subs_imm)       \
    MV_EMIT_SHIFTED(add) MV_EMIT_SHIFTED(sub) MV_EMIT_SHIFTED(adds) MV_EMIT_SHIFTED(subs)          \
    MV_EMIT_XW(add_ext) MV_EMIT_XW(sub_ext) MV_EMIT_XW(adds_ext) MV_EMIT_XW(subs_ext)              \
    MV_EMIT_XW(adc) MV_EMIT_XW(sbc) MV_EMIT_XW(adcs) MV_EMIT_XW(sbcs)                              \
    EMITTER(and_imm) MV_EMIT_XW(orr_imm) MV_EMIT_XW(eor_imm) MV_EMIT_XW(ands_imm)                  \
    MV_EMIT_SHIFTED(and) MV_EMIT_SHIFTED(bic) MV_EMIT_SHIFTED(orr) MV_EMIT_SHIFTED(orn)            \
    MV_EMIT_SHIFTED(eor) MV_EMIT_SHIFTED(eon) MV_EMIT_SHIFTED(ands) MV_EMIT_SHIFTED(bics)          \
    EMITTER(mov_imm) MV_EMIT_XW(mov_reg) MV_EMIT_XW(movk)                                          \
    EMITTER(ubfx) EMITTER(ubfiz) MV_EMIT_XW(sbfx) MV_EMIT_XW(sbfiz)                                \
    MV_EMIT_XW(bfxil) MV_EMIT_XW(bfi) MV_EMIT_XW(extr)                                             \
    MV_EMIT_XW(csel) MV_EMIT_XW(csinc) MV_EMIT_XW(csinv) MV_EMIT_XW(csneg)                         \
    MV_EMIT_XW(ccmp_imm) MV_EMIT_XW(ccmp_reg) MV_EMIT_XW(ccmn_imm) MV_EMIT_XW(ccmn_reg)            \
    EMITTER(rev32_x) MV_EMIT_XW(rbit) MV_EMIT_XW(rev16) MV_EMIT_XW(rev) MV_EMIT_XW(clz)            \
    MV_EMIT_XW(udiv) MV_EMIT_XW(sdiv)                                                              \
    MV_EMIT_XW(lslv) MV_EMIT_XW(lsrv) MV_EMIT_XW(asrv) MV_EMIT_XW(rorv) EMITTER(crc32) EMITTER(crc32c) \
    MV_EMIT_XW(madd) MV_EMIT_XW(msub) EMITTER(smaddl) EMITTER(smsubl) EMITTER(umaddl)              \
    EMITTER(umsubl) EMITTER(smulh) EMITTER(umulh)                                                  \
    MV_EMIT_BRANCH(b) MV_EMIT_BRANCH(bl) MV_EMIT_BRANCH(b_cond) MV_EMIT_BRANCH(cbz_x)              \
    MV_EMIT_BRANCH(cbz_w) MV_EMIT_BRANCH(cbnz_x) MV_EMIT_BRANCH(cbnz_w) MV_EMIT_BRANCH(tbz)        \
    MV_EMIT_BRANCH(tbnz) EMITTER(br) EMITTER(blr)                                                  \
    EMITTER(nop) EMITTER(dmb) EMITTER(mrs) EMITTER(msr) EMITTER(msr_daifset)                       \
    MV_EMIT_MODES(ldr8) MV_EMIT_MODES(ldr16) MV_EMIT_MODES(ldr32) MV_EMIT_MODES(ldr64)             \
    MV_EMIT_MODES(ldrs8_x) MV_EMIT_MODES(ldrs16_x) MV_EMIT_MODES(ldrs32_x)                         \
    MV_EMIT_MODES(ldrs8_w) MV_EMIT_MODES(ldrs16_w)                                                 \
    MV_EMIT_MODES(str8) MV_EMIT_MODES(str16) MV_EMIT_MODES(str32) MV_EMIT_MODES(str64)             \
    MV_EMIT_MODES(ldr_v8) MV_EMIT_MODES(ldr_v16) MV_EMIT_MODES(ldr_v32) MV_EMIT_MODES(ldr_v64)     \
    MV_EMIT_MODES(ldr_v128) MV_EMIT_MODES(str_v8) MV_EMIT_MODES(str_v16) MV_EMIT_MODES(str_v32)    \
    MV_EMIT_MODES(str_v64) MV_EMIT_MODES(str_v128)                                                 \
    MV_EMIT_PAIR(ldp32) MV_EMIT_PAIR(ldp64) MV_EMIT_PAIR(ldps32) MV_EMIT_PAIR(stp32)               \
    MV_EMIT_PAIR(stp64) MV_EMIT_PAIR(ldp_v32) MV_EMIT_PAIR(ldp_v64) MV_EMIT_PAIR(ldp_v128)         \
    MV_EMIT_PAIR(stp_v32) MV_EMIT_PAIR(stp_v64) MV_EMIT_PAIR(stp_v128)                             \
    EMITTER(ldr32_lit) EMITTER(ldr64_lit) EMITTER(ldrs32_lit) EMITTER(ldtr) EMITTER(sttr)          \
    MV_EMIT_SIZES(ldar) MV_EMIT_SIZES(stlr) MV_EMIT_SIZES(ldxr) MV_EMIT_SIZES(stxr)                \
    MV_EMIT_SIZES(ldadd) MV_EMIT_SIZES(ldclr) MV_EMIT_SIZES(ldeor) MV_EMIT_SIZES(ldset)            \
    MV_EMIT_SIZES(swp) MV_EMIT_SIZES(cas)                                                          \
    MV_EMIT_SD(fadd) MV_EMIT_SD(fsub) MV_EMIT_SD(fmul) MV_EMIT_SD(fdiv) MV_EMIT_SD(fsqrt)          \
    MV_EMIT_SD(fmadd) MV_EMIT_SD(fmsub) MV_EMIT_SD(fnmadd) MV_EMIT_SD(fnmsub)                      \
    MV_EMIT_SD(fmov) MV_EMIT_SD(fabs) MV_EMIT_SD(fneg) MV_EMIT_SD(fcsel)                           \
    EMITTER(fmov_imm) EMITTER(fmov_w_to_s) EMITTER(fmov_x_to_d) EMITTER(fmov_s_to_w)               \
    EMITTER(fmov_d_to_x) EMITTER(fmov_high_to_x)                                                   \
    MV_EMIT_SD(fcmp) MV_EMIT_SD(fcmp_zero) EMITTER(fcvt_s_to_d) EMITTER(fcvt_d_to_s)               \
    MV_EMIT_SD(fcvt_from_fixed) MV_EMIT_SD(fcvt_to_fixed)                                          \
    MV_EMIT_WD(vfadd) MV_EMIT_WD(vfsub) MV_EMIT_WD(vfmul) MV_EMIT_WD(vfdiv)                        \
    MV_EMIT_WD(vfmla) MV_EMIT_WD(vfmls)                                                            \
    EMITTER(vand) EMITTER(vorr) EMITTER(veor) EMITTER(vbic) EMITTER(vadd_8) EMITTER(vadd_16)       \
    EMITTER(vadd_32) EMITTER(vadd_64) EMITTER(vsub_8) EMITTER(vsub_16) EMITTER(vsub_32)            \
    EMITTER(vsub_64) EMITTER(vmul_16) EMITTER(vmul_32) EMITTER(vcmeq_8) EMITTER(vcmeq_16)          \
    EMITTER(vcmeq_32) EMITTER(vcmeq_64) EMITTER(vcmgt_8) EMITTER(vcmgt_16) EMITTER(vcmgt_32)       \
    EMITTER(vcmgt_64) EMITTER(vcmge_8) EMITTER(vcmge_16) EMITTER(vcmge_32) EMITTER(vcmge_64)       \
    EMITTER(vsmax_8) EMITTER(vsmax_16) EMITTER(vsmax_32) EMITTER(vumax_8) EMITTER(vumax_16)        \
    EMITTER(vumax_32) EMITTER(vsmin_8) EMITTER(vsmin_16) EMITTER(vsmin_32) EMITTER(vumin_8)        \
    EMITTER(vumin_16) EMITTER(vumin_32) EMITTER(vcmhs_8) EMITTER(vcmhs_16) EMITTER(vcmhs_32)       \
    EMITTER(vcmhi_8) EMITTER(vcmhi_16) EMITTER(vcmhi_32) EMITTER(vcmtst_8) EMITTER(vcmtst_16)      \
    EMITTER(vcmtst_32) EMITTER(vurhadd_8) EMITTER(vurhadd_16) EMITTER(vbsl) EMITTER(vbit)          \
    EMITTER(vbif) EMITTER(vmla_16) EMITTER(vmla_32) EMITTER(vmls_16) EMITTER(vmls_32)              \
    EMITTER(vneg_8) EMITTER(vneg_16) EMITTER(vneg_32) EMITTER(vneg_64) EMITTER(vabs_8)             \
    EMITTER(vabs_16) EMITTER(vabs_32) EMITTER(vcmeq0_8) EMITTER(vcmeq0_16) EMITTER(vcmeq0_32)      \
    EMITTER(vcmeq0_64) EMITTER(vshl_16) EMITTER(vshl_32) EMITTER(vshl_64) EMITTER(vushr_16)        \
    EMITTER(vushr_32) EMITTER(vushr_64) EMITTER(vsshr_16) EMITTER(vsshr_32) EMITTER(vdup_8)        \
    EMITTER(vdup_16) EMITTER(vdup_32) EMITTER(vdup_64) EMITTER(vdup_gen_8)                         \
    EMITTER(vdup_gen_16) EMITTER(vdup_gen_32) EMITTER(vdup_gen_64) EMITTER(umov_8)                 \
    EMITTER(umov_16) EMITTER(umov_32) EMITTER(umov_64) EMITTER(smov_w_8) EMITTER(smov_w_16)        \
    EMITTER(smov_x_8) EMITTER(smov_x_16) EMITTER(smov_x_32) EMITTER(vins_8) EMITTER(vins_16)       \
    EMITTER(vins_32) EMITTER(vins_64) EMITTER(vins_gen_8) EMITTER(vins_gen_16)                     \
    EMITTER(vins_gen_32) EMITTER(vins_gen_64) EMITTER(vzip_8) EMITTER(vzip_16)                     \
    EMITTER(vzip_32) EMITTER(vzip_64) EMITTER(aese) EMITTER(aesd) EMITTER(vnot) EMITTER(vmovi)     \
    EMITTER(vext_16b) EMITTER(aesmc) EMITTER(aesimc) EMITTER(vpmull_64) EMITTER(sha1c)             \
    EMITTER(sha1p) EMITTER(sha1m) EMITTER(sha1h) EMITTER(sha1su0) EMITTER(sha1su1)                 \
    EMITTER(sha256h) EMITTER(sha256h2) EMITTER(sha256su0) EMITTER(sha256su1)                       \
    EMITTER(vaddp_8) EMITTER(vumaxp_8) EMITTER(vuminp_8) EMITTER(vshrn_8)                          \
    MV_EMIT_WIDTHS(vld1) MV_EMIT_WIDTHS(vst1) MV_EMIT_WIDTHS(vld_dup)

#define EMITTER(name) mv_emit_fn mv_emit_##name;
MV_EMITTERS
#undef EMITTER

/* An MSR that zeroes 64 bytes (op-memory.c). */
mv_emit_fn mv_emit_dc_zva;

#endif
