/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A state that builds on others, as a restore sees it: where the bytes of what a reset boots
 * are, and the views of blocks of which it has only some pages.  restore.c's; main thread.
 */
#include "ram-view.h"
#include "restore-parts.h"
#include "statefile.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

/* Their memory must not change while it is read; a guest that changes it has them locked. */
static int lock_bases(const struct mv_chain *chain, struct mv_error *err)
{
    for (size_t i = 1; i < chain->count; i++) {
        const struct mv_chain_file *file = &chain->files[i];
        enum mv_statefile_status status = file->state->status;
        struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_len = MV_RESTORE_LOCKED};
        if (status == MV_STATEFILE_IN_USE || status == MV_STATEFILE_RAM_IN_USE ||
            (fcntl(file->fd, F_OFD_SETLK, &lock) < 0 && (errno == EAGAIN || errno == EACCES)))
            return mv_error_set(err, EBUSY,
                                "it builds on '%s', which is in use: a guest changes its memory "
                                "there",
                                file->path);
    }
    return 0;
}

int mv_restore_open_chain(const char *path, const struct mv_statefile *file, struct mv_chain *ret,
                          struct mv_error *err)
{
    struct mv_chain chain;
    int r = mv_chain_open(path, &chain, err);
    if (r < 0)
        return r;
    r = mv_chain_follow(&chain, err);
    if (r == 0 && memcmp(chain.files[0].state->id, file->id, sizeof file->id) != 0)
        r = mv_error_set(err, ESTALE, "it was replaced meanwhile");
    if (r == 0)
        r = lock_bases(&chain, err);
    if (r < 0)
        mv_chain_close(&chain);
    else
        *ret = chain;
    return r;
}

bool mv_restore_is_partial(const struct mv_statefile *file, const struct mv_manifest_block *block)
{
    return block->saved && mv_statefile_find(file, MV_SECTION_PAGES, block->id) != NULL;
}

int mv_restore_find_whole(const struct mv_chain *chain, const char *id, int *ret_fd,
                          uint64_t *ret_offset, struct mv_error *err)
{
    struct mv_ram_view view;
    int r = mv_ram_view_open(chain, id, &view, err);
    if (r < 0)
        return r;
    const struct mv_ram_layer *bottom = &view.layers[view.count - 1];
    for (const struct mv_ram_layer *layer = view.layers; r == 0 && layer < bottom; layer++)
        for (uint64_t i = 0; r == 0 && i < mv_ram_pages_length(view.size); i++)
            if (layer->pages[i] != 0)
                r = mv_error_set(err, EINVAL,
                                 "block %s: '%s' has some pages of it, and it never changes", id,
                                 layer->file->path);
    *ret_fd = bottom->file->fd;
    *ret_offset = bottom->block->offset;
    mv_ram_view_close(&view);
    return r;
}
