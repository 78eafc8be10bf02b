/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What goes into a unit, and how it is put together: the ops that direct branches within the
 * page lead to from where it begins, in the order of their addresses, with what is seldom run
 * behind them.
 */
#include "translator.h"

#include "code-cache.h"
#include "interpreter.h"
#include "perf.h"

#include <stdlib.h>
#include <string.h>

/* --- what emitters call */

struct mv_cold *mv_cold_at(struct mv_translator *t, enum mv_cold_kind kind, size_t place)
{
    if (t->cold_count == MV_UNIT_COLDS) {
        t->failed = true;
        t->cold_count--;
    }
    struct mv_cold *cold = &t->colds[t->cold_count++];
    *cold = (struct mv_cold){
        .kind = kind, .slot = (uint16_t)t->slot, .place = place, .dirty = t->dirty};
    return cold;
}

void mv_jump_to(struct mv_translator *t, size_t place, unsigned target)
{
    if (!t->is_in[target]) {
        mv_cold_at(t, MV_COLD_EXIT, place)->slot = (uint16_t)target;
        return;
    }
    t->jumps[t->jump_count].place = place;
    t->jumps[t->jump_count++].target = (uint16_t)target;
}

void mv_access_here(struct mv_translator *t)
{
    t->accesses[t->access_count++] = (struct mv_jit_access){(uint32_t)t->e.used, (uint16_t)t->slot};
}

void mv_to_thunk(struct mv_translator *t, enum mv_jit_thunk thunk, bool call)
{
    size_t place = call ? mv_call(&t->e) : mv_jmp(&t->e);
    mv_set_target(&t->e, place, t->jit->thunks[thunk]);
}

void mv_check_vector(struct mv_translator *t)
{
    if (t->vector_checked)
        return;
    mv_cmp_mi8(&t->e, MV_STATE(fp_enabled), 0);
    mv_cold_at(t, MV_COLD_INTERPRET, mv_jcc(&t->e, MV_CC_E));
    t->eflags = false;
    t->vector_checked = true;
}

void mv_check_fp(struct mv_translator *t)
{
    if (t->fp_checked)
        return;
    mv_cmp_mi8(&t->e, MV_STATE(jit_fp), 0);
    struct mv_cold *cold = mv_cold_at(t, MV_COLD_FP, mv_jcc(&t->e, MV_CC_E));
    mv_cold_back(t, cold);
    t->eflags = false;
    t->vector_checked = t->fp_checked = true;
}

bool mv_op_leads_to(const struct mv_op *op, unsigned slot, unsigned *ret_target)
{
    *ret_target = slot + (unsigned)((int64_t)op->imm / (int64_t)sizeof(struct mv_op));
    return op->code > MV_OPCODE_decode && (mv_op_traits[op->code].flags & MV_OP_ENDS) &&
           (mv_op_traits[op->code - 1].flags & MV_OP_LOCAL);
}

/* --- which ops */

static struct mv_op peek(const struct mv_translator *t, struct mv_cpu *cpu, unsigned slot)
{
    struct mv_op *op = &t->page->ops[slot];
    if (mv_jit_code(t->page, op) == MV_OPCODE_decode)
        mv_code_cache_decode(cpu->code, t->page->ops, op);
    return mv_op_of(t, slot);
}

static bool is_conditional(const struct mv_op *op)
{
    return mv_op_traits[op->code].reads & (MV_OPERAND_FLAGS | MV_OPERAND_XN);
}

/* Translated code is no longer what it was, or has to be looked up anew. */
static bool forgets(const struct mv_op *op)
{
    return op->code == MV_OPCODE_isb ||
           (op->code == MV_OPCODE_msr && mv_sysreg_of(op)->flags & MV_SYSREG_CODE);
}

/* Control may get behind it in the unit, although it may leave that. */
static bool comes_back(const struct mv_op *op)
{
    unsigned target;
    switch (op->code) {
    case MV_OPCODE_msr:
        return !forgets(op);
    case MV_OPCODE_msr_daifclr:
    case MV_OPCODE_dsb:
    case MV_OPCODE_wfe:
        return true;
    default:
        return (mv_op_leads_to(op, 0, &target) || mv_op_traits[op->code].flags & MV_OP_LOCAL) &&
               is_conditional(op);
    }
}

bool mv_op_is_last(const struct mv_op *op)
{
    return (mv_op_traits[op->code].flags & MV_OP_ENDS) && !comes_back(op);
}

struct region {
    uint16_t pending[MV_UNIT_OPS];
    unsigned pending_count;
};

/* region: where the target is to be in as well; NULL: it is a call, whose target may be. */
static void add_head(struct mv_translator *t, struct region *region, unsigned from, unsigned target)
{
    t->is_head[target] |= MV_HEAD | (target <= from ? MV_HEAD_LOOP : 0);
    if (region != NULL && !t->is_in[target] && region->pending_count < MV_UNIT_OPS)
        region->pending[region->pending_count++] = (uint16_t)target;
}

/* In a row from a slot on, to behind the last one; another unit's entry is jumped to. */
static unsigned add_run(struct mv_translator *t, struct mv_cpu *cpu, struct region *region,
                    unsigned slot)
{
    for (; slot < MV_JIT_SLOTS && !t->is_in[slot] && t->count < MV_UNIT_OPS; slot++) {
        if (mv_jit_entries(t->page->ops)[slot] != 0)
            return slot;
        struct mv_op op = peek(t, cpu, slot);
        t->is_in[slot] = true;
        t->count++;
        unsigned target;
        if (mv_op_leads_to(&op, slot, &target))
            add_head(t, op.code == MV_OPCODE_bl_page ? NULL : region, slot, target);
        if (mv_op_is_last(&op))
            return slot + 1;
    }
    return slot;
}

static void find_region(struct mv_translator *t, struct mv_cpu *cpu, unsigned slot)
{
    struct region region = {.pending_count = 0};
    t->is_head[slot] = MV_HEAD | MV_HEAD_LOOP;
    unsigned low = slot, high = add_run(t, cpu, &region, slot);
    while (region.pending_count > 0) {
        unsigned begin = region.pending[--region.pending_count];
        unsigned end = add_run(t, cpu, &region, begin);
        low = begin < low ? begin : low;
        high = end > high ? end : high;
    }
    t->count = 0;
    for (unsigned i = low; i < high; i++) {
        if (t->is_in[i])
            t->slots[t->count++] = (uint16_t)i;
    }
}

/* --- what becomes of flags */

/* Reads NZCV from EFLAGS where those have it, and leaves them. */
static bool reads_softly(const struct mv_op *op)
{
    switch (op->code) {
    case MV_OPCODE_csel_x:
    case MV_OPCODE_csel_w:
    case MV_OPCODE_csinc_x:
    case MV_OPCODE_csinc_w:
    case MV_OPCODE_csinv_x:
    case MV_OPCODE_csinv_w:
    case MV_OPCODE_csneg_x:
    case MV_OPCODE_csneg_w:
    case MV_OPCODE_b_cond_page:
        return true;
    default:
        return false;
    }
}

#define LOOK_AHEAD 16

/* Whether nothing reads NZCV as they are before a slot; `fresh`: EFLAGS still have them. */
static bool flags_die_at(const struct mv_translator *t, struct mv_cpu *cpu, unsigned slot,
                         bool fresh, unsigned depth)
{
    for (unsigned i = 0; i < LOOK_AHEAD; i++, slot++) {
        if (slot >= MV_JIT_SLOTS || !t->is_in[slot])
            return false;
        struct mv_op op = peek(t, cpu, slot);
        const struct mv_op_traits *traits = &mv_op_traits[op.code];
        fresh = fresh && !t->is_head[slot];
        if (traits->reads & MV_OPERAND_FLAGS && !(fresh && reads_softly(&op)))
            return false;
        if (op.code == MV_OPCODE_b_cond_page) {
            unsigned target;
            mv_op_leads_to(&op, slot, &target);
            if (depth == 0 || target <= slot || !flags_die_at(t, cpu, target, false, depth - 1))
                return false;
            continue;
        }
        if ((traits->flags & (MV_OP_FAULTS | MV_OP_ENDS)) || t->is_head[slot] & MV_HEAD_LOOP ||
            (traits->reads & MV_OPERAND_OTHER))
            return false;
        if (traits->writes & MV_OPERAND_FLAGS)
            return true;
        fresh = fresh && reads_softly(&op);
    }
    return false;
}

/* --- the code */

static void emit_interpret(struct mv_translator *t)
{
    mv_registers_store(t);
    mv_mov_ri(&t->e, MV_RAX, t->slot * sizeof(struct mv_op));
    mv_to_thunk(t, MV_THUNK_INTERPRET, false);
}

/* Every way round leads through such a place (translator.h), and in lockstep ends there. */
static void emit_poll(struct mv_translator *t)
{
    if (t->jit->lockstep != NULL) {
        mv_cold_at(t, MV_COLD_LEAVE, mv_jmp(&t->e));
        return;
    }
    mv_alu_mi(&t->e, false, MV_CMP, MV_STATE(attention), 0);
    mv_cold_at(t, MV_COLD_LEAVE, mv_jcc(&t->e, MV_CC_NE));
}

static void emit_op(struct mv_translator *t, struct mv_cpu *cpu)
{
    mv_emit_fn *emitter = mv_emitters[t->op.code];
    bool flags = mv_op_traits[t->op.code].writes & MV_OPERAND_FLAGS;
    t->flags_die = flags && flags_die_at(t, cpu, t->slot + 1, true, 2);
    if (emitter != NULL && emitter(t))
        return;
    t->flags_die = false;
    bool twice = t->jit->lockstep == NULL ||
                 !(mv_op_traits[t->op.code].writes & MV_OPERAND_OTHER);
    t->dirty = (struct mv_op_registers){0};
    if (t->op.code == MV_OPCODE_undef || !twice) {
        emit_interpret(t);
        return;
    }
    mv_emit_handler(t);
    /* The unit may be forgotten: what follows is looked up. */
    if (forgets(&t->op))
        mv_go_from(t, 4);
}

static void emit_body(struct mv_translator *t, struct mv_cpu *cpu)
{
    size_t into = mv_registers_begin(t);
    for (unsigned i = 0; i < t->count; i++) {
        t->index = i;
        t->slot = t->slots[i];
        t->op = peek(t, cpu, t->slot);
        t->dirty = t->dirty_before[i];
        if (t->is_head[t->slot]) {
            t->eflags = t->vector_checked = t->fp_checked = false;
            t->rax_until = 0;
        }
        t->label[t->slot] = (uint32_t)t->e.used;
        if (t->is_head[t->slot] & MV_HEAD_LOOP)
            emit_poll(t);
        if (t->slot == t->first) {
            size_t entry = t->jit->lockstep != NULL ? t->e.used : t->label[t->slot];
            if (into == 0)
                t->entry = (uint32_t)entry;
            else
                mv_set_target(&t->e, into, entry);
        }
        emit_op(t, cpu);
        /* What was not foreseen would not be stored. */
        struct mv_op_registers foreseen = mv_registers_dirty(t, i);
        t->failed |= (t->dirty.x & ~foreseen.x) != 0 || (t->dirty.v & ~foreseen.v) != 0;
        if (mv_op_is_last(&t->op))
            continue;
        if (t->slot + 1 == MV_JIT_SLOTS) {
            mv_go_from(t, 4);
        } else if (!t->is_in[t->slot + 1]) {
            mv_jump_to(t, mv_jmp(&t->e), t->slot + 1);
        }
    }
    for (unsigned i = 0; i < t->jump_count; i++)
        mv_set_target(&t->e, t->jumps[i].place, t->label[t->jumps[i].target]);
}

/* --- the unit */

static struct mv_jit_unit *make_unit(const struct mv_translator *t, unsigned slot)
{
    struct mv_jit_unit *unit =
        calloc(1, sizeof *unit + t->access_count * sizeof(struct mv_jit_access));
    if (unit == NULL)
        return NULL;
    unit->slot = (uint16_t)slot;
    unit->start = (uint32_t)t->jit->memory.used;
    unit->access_count = t->access_count;
    memcpy(unit->accesses, t->accesses, t->access_count * sizeof(struct mv_jit_access));
    for (unsigned i = 0; i < t->count; i++)
        unit->lines |= UINT64_C(1) << t->slots[i] / 16;
    for (uint64_t x = t->written.x; x != 0; x &= x - 1)
        unit->guest[t->host[__builtin_ctzll(x)]] = (uint8_t)(__builtin_ctzll(x) + 1);
    for (uint32_t v = t->written.v; v != 0; v &= v - 1)
        unit->guest_v[t->xmm[__builtin_ctz(v)]] = (uint8_t)(__builtin_ctz(v) + 1);
    return unit;
}

/* Where control goes on behind what the interpreter does, and at what is no unit yet. */
static void mark_what_follows(struct mv_translator *t)
{
    struct mv_jit_page *page = t->page;
    for (unsigned i = 0; i < t->cold_count; i++) {
        if (t->colds[i].kind == MV_COLD_EXIT)
            mv_jit_mark(t->jit, &page, page->ops, t->colds[i].slot);
    }
    for (unsigned i = 0; i < t->count; i++) {
        unsigned next = t->slots[i] + 1u;
        if (next < MV_JIT_SLOTS && !t->is_in[next])
            mv_jit_mark(t->jit, &page, page->ops, next);
    }
}

static bool finish(struct mv_translator *t, struct mv_cpu *cpu, unsigned slot)
{
    struct mv_jit_unit *unit = make_unit(t, slot);
    if (unit == NULL)
        return false;
    for (unsigned i = 0; i < t->cold_count; i++)
        mv_emit_cold(t, &t->colds[i], unit);
    if (t->failed || t->e.full) {
        mv_jit_page_unlink(t->page, unit);
        free(unit);
        return false;
    }
    unit->end = (uint32_t)t->e.used;
    mv_code_memory_use(&t->jit->memory, t->e.used);
    mv_jit_count(&t->jit->counts.units);
    atomic_store_explicit(&t->jit->counts.used, t->e.used, memory_order_relaxed);
    mv_jit_entries(t->page->ops)[slot] = t->entry;
    mv_jit_page_add(t->jit, t->page, unit);
    mark_what_follows(t);
    if (t->jit->params.perf != NULL)
        mv_jit_perf_tell(t->jit->params.perf, t->jit->memory.run + unit->start,
                         unit->end - unit->start, cpu->page_va + slot * UINT64_C(4));
    return true;
}

static void begin(struct mv_translator *t, struct mv_jit *jit, struct mv_jit_page *page,
                  unsigned slot)
{
    struct mv_code_memory *memory = &jit->memory;
    memset(t, 0, offsetof(struct mv_translator, label));
    t->cold_count = t->jump_count = t->access_count = 0;
    t->jit = jit;
    t->page = page;
    t->first = slot;
    t->e = (struct mv_emit){memory->write, memory->used, memory->size, false};
}

bool mv_jit_translate(struct mv_jit *jit, struct mv_cpu *cpu, struct mv_jit_page *page,
                      unsigned slot)
{
    struct mv_translator *t = jit->translator;
    /* Where the memory is full, there is room once all that is in it is forgotten. */
    for (unsigned tries = 0; tries < 2; tries++) {
        begin(t, jit, page, slot);
        find_region(t, cpu, slot);
        mv_registers_choose(t);
        emit_body(t, cpu);
        if (!t->failed && finish(t, cpu, slot))
            return true;
        if (!t->e.full)
            break;
        mv_jit_flush(jit);
    }
    mv_jit_count(&jit->counts.refused);
    return false;
}
