/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the verb ivshmem-server share. */
#ifndef MV_CLI_IVSHMEM_VERB_H
#define MV_CLI_IVSHMEM_VERB_H

#include "error.h"

#include <stdbool.h>

/* Where a server's status socket is unless --control says otherwise. */
#define MV_IVSHMEM_CONTROL_SUFFIX ".control"

/*
 * Ask the status socket at control_path and print what it says, as JSON or
 * in a table; with `watch` again each second until a signal or the server's end.
 */
int mv_ivshmem_status_show(const char *control_path, bool json, bool watch, struct mv_error *err);

#endif
