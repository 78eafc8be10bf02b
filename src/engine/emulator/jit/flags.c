/* SPDX-License-Identifier: Apache-2.0 */
/* NZCV in translated code (translator.h). */
#include "a64.h"
#include "translator.h"

void mv_flags_set(struct mv_translator *t)
{
    t->eflags = true;
    if (t->flags_die)
        return;
    mv_emit8(&t->e, MV_LAHF);
    mv_setcc(&t->e, MV_CC_O, MV_RAX);
    mv_store(&t->e, 2, MV_STATE(jit_flags), MV_RAX);
}

void mv_flags_set_added(struct mv_translator *t)
{
    mv_emit8(&t->e, MV_CMC);
    mv_flags_set(t);
}

void mv_flags_set_logic(struct mv_translator *t)
{
    mv_emit8(&t->e, MV_STC);
    mv_flags_set(t);
}

/* V comes back by what overflows if it was set; the others from ah. */
void mv_flags_from_ax(struct mv_translator *t)
{
    mv_emit8(&t->e, 0x04); /* add al, 127 */
    mv_emit8(&t->e, 127);
    mv_emit8(&t->e, MV_SAHF);
    t->eflags = true;
}

/* One flag, where the conditions that are it and its opposite come, by twos: in ZF. */
static enum mv_host_cond test_one(struct mv_translator *t, unsigned condition)
{
    static const uint16_t flags[] = {MV_FLAGS_Z, MV_FLAGS_NOT_C, MV_FLAGS_N, MV_FLAGS_V};
    unsigned flag = flags[condition / 2];
    struct mv_host_mem at = MV_STATE(jit_flags);
    at.disp += flag > UINT8_MAX;
    mv_test_mi8(&t->e, at, flag > UINT8_MAX ? flag >> 8 : flag);
    bool holds_if_set = (condition % 2 == 0) == (flag != MV_FLAGS_NOT_C);
    return holds_if_set ? MV_CC_NE : MV_CC_E;
}

static void load(struct mv_translator *t)
{
    mv_load(&t->e, 2, false, false, MV_RAX, MV_STATE(jit_flags));
    mv_flags_from_ax(t);
}

bool mv_flags_condition(struct mv_translator *t, uint16_t mask, enum mv_host_cond *ret)
{
    static const uint8_t conditions[14] = {MV_CC_E,  MV_CC_NE, MV_CC_AE, MV_CC_B, MV_CC_S,
                                           MV_CC_NS, MV_CC_O,  MV_CC_NO, MV_CC_A, MV_CC_BE,
                                           MV_CC_GE, MV_CC_L,  MV_CC_G,  MV_CC_LE};
    enum { ALONE = 8 }; /* the first ones look at one flag */
    for (unsigned i = 0; i < sizeof conditions; i++) {
        if (mask != mv_condition_masks[i])
            continue;
        *ret = conditions[i];
        if (!t->eflags && i < ALONE)
            *ret = test_one(t, i);
        else if (!t->eflags)
            load(t);
        return true;
    }
    return false;
}

void mv_flags_load_carry(struct mv_translator *t, bool inverted)
{
    mv_bt_mi(&t->e, MV_STATE(jit_flags), 8);
    if (!inverted)
        mv_emit8(&t->e, MV_CMC);
    t->eflags = false;
}

void mv_flags_emit_save(struct mv_emit *e)
{
    mv_load(e, 2, false, false, MV_RAX, MV_STATE(jit_flags));
    mv_mov_rr(e, false, MV_RCX, MV_RAX);
    mv_alu_ri(e, false, MV_AND, MV_RCX, 1);
    mv_shift_ri(e, false, MV_SHL, MV_RCX, 28);
    mv_mov_rr(e, false, MV_RDX, MV_RAX);
    mv_alu_ri(e, false, MV_AND, MV_RDX, MV_FLAGS_N | MV_FLAGS_Z);
    mv_shift_ri(e, false, MV_SHL, MV_RDX, 16);
    mv_alu_rr(e, false, MV_OR, MV_RCX, MV_RDX);
    mv_unary(e, false, MV_NOT, MV_RAX);
    mv_alu_ri(e, false, MV_AND, MV_RAX, MV_FLAGS_NOT_C);
    mv_shift_ri(e, false, MV_SHL, MV_RAX, 29 - 8);
    mv_alu_rr(e, false, MV_OR, MV_RCX, MV_RAX);
    mv_mov_mr(e, false, MV_STATE(nzcv), MV_RCX);
    mv_mov_mi16(e, MV_STATE(jit_flags), 0);
}

void mv_flags_emit_load(struct mv_emit *e)
{
    mv_mov_rm(e, false, MV_RAX, MV_STATE(nzcv));
    mv_mov_rr(e, false, MV_RCX, MV_RAX);
    mv_shift_ri(e, false, MV_SHR, MV_RCX, 16);
    mv_alu_ri(e, false, MV_AND, MV_RCX, MV_FLAGS_N | MV_FLAGS_Z);
    mv_mov_rr(e, false, MV_RDX, MV_RAX);
    mv_unary(e, false, MV_NOT, MV_RDX);
    mv_shift_ri(e, false, MV_SHR, MV_RDX, 29 - 8);
    mv_alu_ri(e, false, MV_AND, MV_RDX, MV_FLAGS_NOT_C);
    mv_alu_rr(e, false, MV_OR, MV_RCX, MV_RDX);
    mv_shift_ri(e, false, MV_SHR, MV_RAX, 28);
    mv_alu_ri(e, false, MV_AND, MV_RAX, 1);
    mv_alu_rr(e, false, MV_OR, MV_RCX, MV_RAX);
    mv_alu_ri(e, false, MV_OR, MV_RCX, MV_FLAGS_ALONE);
    mv_store(e, 2, MV_STATE(jit_flags), MV_RCX);
}
