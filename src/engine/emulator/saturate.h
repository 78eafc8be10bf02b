/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Saturation and shifts by a signed amount (Arm ARM shared pseudocode SatQ and
 * C7.2's SSHL and kin), on integers that are wide enough not to overflow.
 */
#ifndef MV_EMULATOR_SATURATE_H
#define MV_EMULATOR_SATURATE_H

#include "vector.h"

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

#endif
