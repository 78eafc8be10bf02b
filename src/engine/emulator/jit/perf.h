/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_jit_perf: what perf(1) is told of translated code, so that its profiles name it:
 * a map of addresses (/tmp/perf-PID.map), or a dump that has the code as well, jit-PID.dump in
 * the working directory.  All vCPUs' threads tell; it has a lock of its own.
 */
#ifndef MV_JIT_PERF_H
#define MV_JIT_PERF_H

#include "error.h"

#include <stddef.h>
#include <stdint.h>

struct mv_jit_perf;

/* kind: "map" or "jitdump". */
int mv_jit_perf_create(const char *kind, struct mv_jit_perf **ret, struct mv_error *err);
void mv_jit_perf_destroy(struct mv_jit_perf *perf);

/* Code for the guest's instruction at pc, virtual, now stands there. */
void mv_jit_perf_tell(struct mv_jit_perf *perf, const void *code, size_t size, uint64_t pc);

#endif
