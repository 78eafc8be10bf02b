/* SPDX-License-Identifier: Apache-2.0 */
/* The peer that executes the instructions themselves: arm64 programs only. */
#include "cases.h"
#include "peer.h"

#include <stddef.h>

/* Each case is its instruction and a return: 8 bytes. */
__asm__(".text\n.balign 8\nstubs:\n"
#define ROW(id, text, kind, library) text "\nret\n"
        ALL_ROWS(ROW)
#undef ROW
);
extern const uint32_t stubs[CASE_COUNT][2];

_Static_assert(offsetof(struct state, x) == 64 && offsetof(struct state, fpcr) == 80,
               "the offsets below");

bool peer_execute(unsigned id, struct state *state)
{
    register struct state *s __asm__("x19") = state;
    register const uint32_t *stub __asm__("x20") = stubs[id];
    __asm__ volatile("ldp q0, q1, [%0]\n"
                     "ldp q2, q3, [%0, #32]\n"
                     "ldp x0, x1, [%0, #64]\n"
                     "ldp x2, x3, [%0, #80]\n"
                     "ldr x4, [%0, #96]\n"
                     "msr fpcr, x2\n"
                     "msr fpsr, x3\n"
                     "msr nzcv, x4\n"
                     "blr %1\n"
                     "mrs x3, fpsr\n"
                     "mrs x4, nzcv\n"
                     "msr fpcr, xzr\n"
                     "str q0, [%0]\n"
                     "str x0, [%0, #64]\n"
                     "stp x3, x4, [%0, #88]\n"
                     :
                     : "r"(s), "r"(stub)
                     : "x0", "x1", "x2", "x3", "x4", "x30", "v0", "v1", "v2", "v3", "cc", "memory");
    return true;
}

bool peer_start(void)
{
    return true;
}

uint32_t peer_word(unsigned id)
{
    return stubs[id][0];
}
