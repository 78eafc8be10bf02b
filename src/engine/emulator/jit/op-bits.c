/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Emitters of integer instructions, as interpreter/op-integer.c has their handlers: moves,
 * bit fields, shifts, products, quotients.  The others are in op-integer.c.
 */
#include "op-integer.h"
#include "op-vector.h"

/* --- moves */

bool mv_emit_mov_imm(struct mv_translator *t)
{
    enum mv_host_reg to = mv_def(t, RD, MV_RAX);
    mv_mov_ri(&t->e, to, t->op.imm);
    mv_set(t, RD, to);
    return true;
}

EACH(mov_reg, {
    enum mv_host_reg to = mv_def(t, RD, MV_RAX);
    mv_use_in(t, w, RM, to);
    mv_set(t, RD, to);
    return true;
})

static enum mv_host_reg without(struct mv_translator *t, bool w, uint64_t mask)
{
    mv_mov_ri(&t->e, MV_RAX, w ? ~mask : (uint32_t)~mask);
    mv_alu_x(t, true, MV_AND, MV_RAX, RD);
    t->eflags = false;
    return MV_RAX;
}

EACH(movk, {
    without(t, w, UINT64_C(0xffff) << t->op.aux);
    if (t->op.imm == (uint32_t)t->op.imm && (int32_t)t->op.imm >= 0) {
        mv_alu_ri(&t->e, true, MV_OR, MV_RAX, (int32_t)t->op.imm);
    } else {
        mv_mov_ri(&t->e, MV_RCX, t->op.imm);
        mv_alu_rr(&t->e, true, MV_OR, MV_RAX, MV_RCX);
    }
    mv_set(t, RD, MV_RAX);
    return true;
})

static bool pc_relative(struct mv_translator *t, uint64_t offset)
{
    mv_use_pc(t, MV_RAX, offset);
    mv_set(t, RD, MV_RAX);
    return true;
}

bool mv_emit_adr(struct mv_translator *t)
{
    return pc_relative(t, t->slot * UINT64_C(4) + t->op.imm);
}

bool mv_emit_adrp(struct mv_translator *t)
{
    return pc_relative(t, t->op.imm);
}

/* --- bit fields: of 64 bits, by two shifts, but for those that are whole parts */

static void field(struct mv_translator *t, bool is_signed, unsigned left, unsigned right)
{
    mv_use_in(t, true, RN, MV_RAX);
    if (left != 0)
        mv_shift_ri(&t->e, true, MV_SHL, MV_RAX, left);
    if (right != 0)
        mv_shift_ri(&t->e, true, is_signed ? MV_SAR : MV_SHR, MV_RAX, right);
    if (left != 0 || right != 0)
        t->eflags = false;
}

static bool is_part(unsigned width)
{
    return width == 8 || width == 16 || width == 32;
}

static bool part(struct mv_translator *t, bool is_signed, bool w)
{
    enum mv_host_reg to = mv_def(t, RD, MV_RAX);
    mv_extend_rr(&t->e, t->op.ra / 8u, is_signed, w, to, mv_use(t, RN, MV_RCX));
    mv_set(t, RD, to);
    return true;
}

static bool extract(struct mv_translator *t, bool is_signed, bool w)
{
    unsigned width = t->op.ra;
    if (t->op.aux == 0 && is_part(width))
        return part(t, is_signed, w);
    field(t, is_signed, 64 - t->op.aux - width, 64 - width);
    if (!w)
        mv_mov_rr(&t->e, false, MV_RAX, MV_RAX);
    mv_set(t, RD, MV_RAX);
    return true;
}

static bool insert_in_zeros(struct mv_translator *t, bool is_signed, bool w)
{
    field(t, is_signed, 64u - t->op.ra, 64u - t->op.ra - t->op.aux);
    if (!w)
        mv_mov_rr(&t->e, false, MV_RAX, MV_RAX);
    mv_set(t, RD, MV_RAX);
    return true;
}

bool mv_emit_ubfx(struct mv_translator *t)
{
    return extract(t, false, true);
}

bool mv_emit_ubfiz(struct mv_translator *t)
{
    return insert_in_zeros(t, false, true);
}
DO(sbfx, extract(t, true, w))
DO(sbfiz, insert_in_zeros(t, true, w))

static bool insert(struct mv_translator *t, bool w, unsigned from, unsigned to)
{
    unsigned width = t->op.ra;
    field(t, false, 64 - from - width, 64 - width - to);
    mv_mov_rr(&t->e, true, MV_RCX, MV_RAX);
    without(t, w, t->op.imm << to);
    mv_alu_rr(&t->e, true, MV_OR, MV_RAX, MV_RCX);
    mv_set(t, RD, MV_RAX);
    return true;
}
DO(bfxil, insert(t, w, t->op.aux, 0))
DO(bfi, insert(t, w, 0, t->op.aux))

EACH(extr, {
    mv_use_in(t, w, RM, MV_RAX);
    if (t->op.imm != 0 && RN == RM) {
        mv_rorx(&t->e, w, MV_RAX, MV_RAX, (unsigned)t->op.imm);
    } else if (t->op.imm != 0) {
        mv_shrd(&t->e, w, MV_RAX, mv_use(t, RN, MV_RCX), (unsigned)t->op.imm);
        t->eflags = false;
    }
    mv_set(t, RD, MV_RAX);
    return true;
})

/* --- of one operand, and products */

static bool byte_swap(struct mv_translator *t, bool w)
{
    mv_use_in(t, w, RN, MV_RAX);
    mv_bswap(&t->e, w, MV_RAX);
    return true;
}
EACH(rev, {
    byte_swap(t, w);
    mv_set(t, RD, MV_RAX);
    return true;
})
bool mv_emit_rev32_x(struct mv_translator *t)
{
    byte_swap(t, true);
    mv_rorx(&t->e, true, MV_RAX, MV_RAX, 32);
    mv_set(t, RD, MV_RAX);
    return true;
}
EACH(clz, {
    mv_lzcnt(&t->e, w, MV_RAX, mv_use(t, RN, MV_RAX));
    t->eflags = false;
    mv_set(t, RD, MV_RAX);
    return true;
})

/* Zero by zero; the smallest number divided by -1 is itself. */
EACH(udiv, {
    mv_use_in(t, w, RM, MV_RCX);
    mv_mov_ri(&t->e, MV_RAX, 0);
    mv_test_rr(&t->e, w, MV_RCX, MV_RCX);
    size_t zero = mv_jcc(&t->e, MV_CC_E);
    mv_use_in(t, w, RN, MV_RAX);
    mv_mov_ri(&t->e, MV_RDX, 0);
    mv_unary(&t->e, w, MV_DIV, MV_RCX);
    mv_land(t, zero);
    t->eflags = false;
    mv_set(t, RD, MV_RAX);
    return true;
})
EACH(sdiv, {
    mv_use_in(t, w, RM, MV_RCX);
    mv_mov_ri(&t->e, MV_RAX, 0);
    mv_test_rr(&t->e, w, MV_RCX, MV_RCX);
    size_t zero = mv_jcc(&t->e, MV_CC_E);
    mv_use_in(t, w, RN, MV_RAX);
    mv_alu_ri(&t->e, w, MV_CMP, MV_RCX, -1);
    size_t plain = mv_jcc(&t->e, MV_CC_NE);
    mv_unary(&t->e, w, MV_NEG, MV_RAX);
    size_t end = mv_jmp(&t->e);
    mv_land(t, plain);
    mv_mov_rr(&t->e, w, MV_RDX, MV_RAX);
    mv_shift_ri(&t->e, w, MV_SAR, MV_RDX, w ? 63 : 31);
    mv_unary(&t->e, w, MV_IDIV, MV_RCX);
    mv_land(t, end);
    mv_land(t, zero);
    t->eflags = false;
    mv_set(t, RD, MV_RAX);
    return true;
})

/* rax is both halves of each part of so many bits, in the opposite order. */
static void swap_halves(struct mv_translator *t, unsigned bits, uint64_t low_halves)
{
    mv_mov_ri(&t->e, MV_RCX, low_halves);
    mv_mov_rr(&t->e, true, MV_RDX, MV_RAX);
    mv_shift_ri(&t->e, true, MV_SHR, MV_RDX, bits);
    mv_alu_rr(&t->e, true, MV_AND, MV_RAX, MV_RCX);
    mv_alu_rr(&t->e, true, MV_AND, MV_RDX, MV_RCX);
    mv_shift_ri(&t->e, true, MV_SHL, MV_RAX, bits);
    mv_alu_rr(&t->e, true, MV_OR, MV_RAX, MV_RDX);
    t->eflags = false;
}

EACH(rev16, {
    mv_use_in(t, w, RN, MV_RAX);
    swap_halves(t, 8, UINT64_C(0x00ff00ff00ff00ff));
    mv_set(t, RD, MV_RAX);
    return true;
})

EACH(rbit, {
    mv_use_in(t, w, RN, MV_RAX);
    mv_bswap(&t->e, w, MV_RAX);
    swap_halves(t, 4, UINT64_C(0x0f0f0f0f0f0f0f0f));
    swap_halves(t, 2, UINT64_C(0x3333333333333333));
    swap_halves(t, 1, UINT64_C(0x5555555555555555));
    mv_set(t, RD, MV_RAX);
    return true;
})

static bool shift_by(struct mv_translator *t, bool w, enum mv_host_shift how)
{
    enum mv_host_reg to = mv_def(t, RD, MV_RAX);
    enum mv_host_reg n = mv_use(t, RN, MV_RAX);
    mv_shiftx(&t->e, w, how, to, n, mv_use(t, RM, MV_RCX));
    mv_set(t, RD, to);
    return true;
}
DO(lslv, shift_by(t, w, MV_SHL))
DO(lsrv, shift_by(t, w, MV_SHR))
DO(asrv, shift_by(t, w, MV_SAR))
EACH(rorv, {
    mv_use_in(t, true, RM, MV_RCX);
    mv_use_in(t, w, RN, MV_RAX);
    mv_shift_cl(&t->e, w, MV_ROR, MV_RAX);
    if (!w) /* by nothing leaves the upper half, which was zero already */
        mv_mov_rr(&t->e, false, MV_RAX, MV_RAX);
    t->eflags = false;
    mv_set(t, RD, MV_RAX);
    return true;
})

/* rax has the product. */
static bool accumulate(struct mv_translator *t, bool w, bool subtract)
{
    t->eflags = false;
    if (subtract) {
        mv_mov_rr(&t->e, w, MV_RCX, MV_RAX);
        mv_use_in(t, w, t->op.ra, MV_RAX);
        mv_alu_rr(&t->e, w, MV_SUB, MV_RAX, MV_RCX);
    } else if (t->op.ra != MV_REG_ZR) {
        mv_alu_x(t, w, MV_ADD, MV_RAX, t->op.ra);
    }
    mv_set(t, RD, MV_RAX);
    return true;
}

static bool product(struct mv_translator *t, bool w, bool subtract)
{
    mv_use_in(t, w, RN, MV_RAX);
    mv_imul_rr(&t->e, w, MV_RAX, mv_use(t, RM, MV_RCX));
    return accumulate(t, w, subtract);
}
DO(madd, product(t, w, false))
DO(msub, product(t, w, true))

static bool long_product(struct mv_translator *t, bool is_signed, bool subtract)
{
    mv_extend_rr(&t->e, 4, is_signed, true, MV_RCX, mv_use(t, RM, MV_RCX));
    mv_extend_rr(&t->e, 4, is_signed, true, MV_RAX, mv_use(t, RN, MV_RAX));
    mv_imul_rr(&t->e, true, MV_RAX, MV_RCX);
    return accumulate(t, true, subtract);
}
bool mv_emit_smaddl(struct mv_translator *t)
{
    return long_product(t, true, false);
}
bool mv_emit_smsubl(struct mv_translator *t)
{
    return long_product(t, true, true);
}
bool mv_emit_umaddl(struct mv_translator *t)
{
    return long_product(t, false, false);
}
bool mv_emit_umsubl(struct mv_translator *t)
{
    return long_product(t, false, true);
}

static bool high_product(struct mv_translator *t, enum mv_host_unary how)
{
    mv_use_in(t, true, RN, MV_RAX);
    mv_unary(&t->e, true, how, mv_use(t, RM, MV_RCX));
    t->eflags = false;
    mv_set(t, RD, MV_RDX);
    return true;
}
bool mv_emit_smulh(struct mv_translator *t)
{
    return high_product(t, MV_IMUL);
}
bool mv_emit_umulh(struct mv_translator *t)
{
    return high_product(t, MV_MUL);
}

/*
 * A remainder by two products (Barrett), all bits in the opposite order: of the data and crc, as
 * a polynomial below x^64, times x^32.  The constants are the quotient of x^96 by the CRC's
 * polynomial without its highest term, and the polynomial likewise, a bit further up.
 */
bool mv_emit_crc32(struct mv_translator *t)
{
    unsigned bits = 8u * t->op.aux;
    struct mv_host_mem constants = MV_STATE(jit_numbers.crc32);
    if (!t->jit->has_pclmul)
        return false;
    mv_use_in(t, false, RN, MV_RAX);
    mv_mov_rr(&t->e, false, MV_RDX, MV_RAX); /* what the data leaves of it */
    if (bits < 32)
        mv_shift_ri(&t->e, false, MV_SHR, MV_RDX, bits);
    mv_alu_x(t, bits == 64, MV_XOR, MV_RAX, RM);
    if (bits < 64)
        mv_shift_ri(&t->e, true, MV_SHL, MV_RAX, 64 - bits);
    mv_v_rr(&t->e, true, MV_VMOVD_GENERAL, 0, 0, MV_RAX);
    mv_v_rm(&t->e, false, PCLMULQDQ, 1, 0, constants);
    mv_emit8(&t->e, 0x00);
    mv_v_rr(&t->e, false, PADDQ, 1, 1, 1);
    mv_v_rr(&t->e, false, PXOR, 0, 0, 1);
    mv_v_rm(&t->e, false, PCLMULQDQ, 0, 0, constants);
    mv_emit8(&t->e, 0x10);
    mv_v_rr(&t->e, false, PEXTRD, 0, 0, MV_RAX);
    mv_emit8(&t->e, 2);
    if (bits < 32)
        mv_alu_rr(&t->e, false, MV_XOR, MV_RAX, MV_RDX);
    mv_set(t, RD, MV_RAX);
    t->eflags = false;
    return true;
}

bool mv_emit_crc32c(struct mv_translator *t)
{
    enum mv_host_reg data = mv_use(t, RM, MV_RCX);
    mv_use_in(t, false, RN, MV_RAX);
    mv_crc32c(&t->e, t->op.aux, MV_RAX, data);
    mv_set(t, RD, MV_RAX);
    return true;
}
