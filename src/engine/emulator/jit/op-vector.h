/* SPDX-License-Identifier: Apache-2.0 */
/* Instructions of vectors of integers, for their emitters (op-vector.c, op-crypto.c). */
#ifndef MV_JIT_OP_VECTOR_H
#define MV_JIT_OP_VECTOR_H

#include "emitters.h"

/* 66-prefixed opcodes of three maps. */
#define P(opcode)   (1u << 16 | 1u << 8 | (opcode))
#define P38(opcode) (2u << 16 | 1u << 8 | (opcode))
#define P3A(opcode) (3u << 16 | 1u << 8 | (opcode))
#define PAND        P(0xdb)
#define PANDN       P(0xdf)
#define POR         P(0xeb)
#define PXOR        P(0xef)
#define PACKUSWB    P(0x67)
#define PSRLW_IMM   P(0x71) /* 2 in the place of a register, and by how much */
#define PADDD       P(0xfe)
#define PADDQ       P(0xd4)
#define PSUBD       P(0xfa)
#define PCMPEQD     P(0x76)
#define PSHUFD      P(0x70) /* and which */
#define PUNPCKLQDQ  P(0x6c)
#define PUNPCKHQDQ  P(0x6d)
#define PALIGNR     P3A(0x0f) /* and by how many bytes */
#define PCLMULQDQ   P3A(0x44) /* and of which halves */
#define PEXTRD      P3A(0x16) /* and which; of the first operand, to the last one */

/* xmm0 = n op m, of registers of the guest's. */
static inline void mv_v_both(struct mv_translator *t, unsigned op, unsigned n, unsigned m)
{
    mv_v_with(t, false, op, 0, mv_v_use(t, n, 0), m);
}

/* xmm0 op= one of them. */
static inline void mv_v_op(struct mv_translator *t, unsigned op, unsigned v)
{
    mv_v_with(t, false, op, 0, 0, v);
}

/* xmm0 is all of the destination. */
static inline bool mv_v_done(struct mv_translator *t)
{
    mv_v_set(t, t->op.rd, 0);
    return true;
}

#endif
