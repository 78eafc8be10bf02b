/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which of the guest's registers stand in the host's.  Between units, and in the thunks, these
 * are the usual ten, and cpu->x has all of them; a unit that reads others more often has those
 * instead while it runs, and up to twelve V registers.  What it changes is stored in cpu->x and
 * cpu->v where the unit is left, calls C, or meets a fault.
 */
#ifndef MV_JIT_REGISTERS_H
#define MV_JIT_REGISTERS_H

#include "emit.h"
#include "op.h"

#include <stdbool.h>

struct mv_translator;

/* The stack pointer and x29 move seldom from one page to another. */
#define MV_STACK_BASES (UINT64_C(1) << 32 | UINT64_C(1) << 29)

/* Of a register between units; MV_NO_REG: it stands in cpu->x alone. */
enum mv_host_reg mv_host_usual(unsigned x);

/* C's functions leave it as it was. */
static inline bool mv_host_is_kept(enum mv_host_reg host)
{
    return host == MV_RBX || host == MV_RBP || host >= MV_R12;
}

/* All ops are known: fills t->host, t->xmm, t->written and t->dirty_before. */
void mv_registers_choose(struct mv_translator *t);
/* First of the unit's code: where it comes in from others.  A jump on, or 0: it goes on below. */
size_t mv_registers_begin(struct mv_translator *t);
/* What cpu->x and cpu->v may not have behind the op with that index. */
struct mv_op_registers mv_registers_dirty(const struct mv_translator *t, unsigned index);
/* On its ways to others: these are stored, and the usual ones loaded. */
void mv_registers_end(struct mv_translator *t, struct mv_op_registers dirty);
/* Before a thunk, which looks at cpu->x; behind one that came back (all: of
 * MV_THUNK_CALL_SYSTEM). */
void mv_registers_store(struct mv_translator *t);
void mv_registers_reload(struct mv_translator *t, bool all);

#endif
