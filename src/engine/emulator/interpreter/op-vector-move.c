/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handlers of AdvSIMD instructions that move elements: copies, permutations,
 * table look-ups (Arm ARM C7.2).
 */
#include "vector.h"

/* DUP: the element's index is in ra. */
#define DUPLICATE(bits, type)                                                                      \
    MV_OP(vdup_##bits)                                                                             \
    {                                                                                              \
        MV_CHECK_FP;                                                                               \
        const uint##bits##_t value = MV_LANE(const uint##bits##_t, MV_VN, op->ra);                 \
        mv_vector_set(cpu, op, (mv_u64x2)((type){0} + value));                                     \
        MV_NEXT;                                                                                   \
    }                                                                                              \
    MV_OP(vdup_gen_##bits)                                                                         \
    {                                                                                              \
        MV_CHECK_FP;                                                                               \
        const uint##bits##_t value = (uint##bits##_t)cpu->x[op->rn];                               \
        mv_vector_set(cpu, op, (mv_u64x2)((type){0} + value));                                     \
        MV_NEXT;                                                                                   \
    }                                                                                              \
    MV_OP(dup_scalar_##bits)                                                                       \
    {                                                                                              \
        MV_CHECK_FP;                                                                               \
        const uint##bits##_t value = MV_LANE(const uint##bits##_t, MV_VN, op->ra);                 \
        *(mv_u64x2 *)MV_VD = (mv_u64x2){value, 0};                                                 \
        MV_NEXT;                                                                                   \
    }                                                                                              \
    /* Source's index in ra, the destination's in aux. */                                          \
    MV_OP(vins_##bits)                                                                             \
    {                                                                                              \
        MV_CHECK_FP;                                                                               \
        MV_LANE(uint##bits##_t, MV_VD, op->aux) = MV_LANE(uint##bits##_t, MV_VN, op->ra);          \
        MV_NEXT;                                                                                   \
    }                                                                                              \
    MV_OP(vins_gen_##bits)                                                                         \
    {                                                                                              \
        MV_CHECK_FP;                                                                               \
        MV_LANE(uint##bits##_t, MV_VD, op->aux) = (uint##bits##_t)cpu->x[op->rn];                  \
        MV_NEXT;                                                                                   \
    }
DUPLICATE(8, mv_u8x16)
DUPLICATE(16, mv_u16x8)
DUPLICATE(32, mv_u32x4)
DUPLICATE(64, mv_u64x2)

#define TO_GENERAL(name, type, convert)                                                            \
    MV_OP(name)                                                                                    \
    {                                                                                              \
        MV_CHECK_FP;                                                                               \
        cpu->x[op->rd] = (convert)MV_LANE(const type, MV_VN, op->ra);                              \
        MV_NEXT;                                                                                   \
    }
TO_GENERAL(umov_8, uint8_t, uint64_t)
TO_GENERAL(umov_16, uint16_t, uint64_t)
TO_GENERAL(umov_32, uint32_t, uint64_t)
TO_GENERAL(umov_64, uint64_t, uint64_t)
TO_GENERAL(smov_w_8, int8_t, uint32_t)
TO_GENERAL(smov_w_16, int16_t, uint32_t)
TO_GENERAL(smov_x_8, int8_t, uint64_t)
TO_GENERAL(smov_x_16, int16_t, uint64_t)
TO_GENERAL(smov_x_32, int32_t, uint64_t)

/* Permutations; `half` is half the count of elements, ra the part (1 or 2). */
#define PERMUTE(name, type, even, odd)                                                             \
    MV_VECTOR_OP(name)                                                                             \
    {                                                                                              \
        union mv_vreg result = {.d = {0, 0}};                                                      \
        type *n = (type *)MV_VN, *m = (type *)MV_VM;                                               \
        unsigned half = op->aux / 2, part = op->ra;                                                \
        for (unsigned i = 0; i < half; i++) {                                                      \
            even;                                                                                  \
            odd;                                                                                   \
        }                                                                                          \
        *MV_VD = result;                                                                           \
    }
#define PERMUTE_BHSD(name, even, odd)                                                              \
    PERMUTE(name##_8, uint8_t, even, odd)                                                          \
    PERMUTE(name##_16, uint16_t, even, odd)                                                        \
    PERMUTE(name##_32, uint32_t, even, odd)                                                        \
    PERMUTE(name##_64, uint64_t, even, odd)
#define R(i) MV_LANE(__typeof__(*n), &result, i)
PERMUTE_BHSD(vzip, R(2 * i) = (n + part * half)[i], R(2 * i + 1) = (m + part * half)[i])
PERMUTE_BHSD(vuzp, R(i) = n[2 * i + part], R(half + i) = m[2 * i + part])
PERMUTE_BHSD(vtrn, R(2 * i) = n[2 * i + part], R(2 * i + 1) = m[2 * i + part])

/* EXT: ra is the first byte taken. */
MV_OP(vext_8b)
{
    MV_CHECK_FP;
    const unsigned __int128 both = MV_VN->d[0] | (unsigned __int128)MV_VM->d[0] << 64;
    *(mv_u64x2 *)MV_VD = (mv_u64x2){(uint64_t)(both >> 8 * op->ra), 0};
    MV_NEXT;
}
MV_OP(vext_16b)
{
    MV_CHECK_FP;
    const unsigned __int128 n = MV_VN->q, m = MV_VM->q;
    MV_VD->q = op->ra == 0 ? n : n >> 8 * op->ra | m << (128 - 8 * op->ra);
    MV_NEXT;
}

/*
 * TBL, TBX: ra registers from rn on, round the end of the file, are the table;
 * an index beyond it gives 0, or leaves the destination's byte.
 */
static inline void look_up(struct mv_cpu *cpu, const struct mv_op *op, union mv_vreg result)
{
    for (unsigned i = 0; i < op->aux; i++) {
        unsigned index = MV_VM->b[i];
        if (index < 16u * op->ra)
            result.b[i] = cpu->v[(op->rn + index / 16) % 32].b[index % 16];
    }
    result.d[1] &= op->imm;
    *MV_VD = result;
}
MV_VECTOR_OP(vtbl)
{
    look_up(cpu, op, (union mv_vreg){.d = {0, 0}});
}
MV_VECTOR_OP(vtbx)
{
    look_up(cpu, op, *MV_VD);
}
