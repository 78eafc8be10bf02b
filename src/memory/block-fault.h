/* SPDX-License-Identifier: Apache-2.0 */
/* Why the host cannot give a byte of a block, in words. */
#ifndef MV_MEMORY_BLOCK_FAULT_H
#define MV_MEMORY_BLOCK_FAULT_H

#include "error.h"

#include <stdint.h>

struct mv_block;

/*
 * What is wrong with the byte at `offset` now: a word for programs ("shrunk",
 * "no-space", "no-huge-page", "io-error"), a sentence, and what can be done.
 * Any thread.
 */
struct mv_block_fault {
    const char *reason;
    struct mv_error what;   /* "block ram0 has no byte 0x1000: ..." */
    struct mv_error remedy; /* "make the file whole again (truncate -s ...)" */
};
void mv_block_fault_explain(const struct mv_block *block, uint64_t offset,
                            struct mv_block_fault *ret);

#endif
