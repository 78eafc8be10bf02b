/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Emitters of AdvSIMD integer instructions for which the host has one or two of its own, as
 * interpreter/op-vector-*.c have their handlers.  What works on 64 bits is done on 128, and
 * the upper half made zero (vector.h).
 */
#include "op-vector.h"

/* xmm0 is the result, of 128 bits or the lower 64. */
static bool set(struct mv_translator *t, bool whole)
{
    if (!whole)
        mv_v_rr(&t->e, false, MV_VMOVQ, 0, 0, 0);
    mv_v_set(t, t->op.rd, 0);
    return true;
}

static bool set_by_imm(struct mv_translator *t)
{
    return set(t, t->op.imm != 0);
}

static void invert(struct mv_translator *t)
{
    mv_v_rr(&t->e, false, PCMPEQD, 1, 1, 1); /* all ones */
    mv_v_rr(&t->e, false, PXOR, 0, 0, 1);
}

/* --- n op m; m op n; and what is made of them */

static bool binary(struct mv_translator *t, unsigned op)
{
    mv_check_vector(t);
    mv_v_both(t, op, t->op.rn, t->op.rm);
    return set_by_imm(t);
}

static bool swapped(struct mv_translator *t, unsigned op)
{
    mv_check_vector(t);
    mv_v_both(t, op, t->op.rm, t->op.rn);
    return set_by_imm(t);
}

/* n >= m is not m > n. */
static bool swapped_not(struct mv_translator *t, unsigned op)
{
    mv_check_vector(t);
    mv_v_both(t, op, t->op.rm, t->op.rn);
    invert(t);
    return set_by_imm(t);
}

/* Whether n is the larger one of both, without a sign; or, inverted, the smaller one. */
static bool is_chosen(struct mv_translator *t, unsigned choose, unsigned equal, bool inverted)
{
    mv_check_vector(t);
    mv_v_both(t, choose, t->op.rn, t->op.rm);
    mv_v_op(t, equal, t->op.rn);
    if (inverted)
        invert(t);
    return set_by_imm(t);
}

static bool shares_bits(struct mv_translator *t, unsigned equal)
{
    mv_check_vector(t);
    mv_v_both(t, PAND, t->op.rn, t->op.rm);
    mv_vzero(&t->e, 1);
    mv_v_rr(&t->e, false, equal, 0, 0, 1);
    invert(t);
    return set_by_imm(t);
}

#define BINARY(name, op)                                                                           \
    bool mv_emit_##name(struct mv_translator *t)                                                   \
    {                                                                                              \
        return binary(t, op);                                                                      \
    }
#define ONE(name, call)                                                                            \
    bool mv_emit_##name(struct mv_translator *t)                                                   \
    {                                                                                              \
        return call;                                                                               \
    }
/* clang-format off */
BINARY(vand, PAND)
BINARY(vorr, POR)
BINARY(veor, PXOR)
ONE(vbic, swapped(t, PANDN))
BINARY(vadd_8, P(0xfc))
BINARY(vadd_16, P(0xfd))
BINARY(vadd_32, P(0xfe))
BINARY(vadd_64, P(0xd4))
BINARY(vsub_8, P(0xf8))
BINARY(vsub_16, P(0xf9))
BINARY(vsub_32, P(0xfa))
BINARY(vsub_64, P(0xfb))
BINARY(vmul_16, P(0xd5))
BINARY(vmul_32, P38(0x40))
BINARY(vcmeq_8, P(0x74))
BINARY(vcmeq_16, P(0x75))
BINARY(vcmeq_32, PCMPEQD)
BINARY(vcmeq_64, P38(0x29))
BINARY(vcmgt_8, P(0x64))
BINARY(vcmgt_16, P(0x65))
BINARY(vcmgt_32, P(0x66))
BINARY(vcmgt_64, P38(0x37))
ONE(vcmge_8, swapped_not(t, P(0x64)))
ONE(vcmge_16, swapped_not(t, P(0x65)))
ONE(vcmge_32, swapped_not(t, P(0x66)))
ONE(vcmge_64, swapped_not(t, P38(0x37)))
BINARY(vsmax_8, P38(0x3c))
BINARY(vsmax_16, P(0xee))
BINARY(vsmax_32, P38(0x3d))
BINARY(vumax_8, P(0xde))
BINARY(vumax_16, P38(0x3e))
BINARY(vumax_32, P38(0x3f))
BINARY(vsmin_8, P38(0x38))
BINARY(vsmin_16, P(0xea))
BINARY(vsmin_32, P38(0x39))
BINARY(vumin_8, P(0xda))
BINARY(vumin_16, P38(0x3a))
BINARY(vumin_32, P38(0x3b))
ONE(vcmhs_8, is_chosen(t, P(0xde), P(0x74), false))
ONE(vcmhs_16, is_chosen(t, P38(0x3e), P(0x75), false))
ONE(vcmhs_32, is_chosen(t, P38(0x3f), PCMPEQD, false))
ONE(vcmhi_8, is_chosen(t, P(0xda), P(0x74), true))
ONE(vcmhi_16, is_chosen(t, P38(0x3a), P(0x75), true))
ONE(vcmhi_32, is_chosen(t, P38(0x3b), PCMPEQD, true))
ONE(vcmtst_8, shares_bits(t, P(0x74)))
ONE(vcmtst_16, shares_bits(t, P(0x75)))
ONE(vcmtst_32, shares_bits(t, PCMPEQD))
BINARY(vurhadd_8, P(0xe0))
BINARY(vurhadd_16, P(0xe3))
/* clang-format on */

/* --- with what the destination has */

static bool select(struct mv_translator *t, unsigned by, unsigned first, unsigned second,
                   unsigned op)
{
    mv_check_vector(t);
    mv_v_both(t, PXOR, first, second);
    mv_v_rr(&t->e, false, op, 0, mv_v_use(t, by, 1), 0);
    mv_v_op(t, PXOR, first);
    return set_by_imm(t);
}
ONE(vbsl, select(t, t->op.rd, t->op.rm, t->op.rn, PAND))
ONE(vbit, select(t, t->op.rm, t->op.rd, t->op.rn, PAND))
ONE(vbif, select(t, t->op.rm, t->op.rd, t->op.rn, PANDN))

static bool accumulate(struct mv_translator *t, unsigned product, unsigned op)
{
    mv_check_vector(t);
    mv_v_with(t, false, product, 1, mv_v_use(t, t->op.rn, 1), t->op.rm);
    mv_v_rr(&t->e, false, op, 0, mv_v_use(t, t->op.rd, 0), 1);
    return set_by_imm(t);
}
ONE(vmla_16, accumulate(t, P(0xd5), P(0xfd)))
ONE(vmla_32, accumulate(t, P38(0x40), P(0xfe)))
ONE(vmls_16, accumulate(t, P(0xd5), P(0xf9)))
ONE(vmls_32, accumulate(t, P38(0x40), P(0xfa)))

/* --- of one source */

static bool negate(struct mv_translator *t, unsigned subtract)
{
    mv_check_vector(t);
    mv_vzero(&t->e, 0);
    mv_v_op(t, subtract, t->op.rn);
    return set_by_imm(t);
}
ONE(vneg_8, negate(t, P(0xf8)))
ONE(vneg_16, negate(t, P(0xf9)))
ONE(vneg_32, negate(t, P(0xfa)))
ONE(vneg_64, negate(t, P(0xfb)))

static bool absolute(struct mv_translator *t, unsigned op)
{
    mv_check_vector(t);
    mv_v_op(t, op, t->op.rn);
    return set_by_imm(t);
}
ONE(vabs_8, absolute(t, P38(0x1c)))
ONE(vabs_16, absolute(t, P38(0x1d)))
ONE(vabs_32, absolute(t, P38(0x1e)))

bool mv_emit_vnot(struct mv_translator *t)
{
    mv_check_vector(t);
    mv_v_copy(t, 0, t->op.rn);
    invert(t);
    return set_by_imm(t);
}

static bool equals_zero(struct mv_translator *t, unsigned equal)
{
    mv_check_vector(t);
    mv_vzero(&t->e, 0);
    mv_v_op(t, equal, t->op.rn);
    return set_by_imm(t);
}
ONE(vcmeq0_8, equals_zero(t, P(0x74)))
ONE(vcmeq0_16, equals_zero(t, P(0x75)))
ONE(vcmeq0_32, equals_zero(t, PCMPEQD))
ONE(vcmeq0_64, equals_zero(t, P38(0x29)))

/* Shifts: op and which of its group. */
static bool shift(struct mv_translator *t, unsigned op, unsigned which)
{
    mv_check_vector(t);
    mv_v_rr(&t->e, false, op, which, 0, mv_v_use(t, t->op.rn, 0));
    mv_emit8(&t->e, t->op.rm);
    return set_by_imm(t);
}
ONE(vshl_16, shift(t, P(0x71), 6))
ONE(vshl_32, shift(t, P(0x72), 6))
ONE(vshl_64, shift(t, P(0x73), 6))
ONE(vushr_16, shift(t, P(0x71), 2))
ONE(vushr_32, shift(t, P(0x72), 2))
ONE(vushr_64, shift(t, P(0x73), 2))
ONE(vsshr_16, shift(t, P(0x71), 4))
ONE(vsshr_32, shift(t, P(0x72), 4))

/* --- copies */

bool mv_emit_vmovi(struct mv_translator *t)
{
    mv_check_vector(t);
    mv_mov_ri(&t->e, MV_RAX, t->op.imm);
    mv_v_rr(&t->e, true, MV_VMOVD_GENERAL, 0, 0, MV_RAX);
    if (t->op.aux)
        mv_v_rr(&t->e, false, P38(0x59), 0, 0, 0); /* vpbroadcastq */
    return set(t, true);
}

static bool broadcast(struct mv_translator *t, unsigned op, unsigned size)
{
    mv_check_vector(t);
    if (t->op.ra == 0 && t->xmm[t->op.rn] != 0)
        mv_v_rr(&t->e, false, op, 0, 0, t->xmm[t->op.rn]);
    else
        mv_v_rm(&t->e, false, op, 0, 0, mv_v_stored_at(t, t->op.rn, t->op.ra * size));
    return set_by_imm(t);
}
ONE(vdup_8, broadcast(t, P38(0x78), 1))
ONE(vdup_16, broadcast(t, P38(0x79), 2))
ONE(vdup_32, broadcast(t, P38(0x58), 4))
ONE(vdup_64, broadcast(t, P38(0x59), 8))

static bool broadcast_general(struct mv_translator *t, unsigned op)
{
    mv_check_vector(t);
    mv_v_rr(&t->e, true, MV_VMOVD_GENERAL, 0, 0, mv_use(t, t->op.rn, MV_RAX));
    mv_v_rr(&t->e, false, op, 0, 0, 0);
    return set_by_imm(t);
}
ONE(vdup_gen_8, broadcast_general(t, P38(0x78)))
ONE(vdup_gen_16, broadcast_general(t, P38(0x79)))
ONE(vdup_gen_32, broadcast_general(t, P38(0x58)))
ONE(vdup_gen_64, broadcast_general(t, P38(0x59)))

static bool element(struct mv_translator *t, unsigned size, bool is_signed, bool wide)
{
    enum mv_host_reg to = mv_def(t, t->op.rd, MV_RAX);
    mv_check_vector(t);
    if (t->op.ra == 0 && !is_signed && size >= 4 && t->xmm[t->op.rn] != 0)
        mv_v_rr(&t->e, size == 8, MV_VMOVD_TO_GENERAL, t->xmm[t->op.rn], 0, to);
    else
        mv_load(&t->e, size, is_signed, wide, to, mv_v_stored_at(t, t->op.rn, t->op.ra * size));
    mv_set(t, t->op.rd, to);
    return true;
}
ONE(umov_8, element(t, 1, false, false))
ONE(umov_16, element(t, 2, false, false))
ONE(umov_32, element(t, 4, false, false))
ONE(umov_64, element(t, 8, false, false))
ONE(smov_w_8, element(t, 1, true, false))
ONE(smov_w_16, element(t, 2, true, false))
ONE(smov_x_8, element(t, 1, true, true))
ONE(smov_x_16, element(t, 2, true, true))
ONE(smov_x_32, element(t, 4, true, true))

static bool insert(struct mv_translator *t, unsigned size, bool from_vector)
{
    static const unsigned inserts[] = {
        [1] = P3A(0x20), [2] = P(0xc4), [4] = P3A(0x22), [8] = P3A(0x22)};
    enum mv_host_reg from = MV_RAX;
    unsigned own = t->xmm[t->op.rd];
    mv_check_vector(t);
    if (from_vector)
        mv_load(&t->e, size, false, false, MV_RAX, mv_v_stored_at(t, t->op.rn, t->op.ra * size));
    else
        from = mv_use(t, t->op.rn, MV_RAX);
    if (own == 0) {
        mv_store(&t->e, size, mv_v_at(t->op.rd, t->op.aux * size), from);
        return true;
    }
    mv_v_rr(&t->e, size == 8, inserts[size], own, own, from);
    mv_emit8(&t->e, t->op.aux);
    mv_v_set(t, t->op.rd, own);
    return true;
}
ONE(vins_8, insert(t, 1, true))
ONE(vins_16, insert(t, 2, true))
ONE(vins_32, insert(t, 4, true))
ONE(vins_64, insert(t, 8, true))
ONE(vins_gen_8, insert(t, 1, false))
ONE(vins_gen_16, insert(t, 2, false))
ONE(vins_gen_32, insert(t, 4, false))
ONE(vins_gen_64, insert(t, 8, false))

bool mv_emit_vext_16b(struct mv_translator *t)
{
    mv_check_vector(t);
    mv_v_both(t, PALIGNR, t->op.rm, t->op.rn);
    mv_emit8(&t->e, t->op.ra);
    return set(t, true);
}

/* The lower halves of both, in turns, or the upper ones; the latter of whole registers. */
static bool zip(struct mv_translator *t, unsigned low, unsigned high)
{
    if (t->op.ra != 0 && t->op.imm == 0)
        return false;
    mv_check_vector(t);
    mv_v_both(t, t->op.ra != 0 ? high : low, t->op.rn, t->op.rm);
    return set_by_imm(t);
}
ONE(vzip_8, zip(t, P(0x60), P(0x68)))
ONE(vzip_16, zip(t, P(0x61), P(0x69)))
ONE(vzip_32, zip(t, P(0x62), P(0x6a)))
ONE(vzip_64, zip(t, PUNPCKLQDQ, PUNPCKHQDQ))

/* --- pairs of neighbours, of n and then of m; halves of elements */

/* In the lower bytes of an xmm register's words, what op makes of both; and zeroes above. */
static void pair_up(struct mv_translator *t, unsigned op, unsigned xmm, unsigned v, unsigned spare)
{
    mv_v_rr(&t->e, false, PSRLW_IMM, 2, spare, v);
    mv_emit8(&t->e, 8);
    mv_v_rr(&t->e, false, op, xmm, spare, v);
    mv_v_rr(&t->e, false, PCMPEQD, spare, spare, spare);
    mv_v_rr(&t->e, false, PSRLW_IMM, 2, spare, spare);
    mv_emit8(&t->e, 8);
    mv_v_rr(&t->e, false, PAND, xmm, xmm, spare);
}

static bool pairs(struct mv_translator *t, unsigned op)
{
    mv_check_vector(t);
    if (t->op.imm != 0) {
        pair_up(t, op, 0, mv_v_use(t, t->op.rn, 0), 2);
        pair_up(t, op, 1, mv_v_use(t, t->op.rm, 1), 2);
        mv_v_rr(&t->e, false, PACKUSWB, 0, 0, 1);
    } else {
        mv_v_both(t, PUNPCKLQDQ, t->op.rn, t->op.rm);
        pair_up(t, op, 0, 0, 2);
        mv_v_rr(&t->e, false, PACKUSWB, 0, 0, 0);
    }
    return set_by_imm(t);
}
ONE(vaddp_8, pairs(t, P(0xfc)))
ONE(vumaxp_8, pairs(t, P(0xde)))
ONE(vuminp_8, pairs(t, P(0xda)))

/* The lower bytes of words that are shifted, in the lower half. */
bool mv_emit_vshrn_8(struct mv_translator *t)
{
    if (t->op.ra != 0)
        return false;
    mv_check_vector(t);
    /* Twice, as the upper byte is to be zero. */
    mv_v_rr(&t->e, false, PSRLW_IMM, 6, 0, mv_v_use(t, t->op.rn, 0));
    mv_emit8(&t->e, 8u - t->op.rm);
    mv_v_rr(&t->e, false, PSRLW_IMM, 2, 0, 0);
    mv_emit8(&t->e, 8);
    mv_v_rr(&t->e, false, PACKUSWB, 0, 0, 0);
    return set(t, false);
}
