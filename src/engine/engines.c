/* SPDX-License-Identifier: Apache-2.0 */
/* The engines that are built in: see engine.h.  Constant; for the machine and the verbs. */
#include "emulator.h"
#include "engine.h"

#include <stddef.h>

const struct mv_engine_ops *const mv_engines[] = {
    &mv_emulator_ops,
    NULL,
};
