/* SPDX-License-Identifier: Apache-2.0 */
/* How a handler goes elsewhere than to the following instruction. */
#ifndef MV_EMULATOR_BRANCH_H
#define MV_EMULATOR_BRANCH_H

#include "cpu.h"

static inline bool mv_cpu_attention(struct mv_cpu *cpu)
{
    return MV_UNLIKELY(atomic_load_explicit(&cpu->attention, memory_order_relaxed) != 0);
}

/* Go on at a virtual address; leaves the handlers where its page is not known. */
#define MV_GO(address)                                                                             \
    do {                                                                                           \
        uint64_t go_va = (address);                                                                \
        const struct mv_itlb_entry *go_entry =                                                     \
            &cpu->tlb[(go_va >> 55) & 1]->i[(go_va >> 12) % MV_ITLB_ENTRIES];                      \
        if (MV_UNLIKELY(go_entry->tag != (go_va & ~UINT64_C(0xffc))) || mv_cpu_attention(cpu))     \
            return mv_cpu_leave(cpu, go_va);                                                       \
        cpu->page_va = go_va & MV_PAGE_MASK;                                                       \
        cpu->page_ops = go_entry->ops;                                                             \
        const struct mv_op *go_op = &go_entry->ops[(go_va & 0xfff) / 4];                           \
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
