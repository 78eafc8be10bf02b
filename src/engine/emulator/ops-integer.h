/* SPDX-License-Identifier: Apache-2.0 */
/* Opcodes of the integer instructions; _x works on 64 bits, _w on 32. */
#ifndef MV_EMULATOR_OPS_INTEGER_H
#define MV_EMULATOR_OPS_INTEGER_H

#define MV_OP_XW(OP, name) OP(name##_x) OP(name##_w)
/* Register operands: plain, shifted left, shifted otherwise. */
#define MV_OP_SHIFTED(OP, name)                                                                    \
    MV_OP_XW(OP, name##_reg) MV_OP_XW(OP, name##_lsl) MV_OP_XW(OP, name##_sh)

#define MV_OPCODES_INTEGER(OP)                                                                     \
    OP(adr) OP(adrp)                                                                               \
    MV_OP_XW(OP, add_imm) MV_OP_XW(OP, adds_imm) MV_OP_XW(OP, subs_imm)                            \
    MV_OP_SHIFTED(OP, add) MV_OP_SHIFTED(OP, sub)                                                  \
    MV_OP_SHIFTED(OP, adds) MV_OP_SHIFTED(OP, subs)                                                \
    MV_OP_XW(OP, add_ext) MV_OP_XW(OP, sub_ext)                                                    \
    MV_OP_XW(OP, adds_ext) MV_OP_XW(OP, subs_ext)                                                  \
    MV_OP_XW(OP, adc) MV_OP_XW(OP, adcs) MV_OP_XW(OP, sbc) MV_OP_XW(OP, sbcs)                      \
    OP(and_imm) MV_OP_XW(OP, orr_imm) MV_OP_XW(OP, eor_imm) MV_OP_XW(OP, ands_imm)                 \
    MV_OP_SHIFTED(OP, and) MV_OP_SHIFTED(OP, bic) MV_OP_SHIFTED(OP, orr)                           \
    MV_OP_SHIFTED(OP, orn) MV_OP_SHIFTED(OP, eor) MV_OP_SHIFTED(OP, eon)                           \
    MV_OP_SHIFTED(OP, ands) MV_OP_SHIFTED(OP, bics)                                                \
    OP(mov_imm) MV_OP_XW(OP, mov_reg) MV_OP_XW(OP, movk)                                           \
    OP(ubfx) OP(ubfiz) MV_OP_XW(OP, sbfx) MV_OP_XW(OP, sbfiz)                                      \
    MV_OP_XW(OP, bfxil) MV_OP_XW(OP, bfi) MV_OP_XW(OP, extr)                                       \
    MV_OP_XW(OP, csel) MV_OP_XW(OP, csinc) MV_OP_XW(OP, csinv) MV_OP_XW(OP, csneg)                 \
    MV_OP_XW(OP, ccmp_imm) MV_OP_XW(OP, ccmp_reg)                                                  \
    MV_OP_XW(OP, ccmn_imm) MV_OP_XW(OP, ccmn_reg)                                                  \
    MV_OP_XW(OP, rbit) MV_OP_XW(OP, rev16) OP(rev32_x) MV_OP_XW(OP, rev)                           \
    MV_OP_XW(OP, clz) MV_OP_XW(OP, cls)                                                            \
    MV_OP_XW(OP, udiv) MV_OP_XW(OP, sdiv)                                                          \
    MV_OP_XW(OP, lslv) MV_OP_XW(OP, lsrv) MV_OP_XW(OP, asrv) MV_OP_XW(OP, rorv)                    \
    OP(crc32) OP(crc32c)                                                                           \
    MV_OP_XW(OP, madd) MV_OP_XW(OP, msub)                                                          \
    OP(smaddl) OP(smsubl) OP(umaddl) OP(umsubl) OP(smulh) OP(umulh)

#endif
