/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keys by which a user at a raw terminal talks to memvisor and not to the
 * guest: Ctrl-A and one more.  A pure state machine.
 */
#ifndef MV_CLI_ESCAPE_H
#define MV_CLI_ESCAPE_H

#include <stdbool.h>
#include <stdint.h>

enum mv_escape_action {
    MV_ESCAPE_SEND, /* the byte is the guest's */
    MV_ESCAPE_NONE, /* nothing yet: Ctrl-A itself */
    MV_ESCAPE_QUIT,
    MV_ESCAPE_POWER, /* the power button */
    MV_ESCAPE_RESET,
    MV_ESCAPE_HELP,
    MV_ESCAPE_UNKNOWN, /* Ctrl-A and a key that means nothing */
};

struct mv_escape {
    bool prefixed; /* the byte before was Ctrl-A */
};

/* Take the next byte from the terminal; *ret_byte is set for MV_ESCAPE_SEND. */
enum mv_escape_action mv_escape_take(struct mv_escape *escape, uint8_t byte, uint8_t *ret_byte);

#endif
