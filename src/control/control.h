/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_control: the control sockets of a VM and the clients that are
 * connected to them.  Speaks QMP (docs/man/memvisor-qmp.1).  Main thread.
 */
#ifndef MV_CONTROL_CONTROL_H
#define MV_CONTROL_CONTROL_H

#include "error.h"

#include <stdint.h>

struct mv_control;
struct mv_jobs;
struct mv_loop;
struct mv_machine;

/* Becomes the machine's observer.  The machine and the loop outlive it. */
int mv_control_create(struct mv_loop *loop, struct mv_machine *machine, struct mv_control **ret,
                      struct mv_error *err);
/* May be NULL.  Clients get what is left for them as far as it fits. */
void mv_control_destroy(struct mv_control *control);

/* Listen on one more Unix socket at `path`. */
int mv_control_listen(struct mv_control *control, const char *path, struct mv_error *err);

/* What calc-dirty-rate left for query-dirty-rate. */
struct mv_dirty_rate {
    enum {
        MV_DIRTY_RATE_UNSTARTED,
        MV_DIRTY_RATE_MEASURING,
        MV_DIRTY_RATE_MEASURED,
    } state;
    uint64_t start_s; /* since the host was started */
    uint64_t calc_s;
    uint64_t bytes_per_second;
};

/* For the commands. */
struct mv_dirty_rate *mv_control_dirty_rate(struct mv_control *control);
struct mv_machine *mv_control_machine(struct mv_control *control);
struct mv_loop *mv_control_loop(struct mv_control *control);
struct mv_jobs *mv_control_jobs(struct mv_control *control);

#endif
