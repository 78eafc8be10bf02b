/* SPDX-License-Identifier: Apache-2.0 */
/* Emitters of branches, as interpreter/op-system.c has their handlers. */
#include "emitters.h"

static unsigned local_target(const struct mv_translator *t)
{
    return t->slot + (unsigned)((int64_t)t->op.imm / (int64_t)sizeof(struct mv_op));
}

/*
 * rdx is a page's address, with the lowest bits of one that is not aligned, and eax where in it.
 * Its entry in the TLB of this half, then the unit of the op: at each place anew, so that the
 * host may learn for each where it leads to.
 */
static void emit_go(struct mv_translator *t)
{
    struct mv_emit *e = &t->e;
    if (t->jit->lockstep != NULL) {
        mv_to_thunk(t, MV_THUNK_LEAVE_FOR, false);
        return;
    }
    _Static_assert(sizeof(struct mv_itlb_entry) == 32 && MV_ITLB_ENTRIES == 512,
                   "the index is bits 12-20");
    int32_t itlb = offsetof(struct mv_tlb_set, i);
    mv_rorx(e, false, MV_RCX, MV_RDX, 7);
    mv_alu_ri(e, false, MV_AND, MV_RCX, 0x3fe0);
    mv_alu_rm(e, true, MV_CMP, MV_RDX,
              mv_at_index(MV_SET, MV_RCX, 0, itlb + (int32_t)offsetof(struct mv_itlb_entry, tag)));
    mv_set_target(e, mv_jcc(e, MV_CC_NE), t->jit->thunks[MV_THUNK_LEAVE_FOR]);
    mv_mov_rm(e, true, MV_RCX,
              mv_at_index(MV_SET, MV_RCX, 0, itlb + (int32_t)offsetof(struct mv_itlb_entry, ops)));
    mv_mov_mr(e, true, MV_STATE(page_va), MV_RDX);
    mv_mov_mr(e, true, MV_STATE(page_ops), MV_RCX);
    mv_mov_rm(e, false, MV_RDX, mv_at_index(MV_RCX, MV_RAX, 0, offsetof(struct mv_jit_ops, entry)));
    mv_lea_place(e, MV_RCX, 0);
    mv_alu_rr(e, true, MV_ADD, MV_RDX, MV_RCX);
    mv_jmp_reg(e, MV_RDX);
}

void mv_go(struct mv_translator *t)
{
    mv_registers_end(t, t->dirty);
    mv_mov_rr(&t->e, true, MV_RDX, MV_RAX);
    mv_alu_ri(&t->e, true, MV_AND, MV_RDX, ~0xffc);
    mv_alu_ri(&t->e, false, MV_AND, MV_RAX, 0xffc);
    emit_go(t);
}

void mv_go_from(struct mv_translator *t, int64_t distance)
{
    int64_t to = (int64_t)t->slot * 4 + distance; /* within 128 MiB */
    mv_registers_end(t, t->dirty);
    mv_mov_rm(&t->e, true, MV_RDX, MV_STATE(page_va));
    mv_lea(&t->e, true, MV_RDX, mv_at(MV_RDX, (int32_t)(to & -4096)));
    mv_mov_ri(&t->e, MV_RAX, (uint64_t)to & 0xffc);
    emit_go(t);
}

/* To where op->imm leads, elsewhere than in this page. */
static void emit_far(struct mv_translator *t)
{
    mv_go_from(t, (int64_t)t->op.imm);
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
    mv_land(t, behind);
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
    else if (mv_rax_has(t, t->op.rn))
        mv_test_rr(&t->e, w, MV_RAX, MV_RAX);
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
