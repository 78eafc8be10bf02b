/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the peers of the instruction comparison share: the state of a processor
 * before and after some instructions, and where things stand in its memory.
 *
 * A case is CASE_WORDS instruction words: one, or a program of some dozens.
 * Case i has a slot in the code: a word of the peer's, the instructions, and the
 * way out.
 */
#ifndef A64_PEER_H
#define A64_PEER_H

#include <stdbool.h>
#include <stdint.h>

#ifndef CASE_WORDS
#define CASE_WORDS 1
#endif

#define CODE_BASE   UINT64_C(0x40000000)
#define SLOT_WORDS  (CASE_WORDS + 2)
#define SLOT_SIZE   (4 * SLOT_WORDS)
#define PAGE_SLOTS  (4096 / SLOT_SIZE) /* none crosses a page */
#define MAX_CASES   (CASE_WORDS == 1 ? 40000 : 127 * PAGE_SLOTS)
#define BUFFER_BASE UINT64_C(0x40080000)
#define BUFFER_SIZE 16384
#define WINDOW_BASE (BUFFER_BASE + 6144) /* what instructions may change, and the hash covers */
#define WINDOW_SIZE 4096
#define AREA_BASE   UINT64_C(0x40088000)

struct state {
    uint64_t x[31];
    uint64_t sp;
    uint64_t v[32][2];
    uint64_t nzcv, fpcr, fpsr;
};

enum outcome { OUTCOME_DONE, OUTCOME_UNDEF, OUTCOME_FAULT };

/* One case of the file of cases. */
struct test_case {
    uint32_t words[CASE_WORDS];
    uint32_t kind; /* what the registers have to be like, enum case_kind */
};
enum case_kind {
    CASE_DATA,    /* anything */
    CASE_MEMORY,  /* Rn points into the buffer, Rm is a small offset */
    CASE_ALIGNED, /* the same, aligned to 16 bytes */
    CASE_PROGRAM, /* x24 to x27 point into the buffer, x26 and x27 aligned; x28 is a small offset */
};

static inline uint64_t case_pc(unsigned index)
{
    return CODE_BASE + (uint64_t)(index / PAGE_SLOTS) * 4096 + index % PAGE_SLOTS * SLOT_SIZE + 4;
}

/* Map what the cases need; `memory` is where the peer sees the buffer. */
bool peer_start(const struct test_case *cases, unsigned count, uint8_t **ret_memory);
/* Execute case `index` on the state, from its first instruction to its end. */
enum outcome peer_execute(unsigned index, struct state *state);

#endif
