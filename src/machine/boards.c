/* SPDX-License-Identifier: Apache-2.0 */
/* The list of boards, apart from board.c so that a test can have a list of its own. */
#include "board-arm64.h"

const struct mv_board_ops *const mv_boards[] = {&mv_board_arm64, NULL};
