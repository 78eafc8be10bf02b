/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory for generated code: one file in memory, mapped twice, once to be written and once to
 * be run, so that no page is both.  It is a vCPU's own, and so is the order: what is written
 * behind `used` runs only once `used` has passed it.
 */
#ifndef MV_JIT_CODE_MEMORY_H
#define MV_JIT_CODE_MEMORY_H

#include "error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mv_code_memory {
    uint8_t *write;
    const uint8_t *run;
    size_t size, used; /* bytes */
    size_t written;    /* up to here the pages to be written are mapped no more */
};

int mv_code_memory_init(struct mv_code_memory *memory, size_t size, struct mv_error *err);
/*
 * So much is used now: more, where it was written behind what was used, and what is written
 * seldom again goes from the process's memory once more; less, where the rest is forgotten, and
 * its pages go back.
 */
void mv_code_memory_use(struct mv_code_memory *memory, size_t used);
void mv_code_memory_clear(struct mv_code_memory *memory);

/* Where a host address in the code stands, by its offset; false: elsewhere. */
static inline bool mv_code_memory_find(const struct mv_code_memory *memory, const void *host,
                                       uint32_t *ret_offset)
{
    uintptr_t offset = (uintptr_t)host - (uintptr_t)memory->run;
    *ret_offset = (uint32_t)offset;
    return memory->run != NULL && offset < memory->used;
}

#endif
