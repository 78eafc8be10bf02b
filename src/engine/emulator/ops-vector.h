/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opcodes of AdvSIMD and cryptography.  The suffix is the element's width in bits, of the
 * narrower one where widths differ; opcodes of one name follow each other by
 * width, so decode adds the size.  Names that begin with v work on vectors (and
 * serve the scalar form where there is one).
 */
#ifndef MV_EMULATOR_OPS_VECTOR_H
#define MV_EMULATOR_OPS_VECTOR_H

#define MV_OP_HS(OP, name) OP(name##_16) OP(name##_32)
#define MV_OP_WD(OP, name) OP(name##_32) OP(name##_64)
#define MV_OP_BHS(OP, name) OP(name##_8) MV_OP_HS(OP, name)
#define MV_OP_BHSD(OP, name) MV_OP_BHS(OP, name) OP(name##_64)

#define MV_OPCODES_VECTOR_SAME(OP)                                                                 \
    OP(vand) OP(vbic) OP(vorr) OP(vorn) OP(veor) OP(vbsl) OP(vbit) OP(vbif) MV_OP_BHSD(OP, vadd)   \
    MV_OP_BHSD(OP, vsub) MV_OP_BHS(OP, vmul) MV_OP_BHS(OP, vmla) MV_OP_BHS(OP, vmls)               \
    MV_OP_BHSD(OP, vcmgt) MV_OP_BHSD(OP, vcmge) MV_OP_BHSD(OP, vcmhi) MV_OP_BHSD(OP, vcmhs)        \
    MV_OP_BHSD(OP, vcmeq) MV_OP_BHSD(OP, vcmtst) MV_OP_BHS(OP, vsmax) MV_OP_BHS(OP, vsmin)         \
    MV_OP_BHS(OP, vumax) MV_OP_BHS(OP, vumin) MV_OP_BHS(OP, vsabd) MV_OP_BHS(OP, vuabd)            \
    MV_OP_BHS(OP, vsaba) MV_OP_BHS(OP, vuaba) MV_OP_BHS(OP, vshadd) MV_OP_BHS(OP, vuhadd)          \
    MV_OP_BHS(OP, vsrhadd) MV_OP_BHS(OP, vurhadd) MV_OP_BHS(OP, vshsub) MV_OP_BHS(OP, vuhsub)      \
    OP(vpmul_8) MV_OP_BHSD(OP, vaddp) OP(addp_scalar) MV_OP_BHS(OP, vsmaxp)                        \
    MV_OP_BHS(OP, vsminp) MV_OP_BHS(OP, vumaxp) MV_OP_BHS(OP, vuminp)

#define MV_OPCODES_VECTOR_SATURATE(OP)                                                             \
    MV_OP_BHSD(OP, vsqadd) MV_OP_BHSD(OP, vuqadd) MV_OP_BHSD(OP, vsqsub) MV_OP_BHSD(OP, vuqsub)    \
    MV_OP_BHSD(OP, vsuqadd) MV_OP_BHSD(OP, vusqadd) MV_OP_BHSD(OP, vsqabs)                         \
    MV_OP_BHSD(OP, vsqneg) MV_OP_HS(OP, vsqdmulh) MV_OP_HS(OP, vsqrdmulh)                          \
    MV_OP_BHSD(OP, vsshl) MV_OP_BHSD(OP, vushl) MV_OP_BHSD(OP, vsrshl) MV_OP_BHSD(OP, vurshl)      \
    MV_OP_BHSD(OP, vsqshl) MV_OP_BHSD(OP, vuqshl) MV_OP_BHSD(OP, vsqrshl)                          \
    MV_OP_BHSD(OP, vuqrshl) MV_OP_BHSD(OP, vsqshl_imm) MV_OP_BHSD(OP, vuqshl_imm)                  \
    MV_OP_BHSD(OP, vsqshlu_imm)

#define MV_OPCODES_VECTOR_LONG(OP)                                                                 \
    MV_OP_BHS(OP, vsaddl) MV_OP_BHS(OP, vuaddl) MV_OP_BHS(OP, vsaddw) MV_OP_BHS(OP, vuaddw)        \
    MV_OP_BHS(OP, vssubl) MV_OP_BHS(OP, vusubl) MV_OP_BHS(OP, vssubw) MV_OP_BHS(OP, vusubw)        \
    MV_OP_BHS(OP, vsabdl) MV_OP_BHS(OP, vuabdl) MV_OP_BHS(OP, vsabal) MV_OP_BHS(OP, vuabal)        \
    MV_OP_BHS(OP, vsmull) MV_OP_BHS(OP, vumull) MV_OP_BHS(OP, vsmlal) MV_OP_BHS(OP, vumlal)        \
    MV_OP_BHS(OP, vsmlsl) MV_OP_BHS(OP, vumlsl) MV_OP_HS(OP, vsmull_el) MV_OP_HS(OP, vumull_el)    \
    MV_OP_HS(OP, vsmlal_el) MV_OP_HS(OP, vumlal_el) MV_OP_HS(OP, vsmlsl_el)                        \
    MV_OP_HS(OP, vumlsl_el) MV_OP_HS(OP, vsqdmull) MV_OP_HS(OP, vsqdmlal) MV_OP_HS(OP, vsqdmlsl)   \
    MV_OP_HS(OP, vsqdmull_el) MV_OP_HS(OP, vsqdmlal_el) MV_OP_HS(OP, vsqdmlsl_el) OP(vpmull_8)     \
    MV_OP_BHS(OP, vaddhn) MV_OP_BHS(OP, vsubhn) MV_OP_BHS(OP, vraddhn) MV_OP_BHS(OP, vrsubhn)      \
    MV_OP_HS(OP, vmul_el) MV_OP_HS(OP, vmla_el) MV_OP_HS(OP, vmls_el) MV_OP_HS(OP, vsqdmulh_el)    \
    MV_OP_HS(OP, vsqrdmulh_el)

#define MV_OPCODES_VECTOR_UNARY(OP)                                                                \
    MV_OP_BHSD(OP, vcmgt0) MV_OP_BHSD(OP, vcmge0) MV_OP_BHSD(OP, vcmeq0) MV_OP_BHSD(OP, vcmle0)    \
    MV_OP_BHSD(OP, vcmlt0) MV_OP_BHSD(OP, vneg) MV_OP_BHSD(OP, vabs) OP(vnot) OP(vcnt) OP(vrbit)   \
    MV_OP_BHS(OP, vclz) MV_OP_BHS(OP, vcls) MV_OP_BHS(OP, vrev64) OP(vrev32_8) OP(vrev32_16)       \
    OP(vrev16_8) MV_OP_BHS(OP, vsaddlp) MV_OP_BHS(OP, vuaddlp) MV_OP_BHS(OP, vsadalp)              \
    MV_OP_BHS(OP, vuadalp) MV_OP_BHS(OP, vxtn) MV_OP_BHS(OP, vsqxtn) MV_OP_BHS(OP, vsqxtun)        \
    MV_OP_BHS(OP, vuqxtn) MV_OP_BHS(OP, vshrn) MV_OP_BHS(OP, vrshrn) MV_OP_BHS(OP, vsqshrn)        \
    MV_OP_BHS(OP, vsqrshrn) MV_OP_BHS(OP, vsqshrun) MV_OP_BHS(OP, vsqrshrun)                       \
    MV_OP_BHS(OP, vuqshrn) MV_OP_BHS(OP, vuqrshrn) MV_OP_BHS(OP, vsshll) MV_OP_BHS(OP, vushll)     \
    MV_OP_BHS(OP, vaddv) MV_OP_BHS(OP, vsmaxv) MV_OP_BHS(OP, vsminv) MV_OP_BHS(OP, vumaxv)         \
    MV_OP_BHS(OP, vuminv) MV_OP_BHS(OP, vsaddlv) MV_OP_BHS(OP, vuaddlv)

#define MV_OPCODES_VECTOR_SHIFT(OP)                                                                \
    MV_OP_BHSD(OP, vsshr) MV_OP_BHSD(OP, vushr) MV_OP_BHSD(OP, vsrshr) MV_OP_BHSD(OP, vurshr)      \
    MV_OP_BHSD(OP, vssra) MV_OP_BHSD(OP, vusra) MV_OP_BHSD(OP, vsrsra) MV_OP_BHSD(OP, vursra)      \
    MV_OP_BHSD(OP, vshl) MV_OP_BHSD(OP, vsli) MV_OP_BHSD(OP, vsri) OP(vmovi) OP(vorr_imm)          \
    OP(vbic_imm)

#define MV_OPCODES_VECTOR_MOVE(OP)                                                                 \
    MV_OP_BHSD(OP, vdup) MV_OP_BHSD(OP, vdup_gen) MV_OP_BHSD(OP, dup_scalar) MV_OP_BHSD(OP, vins)  \
    MV_OP_BHSD(OP, vins_gen) MV_OP_BHSD(OP, umov) OP(smov_w_8) OP(smov_w_16) OP(smov_x_8)          \
    OP(smov_x_16) OP(smov_x_32) MV_OP_BHSD(OP, vzip) MV_OP_BHSD(OP, vuzp) MV_OP_BHSD(OP, vtrn)     \
    OP(vext_8b) OP(vext_16b) OP(vtbl) OP(vtbx)

#define MV_OPCODES_STRUCTURE(OP)                                                                   \
    MV_OP_BHSD(OP, vld1) MV_OP_BHSD(OP, vst1) MV_OP_BHSD(OP, vld) MV_OP_BHSD(OP, vst)              \
    MV_OP_BHSD(OP, vld_lane) MV_OP_BHSD(OP, vst_lane) MV_OP_BHSD(OP, vld_dup)

#define MV_OPCODES_CRYPTO(OP)                                                                      \
    OP(aese) OP(aesd) OP(aesmc) OP(aesimc) OP(sha1c) OP(sha1p) OP(sha1m) OP(sha1h) OP(sha1su0)     \
    OP(sha1su1) OP(sha256h) OP(sha256h2) OP(sha256su0) OP(sha256su1) OP(vpmull_64)

#define MV_OPCODES_VECTOR_FP(OP)                                                                   \
    MV_OP_WD(OP, vfadd) MV_OP_WD(OP, vfsub) MV_OP_WD(OP, vfmul) MV_OP_WD(OP, vfmulx)               \
    MV_OP_WD(OP, vfdiv) MV_OP_WD(OP, vfmax) MV_OP_WD(OP, vfmin) MV_OP_WD(OP, vfmaxnm)              \
    MV_OP_WD(OP, vfminnm) MV_OP_WD(OP, vfrecps) MV_OP_WD(OP, vfrsqrts) MV_OP_WD(OP, vfabd)         \
    MV_OP_WD(OP, vfmla) MV_OP_WD(OP, vfmls) MV_OP_WD(OP, vfmul_el) MV_OP_WD(OP, vfmulx_el)         \
    MV_OP_WD(OP, vfmla_el) MV_OP_WD(OP, vfmls_el) MV_OP_WD(OP, vfcmeq) MV_OP_WD(OP, vfcmge)        \
    MV_OP_WD(OP, vfcmgt) MV_OP_WD(OP, vfacge) MV_OP_WD(OP, vfacgt) MV_OP_WD(OP, vfcmeq0)           \
    MV_OP_WD(OP, vfcmge0) MV_OP_WD(OP, vfcmgt0) MV_OP_WD(OP, vfcmle0) MV_OP_WD(OP, vfcmlt0)        \
    MV_OP_WD(OP, vfsqrt) MV_OP_WD(OP, vfrecpe) MV_OP_WD(OP, vfrsqrte) MV_OP_WD(OP, frecpx)         \
    MV_OP_WD(OP, vfabs) MV_OP_WD(OP, vfneg) MV_OP_WD(OP, vfrintn) MV_OP_WD(OP, vfrintm)            \
    MV_OP_WD(OP, vfrintp) MV_OP_WD(OP, vfrintz) MV_OP_WD(OP, vfrinta) MV_OP_WD(OP, vfrintx)        \
    MV_OP_WD(OP, vfrinti) MV_OP_WD(OP, vfcvtns) MV_OP_WD(OP, vfcvtnu) MV_OP_WD(OP, vfcvtms)        \
    MV_OP_WD(OP, vfcvtmu) MV_OP_WD(OP, vfcvtps) MV_OP_WD(OP, vfcvtpu) MV_OP_WD(OP, vfcvtzs)        \
    MV_OP_WD(OP, vfcvtzu) MV_OP_WD(OP, vfcvtas) MV_OP_WD(OP, vfcvtau) MV_OP_WD(OP, vscvtf)         \
    MV_OP_WD(OP, vucvtf) MV_OP_WD(OP, vfaddp) MV_OP_WD(OP, faddp_scalar) MV_OP_WD(OP, vfmaxp)      \
    MV_OP_WD(OP, fmaxp_scalar) MV_OP_WD(OP, vfminp) MV_OP_WD(OP, fminp_scalar)                     \
    MV_OP_WD(OP, vfmaxnmp) MV_OP_WD(OP, fmaxnmp_scalar) MV_OP_WD(OP, vfminnmp)                     \
    MV_OP_WD(OP, fminnmp_scalar) OP(vurecpe_32) OP(vursqrte_32) OP(vfcvtn_16) OP(vfcvtn_32)        \
    OP(vfcvtxn_32) OP(vfcvtl_16) OP(vfcvtl_32) OP(vfmaxv) OP(vfminv) OP(vfmaxnmv) OP(vfminnmv)

#define MV_OPCODES_VECTOR(OP)                                                                      \
    MV_OPCODES_VECTOR_SAME(OP) MV_OPCODES_VECTOR_SATURATE(OP) MV_OPCODES_VECTOR_LONG(OP)           \
    MV_OPCODES_VECTOR_UNARY(OP) MV_OPCODES_VECTOR_SHIFT(OP) MV_OPCODES_VECTOR_MOVE(OP)             \
    MV_OPCODES_STRUCTURE(OP) MV_OPCODES_VECTOR_FP(OP) MV_OPCODES_CRYPTO(OP)

#endif
