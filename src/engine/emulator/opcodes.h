/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of opcodes, for op.h and op.c, which include it with OP defined:
 *
 *   OP(name, reads, writes, flags)
 *
 * The handler is mv_op_NAME; what an op reads and writes is told by the field
 * that names the register (XN is the general register rn, VD the vector
 * register rd) and by what else there is (enum mv_operand); flags are enum
 * mv_op_flags.  A write that leaves a part of the register as it was, or that
 * comes to pass under a condition only, is a read as well.
 *
 * Opcodes of one name follow each other by width: decode adds the size.  A
 * branch is followed by its variant for a target in its own page.
 */

/* What an op may be of; each makes rows of names with a suffix. */
#define XW(name, ...) OP(name##_x, __VA_ARGS__) OP(name##_w, __VA_ARGS__)
#define SD(name, ...) OP(name##_s, __VA_ARGS__) OP(name##_d, __VA_ARGS__)
#define HS(name, ...) OP(name##_16, __VA_ARGS__) OP(name##_32, __VA_ARGS__)
#define WD(name, ...) OP(name##_32, __VA_ARGS__) OP(name##_64, __VA_ARGS__)
#define BHS(name, ...) OP(name##_8, __VA_ARGS__) HS(name, __VA_ARGS__)
#define BHSD(name, ...) BHS(name, __VA_ARGS__) OP(name##_64, __VA_ARGS__)
#define SIZES(name, ...)                                                                           \
    OP(name##8, __VA_ARGS__) OP(name##16, __VA_ARGS__)                                             \
    OP(name##32, __VA_ARGS__) OP(name##64, __VA_ARGS__)

/* --- not made by decode: a zeroed slot; behind a page; no instruction; behind a lone one */
OP(decode, OTHER, OTHER, FAULTS | ENDS)
OP(page_end, 0, 0, ENDS)
OP(undef, 0, 0, FAULTS | ENDS)
OP(single_end, 0, 0, ENDS)
#ifdef MV_HAS_JIT
/* a slot that counts how often it is come to; one that is translated (jit.h) */
OP(count, OTHER, OTHER, FAULTS | ENDS) OP(native, OTHER, OTHER, FAULTS | ENDS)
#endif

/* --- integer (_x works on 64 bits, _w on 32) */
#define N_(kind, name) kind(name, XN, XD, 0)
#define NM(kind, name) kind(name, XN | XM, XD, 0)
#define NMA(kind, name) kind(name, XN | XM | XA, XD, 0)
#define N_FLAGS(kind, name) kind(name, XN, XD | FLAGS, 0)
#define NM_FLAGS(kind, name) kind(name, XN | XM, XD | FLAGS, 0)
#define NM_IF(kind, name) kind(name, XN | XM | FLAGS, XD, 0)
/* The second operand as it is, shifted left, shifted otherwise. */
#define SHIFTED(row, name) row(XW, name##_reg) row(XW, name##_lsl) row(XW, name##_sh)

OP(adr, 0, XD, 0) OP(adrp, 0, XD, 0)
N_(XW, add_imm) N_FLAGS(XW, adds_imm) N_FLAGS(XW, subs_imm)
SHIFTED(NM, add) SHIFTED(NM, sub) SHIFTED(NM_FLAGS, adds) SHIFTED(NM_FLAGS, subs)
NM(XW, add_ext) NM(XW, sub_ext) NM_FLAGS(XW, adds_ext) NM_FLAGS(XW, subs_ext)
NM_IF(XW, adc) NM_IF(XW, sbc)
XW(adcs, XN | XM | FLAGS, XD | FLAGS, 0) XW(sbcs, XN | XM | FLAGS, XD | FLAGS, 0)
N_(OP, and_imm) N_(XW, orr_imm) N_(XW, eor_imm) N_FLAGS(XW, ands_imm)
SHIFTED(NM, and) SHIFTED(NM, bic) SHIFTED(NM, orr) SHIFTED(NM, orn) SHIFTED(NM, eor)
SHIFTED(NM, eon) SHIFTED(NM_FLAGS, ands) SHIFTED(NM_FLAGS, bics)
OP(mov_imm, 0, XD, 0) XW(mov_reg, XM, XD, 0) XW(movk, XD, XD, 0)
N_(OP, ubfx) N_(OP, ubfiz) N_(XW, sbfx) N_(XW, sbfiz)
XW(bfxil, XN | XD, XD, 0) XW(bfi, XN | XD, XD, 0) NM(XW, extr)
NM_IF(XW, csel) NM_IF(XW, csinc) NM_IF(XW, csinv) NM_IF(XW, csneg)
XW(ccmp_imm, XN | FLAGS, FLAGS, 0) XW(ccmp_reg, XN | XM | FLAGS, FLAGS, 0)
XW(ccmn_imm, XN | FLAGS, FLAGS, 0) XW(ccmn_reg, XN | XM | FLAGS, FLAGS, 0)
N_(XW, rbit) N_(XW, rev16) N_(OP, rev32_x) N_(XW, rev) N_(XW, clz) N_(XW, cls)
NM(XW, udiv) NM(XW, sdiv) NM(XW, lslv) NM(XW, lsrv) NM(XW, asrv) NM(XW, rorv)
NM(OP, crc32) NM(OP, crc32c) NMA(XW, madd) NMA(XW, msub)
NMA(OP, smaddl) NMA(OP, smsubl) NMA(OP, umaddl) NMA(OP, umsubl) NM(OP, smulh) NM(OP, umulh)
#undef N_
#undef NM
#undef NMA
#undef N_FLAGS
#undef NM_FLAGS
#undef NM_IF
#undef SHIFTED

/* --- branches */
#define BRANCH(name, reads, writes)                                                                \
    OP(name, reads, writes, ENDS | LOCAL) OP(name##_page, reads, writes, ENDS)
BRANCH(b, 0, 0) BRANCH(bl, 0, LINK) BRANCH(b_cond, FLAGS, 0)
BRANCH(cbz_x, XN, 0) BRANCH(cbz_w, XN, 0) BRANCH(cbnz_x, XN, 0) BRANCH(cbnz_w, XN, 0)
BRANCH(tbz, XN, 0) BRANCH(tbnz, XN, 0)
OP(br, XN, 0, ENDS) OP(blr, XN, LINK, ENDS)
#undef BRANCH

/* --- system */
OP(nop, 0, 0, 0) OP(yield, 0, 0, 0) OP(sev, OTHER, OTHER, 0) OP(sevl, OTHER, OTHER, 0)
OP(wfi, OTHER, OTHER, FAULTS | ENDS) OP(wfe, OTHER, OTHER, FAULTS | ENDS)
OP(clrex, 0, MONITOR, 0) OP(dmb, 0, 0, 0) OP(dsb, OTHER, OTHER, ENDS) OP(isb, OTHER, 0, ENDS)
OP(msr_daifset, OTHER, OTHER, FAULTS) OP(msr_daifclr, OTHER, OTHER, FAULTS | ENDS)
OP(msr_spsel, OTHER, OTHER, FAULTS)
OP(mrs, OTHER, XD | OTHER, FAULTS) OP(msr, XD | OTHER, OTHER, FAULTS | ENDS)
OP(svc, OTHER, OTHER, FAULTS | ENDS) OP(brk, OTHER, OTHER, FAULTS | ENDS)
OP(hvc, OTHER, OTHER, FAULTS | ENDS) OP(eret, OTHER, OTHER, FAULTS | ENDS)

/*
 * --- loads and stores.  The addressing mode is a suffix: imm (base +
 * immediate), post, pre (with writeback), reg (base + register << immediate),
 * ext (base + extended register).
 */
#define PAIR_MODES(name, reads, writes)                                                            \
    OP(name##_imm, XN | reads, writes, FAULTS) OP(name##_post, XN | reads, XN | writes, FAULTS)    \
    OP(name##_pre, XN | reads, XN | writes, FAULTS)
#define MODES(name, reads, writes)                                                                 \
    PAIR_MODES(name, reads, writes) OP(name##_reg, XN | XM | reads, writes, FAULTS)                \
    OP(name##_ext, XN | XM | reads, writes, FAULTS)
#define LOAD(name) MODES(name, MEMORY, XD)
#define LOAD_V(name) MODES(name, MEMORY, VD)
#define STORE(name) MODES(name, XD, MEMORY)
#define STORE_V(name) MODES(name, VD, MEMORY)
LOAD(ldr8) LOAD(ldr16) LOAD(ldr32) LOAD(ldr64)
LOAD(ldrs8_x) LOAD(ldrs16_x) LOAD(ldrs32_x) LOAD(ldrs8_w) LOAD(ldrs16_w)
STORE(str8) STORE(str16) STORE(str32) STORE(str64)
LOAD_V(ldr_v8) LOAD_V(ldr_v16) LOAD_V(ldr_v32) LOAD_V(ldr_v64) LOAD_V(ldr_v128)
STORE_V(str_v8) STORE_V(str_v16) STORE_V(str_v32) STORE_V(str_v64) STORE_V(str_v128)
PAIR_MODES(ldp32, MEMORY, XD | XA) PAIR_MODES(ldp64, MEMORY, XD | XA)
PAIR_MODES(ldps32, MEMORY, XD | XA)
PAIR_MODES(stp32, XD | XA, MEMORY) PAIR_MODES(stp64, XD | XA, MEMORY)
PAIR_MODES(ldp_v32, MEMORY, VD | VA) PAIR_MODES(ldp_v64, MEMORY, VD | VA)
PAIR_MODES(ldp_v128, MEMORY, VD | VA) PAIR_MODES(stp_v32, VD | VA, MEMORY)
PAIR_MODES(stp_v64, VD | VA, MEMORY) PAIR_MODES(stp_v128, VD | VA, MEMORY)
OP(ldr32_lit, MEMORY, XD, FAULTS) OP(ldr64_lit, MEMORY, XD, FAULTS)
OP(ldrs32_lit, MEMORY, XD, FAULTS) OP(ldr_v32_lit, MEMORY, VD, FAULTS)
OP(ldr_v64_lit, MEMORY, VD, FAULTS) OP(ldr_v128_lit, MEMORY, VD, FAULTS)
OP(ldtr, XN | MEMORY, XD, FAULTS) OP(sttr, XN | XD, MEMORY, FAULTS)
#undef PAIR_MODES
#undef MODES
#undef LOAD
#undef LOAD_V
#undef STORE
#undef STORE_V

/* --- ordered, exclusive, atomic */
#define UPDATE(name) SIZES(name, XN | XM | MEMORY, XD | MEMORY, FAULTS)
SIZES(ldar, XN | MEMORY, XD, FAULTS) SIZES(stlr, XN | XD, MEMORY, FAULTS)
SIZES(ldxr, XN | MEMORY, XD | MONITOR, FAULTS)
SIZES(stxr, XN | XD | MEMORY | MONITOR, XM | MEMORY | MONITOR, FAULTS)
OP(ldxp32, XN | MEMORY, XD | XA | MONITOR, FAULTS)
OP(ldxp64, XN | MEMORY, XD | XA | MONITOR, FAULTS)
OP(stxp32, XN | XD | XA | MEMORY | MONITOR, XM | MEMORY | MONITOR, FAULTS)
OP(stxp64, XN | XD | XA | MEMORY | MONITOR, XM | MEMORY | MONITOR, FAULTS)
UPDATE(ldadd) UPDATE(ldclr) UPDATE(ldeor) UPDATE(ldset) UPDATE(ldsmax) UPDATE(ldsmin)
UPDATE(ldumax) UPDATE(ldumin) UPDATE(swp)
SIZES(cas, XN | XM | XD | MEMORY, XM | MEMORY, FAULTS)
OP(casp32, XN | XM | XD | MEMORY, XM | MEMORY, FAULTS | PAIRS)
OP(casp64, XN | XM | XD | MEMORY, XM | MEMORY, FAULTS | PAIRS)
#undef UPDATE

/*
 * --- scalar floating point (_s is single precision, _d double).  All that use
 * vector registers may be trapped (CPACR_EL1.FPEN); FP is arithmetic, by FPCR
 * and with FPSR's cumulative bits.
 */
#define FP(kind, name, reads, writes) kind(name, reads | FPCR, writes | FPSR, FAULTS)
#define FN(kind, name) FP(kind, name, VN, VD)
#define FNM(kind, name) FP(kind, name, VN | VM, VD)
#define FNMA(kind, name) FP(kind, name, VN | VM | VA, VD)
FNM(SD, fadd) FNM(SD, fsub) FNM(SD, fmul) FNM(SD, fnmul) FNM(SD, fdiv)
FNM(SD, fmax) FNM(SD, fmin) FNM(SD, fmaxnm) FNM(SD, fminnm)
FNMA(SD, fmadd) FNMA(SD, fmsub) FNMA(SD, fnmadd) FNMA(SD, fnmsub)
SD(fabs, VN, VD, FAULTS) SD(fneg, VN, VD, FAULTS)
FN(SD, fsqrt) FN(SD, frint) FN(SD, frint_fpcr)
FP(SD, fcmp, VN | VM, FLAGS) FP(SD, fcmp_zero, VN, FLAGS)
FP(SD, fccmp, VN | VM | FLAGS, FLAGS) SD(fcsel, VN | VM | FLAGS, VD, FAULTS)
FN(OP, fcvt_h_to_s) FN(OP, fcvt_h_to_d) FN(OP, fcvt_s_to_h)
FN(OP, fcvt_s_to_d) FN(OP, fcvt_d_to_h) FN(OP, fcvt_d_to_s)
FP(SD, fcvt_to_fixed, VN, XD) FP(SD, fcvt_from_fixed, XN, VD)
SD(fmov, VN, VD, FAULTS) OP(fmov_imm, 0, VD, FAULTS)
OP(fmov_w_to_s, XN, VD, FAULTS) OP(fmov_x_to_d, XN, VD, FAULTS)
OP(fmov_x_to_high, XN | VD, VD, FAULTS) OP(fmov_s_to_w, VN, XD, FAULTS)
OP(fmov_d_to_x, VN, XD, FAULTS) OP(fmov_high_to_x, VN, XD, FAULTS)
#undef FNMA

/*
 * --- AdvSIMD and cryptography.  The suffix is the element's width in bits, of
 * the narrower one where widths differ; what begins with v works on vectors, and
 * serves the scalar form where there is one.  Q sets FPSR.QC.
 */
#define N_(kind, name) kind(name, VN, VD, FAULTS)
#define NM(kind, name) kind(name, VN | VM, VD, FAULTS)
#define ND(kind, name) kind(name, VN | VD, VD, FAULTS)
#define NMD(kind, name) kind(name, VN | VM | VD, VD, FAULTS)
#define QN(kind, name) kind(name, VN, VD | FPSR, FAULTS)
#define QNM(kind, name) kind(name, VN | VM, VD | FPSR, FAULTS)
#define QND(kind, name) kind(name, VN | VD, VD | FPSR, FAULTS)
#define QNMD(kind, name) kind(name, VN | VM | VD, VD | FPSR, FAULTS)
/* three of one size */
NM(OP, vand) NM(OP, vbic) NM(OP, vorr) NM(OP, vorn) NM(OP, veor)
NMD(OP, vbsl) NMD(OP, vbit) NMD(OP, vbif)
NM(BHSD, vadd) NM(BHSD, vsub) NM(BHS, vmul) NMD(BHS, vmla) NMD(BHS, vmls)
NM(BHSD, vcmgt) NM(BHSD, vcmge) NM(BHSD, vcmhi) NM(BHSD, vcmhs) NM(BHSD, vcmeq) NM(BHSD, vcmtst)
NM(BHS, vsmax) NM(BHS, vsmin) NM(BHS, vumax) NM(BHS, vumin)
NM(BHS, vsabd) NM(BHS, vuabd) NMD(BHS, vsaba) NMD(BHS, vuaba)
NM(BHS, vshadd) NM(BHS, vuhadd) NM(BHS, vsrhadd) NM(BHS, vurhadd) NM(BHS, vshsub) NM(BHS, vuhsub)
NM(OP, vpmul_8) NM(BHSD, vaddp) N_(OP, addp_scalar)
NM(BHS, vsmaxp) NM(BHS, vsminp) NM(BHS, vumaxp) NM(BHS, vuminp)
/* saturating, and shifts by a register */
QNM(BHSD, vsqadd) QNM(BHSD, vuqadd) QNM(BHSD, vsqsub) QNM(BHSD, vuqsub)
QND(BHSD, vsuqadd) QND(BHSD, vusqadd) QN(BHSD, vsqabs) QN(BHSD, vsqneg)
QNM(HS, vsqdmulh) QNM(HS, vsqrdmulh)
NM(BHSD, vsshl) NM(BHSD, vushl) NM(BHSD, vsrshl) NM(BHSD, vurshl)
QNM(BHSD, vsqshl) QNM(BHSD, vuqshl) QNM(BHSD, vsqrshl) QNM(BHSD, vuqrshl)
QN(BHSD, vsqshl_imm) QN(BHSD, vuqshl_imm) QN(BHSD, vsqshlu_imm)
/* of different sizes, and by element; the narrow result of a "2" form leaves the lower half */
NM(BHS, vsaddl) NM(BHS, vuaddl) NM(BHS, vsaddw) NM(BHS, vuaddw)
NM(BHS, vssubl) NM(BHS, vusubl) NM(BHS, vssubw) NM(BHS, vusubw)
NM(BHS, vsabdl) NM(BHS, vuabdl) NMD(BHS, vsabal) NMD(BHS, vuabal)
NM(BHS, vsmull) NM(BHS, vumull) NMD(BHS, vsmlal) NMD(BHS, vumlal) NMD(BHS, vsmlsl)
NMD(BHS, vumlsl) NM(HS, vsmull_el) NM(HS, vumull_el) NMD(HS, vsmlal_el) NMD(HS, vumlal_el)
NMD(HS, vsmlsl_el) NMD(HS, vumlsl_el)
QNM(HS, vsqdmull) QNMD(HS, vsqdmlal) QNMD(HS, vsqdmlsl)
QNM(HS, vsqdmull_el) QNMD(HS, vsqdmlal_el) QNMD(HS, vsqdmlsl_el) NM(OP, vpmull_8)
NMD(BHS, vaddhn) NMD(BHS, vsubhn) NMD(BHS, vraddhn) NMD(BHS, vrsubhn)
NM(HS, vmul_el) NMD(HS, vmla_el) NMD(HS, vmls_el) QNM(HS, vsqdmulh_el) QNM(HS, vsqrdmulh_el)
/* of one source, and across its elements */
N_(BHSD, vcmgt0) N_(BHSD, vcmge0) N_(BHSD, vcmeq0) N_(BHSD, vcmle0) N_(BHSD, vcmlt0)
N_(BHSD, vneg) N_(BHSD, vabs) N_(OP, vnot) N_(OP, vcnt) N_(OP, vrbit) N_(BHS, vclz) N_(BHS, vcls)
N_(BHS, vrev64) N_(OP, vrev32_8) N_(OP, vrev32_16) N_(OP, vrev16_8)
N_(BHS, vsaddlp) N_(BHS, vuaddlp) ND(BHS, vsadalp) ND(BHS, vuadalp)
ND(BHS, vxtn) QND(BHS, vsqxtn) QND(BHS, vsqxtun) QND(BHS, vuqxtn) ND(BHS, vshrn) ND(BHS, vrshrn)
QND(BHS, vsqshrn) QND(BHS, vsqrshrn) QND(BHS, vsqshrun) QND(BHS, vsqrshrun)
QND(BHS, vuqshrn) QND(BHS, vuqrshrn) N_(BHS, vsshll) N_(BHS, vushll)
N_(BHS, vaddv) N_(BHS, vsmaxv) N_(BHS, vsminv) N_(BHS, vumaxv) N_(BHS, vuminv)
N_(BHS, vsaddlv) N_(BHS, vuaddlv)
/* shifts by an immediate, and immediates */
N_(BHSD, vsshr) N_(BHSD, vushr) N_(BHSD, vsrshr) N_(BHSD, vurshr)
ND(BHSD, vssra) ND(BHSD, vusra) ND(BHSD, vsrsra) ND(BHSD, vursra)
N_(BHSD, vshl) ND(BHSD, vsli) ND(BHSD, vsri)
OP(vmovi, 0, VD, FAULTS) OP(vorr_imm, VD, VD, FAULTS) OP(vbic_imm, VD, VD, FAULTS)
/* copies, permutations, table look-ups */
N_(BHSD, vdup) BHSD(vdup_gen, XN, VD, FAULTS) N_(BHSD, dup_scalar)
BHSD(vins, VN | VD, VD, FAULTS) BHSD(vins_gen, XN | VD, VD, FAULTS)
BHSD(umov, VN, XD, FAULTS) OP(smov_w_8, VN, XD, FAULTS) OP(smov_w_16, VN, XD, FAULTS)
OP(smov_x_8, VN, XD, FAULTS) OP(smov_x_16, VN, XD, FAULTS) OP(smov_x_32, VN, XD, FAULTS)
NM(BHSD, vzip) NM(BHSD, vuzp) NM(BHSD, vtrn) NM(OP, vext_8b) NM(OP, vext_16b)
OP(vtbl, VN | VM, VD, FAULTS | LIST_N) OP(vtbx, VN | VM | VD, VD, FAULTS | LIST_N)
/* structures: ra registers from rd on */
#define STRUCTURE(name, reads, writes)                                                             \
    BHSD(name, XN | XM | reads, XN | writes, FAULTS | LIST_D)
STRUCTURE(vld1, MEMORY, VD) STRUCTURE(vst1, VD, MEMORY) STRUCTURE(vld, MEMORY, VD)
STRUCTURE(vst, VD, MEMORY) STRUCTURE(vld_lane, MEMORY | VD, VD) STRUCTURE(vst_lane, VD, MEMORY)
STRUCTURE(vld_dup, MEMORY, VD)
#undef STRUCTURE
/* floating point */
#define FND(kind, name) FP(kind, name, VN | VD, VD)
#define FNMD(kind, name) FP(kind, name, VN | VM | VD, VD)
FNM(WD, vfadd) FNM(WD, vfsub) FNM(WD, vfmul) FNM(WD, vfmulx) FNM(WD, vfdiv)
FNM(WD, vfmax) FNM(WD, vfmin) FNM(WD, vfmaxnm) FNM(WD, vfminnm)
FNM(WD, vfrecps) FNM(WD, vfrsqrts) FNM(WD, vfabd) FNMD(WD, vfmla) FNMD(WD, vfmls)
FNM(WD, vfmul_el) FNM(WD, vfmulx_el) FNMD(WD, vfmla_el) FNMD(WD, vfmls_el)
FNM(WD, vfcmeq) FNM(WD, vfcmge) FNM(WD, vfcmgt) FNM(WD, vfacge) FNM(WD, vfacgt)
FN(WD, vfcmeq0) FN(WD, vfcmge0) FN(WD, vfcmgt0) FN(WD, vfcmle0) FN(WD, vfcmlt0)
FN(WD, vfsqrt) FN(WD, vfrecpe) FN(WD, vfrsqrte) FN(WD, frecpx) N_(WD, vfabs) N_(WD, vfneg)
FN(WD, vfrintn) FN(WD, vfrintm) FN(WD, vfrintp) FN(WD, vfrintz) FN(WD, vfrinta)
FN(WD, vfrintx) FN(WD, vfrinti) FN(WD, vfcvtns) FN(WD, vfcvtnu) FN(WD, vfcvtms) FN(WD, vfcvtmu)
FN(WD, vfcvtps) FN(WD, vfcvtpu) FN(WD, vfcvtzs) FN(WD, vfcvtzu) FN(WD, vfcvtas) FN(WD, vfcvtau)
FN(WD, vscvtf) FN(WD, vucvtf) FNM(WD, vfaddp) FN(WD, faddp_scalar)
FNM(WD, vfmaxp) FN(WD, fmaxp_scalar) FNM(WD, vfminp) FN(WD, fminp_scalar)
FNM(WD, vfmaxnmp) FN(WD, fmaxnmp_scalar) FNM(WD, vfminnmp) FN(WD, fminnmp_scalar)
N_(OP, vurecpe_32) N_(OP, vursqrte_32) FND(OP, vfcvtn_16) FND(OP, vfcvtn_32) FND(OP, vfcvtxn_32)
FN(OP, vfcvtl_16) FN(OP, vfcvtl_32) FN(OP, vfmaxv) FN(OP, vfminv) FN(OP, vfmaxnmv) FN(OP, vfminnmv)
/* cryptography */
ND(OP, aese) ND(OP, aesd) N_(OP, aesmc) N_(OP, aesimc)
NMD(OP, sha1c) NMD(OP, sha1p) NMD(OP, sha1m) N_(OP, sha1h) NMD(OP, sha1su0) ND(OP, sha1su1)
NMD(OP, sha256h) NMD(OP, sha256h2) ND(OP, sha256su0) NMD(OP, sha256su1) NM(OP, vpmull_64)

#undef FP
#undef FN
#undef FNM
#undef FND
#undef FNMD
#undef N_
#undef NM
#undef ND
#undef NMD
#undef QN
#undef QNM
#undef QND
#undef QNMD
#undef XW
#undef SD
#undef HS
#undef WD
#undef BHS
#undef BHSD
#undef SIZES
