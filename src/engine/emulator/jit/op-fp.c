/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Emitters of floating point, as interpreter/op-fp.c and op-vector-fp.c have its handlers:
 * the host's arithmetic where its result is Arm's.  It is not where the result is a NaN, or
 * may have been tiny before it was rounded (Arm looks before, x86 behind: such a result is
 * the smallest normal number); then the handler does the op anew.  Of the flags, x86 sets
 * none that Arm does not, FPCR.FZ being 0 (mv_jit_fp_begin).
 */
#include "emitters.h"

/* Opcodes that exist for both precisions: single, packed and not, double. */
#define FAMILY(map, opcode) ((map) << 16 | (opcode))
#define ADD                 FAMILY(1, 0x58)
#define MUL                 FAMILY(1, 0x59)
#define SUB                 FAMILY(1, 0x5c)
#define DIV                 FAMILY(1, 0x5e)
#define SQRT                FAMILY(1, 0x51)
#define AND                 FAMILY(1, 0x54)
#define XOR                 FAMILY(1, 0x57)
/* xmm0 += or -= xmm1 * m, then turned or not; packed ones are one less. */
#define FMA  FAMILY(2, 0xb9)
#define FMS  FAMILY(2, 0xbb)
#define FNMA FAMILY(2, 0xbd)
#define FNMS FAMILY(2, 0xbf)

static unsigned scalar(unsigned family, bool is_double)
{
    return family | (family >> 16 == 2 ? 1u : is_double ? 3u : 2u) << 8;
}

static unsigned packed(unsigned family, bool is_double)
{
    return family >> 16 == 2 ? (family - 1) | 1u << 8 : family | (is_double ? 1u << 8 : 0);
}

/* In single operations bit 7 of VEX says which precision FMA is of; others ignore it. */
static void apply(struct mv_translator *t, unsigned op, bool is_double, unsigned to,
                  unsigned second, unsigned v)
{
    mv_v_with(t, is_double && op >> 16 == 2, op, to, second, v);
}

/* With zeroes above. */
static void load_scalar(struct mv_translator *t, bool is_double, unsigned xmm, unsigned v)
{
    unsigned own = t->xmm[v];
    if (own == 0) {
        mv_v_rm(&t->e, false, is_double ? MV_VMOVSD : MV_VMOVSS, xmm, 0, mv_v_at(v, 0));
    } else if (is_double) {
        mv_v_rr(&t->e, false, MV_VMOVQ, xmm, 0, own);
    } else {
        mv_v_rr(&t->e, false, MV_VINSERTPS, xmm, own, own);
        mv_emit8(&t->e, 0x0e);
    }
}

/* Whatever is above. */
static unsigned use_scalar(struct mv_translator *t, bool is_double, unsigned v, unsigned scratch)
{
    if (t->xmm[v] != 0)
        return t->xmm[v];
    load_scalar(t, is_double, scratch, v);
    return scratch;
}

/* xmm0 goes to the destination, if it is what it has to be; else the handler does the op. */
static bool finish(struct mv_translator *t, bool is_double, bool exact)
{
    struct mv_host_mem magnitude =
        is_double ? MV_STATE(jit_numbers.magnitude64) : MV_STATE(jit_numbers.magnitude32);
    struct mv_host_mem normal =
        is_double ? MV_STATE(jit_numbers.normal64) : MV_STATE(jit_numbers.normal32);
    unsigned compare = MV_VUCOMIS | (is_double ? 1u << 8 : 0);
    if (exact) {
        mv_v_rr(&t->e, false, compare, 0, 0, 0);
    } else {
        mv_v_rm(&t->e, false, packed(AND, is_double), 1, 0, magnitude);
        mv_v_rm(&t->e, false, compare, 1, 0, normal);
    }
    /* Unordered sets both flags, equal the zero flag. */
    struct mv_cold *cold = mv_cold_at(t, MV_COLD_HANDLER, mv_jcc(&t->e, exact ? MV_CC_P : MV_CC_E));
    mv_v_set(t, t->op.rd, 0);
    mv_cold_back(t, cold);
    t->eflags = false;
    return true;
}

static bool binary(struct mv_translator *t, bool is_double, unsigned family, bool exact)
{
    mv_check_fp(t);
    load_scalar(t, is_double, 0, t->op.rn);
    apply(t, scalar(family, is_double), is_double, 0, 0, t->op.rm);
    return finish(t, is_double, exact);
}

static bool fused(struct mv_translator *t, bool is_double, unsigned family)
{
    mv_check_fp(t);
    load_scalar(t, is_double, 0, t->op.ra);
    unsigned n = use_scalar(t, is_double, t->op.rn, 1);
    apply(t, scalar(family, is_double), is_double, 0, n, t->op.rm);
    return finish(t, is_double, false);
}

static bool root(struct mv_translator *t, bool is_double)
{
    mv_check_fp(t);
    load_scalar(t, is_double, 0, t->op.rn);
    mv_v_rr(&t->e, false, scalar(SQRT, is_double), 0, 0, 0);
    return finish(t, is_double, true);
}

#define BOTH(name, call)                                                                           \
    bool mv_emit_##name##_s(struct mv_translator *t)                                               \
    {                                                                                              \
        const bool d = false;                                                                      \
        return call;                                                                               \
    }                                                                                              \
    bool mv_emit_##name##_d(struct mv_translator *t)                                               \
    {                                                                                              \
        const bool d = true;                                                                       \
        return call;                                                                               \
    }
BOTH(fadd, binary(t, d, ADD, true))
BOTH(fsub, binary(t, d, SUB, true))
BOTH(fmul, binary(t, d, MUL, false))
BOTH(fdiv, binary(t, d, DIV, false))
BOTH(fsqrt, root(t, d))
BOTH(fmadd, fused(t, d, FMA))
BOTH(fmsub, fused(t, d, FNMA))
BOTH(fnmadd, fused(t, d, FNMS))
BOTH(fnmsub, fused(t, d, FMS))

/* --- moves, and signs: no arithmetic */

static bool store_scalar(struct mv_translator *t)
{
    mv_v_set(t, t->op.rd, 0);
    return true;
}

static bool move(struct mv_translator *t, bool is_double)
{
    mv_check_vector(t);
    load_scalar(t, is_double, 0, t->op.rn);
    return store_scalar(t);
}

/* The mask is loaded as a scalar: what is above stays zero. */
static bool sign(struct mv_translator *t, bool is_double, unsigned family, struct mv_host_mem mask)
{
    mv_check_vector(t);
    load_scalar(t, is_double, 0, t->op.rn);
    mv_v_rm(&t->e, false, is_double ? MV_VMOVSD : MV_VMOVSS, 1, 0, mask);
    mv_v_rr(&t->e, false, packed(family, is_double), 0, 0, 1);
    return store_scalar(t);
}
BOTH(fmov, move(t, d))
BOTH(fabs,
     sign(t, d, AND, d ? MV_STATE(jit_numbers.magnitude64) : MV_STATE(jit_numbers.magnitude32)))
BOTH(fneg, sign(t, d, XOR, d ? MV_STATE(jit_numbers.sign64) : MV_STATE(jit_numbers.sign32)))

static bool from_general(struct mv_translator *t, bool wide)
{
    mv_check_vector(t);
    mv_v_rr(&t->e, wide, MV_VMOVD_GENERAL, 0, 0, mv_use(t, t->op.rn, MV_RAX));
    return store_scalar(t);
}

static bool to_general(struct mv_translator *t, unsigned size, unsigned byte)
{
    enum mv_host_reg to = mv_def(t, t->op.rd, MV_RAX);
    mv_check_vector(t);
    if (byte == 0 && t->xmm[t->op.rn] != 0)
        mv_v_rr(&t->e, size == 8, MV_VMOVD_TO_GENERAL, t->xmm[t->op.rn], 0, to);
    else
        mv_load(&t->e, size, false, false, to, mv_v_stored_at(t, t->op.rn, byte));
    mv_set(t, t->op.rd, to);
    return true;
}

bool mv_emit_fmov_w_to_s(struct mv_translator *t)
{
    return from_general(t, false);
}

bool mv_emit_fmov_x_to_d(struct mv_translator *t)
{
    return from_general(t, true);
}

bool mv_emit_fmov_s_to_w(struct mv_translator *t)
{
    return to_general(t, 4, 0);
}

bool mv_emit_fmov_d_to_x(struct mv_translator *t)
{
    return to_general(t, 8, 0);
}

bool mv_emit_fmov_high_to_x(struct mv_translator *t)
{
    return to_general(t, 8, 8);
}

bool mv_emit_fmov_imm(struct mv_translator *t)
{
    mv_check_vector(t);
    mv_mov_ri(&t->e, MV_RAX, t->op.imm);
    mv_v_rr(&t->e, true, MV_VMOVD_GENERAL, 0, 0, MV_RAX);
    return store_scalar(t);
}

static bool select(struct mv_translator *t, bool is_double)
{
    enum mv_host_cond cc;
    if (!mv_flags_condition(t, t->op.aux, &cc))
        return move(t, is_double);
    bool eflags = t->eflags;
    mv_mov_rm(&t->e, is_double, MV_RCX, mv_v_stored_at(t, t->op.rm, 0));
    mv_emit_rm(&t->e, is_double, 0x0f40 | cc, MV_RCX, mv_v_stored_at(t, t->op.rn, 0));
    mv_v_rr(&t->e, true, MV_VMOVD_GENERAL, 0, 0, MV_RCX);
    t->eflags = eflags;
    return store_scalar(t);
}
bool mv_emit_fcsel_s(struct mv_translator *t)
{
    mv_check_vector(t);
    return select(t, false);
}
bool mv_emit_fcsel_d(struct mv_translator *t)
{
    mv_check_vector(t);
    return select(t, true);
}

/* --- comparisons: less is CF here, which is N there as well */

static bool compare(struct mv_translator *t, bool is_double, bool zero)
{
    unsigned op = (t->op.imm ? MV_VCOMIS : MV_VUCOMIS) | (is_double ? 1u << 8 : 0);
    mv_check_fp(t);
    unsigned n = use_scalar(t, is_double, t->op.rn, 0);
    if (zero) {
        mv_vzero(&t->e, 1);
        mv_v_rr(&t->e, false, op, n, 0, 1);
    } else {
        mv_v_with(t, false, op, n, 0, t->op.rm);
    }
    struct mv_cold *cold = mv_cold_at(t, MV_COLD_HANDLER, mv_jcc(&t->e, MV_CC_P));
    mv_emit8(&t->e, MV_LAHF);
    mv_alu_ri(&t->e, false, MV_AND, MV_RAX, MV_FLAGS_Z | MV_FLAGS_NOT_C | MV_FLAGS_ALONE);
    mv_mov_rr(&t->e, false, MV_RCX, MV_RAX);
    mv_alu_ri(&t->e, false, MV_AND, MV_RCX, MV_FLAGS_NOT_C);
    mv_shift_ri(&t->e, false, MV_SHL, MV_RCX, 7);
    mv_alu_rr(&t->e, false, MV_OR, MV_RAX, MV_RCX);
    mv_store(&t->e, 2, MV_STATE(jit_flags), MV_RAX);
    mv_cold_back(t, cold);
    t->eflags = false;
    return true;
}
BOTH(fcmp, compare(t, d, false))
BOTH(fcmp_zero, compare(t, d, true))

/* --- conversions */

static bool between(struct mv_translator *t, bool to_double)
{
    mv_check_fp(t);
    load_scalar(t, !to_double, 0, t->op.rn);
    mv_vzero(&t->e, 1); /* what is above the result comes from there */
    mv_v_rr(&t->e, false, scalar(FAMILY(1, 0x5a), !to_double), 0, 1, 0);
    return finish(t, to_double, to_double);
}

bool mv_emit_fcvt_s_to_d(struct mv_translator *t)
{
    return between(t, true);
}

bool mv_emit_fcvt_d_to_s(struct mv_translator *t)
{
    return between(t, false);
}

/* Of signed integers, and of unsigned ones that are none of the host's widest. */
static bool from_integer(struct mv_translator *t, bool is_double)
{
    bool wide = t->op.ra == 64, is_unsigned = t->op.rm;
    if (t->op.imm != 0 || (wide && is_unsigned))
        return false;
    mv_check_fp(t);
    mv_use_in(t, wide, t->op.rn, MV_RAX);
    mv_vzero(&t->e, 0);
    mv_v_rr(&t->e, wide || is_unsigned, scalar(FAMILY(1, 0x2a), is_double), 0, 0, MV_RAX);
    return store_scalar(t);
}
BOTH(fcvt_from_fixed, from_integer(t, d))

/* Towards zero; what does not fit comes out as the smallest number, which is left to the handler.
 */
static bool to_integer(struct mv_translator *t, bool is_double)
{
    bool wide = t->op.ra == 64, is_unsigned = t->op.rm;
    if (t->op.imm != 0 || is_unsigned || t->op.aux != MV_FP_ZERO)
        return false;
    mv_check_fp(t);
    mv_v_with(t, wide, scalar(FAMILY(1, 0x2c), is_double), MV_RAX, 0, t->op.rn);
    mv_alu_ri(&t->e, wide, MV_CMP, MV_RAX, 1);
    struct mv_cold *cold = mv_cold_at(t, MV_COLD_HANDLER, mv_jcc(&t->e, MV_CC_O));
    mv_set(t, t->op.rd, MV_RAX);
    mv_cold_back(t, cold);
    t->eflags = false;
    return true;
}
BOTH(fcvt_to_fixed, to_integer(t, d))

/* --- vectors: whole registers, since elements that do not exist may set no flags */

static bool finish_vector(struct mv_translator *t, bool is_double, bool exact)
{
    unsigned op = is_double ? MV_VCMPPD : MV_VCMPPS;
    if (exact) {
        mv_v_rr(&t->e, false, op, 1, 0, 0);
        mv_emit8(&t->e, 3); /* unordered */
    } else {
        mv_v_rm(&t->e, false, packed(AND, is_double), 1, 0,
                is_double ? MV_STATE(jit_numbers.magnitude64) : MV_STATE(jit_numbers.magnitude32));
        mv_v_rm(&t->e, false, op, 1, 1,
                is_double ? MV_STATE(jit_numbers.normal64) : MV_STATE(jit_numbers.normal32));
        mv_emit8(&t->e, 8); /* equal or unordered */
    }
    mv_v_rr(&t->e, false, MV_VTESTPS, 1, 0, 1);
    struct mv_cold *cold = mv_cold_at(t, MV_COLD_HANDLER, mv_jcc(&t->e, MV_CC_NE));
    mv_v_set(t, t->op.rd, 0);
    mv_cold_back(t, cold);
    t->eflags = false;
    return true;
}

static bool is_whole(const struct mv_translator *t, bool is_double)
{
    return t->op.aux == (is_double ? 2 : 4);
}

static bool vector_binary(struct mv_translator *t, bool is_double, unsigned family, bool exact)
{
    if (!is_whole(t, is_double))
        return false;
    mv_check_fp(t);
    unsigned n = mv_v_use(t, t->op.rn, 0);
    apply(t, packed(family, is_double), is_double, 0, n, t->op.rm);
    return finish_vector(t, is_double, exact);
}

static bool vector_fused(struct mv_translator *t, bool is_double, unsigned family)
{
    if (!is_whole(t, is_double))
        return false;
    mv_check_fp(t);
    mv_v_copy(t, 0, t->op.rd);
    unsigned n = mv_v_use(t, t->op.rn, 1);
    apply(t, packed(family, is_double), is_double, 0, n, t->op.rm);
    return finish_vector(t, is_double, false);
}

#define VECTOR(name, call)                                                                         \
    bool mv_emit_##name##_32(struct mv_translator *t)                                              \
    {                                                                                              \
        const bool d = false;                                                                      \
        return call;                                                                               \
    }                                                                                              \
    bool mv_emit_##name##_64(struct mv_translator *t)                                              \
    {                                                                                              \
        const bool d = true;                                                                       \
        return call;                                                                               \
    }
VECTOR(vfadd, vector_binary(t, d, ADD, true))
VECTOR(vfsub, vector_binary(t, d, SUB, true))
VECTOR(vfmul, vector_binary(t, d, MUL, false))
VECTOR(vfdiv, vector_binary(t, d, DIV, false))
VECTOR(vfmla, vector_fused(t, d, FMA))
VECTOR(vfmls, vector_fused(t, d, FNMA))
