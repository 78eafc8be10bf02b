/* SPDX-License-Identifier: Apache-2.0 */
/* The host's floating point as the guest wants it (jit.h). */
#include "cpu.h"

#include <xmmintrin.h>

#define MXCSR_MASKED     0x1f80u /* the C library's: to nearest, nothing trapped, no flag set */
#define MXCSR_ROUNDING   13
#define MXCSR_INVALID    0x01u
#define MXCSR_AND_OTHERS 0x3cu /* division by zero, overflow, underflow, inexact; not: denormal */

/* FPCR.RMode's four, in the host's order: up and down change places. */
static const uint8_t roundings[4] = {0, 2, 1, 3};

bool mv_jit_fp_begin(struct mv_cpu *cpu)
{
    if (!cpu->fp_enabled || (cpu->fpcr & MV_FPCR_FZ))
        return false;
    _mm_setcsr(MXCSR_MASKED | (unsigned)roundings[cpu->fpcr >> MV_FPCR_RMODE_SHIFT & 3]
                                  << MXCSR_ROUNDING);
    cpu->jit_fp = true;
    return true;
}

/* Their order is FPSR's, but for the one between the first two. */
void mv_jit_fp_end(struct mv_cpu *cpu)
{
    unsigned flags = _mm_getcsr();
    cpu->fpsr |= (flags & MXCSR_INVALID) | (flags & MXCSR_AND_OTHERS) >> 1;
    _mm_setcsr(MXCSR_MASKED);
    cpu->jit_fp = false;
}
