/* SPDX-License-Identifier: Apache-2.0 */
/* Emitters of branches, as interpreter/op-system.c has their handlers. */
#include "emitters.h"

static unsigned local_target(const struct mv_translator *t)
{
    return t->slot + (unsigned)((int64_t)t->op.imm / (int64_t)sizeof(struct mv_op));
}

/* To where op->imm leads, elsewhere than in this page. */
static void emit_far(struct mv_translator *t)
{
    mv_use_pc(t, MV_RAX, t->slot * UINT64_C(4) + t->op.imm);
    mv_go(t);
}

static void emit_link(struct mv_translator *t)
{
    mv_use_pc(t, MV_RAX, t->slot * UINT64_C(4) + 4);
    mv_set(t, MV_REG_LR, MV_RAX);
}

/* The branch is taken where the condition holds. */
static bool local(struct mv_translator *t, enum mv_host_cond cc)
{
    mv_jump_to(t, mv_jcc(&t->e, cc), local_target(t));
    return true;
}

static bool far(struct mv_translator *t, enum mv_host_cond cc)
{
    size_t behind = mv_jcc(&t->e, cc ^ 1);
    emit_far(t);
    mv_set_target(&t->e, behind, t->e.used);
    return true;
}

bool mv_emit_b(struct mv_translator *t)
{
    emit_far(t);
    return true;
}

bool mv_emit_b_page(struct mv_translator *t)
{
    mv_jump_to(t, mv_jmp(&t->e), local_target(t));
    return true;
}

bool mv_emit_bl(struct mv_translator *t)
{
    emit_link(t);
    emit_far(t);
    return true;
}

bool mv_emit_bl_page(struct mv_translator *t)
{
    emit_link(t);
    return mv_emit_b_page(t);
}

bool mv_emit_br(struct mv_translator *t)
{
    mv_use_in(t, true, t->op.rn, MV_RAX);
    mv_go(t);
    return true;
}

bool mv_emit_blr(struct mv_translator *t)
{
    mv_use_in(t, true, t->op.rn, MV_RCX);
    emit_link(t);
    mv_mov_rr(&t->e, true, MV_RAX, MV_RCX);
    mv_go(t);
    return true;
}

/* Both flavours of a condition: within the page, and to elsewhere. */
#define BRANCH(name, test)                                                                         \
    bool mv_emit_##name(struct mv_translator *t)                                                   \
    {                                                                                              \
        return far(t, test);                                                                       \
    }                                                                                              \
    bool mv_emit_##name##_page(struct mv_translator *t)                                            \
    {                                                                                              \
        return local(t, test);                                                                     \
    }

static enum mv_host_cond flags_hold(struct mv_translator *t)
{
    enum mv_host_cond cc = MV_CC_E;
    if (!mv_flags_condition(t, t->op.aux, &cc)) {
        mv_alu_rr(&t->e, true, MV_CMP, MV_RAX, MV_RAX); /* always */
        t->eflags = false;
    }
    return cc;
}
BRANCH(b_cond, flags_hold(t))

static enum mv_host_cond is_zero(struct mv_translator *t, bool w, enum mv_host_cond cc)
{
    enum mv_host_reg n = mv_host_of(t, t->op.rn);
    if (n != MV_NO_REG)
        mv_test_rr(&t->e, w, n, n);
    else if (t->op.rn == MV_REG_ZR)
        mv_alu_rr(&t->e, true, MV_CMP, MV_RAX, MV_RAX);
    else
        mv_alu_mi(&t->e, w, MV_CMP, mv_x_at(t->op.rn), 0);
    t->eflags = false;
    return cc;
}
BRANCH(cbz_x, is_zero(t, true, MV_CC_E))
BRANCH(cbz_w, is_zero(t, false, MV_CC_E))
BRANCH(cbnz_x, is_zero(t, true, MV_CC_NE))
BRANCH(cbnz_w, is_zero(t, false, MV_CC_NE))

static enum mv_host_cond bit_is_set(struct mv_translator *t, enum mv_host_cond cc)
{
    mv_bt_ri(&t->e, true, mv_use(t, t->op.rn, MV_RAX), t->op.aux);
    t->eflags = false;
    return cc;
}
BRANCH(tbz, bit_is_set(t, MV_CC_AE))
BRANCH(tbnz, bit_is_set(t, MV_CC_B))
