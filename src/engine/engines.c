/* SPDX-License-Identifier: Apache-2.0 */
#include "emulator.h"
#include "engine.h"

#include <stddef.h>

const struct mv_engine_ops *const mv_engines[] = {
    &mv_emulator_ops,
    NULL,
};
