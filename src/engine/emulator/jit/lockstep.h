/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_lockstep: translated code beside the interpreter (--engine emulator,jit-check=on).
 * Each unit is run by both from the same state, and both have to come to the same one.  It is
 * a vCPU's own, of a machine that has no other one: nobody else may write its memory meanwhile.
 */
#ifndef MV_JIT_LOCKSTEP_H
#define MV_JIT_LOCKSTEP_H

#include "cpu.h"
#include "page.h"

struct mv_lockstep;

/* NULL: no memory. */
struct mv_lockstep *mv_lockstep_create(void);
void mv_lockstep_destroy(struct mv_lockstep *lockstep);

/*
 * Run the unit that begins at the op (mv_jit_enter) and return what that returned; NULL where
 * an exception was taken.  The process ends where the interpreter comes to another state, and
 * says which.  Units end in such a machine where control goes back (translate.c), and before
 * what cannot be done twice.
 */
const struct mv_op *mv_lockstep_run(struct mv_lockstep *lockstep, struct mv_cpu *cpu,
                                    const struct mv_op *op);

#endif
