/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A move in QMP's words: what query-migrate and x-send return, and events tell.  Constant; called
 * by commands-migrate.c.
 */
#ifndef MV_CONTROL_MOVE_INFO_H
#define MV_CONTROL_MOVE_INFO_H

#include "move.h"
#include "qmp-type.h"

#include <jansson.h>

struct mv_control;

/* QEMU's MigrationInfo and MigrationStatus, and ours. */
extern const struct mv_qmp_type mv_move_info_type, mv_move_status_type, mv_move_progress_type,
    mv_move_end_type;

/* A MigrationInfo.  status: NULL, the stage's word; failure, uri: or NULL; uri: who listens. */
json_t *mv_move_info(const struct mv_move_progress *progress, const char *status,
                     const char *failure, const char *uri);
/* What x-send returns. */
json_t *mv_move_end(const struct mv_move_progress *progress);

/* X_MIGRATION_PROGRESS. */
void mv_move_tell_progress(struct mv_control *control, const struct mv_move_progress *progress);
/*
 * MIGRATION for each stage up to this one, from the last that was told (-1: none), and
 * MIGRATION_PASS for each pass.
 */
void mv_move_tell(struct mv_control *control, const struct mv_move_progress *progress,
                  int *told_stage, unsigned *told_passes);

#endif
