/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The interpreter's handlers, one for each opcode, and their ways from one op to
 * the next.
 *
 * A handler does its instruction and tail-calls the next op's handler, so the
 * host's branch predictor sees an indirect jump for each.  Builds with a
 * sanitizer, which cannot tail-call, return the next op to the loop in run.c
 * instead: the same handlers serve both.  NULL goes back to the run loop.
 */
#ifndef MV_INTERPRETER_INTERPRETER_H
#define MV_INTERPRETER_INTERPRETER_H

#include "code-cache.h"
#include "cpu.h"

typedef const struct mv_op *mv_op_fn(struct mv_cpu *cpu, const struct mv_op *op);

#define OP(name, ...) mv_op_fn mv_op_##name;
#include "opcodes.h"
#undef OP

extern mv_op_fn *const mv_op_handlers[MV_OPCODE_COUNT];

/* The same, each of which returns the next op: for translated code, which calls them. */
#ifdef MV_HAS_JIT
#define OP(name, ...) mv_op_fn mv_returning_##name;
#include "opcodes.h"
#undef OP
extern mv_op_fn *const mv_op_returning[MV_OPCODE_COUNT];
#endif

#if defined(MV_OPS_RETURN) || defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) ||     \
    !defined(__OPTIMIZE__)
#define MV_DISPATCH(next) return (next)
#else
#define MV_DISPATCH(next) return mv_op_handlers[(next)->code](cpu, (next))
#endif
/* Do it as one of that opcode, whatever stands in its place. */
#define MV_DISPATCH_AS(this, opcode) return mv_op_handlers[opcode](cpu, (this))

/* A handler's head. */
#ifdef MV_OPS_RETURN
#define MV_OP(name) const struct mv_op *mv_returning_##name(struct mv_cpu *cpu,                    \
                                                            const struct mv_op *op)
#else
#define MV_OP(name) const struct mv_op *mv_op_##name(struct mv_cpu *cpu, const struct mv_op *op)
#endif

/* Go on with the following instruction. */
#define MV_NEXT MV_DISPATCH(op + 1)

static inline bool mv_cpu_attention(struct mv_cpu *cpu)
{
    return MV_UNLIKELY(atomic_load_explicit(&cpu->attention, memory_order_relaxed) != 0);
}

/* The op is one that control comes to from elsewhere; units begin there (jit.h). */
static inline void mv_cpu_mark(struct mv_cpu *cpu, const struct mv_op *op)
{
#ifdef MV_HAS_JIT
    if (cpu->jit != NULL && op->code != MV_OPCODE_count && op->code != MV_OPCODE_native)
        mv_code_cache_mark(cpu->code, cpu->page_ops, op);
#endif
}

/* Go on at a virtual address; leaves the handlers where its page is not known. */
#define MV_GO(address) MV_GO_AND((address), (void)0)
#define MV_GO_MARKED(address) MV_GO_AND((address), mv_cpu_mark(cpu, go_op))
#define MV_GO_AND(address, also)                                                                   \
    do {                                                                                           \
        uint64_t go_va = (address);                                                                \
        const struct mv_itlb_entry *go_entry =                                                     \
            &cpu->mmu.set[(go_va >> 55) & 1]->i[(go_va >> 12) % MV_ITLB_ENTRIES];                  \
        if (MV_UNLIKELY(go_entry->tag != (go_va & ~UINT64_C(0xffc))) || mv_cpu_attention(cpu))     \
            return mv_cpu_leave(cpu, go_va);                                                       \
        cpu->page_va = go_va & MV_PAGE_MASK;                                                       \
        cpu->page_ops = go_entry->ops;                                                             \
        const struct mv_op *go_op = &go_entry->ops[(go_va & 0xfff) / 4];                           \
        also;                                                                                      \
        MV_DISPATCH(go_op);                                                                        \
    } while (0)

/* Go on at another op of this page, `delta` bytes of ops away. */
#define MV_GO_PAGE(delta)                                                                          \
    do {                                                                                           \
        const struct mv_op *go_op = (const struct mv_op *)((const char *)op + (int64_t)(delta));   \
        if (mv_cpu_attention(cpu))                                                                 \
            return mv_cpu_leave(cpu, mv_op_pc(cpu, go_op));                                        \
        MV_DISPATCH(go_op);                                                                        \
    } while (0)

#endif
