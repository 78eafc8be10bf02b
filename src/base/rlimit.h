/* SPDX-License-Identifier: Apache-2.0 */
/* What to type where a limit of this process (getrlimit(2)) is too low.  No state; any thread. */
#ifndef MV_BASE_RLIMIT_H
#define MV_BASE_RLIMIT_H

#include <stdint.h>

#define MV_RLIMIT_REMEDY 160

/*
 * "type 'ulimit -l 5120', or as root 'prlimit …'" for RLIMIT_NOFILE, _AS, _DATA,
 * _MEMLOCK or _FSIZE, of which `needed` (descriptors or bytes) is wanted.  A
 * user's shell cannot go beyond the hard limit: then root's command alone.
 */
const char *mv_rlimit_remedy(int resource, uint64_t needed, char buf[MV_RLIMIT_REMEDY]);

#endif
