/* SPDX-License-Identifier: Apache-2.0 */
/* What the emitters of integer instructions (op-integer.c, op-bits.c) write themselves with. */
#ifndef MV_JIT_OP_INTEGER_H
#define MV_JIT_OP_INTEGER_H

#include "emitters.h"

#define RD t->op.rd
#define RN t->op.rn
#define RM t->op.rm

/* An emitter for 64 bits and one for 32, of one body that knows which by `w`. */
#define EACH(name, body)                                                                           \
    static bool name(struct mv_translator *t, bool w)                                              \
        body bool mv_emit_##name##_x(struct mv_translator *t)                                      \
    {                                                                                              \
        return name(t, true);                                                                      \
    }                                                                                              \
    bool mv_emit_##name##_w(struct mv_translator *t)                                               \
    {                                                                                              \
        return name(t, false);                                                                     \
    }
#define DO(name, call)                                                                             \
    bool mv_emit_##name##_x(struct mv_translator *t)                                               \
    {                                                                                              \
        const bool w = true;                                                                       \
        return call;                                                                               \
    }                                                                                              \
    bool mv_emit_##name##_w(struct mv_translator *t)                                               \
    {                                                                                              \
        const bool w = false;                                                                      \
        return call;                                                                               \
    }

#endif
