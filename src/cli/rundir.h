/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_rundir: the folder of a running VM, by which other verbs and
 * programs find it.  It exists while the VM runs.
 */
#ifndef MV_CLI_RUNDIR_H
#define MV_CLI_RUNDIR_H

#include "error.h"

struct mv_rundir;

/*
 * Make $XDG_RUNTIME_DIR/memvisor/NAME, or where that variable names no folder
 * /run/memvisor/NAME for root and /tmp/memvisor-UID/NAME for others, with a
 * file `pid`.  The folder of a process that is gone is replaced.  -EEXIST
 * where a VM of this name runs; other errors are a matter of the host's.
 */
int mv_rundir_create(const char *name, struct mv_rundir **ret, struct mv_error *err);
const char *mv_rundir_path(const struct mv_rundir *rundir);

/* A file in it, to be freed; NULL where memory is out. */
#define MV_RUNDIR_QMP "qmp.sock"
char *mv_rundir_file(const struct mv_rundir *rundir, const char *name);
/* Remove the folder and free `rundir`, which may be NULL. */
void mv_rundir_destroy(struct mv_rundir *rundir);

#endif
