/* SPDX-License-Identifier: Apache-2.0 */
#include "engine.h"

#include <stddef.h>

const struct mv_engine_ops *const mv_engines[] = {
    NULL,
};
