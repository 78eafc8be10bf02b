/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handlers of branches (Arm ARM C6.2).  Each taken branch looks at
 * mv_cpu.attention, as does the end of a page, so a vCPU is never long without.
 */
#include "alu.h"
#include "branch.h"

/* A direct branch: imm counts from its PC, in the page variant in ops. */
#define DIRECT(name, condition, link)                                                              \
    MV_OP(name)                                                                                    \
    {                                                                                              \
        if (condition) {                                                                           \
            link;                                                                                  \
            MV_GO(mv_op_pc(cpu, op) + op->imm);                                                    \
        }                                                                                          \
        MV_NEXT;                                                                                   \
    }                                                                                              \
    MV_OP(name##_page)                                                                             \
    {                                                                                              \
        if (condition) {                                                                           \
            link;                                                                                  \
            MV_GO_PAGE(op->imm);                                                                   \
        }                                                                                          \
        MV_NEXT;                                                                                   \
    }
#define NO_LINK (void)0

DIRECT(b, true, NO_LINK)
DIRECT(bl, true, cpu->x[MV_REG_LR] = mv_op_pc(cpu, op) + 4)
DIRECT(b_cond, mv_cond_holds(cpu, op->aux), NO_LINK)
DIRECT(cbz_x, cpu->x[op->rn] == 0, NO_LINK)
DIRECT(cbz_w, (uint32_t)cpu->x[op->rn] == 0, NO_LINK)
DIRECT(cbnz_x, cpu->x[op->rn] != 0, NO_LINK)
DIRECT(cbnz_w, (uint32_t)cpu->x[op->rn] != 0, NO_LINK)
DIRECT(tbz, !(cpu->x[op->rn] >> op->aux & 1), NO_LINK)
DIRECT(tbnz, cpu->x[op->rn] >> op->aux & 1, NO_LINK)

MV_OP(br)
{
    MV_GO(cpu->x[op->rn]);
}

MV_OP(blr)
{
    uint64_t target = cpu->x[op->rn];
    cpu->x[MV_REG_LR] = mv_op_pc(cpu, op) + 4;
    MV_GO(target);
}

MV_OP(page_end)
{
    MV_GO(cpu->page_va + MV_PAGE_SIZE);
}
