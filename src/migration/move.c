/* SPDX-License-Identifier: Apache-2.0 */
#include "move.h"

const char *mv_move_stage_word(enum mv_move_stage stage)
{
    static const char *const words[] = {
        [MV_MOVE_SETUP] = "setup",
        [MV_MOVE_ACTIVE] = "active",
        [MV_MOVE_DEVICE] = "device",
        [MV_MOVE_HANDED] = "device",
        [MV_MOVE_FOLLOWING] = "postcopy-active",
        [MV_MOVE_BROKEN] = "postcopy-paused",
        [MV_MOVE_RECOVERING] = "postcopy-recover",
        [MV_MOVE_COMPLETED] = "completed",
        [MV_MOVE_CANCELLED] = "cancelled",
        [MV_MOVE_FAILED] = "failed",
    };
    return words[stage];
}

bool mv_move_follows(enum mv_move_stage stage)
{
    return stage >= MV_MOVE_FOLLOWING && stage <= MV_MOVE_RECOVERING;
}

bool mv_move_follows_by_line(enum mv_move_stage stage)
{
    return mv_move_follows(stage) && stage != MV_MOVE_BROKEN;
}
