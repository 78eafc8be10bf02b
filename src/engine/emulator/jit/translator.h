/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_translator: one unit in the making.  Emitters (op-*.c) are called once for each
 * op, in the order of addresses, and have what is here to reach the guest's state.
 *
 * Registers: r15 stands in the middle of cpu->x, so that most of it is one byte away; r14 is
 * the TLB set of the half that the code is in: the other's addresses find no entry there, so
 * that accesses go the slow way, and jumps leave.  Ten of the guest's registers stand in ten of
 * the host's (registers.h), all others in cpu->x.  rax, rcx and rdx are free at each op.
 *
 * Flags: NZCV is cpu->jit_flags while a unit runs, which is 0 at other times: what lahf and
 * seto of EFLAGS make of it, in the form that a comparison leaves, so that CF is the opposite
 * of C.  EFLAGS may have the
 * same at times, which `eflags` says: at the next op only if this one leaves them.
 */
#ifndef MV_JIT_TRANSLATOR_H
#define MV_JIT_TRANSLATOR_H

#include "cpu.h"
#include "emit-vector.h"
#include "page.h"
#include "registers.h"

/* In one unit; what it has of code that is seldom run is bounded with them. */
#define MV_UNIT_OPS   192
#define MV_UNIT_COLDS (4 * MV_UNIT_OPS)

enum mv_cold_kind {
    MV_COLD_INTERPRET, /* the op cannot be done here: the interpreter does it */
    MV_COLD_LEAVE,     /* somebody wants attention before the op */
    MV_COLD_EXIT,      /* to an op of the page that is in no unit yet */
    MV_COLD_HANDLER,   /* the op's handler does it, then go on at `back` */
    MV_COLD_FP,        /* MXCSR is to be the guest's, then go on at `back` */
    MV_COLD_READ,      /* by a thunk, then go on at `back` */
    MV_COLD_WRITE,
};

struct mv_cold {
    enum mv_cold_kind kind;
    uint16_t slot;
    size_t place, back;
    struct mv_op_registers dirty; /* as in struct mv_translator, at the place */
    enum mv_jit_thunk thunk;
    /* MV_COLD_READ: where to, and how extended; MV_COLD_WRITE: what; MV_NO_REG: memory */
    uint8_t size;
    bool is_signed, wide;
    uint8_t host[2];
    uint8_t guest[2];
    bool is_vector;
    /* What the stream of a base register does not have its entry may: then on at `hit`. */
    bool streams, writes;
    uint8_t stream, total;
    size_t hit;
};

struct mv_translator {
    struct mv_emit e;
    struct mv_jit *jit;
    struct mv_jit_page *page;
    struct mv_op op; /* that is emitted, with its own opcode */
    unsigned slot;   /* its */
    unsigned index;  /* in slots */
    unsigned first;  /* the unit's, and where its code is entered */
    uint32_t entry;
    uint8_t host[MV_REG_COUNT];  /* enum mv_host_reg, of the guest's registers */
    /* Whose value cpu->x, or cpu->v, may not have: now, and anywhere in the unit. */
    struct mv_op_registers dirty, written;
    uint8_t rax_has;             /* a register that rax has, too, until more is emitted */
    size_t rax_until;
    uint8_t xmm[32];             /* of its V registers; 0: memory alone has that one */
    uint64_t steady;             /* base registers that stay near where they were */
    bool has_own;                /* these are not the usual ones, of which no V is */
    uint32_t reload, reload_all; /* code that loads those that C does not keep, and all */
    uint32_t store_all;          /* and that stores all of `written` */
    bool eflags;     /* EFLAGS have NZCV, as cpu->jit_flags would */
    bool flags_die;  /* nobody sees what this op makes of NZCV but by EFLAGS, at once */
    bool vector_checked,
        fp_checked; /* mv_check_vector and mv_check_fp have been emitted, on the way here */
    bool failed;    /* out of memory, or of one of the tables here */

    uint16_t slots[MV_UNIT_OPS]; /* in the order of addresses */
    struct mv_op_registers dirty_before[MV_UNIT_OPS];
    unsigned count;
    uint8_t is_in[MV_JIT_SLOTS];   /* the unit */
    uint8_t is_head[MV_JIT_SLOTS]; /* of a block; MV_HEAD_LOOP: a branch back leads there */
    uint32_t label[MV_JIT_SLOTS];  /* of those that were emitted */

    struct mv_cold colds[MV_UNIT_COLDS];
    unsigned cold_count;
    struct {
        size_t place;
        uint16_t target;
    } jumps[MV_UNIT_OPS * 2]; /* within the unit */
    unsigned jump_count;
    struct mv_jit_access accesses[MV_UNIT_OPS * 2];
    unsigned access_count;
};
enum { MV_HEAD = 1, MV_HEAD_LOOP = 2 };

/* A slot's op, with its own opcode; it is decoded. */
static inline struct mv_op mv_op_of(const struct mv_translator *t, unsigned slot)
{
    struct mv_op op = t->page->ops[slot];
    op.code = mv_jit_code(t->page, &t->page->ops[slot]);
    return op;
}

/* What an emitter is; false: it does not do this one, and has emitted nothing. */
typedef bool mv_emit_fn(struct mv_translator *t);

/* --- the guest's state */

#define MV_BASE MV_R15
#define MV_SET  MV_R14
#define MV_STATE(member)                                                                           \
    mv_at(MV_BASE,                                                                                 \
          (int32_t)offsetof(struct mv_cpu, member) - (int32_t)offsetof(struct mv_cpu, x[16]))

static inline struct mv_host_mem mv_x_at(unsigned x)
{
    return mv_at(MV_BASE, ((int32_t)x - 16) * 8);
}

static inline struct mv_host_mem mv_v_at(unsigned v, unsigned byte)
{
    struct mv_host_mem m = MV_STATE(v);
    m.disp += (int32_t)(v * sizeof(union mv_vreg) + byte);
    return m;
}

/* The host's register of a guest's in this unit, or MV_NO_REG. */
static inline enum mv_host_reg mv_host_of(const struct mv_translator *t, unsigned x)
{
    return (enum mv_host_reg)t->host[x];
}

/* What the op before computed there need not be loaded. */
static inline bool mv_rax_has(const struct mv_translator *t, unsigned x)
{
    return t->rax_has == x && t->rax_until == t->e.used;
}

/* The register that has x's value: its own, or `scratch` with it.  Leaves EFLAGS. */
static inline enum mv_host_reg mv_use(struct mv_translator *t, unsigned x, enum mv_host_reg scratch)
{
    enum mv_host_reg host = mv_host_of(t, x);
    if (host != MV_NO_REG)
        return host;
    if (x == MV_REG_ZR)
        mv_mov_ri(&t->e, scratch, 0);
    else if (scratch != MV_RAX || !mv_rax_has(t, x))
        mv_mov_rm(&t->e, true, scratch, mv_x_at(x));
    return scratch;
}

/* x's value in that very register; w: 64 bits of it, else 32 and zeroes above. */
static inline void mv_use_in(struct mv_translator *t, bool w, unsigned x, enum mv_host_reg to)
{
    enum mv_host_reg host = mv_host_of(t, x);
    if (x == MV_REG_ZR)
        mv_mov_ri(&t->e, to, 0);
    else if (host != MV_NO_REG)
        mv_mov_rr(&t->e, w, to, host);
    else if (mv_rax_has(t, x) && !(w && to == MV_RAX))
        mv_mov_rr(&t->e, w, to, MV_RAX);
    else if (!mv_rax_has(t, x))
        mv_mov_rm(&t->e, w, to, mv_x_at(x));
}

/* Where to compute what x is to be: its own register, or `scratch`. */
static inline enum mv_host_reg mv_def(const struct mv_translator *t, unsigned x,
                                      enum mv_host_reg scratch)
{
    return mv_host_of(t, x) != MV_NO_REG ? mv_host_of(t, x) : scratch;
}

/*
 * x is what `from` has (64 bits) from now on.  Leaves EFLAGS.  What stands in a register of the
 * host's is stored in cpu->x where the unit is left.
 */
static inline void mv_set(struct mv_translator *t, unsigned x, enum mv_host_reg from)
{
    enum mv_host_reg host = mv_host_of(t, x);
    if (x == MV_REG_SINK)
        return;
    if (host != MV_NO_REG && host != from)
        mv_mov_rr(&t->e, true, host, from);
    if (host != MV_NO_REG) {
        t->dirty.x |= UINT64_C(1) << x;
        return;
    }
    mv_mov_mr(&t->e, true, mv_x_at(x), from);
    if (from == MV_RAX) {
        t->rax_has = (uint8_t)x;
        t->rax_until = t->e.used;
    }
}

/* alu to, x */
static inline void mv_alu_x(struct mv_translator *t, bool w, enum mv_host_alu alu,
                            enum mv_host_reg to, unsigned x)
{
    if (x == MV_REG_ZR)
        mv_alu_ri(&t->e, w, alu, to, 0);
    else if (mv_host_of(t, x) != MV_NO_REG)
        mv_alu_rr(&t->e, w, alu, to, mv_host_of(t, x));
    else if (to != MV_RAX && mv_rax_has(t, x))
        mv_alu_rr(&t->e, w, alu, to, MV_RAX);
    else
        mv_alu_rm(&t->e, w, alu, to, mv_x_at(x));
}

/* --- V registers: xmm0 to xmm3 are free at each op */

/* The register that has v: its own, or `scratch` with it. */
static inline unsigned mv_v_use(struct mv_translator *t, unsigned v, unsigned scratch)
{
    if (t->xmm[v] != 0)
        return t->xmm[v];
    mv_vload(&t->e, scratch, mv_v_at(v, 0));
    return scratch;
}

static inline void mv_v_copy(struct mv_translator *t, unsigned to, unsigned v)
{
    if (t->xmm[v] != 0)
        mv_vmove(&t->e, to, t->xmm[v]);
    else
        mv_vload(&t->e, to, mv_v_at(v, 0));
}

/* op to, second, v; what a scalar op reads of v is its lowest bytes. */
static inline void mv_v_with(struct mv_translator *t, bool w, unsigned op, unsigned to,
                             unsigned second, unsigned v)
{
    if (t->xmm[v] != 0)
        mv_v_rr(&t->e, w, op, to, second, t->xmm[v]);
    else
        mv_v_rm(&t->e, w, op, to, second, mv_v_at(v, 0));
}

/* v is what `from` has from now on; stored as mv_set does it. */
static inline void mv_v_set(struct mv_translator *t, unsigned v, unsigned from)
{
    if (t->xmm[v] == 0) {
        mv_vstore(&t->e, mv_v_at(v, 0), from);
        return;
    }
    if (t->xmm[v] != from)
        mv_vmove(&t->e, t->xmm[v], from);
    t->dirty.v |= 1u << v;
}

/* Its place in memory, which has it. */
static inline struct mv_host_mem mv_v_stored_at(struct mv_translator *t, unsigned v, unsigned byte)
{
    if (t->dirty.v >> v & 1)
        mv_vstore(&t->e, mv_v_at(v, 0), t->xmm[v]);
    t->dirty.v &= ~(1u << v);
    return mv_v_at(v, byte);
}

/* Memory has changed. */
static inline void mv_v_reload(struct mv_translator *t, unsigned v)
{
    if (t->xmm[v] != 0)
        mv_vload(&t->e, t->xmm[v], mv_v_at(v, 0));
}

/* --- flags.c */

/* EFLAGS are NZCV as a comparison leaves it: they are kept where anybody may look. */
void mv_flags_set(struct mv_translator *t);
/* The same behind an addition, and behind what sets N and Z by a result and clears C and V. */
void mv_flags_set_added(struct mv_translator *t);
void mv_flags_set_logic(struct mv_translator *t);
/* ax has them, as cpu->jit_flags would: EFLAGS have them from then on. */
void mv_flags_from_ax(struct mv_translator *t);
/* The host's condition for a mask of conditions (a64.h), of EFLAGS as they are then, which may
 * have NZCV from then on; false: it always holds. */
bool mv_flags_condition(struct mv_translator *t, uint16_t mask, enum mv_host_cond *ret);
/* CF is C, or its opposite. */
void mv_flags_load_carry(struct mv_translator *t, bool inverted);
/* Code: from cpu->jit_flags to cpu->nzcv, and back.  Of rax, rcx, rdx. */
void mv_flags_emit_save(struct mv_emit *e);
void mv_flags_emit_load(struct mv_emit *e);

/* --- op-branch.c */

/* Go on at the virtual address in rax, or so far from the op: whatever page that is. */
void mv_go(struct mv_translator *t);
void mv_go_from(struct mv_translator *t, int64_t distance);

/* --- cold.c */

/* Have the op's handler do it. */
void mv_emit_handler(struct mv_translator *t);
/* Here is what the jump at cold->place leads to. */
void mv_emit_cold(struct mv_translator *t, const struct mv_cold *cold,
                  const struct mv_jit_unit *unit);

/* --- translate.c */

/* jcc or jmp was emitted, to what is cold. */
struct mv_cold *mv_cold_at(struct mv_translator *t, enum mv_cold_kind kind, size_t place);
/* Here what is cold comes back to, and a jump of the op's own leads. */
static inline void mv_cold_back(struct mv_translator *t, struct mv_cold *cold)
{
    cold->back = t->e.used;
    t->rax_until = 0;
}
static inline void mv_land(struct mv_translator *t, size_t place)
{
    mv_set_target(&t->e, place, t->e.used);
    t->rax_until = 0;
}
/* The jump is to an op of the page. */
void mv_jump_to(struct mv_translator *t, size_t place, unsigned target);
/* The access that was emitted last is this op's. */
void mv_access_here(struct mv_translator *t);
/* V registers may be trapped: where they are, the interpreter does the op. */
void mv_check_vector(struct mv_translator *t);
/* The same, and the host's floating point is to be as the guest wants it (mv_jit_fp_begin). */
void mv_check_fp(struct mv_translator *t);
/* The page's address, and more. */
static inline void mv_use_pc(struct mv_translator *t, enum mv_host_reg to, uint64_t offset)
{
    mv_mov_rm(&t->e, true, to, MV_STATE(page_va));
    if (offset != 0 && (int64_t)offset == (int32_t)offset) {
        mv_lea(&t->e, true, to, mv_at(to, (int32_t)offset));
    } else if (offset != 0) {
        mv_mov_ri(&t->e, MV_RDX, offset);
        mv_lea(&t->e, true, to, mv_at_index(to, MV_RDX, 0, 0));
    }
}
/* Whether it is a direct branch within its page, and to which slot. */
bool mv_op_leads_to(const struct mv_op *op, unsigned slot, unsigned *ret_target);
/* Jump to, or call, what all units share. */
void mv_to_thunk(struct mv_translator *t, enum mv_jit_thunk thunk, bool call);

/* By opcode; NULL: its handler does it. */
extern mv_emit_fn *const mv_emitters[MV_OPCODE_COUNT];

/* Control never gets behind the op within a unit. */
bool mv_op_is_last(const struct mv_op *op);
/* Translate from a slot of the page on; false where it cannot be. */
bool mv_jit_translate(struct mv_jit *jit, struct mv_cpu *cpu, struct mv_jit_page *page,
                      unsigned slot);

/* --- thunks.c */
void mv_thunks_emit(struct mv_jit *jit);

#endif
