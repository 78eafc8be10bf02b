/* SPDX-License-Identifier: Apache-2.0 */
/* What commands-migrate.c and commands-postcopy.c offer each other.  Main thread. */
#ifndef MV_CONTROL_COMMANDS_MIGRATE_H
#define MV_CONTROL_COMMANDS_MIGRATE_H

#include "error.h"

#include <stdbool.h>

struct mv_control;
struct mv_qmp_call;

/*
 * Start the job that runs the send.  at_once: the command is answered now; ends: the machine
 * does, once the guest runs elsewhere.  What fails leaves the send as it is.
 */
int mv_moving_start(struct mv_qmp_call *call, bool at_once, bool ends, struct mv_error *err);
/* The same for one whose line broke while memory followed, to the address in the arguments. */
int mv_moving_take_up(struct mv_qmp_call *call, bool at_once, bool ends, struct mv_error *err);
/* -EBUSY where memory follows the guest, or did until its line broke. */
int mv_moving_check_cancel(const struct mv_control *control, struct mv_error *err);

#endif
