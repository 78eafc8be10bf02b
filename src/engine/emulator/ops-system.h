/* SPDX-License-Identifier: Apache-2.0 */
/* Opcodes of the system instructions. */
#ifndef MV_EMULATOR_OPS_SYSTEM_H
#define MV_EMULATOR_OPS_SYSTEM_H

#define MV_OPCODES_SYSTEM(OP)                                                                      \
    OP(nop) OP(wfi) OP(wfe) OP(sev) OP(sevl) OP(yield)                                             \
    OP(clrex) OP(dsb) OP(dmb) OP(isb)                                                              \
    OP(msr_daifset) OP(msr_daifclr) OP(msr_spsel) OP(mrs) OP(msr)                                  \
    OP(svc) OP(hvc) OP(brk) OP(eret)

#endif
