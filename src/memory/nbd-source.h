/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_nbd_source: a block's pages from an NBD export, and back to it.  A thread has the
 * connection: it brings what somebody waits for (paging.h), then writes what is to be written
 * back, then brings what may come to be needed (read-ahead.h), in pieces, so that whoever
 * waits does not wait behind much else.  A connection that is lost is made again when
 * somebody comes to need it; where that cannot be done, the pages cannot come.
 *
 * Its lock guards what others want of the thread.  Callers: backing-nbd.c, and those who
 * restore from an export.
 */
#ifndef MV_MEMORY_NBD_SOURCE_H
#define MV_MEMORY_NBD_SOURCE_H

#include "nbd-client.h"
#include "paging.h"

struct mv_nbd_source;

struct mv_nbd_source_params {
    const char *uri;
    uint64_t offset;                    /* of the block's bytes in the export */
    struct nbd_handle *nbd;             /* open; the source's from here on, also on failure */
    const struct mv_nbd_export *export; /* as it was opened; another one of that name is refused */
    bool takes_back;                    /* pages may be dropped (paging.h) */
    void (*filled)(void *opaque);       /* pages came; in the source's thread; or NULL */
    void *opaque;
};

/* From now on the block's pages come from there (mv_paging_begin), until the block goes. */
int mv_nbd_source_begin(struct mv_block *block, const struct mv_nbd_source_params *params,
                        struct mv_nbd_source **ret, struct mv_error *err);

/*
 * Write the pages that the cursor took last, and have the server keep them.  One thread at a
 * time, any but the source's.  *cancelled (NULL: never): -ECANCELED.  What failed may be
 * written in part: the caller gives it back to the cursor.
 */
int mv_nbd_source_write(struct mv_nbd_source *source, const struct mv_dirty_cursor *cursor,
                        const atomic_bool *cancelled, struct mv_error *err);

/* Behind mv_paging_end, which has ended the thread. */
void mv_nbd_source_free(struct mv_nbd_source *source);

#endif
