/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Emitters of AdvSIMD loads and stores of whole registers, and of one element for all, as
 * interpreter/op-structure.c has their handlers, which do all others: one access after the
 * other, none of which crosses the page.
 */
#include "op-memory.h"
#include "op-vector.h"

#define HOST(disp) mv_at_index(MV_RCX, MV_RAX, 0, disp)

static struct mv_cold *emit_look_up(struct mv_translator *t, bool write, unsigned total)
{
    mv_check_vector(t);
    mv_emit_base(t);
    size_t place = mv_emit_tag(t, MV_SET_OWN, write, total, false);
    struct mv_cold *cold = mv_cold_at(t, MV_COLD_HANDLER, place);
    mv_mov_rm(&t->e, true, MV_RCX, MV_ENTRY(MV_SET_OWN, addend));
    return cold;
}

/* rax is the base still; at most one of both numbers is not zero. */
static void emit_end(struct mv_translator *t, struct mv_cold *cold)
{
    enum mv_host_reg to = mv_def(t, t->op.rn, MV_RAX);
    if (t->op.rm != MV_REG_ZR) {
        mv_lea(&t->e, true, to, mv_at_index(MV_RAX, mv_use(t, t->op.rm, MV_RCX), 0, 0));
        mv_set(t, t->op.rn, to);
    } else if (t->op.imm != 0) {
        mv_lea(&t->e, true, to, mv_at(MV_RAX, (int32_t)t->op.imm));
        mv_set(t, t->op.rn, to);
    }
    mv_cold_back(t, cold);
}

static unsigned nth(const struct mv_translator *t, unsigned i)
{
    return (t->op.rd + i) % 32u;
}

/* None changes before all of them are there. */
static bool load(struct mv_translator *t)
{
    unsigned size = 8u << t->op.aux;
    struct mv_cold *cold = emit_look_up(t, false, size * t->op.ra);
    for (unsigned i = 0; i < t->op.ra; i++) {
        mv_v_rm(&t->e, false, t->op.aux ? MV_VMOVUPS : MV_VMOVSD, i, 0, HOST((int32_t)(i * size)));
        mv_access_here(t);
    }
    for (unsigned i = 0; i < t->op.ra; i++)
        mv_v_set(t, nth(t, i), i);
    emit_end(t, cold);
    return true;
}

static bool store(struct mv_translator *t)
{
    unsigned size = 8u << t->op.aux;
    struct mv_cold *cold = emit_look_up(t, true, size * t->op.ra);
    for (unsigned i = 0; i < t->op.ra; i++) {
        mv_v_rm(&t->e, false, t->op.aux ? MV_VMOVUPS_STORE : MV_VMOVSD + 1,
                mv_v_use(t, nth(t, i), 0), 0, HOST((int32_t)(i * size)));
        mv_access_here(t);
    }
    emit_end(t, cold);
    return true;
}

static bool load_to_all(struct mv_translator *t, unsigned broadcast, unsigned size)
{
    if (t->op.ra != 1)
        return false;
    struct mv_cold *cold = emit_look_up(t, false, size);
    mv_v_rm(&t->e, false, broadcast, 0, 0, HOST(0));
    mv_access_here(t);
    if (!t->op.aux)
        mv_v_rr(&t->e, false, MV_VMOVQ, 0, 0, 0);
    mv_v_set(t, t->op.rd, 0);
    emit_end(t, cold);
    return true;
}

#define STRUCTURES(bits, broadcast)                                                                \
    bool mv_emit_vld1_##bits(struct mv_translator *t)                                              \
    {                                                                                              \
        return load(t);                                                                            \
    }                                                                                              \
    bool mv_emit_vst1_##bits(struct mv_translator *t)                                              \
    {                                                                                              \
        return store(t);                                                                           \
    }                                                                                              \
    bool mv_emit_vld_dup_##bits(struct mv_translator *t)                                           \
    {                                                                                              \
        return load_to_all(t, broadcast, bits / 8);                                                \
    }
STRUCTURES(8, P38(0x78))
STRUCTURES(16, P38(0x79))
STRUCTURES(32, P38(0x58))
STRUCTURES(64, P38(0x59))
