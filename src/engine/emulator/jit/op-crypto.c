/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Emitters of cryptography, as interpreter/op-crypto.c has its handlers, by the host's
 * instructions for the same where it has them.
 */
#include "op-vector.h"

/* --- AES: a round of the host's does what Arm has two instructions for */

static bool aes_round(struct mv_translator *t, unsigned last)
{
    if (!t->jit->has_aes)
        return false;
    mv_check_vector(t);
    mv_v_both(t, PXOR, t->op.rd, t->op.rn);
    mv_vzero(&t->e, 1);
    mv_v_rr(&t->e, false, last, 0, 0, 1);
    return mv_v_done(t);
}

bool mv_emit_aese(struct mv_translator *t)
{
    return aes_round(t, P38(0xdd));
}

bool mv_emit_aesd(struct mv_translator *t)
{
    return aes_round(t, P38(0xdf));
}

/* Substitution and rows are undone before, so that the mixing of columns is left. */
bool mv_emit_aesmc(struct mv_translator *t)
{
    if (!t->jit->has_aes)
        return false;
    mv_check_vector(t);
    mv_vzero(&t->e, 1);
    mv_v_rr(&t->e, false, P38(0xdf), 0, mv_v_use(t, t->op.rn, 0), 1);
    mv_v_rr(&t->e, false, P38(0xdc), 0, 0, 1);
    return mv_v_done(t);
}

bool mv_emit_aesimc(struct mv_translator *t)
{
    if (!t->jit->has_aes)
        return false;
    mv_check_vector(t);
    mv_v_op(t, P38(0xdb), t->op.rn);
    return mv_v_done(t);
}

bool mv_emit_vpmull_64(struct mv_translator *t)
{
    if (!t->jit->has_pclmul)
        return false;
    mv_check_vector(t);
    mv_v_both(t, PCLMULQDQ, t->op.rn, t->op.rm);
    mv_emit8(&t->e, t->op.ra ? 0x11 : 0x00);
    return mv_v_done(t);
}

/* --- SHA: the host's have the first word of a row in its highest element */

enum { RNDS2 = 0xcb, MSG1 = 0xcc, MSG2 = 0xcd }; /* 0f 38; the first one takes xmm0 as well */

/* Of the lower eight registers; there are no others with VEX. */
static void emit_sha(struct mv_translator *t, unsigned opcode, unsigned to, unsigned from)
{
    mv_emit8(&t->e, 0x0f);
    mv_emit8(&t->e, 0x38);
    mv_emit8(&t->e, opcode);
    mv_emit_modrm_reg(&t->e, to, from);
}

static void emit_reversed(struct mv_translator *t, unsigned to, unsigned v)
{
    mv_v_with(t, false, PSHUFD, to, 0, v);
    mv_emit8(&t->e, 0x1b);
}

/* xmm0 = `from` reversed, and that is the result. */
static bool set_reversed(struct mv_translator *t, unsigned from)
{
    mv_v_rr(&t->e, false, PSHUFD, 0, 0, from);
    mv_emit8(&t->e, 0x1b);
    return mv_v_done(t);
}

/* Four rounds are twice two; the host has a, b, e, f in one register and the rest in another. */
static bool sha256_rounds(struct mv_translator *t, unsigned abcd, unsigned efgh, unsigned result)
{
    if (!t->jit->has_sha)
        return false;
    mv_check_vector(t);
    emit_reversed(t, 3, abcd);
    emit_reversed(t, 0, efgh);
    mv_v_rr(&t->e, false, PUNPCKLQDQ, 1, 0, 3);
    mv_v_rr(&t->e, false, PUNPCKHQDQ, 2, 0, 3);
    mv_v_copy(t, 0, t->op.rm);
    emit_sha(t, RNDS2, 1, 2);
    mv_v_rr(&t->e, false, PSHUFD, 0, 0, 0);
    mv_emit8(&t->e, 0x0e);
    emit_sha(t, RNDS2, 2, 1);
    mv_v_rr(&t->e, false, result, 0, 1, 2);
    return set_reversed(t, 0);
}

bool mv_emit_sha256h(struct mv_translator *t)
{
    return sha256_rounds(t, t->op.rd, t->op.rn, PUNPCKHQDQ);
}

bool mv_emit_sha256h2(struct mv_translator *t)
{
    return sha256_rounds(t, t->op.rn, t->op.rd, PUNPCKLQDQ);
}

bool mv_emit_sha256su0(struct mv_translator *t)
{
    if (!t->jit->has_sha)
        return false;
    mv_check_vector(t);
    mv_v_copy(t, 0, t->op.rd);
    mv_v_copy(t, 1, t->op.rn);
    emit_sha(t, MSG1, 0, 1);
    return mv_v_done(t);
}

bool mv_emit_sha256su1(struct mv_translator *t)
{
    if (!t->jit->has_sha)
        return false;
    mv_check_vector(t);
    mv_v_copy(t, 1, t->op.rm);
    mv_v_with(t, false, PALIGNR, 0, 1, t->op.rn);
    mv_emit8(&t->e, 4);
    mv_v_op(t, PADDD, t->op.rd);
    emit_sha(t, MSG2, 0, 1);
    return mv_v_done(t);
}

/* The host adds the standard's constant of the function, and takes e with the first word. */
static bool sha1_rounds(struct mv_translator *t, unsigned function, uint32_t constant)
{
    if (!t->jit->has_sha)
        return false;
    mv_check_vector(t);
    mv_mov_ri(&t->e, MV_RAX, constant);
    mv_v_rr(&t->e, false, MV_VMOVD_GENERAL, 3, 0, MV_RAX);
    mv_v_rr(&t->e, false, P38(0x58), 3, 0, 3); /* in all elements */
    mv_v_copy(t, 0, t->op.rm);
    mv_v_rr(&t->e, false, PSUBD, 0, 0, 3);
    mv_v_rm(&t->e, false, MV_VMOVSS, 3, 0, mv_v_stored_at(t, t->op.rn, 0));
    mv_v_rr(&t->e, false, PADDD, 0, 0, 3);
    mv_v_rr(&t->e, false, PSHUFD, 2, 0, 0);
    mv_emit8(&t->e, 0x1b);
    emit_reversed(t, 1, t->op.rd);
    mv_emit8(&t->e, 0x0f); /* sha1rnds4 xmm1, xmm2 */
    mv_emit8(&t->e, 0x3a);
    mv_emit8(&t->e, 0xcc);
    mv_emit_modrm_reg(&t->e, 1, 2);
    mv_emit8(&t->e, function);
    return set_reversed(t, 1);
}

bool mv_emit_sha1c(struct mv_translator *t)
{
    return sha1_rounds(t, 0, 0x5a827999);
}

bool mv_emit_sha1p(struct mv_translator *t)
{
    return sha1_rounds(t, 1, 0x6ed9eba1);
}

bool mv_emit_sha1m(struct mv_translator *t)
{
    return sha1_rounds(t, 2, 0x8f1bbcdc);
}

bool mv_emit_sha1h(struct mv_translator *t)
{
    mv_check_vector(t);
    mv_mov_rm(&t->e, false, MV_RAX, mv_v_stored_at(t, t->op.rn, 0));
    mv_rorx(&t->e, false, MV_RAX, MV_RAX, 2);
    mv_v_rr(&t->e, false, MV_VMOVD_GENERAL, 0, 0, MV_RAX);
    return mv_v_done(t);
}

bool mv_emit_sha1su0(struct mv_translator *t)
{
    mv_check_vector(t);
    mv_v_both(t, PALIGNR, t->op.rn, t->op.rd);
    mv_emit8(&t->e, 8);
    mv_v_op(t, PXOR, t->op.rd);
    mv_v_op(t, PXOR, t->op.rm);
    return mv_v_done(t);
}

/* The four words of `from`, each rotated left by one; `other` is spoilt. */
static void emit_rotated(struct mv_translator *t, unsigned to, unsigned from, unsigned other)
{
    mv_v_rr(&t->e, false, P(0x72), 2, other, from); /* vpsrld */
    mv_emit8(&t->e, 31);
    mv_v_rr(&t->e, false, P(0x72), 6, to, from); /* vpslld */
    mv_emit8(&t->e, 1);
    mv_v_rr(&t->e, false, POR, to, to, other);
}

bool mv_emit_sha1su1(struct mv_translator *t)
{
    mv_check_vector(t);
    mv_v_rr(&t->e, false, P(0x73), 3, 0, mv_v_use(t, t->op.rn, 0)); /* vpsrldq */
    mv_emit8(&t->e, 4);
    mv_v_op(t, PXOR, t->op.rd);
    emit_rotated(t, 1, 0, 2);
    mv_v_rr(&t->e, false, P(0x73), 7, 2, 1); /* vpslldq: the first word in the last's place */
    mv_emit8(&t->e, 12);
    emit_rotated(t, 0, 2, 3);
    mv_v_rr(&t->e, false, PXOR, 0, 0, 1);
    return mv_v_done(t);
}
