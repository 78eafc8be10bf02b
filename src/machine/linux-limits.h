/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an arm64 Linux would lose of a machine without a word.  No state, no
 * lock; called by boot.c, in the main thread.
 */
#ifndef MV_MACHINE_LINUX_LIMITS_H
#define MV_MACHINE_LINUX_LIMITS_H

struct mv_bank_layout;

/* A warning for each limit that the command line or the banks exceed, with both numbers. */
void mv_linux_limits_warn(const char *cmdline, const struct mv_bank_layout *layout);

#endif
