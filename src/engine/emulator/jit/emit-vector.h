/* SPDX-License-Identifier: Apache-2.0 */
/* Instructions with a VEX prefix, AVX's above all, as emit.h has the others; none of them changes
 * EFLAGS but comparisons. */
#ifndef MV_JIT_EMIT_VECTOR_H
#define MV_JIT_EMIT_VECTOR_H

#include "emit.h"

/* --- BMI2, which leaves EFLAGS: a VEX prefix of three bytes */

/* op: the map (1 is 0F, 2 is 0F38, 3 is 0F3A), the prefix (1 is 66, 2 is F3, 3 is F2), the opcode.
 */
#define MV_VEX(map, prefix, opcode) ((map) << 16 | (prefix) << 8 | (opcode))

static inline void mv_emit_vex_head(struct mv_emit *e, bool w, unsigned op, unsigned reg,
                                    unsigned second, unsigned index, unsigned base)
{
    mv_emit8(e, 0xc4);
    mv_emit8(e, (~reg >> 3 & 1) << 7 | (~index >> 3 & 1) << 6 | (~base >> 3 & 1) << 5 | op >> 16);
    mv_emit8(e, (unsigned)w << 7 | (~second & 15) << 3 | (op >> 8 & 3));
    mv_emit8(e, op & 0xff);
}

static inline void mv_emit_vex_rr(struct mv_emit *e, bool w, unsigned op, unsigned reg,
                                  unsigned second, unsigned rm)
{
    mv_emit_vex_head(e, w, op, reg, second, 0, rm);
    mv_emit_modrm_reg(e, reg, rm);
}

static inline void mv_rorx(struct mv_emit *e, bool w, enum mv_host_reg to, enum mv_host_reg from,
                           unsigned amount)
{
    mv_emit_vex_rr(e, w, MV_VEX(3, 3, 0xf0), to, 0, from);
    mv_emit8(e, amount);
}

/* how: MV_SHL, MV_SHR, MV_SAR; the amount modulo the width. */
static inline void mv_shiftx(struct mv_emit *e, bool w, enum mv_host_shift how, enum mv_host_reg to,
                             enum mv_host_reg from, enum mv_host_reg amount)
{
    unsigned prefix = how == MV_SHL ? 1 : how == MV_SHR ? 3 : 2;
    mv_emit_vex_rr(e, w, MV_VEX(2, prefix, 0xf7), to, amount, from);
}

/* --- AVX, of 16 bytes or a scalar: `op` has prefix, map and opcode */

enum mv_host_vector_op {
    MV_VMOVUPS = MV_VEX(1, 0, 0x10),
    MV_VMOVUPS_STORE = MV_VEX(1, 0, 0x11),
    MV_VMOVSD = MV_VEX(1, 3, 0x10), /* of memory, as the next three: zeros above */
    MV_VMOVSS = MV_VEX(1, 2, 0x10),
    MV_VMOVQ = MV_VEX(1, 2, 0x7e),         /* of a vector register, too */
    MV_VMOVD_GENERAL = MV_VEX(1, 1, 0x6e), /* from a general register or memory; w: of 64 bits */
    MV_VMOVD_TO_GENERAL = MV_VEX(1, 1, 0x7e), /* the same, back: of `to` to `from` */
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
