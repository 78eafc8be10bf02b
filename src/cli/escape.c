/* SPDX-License-Identifier: Apache-2.0 */
/* Ctrl-A and what follows it; called by console.c for each byte typed. */
#include "escape.h"

#include <stddef.h>

#define CTRL_A 0x01

static const struct {
    uint8_t key;
    enum mv_escape_action action;
} keys[] = {
    {'x', MV_ESCAPE_QUIT}, {'X', MV_ESCAPE_QUIT}, {'h', MV_ESCAPE_HELP}, {'H', MV_ESCAPE_HELP},
    {'p', MV_ESCAPE_POWER}, {'P', MV_ESCAPE_POWER}, {'r', MV_ESCAPE_RESET}, {'R', MV_ESCAPE_RESET},
    {'?', MV_ESCAPE_HELP}, {'a', MV_ESCAPE_SEND}, {'A', MV_ESCAPE_SEND}, {CTRL_A, MV_ESCAPE_SEND},
};

enum mv_escape_action mv_escape_take(struct mv_escape *escape, uint8_t byte, uint8_t *ret_byte)
{
    if (!escape->prefixed) {
        escape->prefixed = byte == CTRL_A;
        if (escape->prefixed)
            return MV_ESCAPE_NONE;
        *ret_byte = byte;
        return MV_ESCAPE_SEND;
    }
    escape->prefixed = false;
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        if (keys[i].key != byte)
            continue;
        if (keys[i].action == MV_ESCAPE_SEND)
            *ret_byte = CTRL_A;
        return keys[i].action;
    }
    return MV_ESCAPE_UNKNOWN;
}
