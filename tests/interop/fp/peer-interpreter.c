/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The peer that has the emulator's interpreter execute the instruction words,
 * which it reads from stdin as the native peer's `words` prints them.
 */
#include "a64.h"
#include "cases.h"
#include "interpreter.h"
#include "peer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HVC 0xd4000002

/* Each case is a page of its own: the instruction, and one that leaves. */
static struct mv_op code[CASE_COUNT][2];
static struct mv_cpu *cpu;

bool peer_execute(unsigned id, struct state *state)
{
    if (code[id][0].code == MV_OPCODE_undef)
        return false;
    memcpy(cpu->v, state->v, sizeof state->v);
    cpu->x[0] = state->x[0];
    cpu->x[1] = state->x[1];
    cpu->fpcr = (uint32_t)state->fpcr;
    cpu->fpsr = (uint32_t)state->fpsr;
    cpu->nzcv = (uint32_t)state->nzcv;
    cpu->exit_wanted = false;
    cpu->page_ops = code[id];
    for (const struct mv_op *op = code[id]; op != NULL;)
        op = mv_op_handlers[op->code](cpu, op);
    /* Only HVC wants to exit; an exception does not. */
    if (!cpu->exit_wanted || cpu->x[MV_REG_ZR] != 0)
        return false;
    state->v[0][0] = cpu->v[0].d[0];
    state->v[0][1] = cpu->v[0].d[1];
    state->x[0] = cpu->x[0];
    state->fpsr = cpu->fpsr;
    state->nzcv = cpu->nzcv;
    return true;
}

bool peer_start(void)
{
    cpu = aligned_alloc(64, (sizeof *cpu + 63) / 64 * 64);
    if (cpu == NULL)
        return false;
    memset(cpu, 0, sizeof *cpu);
    cpu->el = 1;
    cpu->fp_enabled = true;
    for (unsigned id = 0; id < CASE_COUNT; id++) {
        uint32_t word;
        if (scanf("%*s %" SCNx32, &word) != 1) {
            fprintf(stderr, "case %u has no instruction word on stdin\n", id);
            return false;
        }
        mv_a64_decode(word, &code[id][0]);
        mv_a64_decode(HVC, &code[id][1]);
    }
    return true;
}

uint32_t peer_word(unsigned id)
{
    (void)id;
    return 0;
}
