/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Emitters of the system instructions that kernels have in their hot paths.  What traps or
 * is undefined at EL0 is done at EL1 alone: elsewhere the interpreter does it.
 */
#include "emitters.h"

#include "sysreg.h"

/* Where PSTATE is another one, the interpreter does the op: EL1, and whatever SPSel. */
static void emit_at_el1(struct mv_translator *t)
{
    mv_cmp_mi8(&t->e, MV_STATE(el), 1);
    mv_cold_at(t, MV_COLD_INTERPRET, mv_jcc(&t->e, MV_CC_NE));
    t->eflags = false;
}

static struct mv_host_mem state_at(size_t offset)
{
    return mv_at(MV_BASE, (int32_t)offset - (int32_t)offsetof(struct mv_cpu, x[16]));
}

bool mv_emit_nop(struct mv_translator *t)
{
    return t != NULL;
}

bool mv_emit_dmb(struct mv_translator *t)
{
    mv_emit8(&t->e, 0xf0); /* lock or dword [rsp], 0 */
    mv_alu_mi(&t->e, false, MV_OR, mv_at(MV_RSP, 0), 0);
    t->eflags = false;
    return true;
}

/* Of EL1, which has another stack pointer then. */
static bool read_sp_el0(struct mv_translator *t)
{
    emit_at_el1(t);
    mv_cmp_mi8(&t->e, MV_STATE(spsel), 0);
    mv_cold_at(t, MV_COLD_INTERPRET, mv_jcc(&t->e, MV_CC_E));
    enum mv_host_reg to = mv_def(t, t->op.rd, MV_RAX);
    mv_mov_rm(&t->e, true, to, MV_STATE(sp_el[0]));
    mv_set(t, t->op.rd, to);
    return true;
}

static bool read_daif(struct mv_translator *t)
{
    emit_at_el1(t);
    enum mv_host_reg to = mv_def(t, t->op.rd, MV_RAX);
    mv_mov_rm(&t->e, false, to, MV_STATE(daif));
    mv_set(t, t->op.rd, to);
    return true;
}

/* A register that is stored as it is read, or one of those that kernels read all the time. */
bool mv_emit_mrs(struct mv_translator *t)
{
    const struct mv_sysreg *reg = mv_sysreg_of(&t->op);
    if (reg->encoding == MV_SYSREG_SP_EL0)
        return read_sp_el0(t);
    if (reg->word == offsetof(struct mv_cpu, daif))
        return read_daif(t);
    if (reg->read != NULL || (reg->flags & (MV_SYSREG_WO | MV_SYSREG_FP)) || reg->offset == 0)
        return false;
    if (!(reg->flags & MV_SYSREG_EL0_R) || reg->gate != 0)
        emit_at_el1(t);
    enum mv_host_reg to = mv_def(t, t->op.rd, MV_RAX);
    mv_mov_rm(&t->e, true, to, state_at(reg->offset));
    mv_set(t, t->op.rd, to);
    return true;
}

bool mv_emit_msr(struct mv_translator *t)
{
    const struct mv_sysreg *reg = mv_sysreg_of(&t->op);
    if (reg->encoding == MV_SYSREG_DC_ZVA)
        return mv_emit_dc_zva(t);
    if (reg->write != NULL || reg->changed != NULL || reg->res0 != 0 || reg->res1 != 0 ||
        (reg->flags & (MV_SYSREG_RO | MV_SYSREG_FP | MV_SYSREG_EXIT)) || reg->offset == 0)
        return false;
    if (!(reg->flags & MV_SYSREG_EL0_W) || reg->gate != 0)
        emit_at_el1(t);
    mv_mov_mr(&t->e, true, state_at(reg->offset), mv_use(t, t->op.rd, MV_RAX));
    return true;
}

bool mv_emit_msr_daifset(struct mv_translator *t)
{
    emit_at_el1(t);
    mv_alu_mi(&t->e, false, MV_OR, MV_STATE(daif), (int32_t)(t->op.imm << 6));
    return true;
}
