/* SPDX-License-Identifier: Apache-2.0 */
/* AVX instructions, as emit.h has those of general registers; none of them changes EFLAGS but
 * comparisons. */
#ifndef MV_JIT_EMIT_VECTOR_H
#define MV_JIT_EMIT_VECTOR_H

#include "emit.h"

/* --- AVX, of 16 bytes or a scalar: `op` has prefix, map and opcode */

enum mv_host_vector_op {
    MV_VMOVUPS = MV_VEX(1, 0, 0x10),
    MV_VMOVUPS_STORE = MV_VEX(1, 0, 0x11),
    MV_VMOVSD = MV_VEX(1, 3, 0x10), /* of memory, as the next three: zeros above */
    MV_VMOVSS = MV_VEX(1, 2, 0x10),
    MV_VMOVQ = MV_VEX(1, 2, 0x7e),         /* of a vector register, too */
    MV_VMOVD_GENERAL = MV_VEX(1, 1, 0x6e), /* from a general register or memory; w: of 64 bits */
    MV_VINSERTPS = MV_VEX(3, 1, 0x21),     /* and which elements: from, to, and zeroes */
    MV_VPXOR = MV_VEX(1, 1, 0xef),
    MV_VUCOMIS = MV_VEX(1, 0, 0x2e), /* w stands for double precision here: prefix 66 */
    MV_VCOMIS = MV_VEX(1, 0, 0x2f),
    MV_VTESTPS = MV_VEX(2, 1, 0x0e),
    MV_VCMPPS = MV_VEX(1, 0, 0xc2), /* and a predicate */
    MV_VCMPPD = MV_VEX(1, 1, 0xc2),
};

static inline void mv_v_rr(struct mv_emit *e, bool w, unsigned op, unsigned to, unsigned second,
                           unsigned from)
{
    mv_emit_vex_rr(e, w, op, to, second, from);
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

static inline void mv_vmove(struct mv_emit *e, unsigned to, unsigned from)
{
    mv_v_rr(e, false, MV_VMOVUPS, to, 0, from);
}

static inline void mv_vzero(struct mv_emit *e, unsigned xmm)
{
    mv_v_rr(e, false, MV_VPXOR, xmm, xmm, xmm);
}

#endif
