/* SPDX-License-Identifier: Apache-2.0 */
/* State tables: what their types mean.  Pure functions, any thread. */
#include "state.h"

#include <stdbool.h>

size_t mv_state_type_size(enum mv_state_type type)
{
    static const uint8_t sizes[] = {
        [MV_STATE_BOOL] = sizeof(bool),    [MV_STATE_U8] = sizeof(uint8_t),
        [MV_STATE_U16] = sizeof(uint16_t), [MV_STATE_U32] = sizeof(uint32_t),
        [MV_STATE_U64] = sizeof(uint64_t),
    };
    return (size_t)type < sizeof sizes ? sizes[type] : 0;
}
