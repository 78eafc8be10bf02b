/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_rundir: the folder of a running VM, by which other verbs and
 * programs find it.  It exists while the VM runs.
 */
#ifndef MV_CLI_RUNDIR_H
#define MV_CLI_RUNDIR_H

#include "error.h"

#include <stdbool.h>
#include <stddef.h>

struct mv_rundir;

/*
 * Make $XDG_RUNTIME_DIR/memvisor/NAME, or where that variable names no folder
 * /run/memvisor/NAME for root and /tmp/memvisor-UID/NAME for others, with a
 * file `pid`.  The folder of a process that is gone is replaced.  -EEXIST
 * where a VM of this name runs; other errors are a matter of the host's.
 */
int mv_rundir_create(const char *name, struct mv_rundir **ret, struct mv_error *err);

/* A file in it, to be freed; NULL where memory is out. */
#define MV_RUNDIR_QMP    "qmp.sock"
#define MV_RUNDIR_SERIAL "serial.sock"
char *mv_rundir_file(const struct mv_rundir *rundir, const char *name);

/*
 * Make the link ram/ID in it, with a folder for each '/' in the id, to `target`.
 * An id whose link would not stand there is refused.
 */
int mv_rundir_link_block(struct mv_rundir *rundir, const char *id, const char *target,
                         struct mv_error *err);

/* Remove the links of the blocks whose ids begin with `path` and '/', and folders left empty. */
void mv_rundir_unlink_blocks(struct mv_rundir *rundir, const char *path);

/* A VM that runs, as others see it. */
struct mv_rundir_vm {
    char *name;
    char *path; /* of its folder */
    int pid;    /* 0 where the file does not tell */
};

/*
 * The VMs of this user that run, by name; free with mv_rundir_list_free.
 * Folders of processes that are gone are removed on the way.
 */
int mv_rundir_list(struct mv_rundir_vm **ret, size_t *ret_count, struct mv_error *err);
void mv_rundir_list_free(struct mv_rundir_vm *vms, size_t count);

/* Wait until the VM whose folder is at path has ended: false where it lives on. */
bool mv_rundir_await_end(const char *path, unsigned timeout_ms);

/* Remove the folder and free `rundir`, which may be NULL. */
void mv_rundir_destroy(struct mv_rundir *rundir);

#endif
