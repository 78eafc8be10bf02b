/* SPDX-License-Identifier: Apache-2.0 */
/* What handlers that use the vector registers share. */
#ifndef MV_EMULATOR_VECTOR_H
#define MV_EMULATOR_VECTOR_H

#include "cpu.h"
#include "exception.h"

/* Stands first in every handler that uses a vector register, FPCR or FPSR. */
#define MV_CHECK_FP                                                                                \
    if (MV_UNLIKELY(!cpu->fp_enabled))                                                             \
        return mv_exception_fp(cpu, op)

/* Cumulative saturation. */
#define MV_FPSR_QC (1u << 27)

#endif
