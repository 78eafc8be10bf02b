/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What can be done with a state without a machine: its sums checked, a block's bytes taken
 * out of it.  No state beyond the call; a bar on a terminal shows how far it is.  Called by
 * the verb info.
 */
#ifndef MV_MIGRATION_INFO_H
#define MV_MIGRATION_INFO_H

#include "chain.h"

/* A piece of a block, whole chunks that follow each other, that is not as it was written. */
struct mv_info_damage {
    const struct mv_chain_file *file;
    const struct mv_manifest_block *block;
    uint64_t offset, size; /* in the block, bytes */
    int errnum;            /* why it cannot be read; EBADMSG: its sum is another */
};

typedef void mv_info_damage_fn(void *opaque, const struct mv_info_damage *damage);

struct mv_info_verified {
    uint64_t bytes;   /* of RAM that were looked at */
    uint64_t damaged; /* of these */
};

/*
 * The sums of all RAM in the chain's files, by threads; `fn` is told of each piece that is
 * damaged, in order, when all has been read.  Damage is no error.  As
 * mv_ram_layer_find, -ENOMEM.
 */
int mv_info_verify(const struct mv_chain *chain, mv_info_damage_fn *fn, void *opaque,
                   struct mv_info_verified *ret, struct mv_error *err);

/*
 * A block's bytes, their sums checked, to a descriptor.  Zero pages become holes where that is
 * a file with nothing behind its position.  As mv_ram_view_open and mv_ram_view_read, or what
 * write(2) said, of `to` by name.
 */
int mv_info_extract(const struct mv_chain *chain, const char *id, int fd, const char *to,
                    struct mv_error *err);
/*
 * --- flatten.c: the state as one file, on a new one that is to be called `to`.  -EINVAL where
 * that is what the state builds on; as mv_info_extract.
 */
int mv_info_flatten(const struct mv_chain *chain, int fd, const char *to, struct mv_error *err);

#endif
