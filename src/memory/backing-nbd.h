/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the memory room: blocks whose bytes come from an NBD export (nbd=), and go back to
 * it (share=on).
 */
#ifndef MV_MEMORY_BACKING_NBD_H
#define MV_MEMORY_BACKING_NBD_H

#include "backing.h"

#include <stdatomic.h>

struct mv_block;
struct mv_space;

/*
 * Open the export, from backing->offset on; what is written goes back where writes_back says
 * so.  -EINVAL or -EROFS where it does not serve, else what mv_nbd_open says.
 */
int mv_backing_nbd_open(struct mv_backing *backing, const char *uri, uint64_t size,
                        struct mv_error *err);
/* The block is mapped: its pages come from the export from now on.  Nothing where it has none. */
int mv_backing_nbd_attach(struct mv_block *block, struct mv_space *space, struct mv_error *err);
/* Write back what was changed, if it is to be; a job may be cancelled (NULL: not). */
int mv_backing_nbd_sync(struct mv_block *block, const atomic_bool *cancelled, struct mv_error *err);
/* Nothing is dropped from memory any more: before an engine goes. */
void mv_backing_nbd_keep(struct mv_block *block);
/* The same, and no change will be written back any more. */
void mv_backing_nbd_stop(struct mv_block *block);
/* Behind mv_paging_end. */
void mv_backing_nbd_free(struct mv_backing_nbd *nbd);

#endif
