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
#define MV_MOST_NEGATIVE(bits) (-((__int128)1 << ((bits) - 1)))

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

/* `form` for each size of element: an opcode's name, the vector's type, the expression. */
#define MV_EACH_BHS(form, name, sign, expression)                                                  \
    form(name##_8, mv_##sign##8x16, expression)                                                    \
    form(name##_16, mv_##sign##16x8, expression)                                                   \
    form(name##_32, mv_##sign##32x4, expression)
#define MV_EACH_BHSD(form, name, sign, expression)                                                 \
    MV_EACH_BHS(form, name, sign, expression)                                                      \
    form(name##_64, mv_##sign##64x2, expression)

#endif
