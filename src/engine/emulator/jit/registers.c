/* SPDX-License-Identifier: Apache-2.0 */
#include "registers.h"

#include "translator.h"

enum mv_host_reg mv_host_usual(unsigned x)
{
    static const uint8_t usual[] = {[0] = MV_RBX,  [1] = MV_RBP, [2] = MV_R12,  [3] = MV_R13,
                                    [4] = MV_RSI,  [8] = MV_RDI, [19] = MV_R8,  [20] = MV_R9,
                                    [29] = MV_R10, [MV_REG_SP] = MV_R11};
    /* None of them is rax, which is 0. */
    return x < sizeof usual && usual[x] != 0 ? (enum mv_host_reg)usual[x] : MV_NO_REG;
}

/* --- the choice: by how often each is read, as far as can be told from here */

/* What adds a number to one of its own registers, and writes no other one. */
static bool is_step(const struct mv_op *op, unsigned x)
{
    switch (op->code) {
    case MV_OPCODE_add_imm_x:
    case MV_OPCODE_adds_imm_x:
    case MV_OPCODE_subs_imm_x:
        return op->rd == x && op->rn == x;
    default: /* writeback */
        return (mv_op_traits[op->code].writes & MV_OPERAND_XN) && op->rn == x;
    }
}

#define LOOP_WEIGHT 8
#define WEIGHT_MAX  512

struct uses {
    uint64_t jumping; /* bases that are written otherwise than by a step */
    bool loops;
    unsigned reads[MV_REG_COUNT];
    unsigned vector_reads[32]; /* by what is emitted: handlers read memory */
    unsigned exits;            /* to other units, and from there back into this one */
    unsigned calls;            /* of handlers, which keep no V register */
};

static void weigh_loops(const struct mv_translator *t, struct uses *uses,
                        uint16_t weight[MV_UNIT_OPS])
{
    for (unsigned i = 0; i < t->count; i++) {
        struct mv_op op = mv_op_of(t, t->slots[i]);
        unsigned target;
        if (!mv_op_leads_to(&op, t->slots[i], &target) || target > t->slots[i] || !t->is_in[target])
            continue;
        uses->loops = true;
        for (unsigned j = 0; j <= i; j++) {
            if (t->slots[j] >= target && weight[j] < WEIGHT_MAX)
                weight[j] *= LOOP_WEIGHT;
        }
    }
}

static void count_uses(const struct mv_translator *t, struct uses *uses)
{
    uint16_t weight[MV_UNIT_OPS];
    for (unsigned i = 0; i < t->count; i++)
        weight[i] = 1;
    weigh_loops(t, uses, weight);
    for (unsigned i = 0; i < t->count; i++) {
        struct mv_op op = mv_op_of(t, t->slots[i]);
        const struct mv_op_traits *traits = &mv_op_traits[op.code];
        struct mv_op_registers read = mv_op_registers(&op, traits->reads);
        for (uint64_t x = read.x; x != 0; x &= x - 1)
            uses->reads[__builtin_ctzll(x)] += weight[i];
        uint64_t written = mv_op_registers(&op, traits->writes).x;
        for (uint64_t x = written; x != 0; x &= x - 1)
            uses->jumping |= is_step(&op, (unsigned)__builtin_ctzll(x)) ? 0 : x & -x;
        bool emitted = mv_emitters[op.code] != NULL;
        for (uint32_t v = emitted ? read.v : 0; v != 0; v &= v - 1)
            uses->vector_reads[__builtin_ctz(v)] += weight[i];
        uses->calls += emitted ? 0 : weight[i];
        unsigned target;
        bool inside = mv_op_leads_to(&op, t->slots[i], &target) && t->is_in[target];
        if ((traits->flags & MV_OP_ENDS) && !inside)
            uses->exits += weight[i];
    }
}

static void choose_general(struct mv_translator *t, const struct uses *uses)
{
    for (unsigned x = 0; x < MV_REG_COUNT; x++)
        t->host[x] = (uint8_t)mv_host_usual(x);
    for (;;) {
        unsigned most = MV_REG_COUNT, least = MV_REG_COUNT;
        for (unsigned x = 0; x < MV_REG_COUNT; x++) {
            if (x == MV_REG_ZR || x == MV_REG_SINK)
                continue;
            unsigned *best = t->host[x] == MV_NO_REG ? &most : &least;
            if (*best == MV_REG_COUNT || (best == &most ? uses->reads[x] > uses->reads[*best]
                                                        : uses->reads[x] < uses->reads[*best]))
                *best = x;
        }
        /* One load where the unit begins, and one where it ends. */
        if (uses->reads[most] <= uses->reads[least] + 2 * uses->exits)
            return;
        t->host[most] = t->host[least];
        t->host[least] = MV_NO_REG;
        t->has_own = true;
    }
}

/* The lower ones are for scratch. */
#define XMM_FIRST 4
#define XMM_COUNT 12

static void choose_vector(struct mv_translator *t, struct uses *uses)
{
    memset(t->xmm, 0, sizeof t->xmm);
    for (unsigned i = 0; i < XMM_COUNT; i++) {
        unsigned most = 0;
        for (unsigned v = 1; v < 32; v++)
            most = uses->vector_reads[v] > uses->vector_reads[most] ? v : most;
        if (uses->vector_reads[most] <= uses->exits + uses->calls)
            return;
        uses->vector_reads[most] = 0;
        t->xmm[most] = (uint8_t)(XMM_FIRST + i);
        t->has_own = true;
    }
}

/* --- which of them cpu->x and cpu->v may not have */

/* Those that stand in registers of the host's. */
static struct mv_op_registers mapped(const struct mv_translator *t, struct mv_op_registers all)
{
    struct mv_op_registers ret = {0};
    for (; all.x != 0; all.x &= all.x - 1) {
        unsigned x = (unsigned)__builtin_ctzll(all.x);
        ret.x |= mv_host_of(t, x) != MV_NO_REG ? UINT64_C(1) << x : 0;
    }
    for (; all.v != 0; all.v &= all.v - 1) {
        unsigned v = (unsigned)__builtin_ctz(all.v);
        ret.v |= t->xmm[v] != 0 ? 1u << v : 0;
    }
    return ret;
}

/* A handler has all in memory, and leaves it there. */
struct mv_op_registers mv_registers_dirty(const struct mv_translator *t, unsigned index)
{
    struct mv_op op = mv_op_of(t, t->slots[index]);
    if (mv_emitters[op.code] == NULL)
        return (struct mv_op_registers){0};
    struct mv_op_registers ret = mapped(t, mv_op_registers(&op, mv_op_traits[op.code].writes));
    ret.x |= t->dirty_before[index].x;
    ret.v |= t->dirty_before[index].v;
    return ret;
}

/* True where it is news. */
static bool join(struct mv_op_registers *to, struct mv_op_registers from)
{
    bool news = (from.x & ~to->x) != 0 || (from.v & ~to->v) != 0;
    to->x |= from.x;
    to->v |= from.v;
    return news;
}

/* Forwards, by all ways that control may take. */
static void find_dirty(struct mv_translator *t)
{
    uint8_t index_of[MV_JIT_SLOTS];
    _Static_assert(MV_UNIT_OPS <= UINT8_MAX, "an index takes a byte");
    for (unsigned i = 0; i < t->count; i++)
        index_of[t->slots[i]] = (uint8_t)i;
    memset(t->dirty_before, 0, sizeof t->dirty_before);
    t->written = (struct mv_op_registers){0};
    for (bool changed = true; changed;) {
        changed = false;
        for (unsigned i = 0; i < t->count; i++) {
            struct mv_op op = mv_op_of(t, t->slots[i]);
            struct mv_op_registers dirty = mv_registers_dirty(t, i);
            unsigned next = t->slots[i] + 1u, target;
            join(&t->written, dirty);
            if (!mv_op_is_last(&op) && i + 1 < t->count && t->slots[i + 1] == next)
                join(&t->dirty_before[i + 1], dirty);
            if (mv_op_leads_to(&op, t->slots[i], &target) && t->is_in[target] &&
                join(&t->dirty_before[index_of[target]], dirty))
                changed |= target <= t->slots[i];
        }
    }
}

void mv_registers_choose(struct mv_translator *t)
{
    struct uses uses = {.exits = 1};
    t->has_own = false;
    count_uses(t, &uses);
    choose_general(t, &uses);
    choose_vector(t, &uses);
    t->steady = (uses.loops ? ~uses.jumping : 0) | MV_STACK_BASES;
    find_dirty(t);
}

/* --- code */

static void load_vectors(struct mv_translator *t)
{
    for (unsigned v = 0; v < 32; v++)
        mv_v_reload(t, v);
}

static void load(struct mv_translator *t, unsigned x, enum mv_host_reg host)
{
    mv_mov_rm(&t->e, true, host, mv_x_at(x));
}

static void store(struct mv_translator *t, struct mv_op_registers registers)
{
    for (; registers.x != 0; registers.x &= registers.x - 1) {
        unsigned x = (unsigned)__builtin_ctzll(registers.x);
        mv_mov_mr(&t->e, true, mv_x_at(x), mv_host_of(t, x));
    }
    for (; registers.v != 0; registers.v &= registers.v - 1) {
        unsigned v = (unsigned)__builtin_ctz(registers.v);
        mv_vstore(&t->e, mv_v_at(v, 0), t->xmm[v]);
    }
}

static bool writes_any(const struct mv_translator *t)
{
    return t->written.x != 0 || t->written.v != 0;
}

size_t mv_registers_begin(struct mv_translator *t)
{
    if (writes_any(t)) {
        t->store_all = (uint32_t)t->e.used;
        store(t, t->written);
        mv_emit8(&t->e, MV_RET);
    }
    if (!t->has_own)
        return 0;
    t->reload_all = (uint32_t)t->e.used;
    for (unsigned x = 0; x < MV_REG_COUNT; x++) {
        if (t->host[x] != MV_NO_REG && mv_host_is_kept(t->host[x]))
            load(t, x, t->host[x]);
    }
    t->reload = (uint32_t)t->e.used;
    for (unsigned x = 0; x < MV_REG_COUNT; x++) {
        if (t->host[x] != MV_NO_REG && !mv_host_is_kept(t->host[x]))
            load(t, x, t->host[x]);
    }
    load_vectors(t);
    mv_emit8(&t->e, MV_RET);
    t->entry = (uint32_t)t->e.used;
    for (unsigned x = 0; x < MV_REG_COUNT; x++) {
        if (t->host[x] != MV_NO_REG && t->host[x] != mv_host_usual(x))
            load(t, x, t->host[x]);
    }
    load_vectors(t);
    return mv_jmp(&t->e);
}

void mv_registers_end(struct mv_translator *t, struct mv_op_registers dirty)
{
    store(t, dirty);
    for (unsigned x = 0; t->has_own && x < MV_REG_COUNT; x++) {
        if (mv_host_usual(x) != MV_NO_REG && t->host[x] == MV_NO_REG)
            load(t, x, mv_host_usual(x));
    }
}

void mv_registers_store(struct mv_translator *t)
{
    if (writes_any(t))
        mv_set_target(&t->e, mv_call(&t->e), t->store_all);
}

void mv_registers_reload(struct mv_translator *t, bool all)
{
    if (t->has_own)
        mv_set_target(&t->e, mv_call(&t->e), all ? t->reload_all : t->reload);
}
