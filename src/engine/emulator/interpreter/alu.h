/* SPDX-License-Identifier: Apache-2.0 */
/* Arithmetic that handlers share: flags, conditions, shifts, extensions. */
#ifndef MV_INTERPRETER_ALU_H
#define MV_INTERPRETER_ALU_H

#include "interpreter.h"

/* A condition is a 16-bit mask: bit NZCV says whether it holds (see decode). */
static inline bool mv_cond_holds(const struct mv_cpu *cpu, uint16_t mask)
{
    return mask >> (cpu->nzcv >> 28) & 1;
}

/* AddWithCarry of the shared pseudocode, for x + y + carry. */
#define MV_DEFINE_ALU(suffix, utype, stype, top)                                                   \
    static inline utype mv_add_flags_##suffix(struct mv_cpu *cpu, utype x, utype y,                \
                                              unsigned carry)                                      \
    {                                                                                              \
        utype partial, sum;                                                                        \
        bool c1 = __builtin_add_overflow(x, y, &partial);                                          \
        bool c2 = __builtin_add_overflow(partial, (utype)carry, &sum);                             \
        uint32_t n = (uint32_t)(sum >> top), v = (uint32_t)(((x ^ sum) & (y ^ sum)) >> top);       \
        cpu->nzcv = n << 31 | (uint32_t)(sum == 0) << 30 | (uint32_t)(c1 | c2) << 29 | v << 28;    \
        return sum;                                                                                \
    }                                                                                              \
    static inline utype mv_sub_flags_##suffix(struct mv_cpu *cpu, utype x, utype y)                \
    {                                                                                              \
        utype diff = x - y;                                                                        \
        uint32_t n = (uint32_t)(diff >> top), v = (uint32_t)(((x ^ y) & (x ^ diff)) >> top);       \
        cpu->nzcv = n << 31 | (uint32_t)(diff == 0) << 30 | (uint32_t)(x >= y) << 29 | v << 28;    \
        return diff;                                                                               \
    }                                                                                              \
    static inline utype mv_logic_flags_##suffix(struct mv_cpu *cpu, utype result)                  \
    {                                                                                              \
        cpu->nzcv = (uint32_t)(result >> top) << 31 | (uint32_t)(result == 0) << 30;               \
        return result;                                                                             \
    }                                                                                              \
    /* amount is below the width. */                                                               \
    static inline utype mv_shift_##suffix(utype value, unsigned kind, unsigned amount)             \
    {                                                                                              \
        switch (kind) {                                                                            \
        case MV_SHIFT_LSL:                                                                         \
            return value << amount;                                                                \
        case MV_SHIFT_LSR:                                                                         \
            return value >> amount;                                                                \
        case MV_SHIFT_ASR:                                                                         \
            return (utype)((stype)value >> amount);                                                \
        default:                                                                                   \
            return value >> amount | value << (-amount & top);                                     \
        }                                                                                          \
    }
MV_DEFINE_ALU(x, uint64_t, int64_t, 63)
MV_DEFINE_ALU(w, uint32_t, int32_t, 31)

/* ExtendReg: option is the instruction's, 0 UXTB … 7 SXTX. */
static inline uint64_t mv_extend(uint64_t value, unsigned option, unsigned shift)
{
    unsigned unused = 64 - (8u << (option & 3));
    value <<= unused;
    value = option & 4 ? (uint64_t)((int64_t)value >> unused) : value >> unused;
    return value << shift;
}

#endif
