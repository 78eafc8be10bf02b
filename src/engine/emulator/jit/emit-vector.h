/* SPDX-License-Identifier: Apache-2.0 */
/* AVX instructions, as emit.h has those of general registers; none of them changes EFLAGS but
 * comparisons. */
#ifndef MV_JIT_EMIT_VECTOR_H
#define MV_JIT_EMIT_VECTOR_H

#include "emit.h"

/* --- AVX, of 16 bytes or a scalar: `op` has prefix, map and opcode */

enum mv_host_vector_op {
#define V(map, pp, opcode) ((map) << 16 | (pp) << 8 | (opcode))
    MV_VMOVUPS = V(1, 0, 0x10),
    MV_VMOVUPS_STORE = V(1, 0, 0x11),
    MV_VMOVSD = V(1, 3, 0x10), /* of memory, as the next three: zeros above */
    MV_VMOVSS = V(1, 2, 0x10),
    MV_VMOVQ = V(1, 2, 0x7e),         /* of a vector register, too */
    MV_VMOVD_GENERAL = V(1, 1, 0x6e), /* from a general register or memory; w: of 64 bits */
    MV_VPXOR = V(1, 1, 0xef),
    MV_VUCOMIS = V(1, 0, 0x2e), /* w stands for double precision here: prefix 66 */
    MV_VCOMIS = V(1, 0, 0x2f),
    MV_VTESTPS = V(2, 1, 0x0e),
    MV_VCMPPS = V(1, 0, 0xc2), /* and a predicate */
    MV_VCMPPD = V(1, 1, 0xc2),
#undef V
};

static inline void mv_emit_vex_head(struct mv_emit *e, bool w, unsigned op, unsigned reg,
                                    unsigned second, unsigned index, unsigned base)
{
    mv_emit8(e, 0xc4);
    mv_emit8(e, (~reg >> 3 & 1) << 7 | (~index >> 3 & 1) << 6 | (~base >> 3 & 1) << 5 | op >> 16);
    mv_emit8(e, (unsigned)w << 7 | (~second & 15) << 3 | (op >> 8 & 3));
    mv_emit8(e, op & 0xff);
}

static inline void mv_v_rr(struct mv_emit *e, bool w, unsigned op, unsigned to, unsigned second,
                           unsigned from)
{
    mv_emit_vex_head(e, w, op, to, second, 0, from);
    mv_emit_modrm_reg(e, to, from);
}

static inline void mv_v_rm(struct mv_emit *e, bool w, unsigned op, unsigned to, unsigned second,
                           struct mv_host_mem from)
{
    mv_emit_vex_head(e, w, op, to, second, from.index == MV_NO_REG ? 0 : from.index, from.base);
    mv_emit_modrm_mem(e, to, from);
}

static inline void mv_vload(struct mv_emit *e, unsigned xmm, struct mv_host_mem from)
{
    mv_v_rm(e, false, MV_VMOVUPS, xmm, 0, from);
}

static inline void mv_vstore(struct mv_emit *e, struct mv_host_mem to, unsigned xmm)
{
    mv_v_rm(e, false, MV_VMOVUPS_STORE, xmm, 0, to);
}

static inline void mv_vzero(struct mv_emit *e, unsigned xmm)
{
    mv_v_rr(e, false, MV_VPXOR, xmm, xmm, xmm);
}

#endif
