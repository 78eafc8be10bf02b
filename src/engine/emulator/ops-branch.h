/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opcodes of branches.  Where the target lies in the branch's own page, the
 * code cache makes NAME into NAME_page, which is always the following one.
 */
#ifndef MV_EMULATOR_OPS_BRANCH_H
#define MV_EMULATOR_OPS_BRANCH_H

#define MV_OP_BRANCH(OP, name) OP(name) OP(name##_page)

#define MV_OPCODES_BRANCH(OP)                                                                      \
    MV_OP_BRANCH(OP, b) MV_OP_BRANCH(OP, bl) MV_OP_BRANCH(OP, b_cond)                              \
    MV_OP_BRANCH(OP, cbz_x) MV_OP_BRANCH(OP, cbz_w) MV_OP_BRANCH(OP, cbnz_x)                       \
    MV_OP_BRANCH(OP, cbnz_w) MV_OP_BRANCH(OP, tbz) MV_OP_BRANCH(OP, tbnz)                          \
    OP(br) OP(blr)

#endif
