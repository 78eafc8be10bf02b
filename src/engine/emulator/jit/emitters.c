/* SPDX-License-Identifier: Apache-2.0 */
#include "emitters.h"

mv_emit_fn *const mv_emitters[MV_OPCODE_COUNT] = {
#define EMITTER(name) [MV_OPCODE_##name] = mv_emit_##name,
    MV_EMITTERS
#undef EMITTER
};
