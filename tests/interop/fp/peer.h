/* SPDX-License-Identifier: Apache-2.0 */
/* What the floating-point peers share: the state that an instruction sees. */
#ifndef FP_PEER_H
#define FP_PEER_H

#include <stdbool.h>
#include <stdint.h>

struct state {
    uint64_t v[4][2];
    uint64_t x[2];
    uint64_t fpcr, fpsr, nzcv;
};

/* Each peer's way to execute the case; false where it has none. */
bool peer_execute(unsigned id, struct state *state);
/* Before all else; false after a message. */
bool peer_start(void);
/* The case's instruction, 0 where the peer does not know it. */
uint32_t peer_word(unsigned id);

#endif
