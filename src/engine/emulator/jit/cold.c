/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What stands behind a unit's code, since it is seldom run: accesses that the TLB does not let
 * through, what is left to an op's handler, and the ways out.
 */
#include "interpreter.h"
#include "op-memory.h"

/* Its registers that C leaves alone, which are other ones now. */
static void load_written(struct mv_translator *t)
{
    struct mv_op_registers written = mv_op_registers(&t->op, mv_op_traits[t->op.code].writes);
    for (unsigned x = 0; x < MV_REG_COUNT; x++) {
        enum mv_host_reg host = mv_host_of(t, x);
        if ((written.x >> x & 1) && host != MV_NO_REG && mv_host_is_kept(host))
            mv_mov_rm(&t->e, true, host, mv_x_at(x));
    }
}

void mv_emit_handler(struct mv_translator *t)
{
    const struct mv_op_traits *traits = &mv_op_traits[t->op.code];
    unsigned touched = traits->reads | traits->writes;
    enum mv_jit_thunk thunk = touched & MV_OPERAND_OTHER   ? MV_THUNK_CALL_SYSTEM
                              : touched & MV_OPERAND_FLAGS ? MV_THUNK_CALL_FLAGS
                                                           : MV_THUNK_CALL;
    mv_registers_store(t);
    mv_mov_ri(&t->e, MV_RSI, t->slot * sizeof(struct mv_op));
    mv_mov_ri(&t->e, MV_R8, (uintptr_t)mv_op_returning[t->op.code]);
    mv_to_thunk(t, thunk, true);
    mv_registers_reload(t, thunk == MV_THUNK_CALL_SYSTEM);
    if (thunk != MV_THUNK_CALL_SYSTEM)
        load_written(t);
    else
        t->vector_checked = t->fp_checked = false;
    t->eflags = false;
}

/* An op's handler, elsewhere than where the op is emitted. */
static void emit_cold_handler(struct mv_translator *t, const struct mv_cold *cold)
{
    bool vector_checked = t->vector_checked, fp_checked = t->fp_checked;
    t->slot = cold->slot;
    t->op = mv_op_of(t, cold->slot);
    mv_emit_handler(t);
    t->vector_checked = vector_checked;
    t->fp_checked = fp_checked;
}

/* What was read, to where it belongs. */
static void take_read(struct mv_translator *t, const struct mv_cold *cold, unsigned i,
                      enum mv_host_reg from)
{
    if (cold->is_vector) {
        mv_v_rr(&t->e, true, MV_VMOVD_GENERAL, 0, 0, from);
        mv_v_set(t, cold->guest[0], 0);
        return;
    }
    if (cold->guest[i] == MV_REG_SINK || (cold->size == 8 && cold->host[i] == from))
        return;
    mv_extend_rr(&t->e, cold->size, cold->is_signed, cold->wide, cold->host[i], from);
}

static void emit_read(struct mv_translator *t, const struct mv_cold *cold)
{
    bool pair = cold->thunk >= MV_THUNK_READ_PAIR32;
    mv_registers_store(t);
    mv_mov_rr(&t->e, true, MV_RDX, MV_RAX);
    mv_mov_ri(&t->e, MV_RSI, cold->slot * sizeof(struct mv_op));
    mv_to_thunk(t, cold->thunk, true);
    mv_registers_reload(t, false);
    if (cold->thunk == MV_THUNK_READ_PAIR128) {
        mv_mov_mr(&t->e, true, mv_v_at(cold->guest[0], 0), MV_RAX);
        mv_mov_mr(&t->e, true, mv_v_at(cold->guest[0], 8), MV_RDX);
        mv_v_reload(t, cold->guest[0]);
    } else if (pair) { /* where the fast way has them */
        mv_emit8(&t->e, 0x48); /* xchg rax, rdx */
        mv_emit8(&t->e, 0x92);
        take_read(t, cold, 0, MV_RDX);
        take_read(t, cold, 1, MV_RAX);
    } else {
        take_read(t, cold, 0, MV_RAX);
    }
}

static void give_written(struct mv_translator *t, const struct mv_cold *cold, unsigned i,
                         enum mv_host_reg to)
{
    if (cold->is_vector)
        mv_mov_rm(&t->e, true, to, mv_v_at(cold->guest[i], 0));
    else
        mv_use_in(t, true, cold->guest[i], to);
}

static void emit_write(struct mv_translator *t, const struct mv_cold *cold)
{
    mv_registers_store(t);
    if (cold->thunk == MV_THUNK_WRITE_PAIR128) {
        mv_mov_rm(&t->e, true, MV_RCX, mv_v_at(cold->guest[0], 0));
        mv_mov_rm(&t->e, true, MV_R8, mv_v_at(cold->guest[0], 8));
    } else {
        give_written(t, cold, 0, MV_RCX);
        if (cold->thunk > MV_THUNK_READ_PAIR128)
            give_written(t, cold, 1, MV_R8);
    }
    mv_mov_rr(&t->e, true, MV_RDX, MV_RAX);
    mv_mov_ri(&t->e, MV_RSI, cold->slot * sizeof(struct mv_op));
    mv_to_thunk(t, cold->thunk, true);
    mv_registers_reload(t, false);
}

void mv_emit_cold(struct mv_translator *t, const struct mv_cold *cold,
                  const struct mv_jit_unit *unit)
{
    struct mv_emit *e = &t->e;
    uint32_t here = (uint32_t)e->used;
    mv_set_target(e, cold->place, here);
    if (cold->streams) {
        mv_mov_ri(e, MV_RDX, MV_STREAM_MISS(cold->slot, cold->total));
        mv_lea(e, true, MV_RCX, mv_stream_at(cold->stream, 0));
        mv_to_thunk(t, cold->writes ? MV_THUNK_STREAM_WRITE : MV_THUNK_STREAM_READ, true);
        mv_set_target(e, mv_jcc(e, MV_CC_E), cold->hit);
    }
    switch (cold->kind) {
    case MV_COLD_INTERPRET:
        mv_registers_store(t);
        mv_mov_ri(e, MV_RAX, cold->slot * sizeof(struct mv_op));
        mv_to_thunk(t, MV_THUNK_INTERPRET, false);
        break;
    case MV_COLD_LEAVE:
        mv_registers_store(t);
        mv_mov_ri(e, MV_RAX, cold->slot * 4u);
        mv_to_thunk(t, MV_THUNK_LEAVE, false);
        break;
    case MV_COLD_EXIT:
        mv_registers_end(t, cold->dirty);
        size_t place = cold->place;
        if (e->used != here) {
            place = mv_jmp(e);
            here = (uint32_t)e->used;
            mv_set_target(e, place, here);
        }
        mv_mov_ri(e, MV_RAX, cold->slot * sizeof(struct mv_op));
        mv_to_thunk(t, MV_THUNK_EXIT_OP, false);
        const struct mv_jit_link link = {NULL, unit, (uint32_t)place, here, cold->slot};
        if (!e->full && t->jit->lockstep == NULL && mv_jit_page_link(t->jit, t->page, &link) < 0)
            t->failed = true;
        break;
    case MV_COLD_HANDLER:
        emit_cold_handler(t, cold);
        mv_set_target(e, mv_jmp(e), cold->back);
        break;
    case MV_COLD_FP:
        mv_registers_store(t);
        mv_mov_ri(e, MV_RSI, cold->slot * sizeof(struct mv_op));
        mv_to_thunk(t, MV_THUNK_BEGIN_FP, true);
        mv_registers_reload(t, false);
        mv_set_target(e, mv_jmp(e), cold->back);
        break;
    case MV_COLD_READ:
        emit_read(t, cold);
        mv_set_target(e, mv_jmp(e), cold->back);
        break;
    case MV_COLD_WRITE:
        emit_write(t, cold);
        mv_set_target(e, mv_jmp(e), cold->back);
        break;
    }
}
