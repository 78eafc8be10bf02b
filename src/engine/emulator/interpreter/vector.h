/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What handlers that use the vector registers share.
 *
 * An op of an AdvSIMD instruction has the same fields whatever its class:
 *   rd, rn, rm  vector registers; rm is a shift's amount, where there is one
 *   ra          the half that a "2" form reads or writes, else an element's index
 *   aux         how many elements (of the wider size, where sizes differ)
 *   imm         the mask of the result's upper half: 0 for 64-bit and scalar; of a
 *               widening form by element, the index
 * Handlers that have no side effect besides their result do all 128 bits at
 * once and mask the upper half; those that set FPSR go by the element count.
 */
#ifndef MV_INTERPRETER_VECTOR_H
#define MV_INTERPRETER_VECTOR_H

#include "exception.h"
#include "interpreter.h"

/* Stands first in every handler that uses a vector register, FPCR or FPSR. */
#define MV_CHECK_FP                                                                                \
    if (MV_UNLIKELY(!cpu->fp_enabled))                                                             \
    return mv_exception_fp(cpu, op)

/*
 * A handler's head where the work needs addressed locals: the body is a
 * function of its own, so that the handler still ends in a jump.
 */
#define MV_VECTOR_OP(name)                                                                         \
    static void do_##name(struct mv_cpu *cpu, const struct mv_op *op);                             \
    MV_OP(name)                                                                                    \
    {                                                                                              \
        MV_CHECK_FP;                                                                               \
        do_##name(cpu, op);                                                                        \
        MV_NEXT;                                                                                   \
    }                                                                                              \
    __attribute__((noinline)) static void do_##name(struct mv_cpu *cpu, const struct mv_op *op)

/* Cumulative saturation. */
#define MV_FPSR_QC (1u << 27)

/* A whole register as elements; arithmetic on them is element by element. */
typedef uint8_t mv_u8x16 __attribute__((vector_size(16), may_alias));
typedef uint16_t mv_u16x8 __attribute__((vector_size(16), may_alias));
typedef uint32_t mv_u32x4 __attribute__((vector_size(16), may_alias));
typedef uint64_t mv_u64x2 __attribute__((vector_size(16), may_alias));
typedef int8_t mv_s8x16 __attribute__((vector_size(16), may_alias));
typedef int16_t mv_s16x8 __attribute__((vector_size(16), may_alias));
typedef int32_t mv_s32x4 __attribute__((vector_size(16), may_alias));
typedef int64_t mv_s64x2 __attribute__((vector_size(16), may_alias));

#define MV_VN (&cpu->v[op->rn])
#define MV_VM (&cpu->v[op->rm])
#define MV_VD (&cpu->v[op->rd])

/* Element i of a register, as the type. */
#define MV_LANE(type, reg, i) (((type *)(reg))[i])

/* The result of an op that did all 128 bits. */
static inline void mv_vector_set(struct mv_cpu *cpu, const struct mv_op *op, mv_u64x2 value)
{
    *(mv_u64x2 *)MV_VD = value & (mv_u64x2){UINT64_MAX, op->imm};
}

/* The narrowed result: the lower half and zeros, or the upper half alone. */
static inline void mv_vector_set_half(struct mv_cpu *cpu, const struct mv_op *op, uint64_t half)
{
    MV_VD->d[op->ra] = half;
    if (op->ra == 0)
        MV_VD->d[1] = 0;
}

/*
 * Saturation and shifts by a signed amount (shared pseudocode SatQ, and C7.2's
 * SSHL and kin), on integers that are wide enough not to overflow.
 */

/* `bits` is 8, 16, 32 or 64; a result that does not fit sets FPSR.QC. */
static inline int64_t mv_saturate_signed(struct mv_cpu *cpu, __int128 value, unsigned bits)
{
    __int128 max = ((__int128)1 << (bits - 1)) - 1;
    if (MV_LIKELY(value >= -max - 1 && value <= max))
        return (int64_t)value;
    cpu->fpsr |= MV_FPSR_QC;
    return (int64_t)(value < 0 ? -max - 1 : max);
}

static inline uint64_t mv_saturate_unsigned(struct mv_cpu *cpu, __int128 value, unsigned bits)
{
    __int128 max = ((__int128)1 << bits) - 1;
    if (MV_LIKELY(value >= 0 && value <= max))
        return (uint64_t)value;
    cpu->fpsr |= MV_FPSR_QC;
    return value < 0 ? 0 : (uint64_t)max;
}

/* The most negative value of `bits` bits. */
#define MV_MOST_NEGATIVE(bits) (-((__int128)1 << ((bits)-1)))

/*
 * value * 2^amount, rounded to nearest or down.  Up to amount 63 without loss
 * for a value of 64 bits, signed or not; from 64 on the lower 64 bits are
 * right (zero), and for a signed value the sign.  amount: -128 to 127.
 */
static inline __int128 mv_shift_signed(__int128 value, int amount, bool round)
{
    if (amount >= 0)
        return (__int128)((unsigned __int128)value << (amount > 64 ? 64 : amount));
    int right = amount < -100 ? 100 : -amount;
    return (value + (round ? (__int128)1 << (right - 1) : 0)) >> right;
}

/* The same for saturation of an unsigned value: too much stays too much. */
static inline __int128 mv_shift_unsigned(__int128 value, int amount, bool round)
{
    if (amount > 63)
        return value == 0 ? 0 : (__int128)1 << 64;
    return mv_shift_signed(value, amount, round);
}

/*
 * The expression over elements i of `type`; the upper ones are zero where there are
 * fewer.  It may be about the types narrow and wide.
 */
#define MV_LANES(name, narrow_type, wide_type, type, count, expression)                            \
    MV_VECTOR_OP(name)                                                                             \
    {                                                                                              \
        typedef __attribute__((unused)) narrow_type narrow;                                        \
        typedef __attribute__((unused)) wide_type wide;                                            \
        union mv_vreg result = {.d = {0, 0}};                                                      \
        for (unsigned i = 0; i < (count); i++)                                                     \
            MV_LANE(type, &result, i) = (type)(expression);                                        \
        *MV_VD = result;                                                                           \
    }

/* The same, of narrow elements, into a half of the result. */
#define MV_NARROW(name, narrow_type, wide_type, count, expression)                                 \
    MV_VECTOR_OP(name)                                                                             \
    {                                                                                              \
        typedef narrow_type narrow;                                                                \
        typedef __attribute__((unused)) wide_type wide;                                            \
        uint64_t half = 0;                                                                         \
        for (unsigned i = 0; i < (count); i++)                                                     \
            MV_LANE(narrow, &half, i) = (narrow)(expression);                                      \
        mv_vector_set_half(cpu, op, half);                                                         \
    }

/* The expression over whole registers, of which n is the source and d the old destination. */
#define MV_WHOLE(name, type, expression)                                                           \
    MV_OP(name)                                                                                    \
    {                                                                                              \
        MV_CHECK_FP;                                                                               \
        typedef __attribute__((unused)) type vector;                                               \
        const vector n = *(const vector *)MV_VN, d = *(const vector *)MV_VD;                       \
        (void)n, (void)d;                                                                          \
        mv_vector_set(cpu, op, (mv_u64x2)(expression));                                            \
        MV_NEXT;                                                                                   \
    }
#define MV_WHOLE_BHS(name, sign, expression)                                                       \
    MV_WHOLE(name##_8, mv_##sign##8x16, expression)                                                \
    MV_WHOLE(name##_16, mv_##sign##16x8, expression)                                               \
    MV_WHOLE(name##_32, mv_##sign##32x4, expression)
#define MV_WHOLE_BHSD(name, sign, expression)                                                      \
    MV_WHOLE_BHS(name, sign, expression) MV_WHOLE(name##_64, mv_##sign##64x2, expression)

/* Vectors whose sums wrap. */
#define MV_UNSIGNED(v)                                                                             \
    _Generic((v), mv_s8x16                                                                         \
             : (mv_u8x16)(v), mv_s16x8                                                             \
             : (mv_u16x8)(v), mv_s32x4                                                             \
             : (mv_u32x4)(v), mv_s64x2                                                             \
             : (mv_u64x2)(v), default                                                              \
             : (v))

/* `form` for each size of element: an opcode's name, the element's type, that of twice its size. */
#define MV_EACH_HS(form, name, u, ...)                                                             \
    form(name##_16, u##int16_t, u##int32_t, __VA_ARGS__)                                           \
        form(name##_32, u##int32_t, u##int64_t, __VA_ARGS__)
#define MV_EACH_BHS(form, name, u, ...)                                                            \
    form(name##_8, u##int8_t, u##int16_t, __VA_ARGS__) MV_EACH_HS(form, name, u, __VA_ARGS__)
#define MV_EACH_BHSD(form, name, u, ...)                                                           \
    MV_EACH_BHS(form, name, u, __VA_ARGS__) form(name##_64, u##int64_t, void, __VA_ARGS__)

/* One of these for signed and for unsigned elements. */
#define MV_WHOLE_SU(each, name, expression)                                                        \
    each(vs##name, s, expression) each(vu##name, u, expression)
#define MV_EACH_SU(each, form, name, ...)                                                          \
    each(form, vs##name, , __VA_ARGS__) each(form, vu##name, u, __VA_ARGS__)

#endif
