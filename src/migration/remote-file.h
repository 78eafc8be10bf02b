/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A state file that lies in an NBD export: what is looked at of it is fetched into a memfd, at
 * the place that it has in the file, so that whoever reads a state file reads that.  All but
 * RAM is fetched when it is opened; of RAM, what is asked for (a guest's memory comes page by
 * page, from the export: memory/nbd-source.h).  The main thread's; the restore's.
 */
#ifndef MV_MIGRATION_REMOTE_FILE_H
#define MV_MIGRATION_REMOTE_FILE_H

#include "error.h"

#include <stdbool.h>
#include <stdint.h>

struct mv_manifest;
struct nbd_handle;

struct mv_remote_file {
    struct nbd_handle *nbd; /* NULL: there is none */
    int fd;                 /* of the memfd; its owner's */
};

/* Whether the path is an export's URI. */
bool mv_remote_file_is_meant(const char *path);
/*
 * *ret_fd is the memfd, the caller's.  -EINVAL where it is no state file, or cut; -ENOMEM, also
 * where uri is NULL; what the server says otherwise.
 */
int mv_remote_file_open(const char *uri, struct mv_remote_file *ret, int *ret_fd,
                        struct mv_error *err);
/*
 * What is not done with one: -ENOTSUP where its memory is not to be private (`ram` is not
 * "private"), where it builds on another, or where it would have to be written, since memory
 * goes on outside of it.
 */
int mv_remote_file_check(const char *ram, const struct mv_manifest *manifest, bool is_changed,
                         struct mv_error *err);
/* Have these bytes in the memfd, too; nothing is to be done where there is no remote file. */
int mv_remote_file_fetch(const struct mv_remote_file *file, uint64_t offset, uint64_t len,
                         struct mv_error *err);
/* Its connection; one that is {0} is none. */
void mv_remote_file_close(struct mv_remote_file *file);

#endif
