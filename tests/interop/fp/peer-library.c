/* SPDX-License-Identifier: Apache-2.0 */
/* The peer that calls fp.h and does itself what a handler would. */
#include "cases.h"
#include "fp.h"
#include "peer.h"

#define A16            ((uint16_t)s->v[1][0])
#define A32            ((uint32_t)s->v[1][0])
#define B32            ((uint32_t)s->v[2][0])
#define C32            ((uint32_t)s->v[3][0])
#define A64            (s->v[1][0])
#define B64            (s->v[2][0])
#define C64            (s->v[3][0])
#define X1             (s->x[1])
#define W1             ((uint32_t)s->x[1])
#define W1S            ((uint64_t)(int32_t)s->x[1])
#define PUT32(value)   (s->v[0][0] = (uint32_t)(value), s->v[0][1] = 0, true)
#define PUT64(value)   (s->v[0][0] = (value), s->v[0][1] = 0, true)
#define X0(value)      (s->x[0] = (value), true)
#define FLAGS(value)   (s->nzcv = (uint64_t)(value) << 28, true)
#define NOT_IN_LIBRARY false

bool peer_execute(unsigned id, struct state *s)
{
    struct mv_fp_env environment = {(uint32_t)s->fpcr, (uint32_t)s->fpsr}, *env = &environment;
    bool done = false;
    switch (id) {
#define ROW(id, text, kind, library)                                                               \
    case CASE_##id:                                                                                \
        done = library;                                                                            \
        break;
        ALL_ROWS(ROW)
#undef ROW
    default:
        break;
    }
    s->fpsr = environment.fpsr;
    return done;
}

bool peer_start(void)
{
    return true;
}

uint32_t peer_word(unsigned id)
{
    (void)id;
    return 0;
}
