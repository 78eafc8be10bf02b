/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handlers of AdvSIMD instructions that move elements: copies, permutations,
 * table look-ups (Arm ARM C7.2).
 */
#include "vector.h"

#define ONE(name, statement)                                                                       \
    MV_OP(name)                                                                                    \
    {                                                                                              \
        MV_CHECK_FP;                                                                               \
        statement;                                                                                 \
        MV_NEXT;                                                                                   \
    }

/* The element's index is in ra; that of INS's destination in aux. */
#define ELEMENT(type) MV_LANE(const type, MV_VN, op->ra)
#define COPIES(bits, vector)                                                                       \
    ONE(vdup_##bits, mv_vector_set(cpu, op, (mv_u64x2)((vector){0} + ELEMENT(uint##bits##_t))))    \
    ONE(vdup_gen_##bits,                                                                           \
        mv_vector_set(cpu, op, (mv_u64x2)((vector){0} + (uint##bits##_t)cpu->x[op->rn])))          \
    ONE(dup_scalar_##bits, *(mv_u64x2 *)MV_VD = ((mv_u64x2){ELEMENT(uint##bits##_t), 0}))          \
    ONE(vins_##bits, MV_LANE(uint##bits##_t, MV_VD, op->aux) = ELEMENT(uint##bits##_t))            \
    ONE(vins_gen_##bits, MV_LANE(uint##bits##_t, MV_VD, op->aux) = (uint##bits##_t)cpu->x[op->rn])
COPIES(8, mv_u8x16)
COPIES(16, mv_u16x8)
COPIES(32, mv_u32x4)
COPIES(64, mv_u64x2)
ONE(umov_8, cpu->x[op->rd] = ELEMENT(uint8_t))
ONE(umov_16, cpu->x[op->rd] = ELEMENT(uint16_t))
ONE(umov_32, cpu->x[op->rd] = ELEMENT(uint32_t))
ONE(umov_64, cpu->x[op->rd] = ELEMENT(uint64_t))
ONE(smov_w_8, cpu->x[op->rd] = (uint32_t)ELEMENT(int8_t))
ONE(smov_w_16, cpu->x[op->rd] = (uint32_t)ELEMENT(int16_t))
ONE(smov_x_8, cpu->x[op->rd] = (uint64_t)ELEMENT(int8_t))
ONE(smov_x_16, cpu->x[op->rd] = (uint64_t)ELEMENT(int16_t))
ONE(smov_x_32, cpu->x[op->rd] = (uint64_t)ELEMENT(int32_t))

/* Permutations; `half` is half the count of elements, ra the part (1 or 2). */
#define PERMUTE(name, type, wide, even, odd)                                                       \
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
#define R(i) MV_LANE(__typeof__(*n), &result, i)
MV_EACH_BHSD(PERMUTE, vzip, u, R(2 * i) = n[part * half + i], R(2 * i + 1) = m[part * half + i])
MV_EACH_BHSD(PERMUTE, vuzp, u, R(i) = n[2 * i + part], R(half + i) = m[2 * i + part])
MV_EACH_BHSD(PERMUTE, vtrn, u, R(2 * i) = n[2 * i + part], R(2 * i + 1) = m[2 * i + part])

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
