/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the migration room: the bytes of a block that are in a shared file of the file system
 * that the state goes to, too, are taken over without being copied, where it can do that
 * (ioctl_ficlonerange(2): XFS, Btrfs, bcachefs, NFS 4.2).  The state then takes no room until
 * the guest writes.  What is private to this process (share=off) differs from its file, and is
 * none of this.  Called by ram-writer.c, before its first pass.
 */
#ifndef MV_MIGRATION_RAM_REFLINK_H
#define MV_MIGRATION_RAM_REFLINK_H

#include "ram-feed.h"

/* More extents than this cost more than to copy them. */
#define MV_RAM_EXTENTS 4096

struct mv_ram_reflink_params {
    int fd;                       /* of the state file */
    const char *file;             /* its name */
    const atomic_bool *cancelled; /* may be NULL */
};

/*
 * Fill in the source's extents, where it has any that can be taken over: all of its data, or
 * nothing.  0 also where there is nothing; -ESTALE where the block is gone, or why the file
 * cannot be put back as it was.
 */
int mv_ram_reflink(struct mv_ram_source *source, const struct mv_ram_reflink_params *params,
                   struct mv_error *err);

#endif
