/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An NBD export: a block's bytes are there, and come into anonymous memory of this host when
 * they are first needed (nbd-source.h).  Private, or written back: what changed is noted by a
 * dirty log's cursor, and written when somebody asks for that (mv_block_sync), and at the end.
 *
 * The lock is of the cursor and of writing; main thread and jobs.
 */
#include "backing-nbd.h"

#include "block-registry.h"
#include "cleanup.h"
#include "nbd-cache.h"
#include "nbd-source.h"
#include "size.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* What nbd-source.c asks for at once is a multiple of a server's least request. */
#define MINIMUM_MAX (UINT64_C(64) << 10)

struct mv_backing_nbd {
    char *uri;
    struct nbd_handle *nbd; /* until there is a source */
    struct mv_nbd_export export;
    struct mv_nbd_source *source;
    struct mv_nbd_cache *cache; /* NULL: no bound */
    pthread_mutex_t lock;
    struct mv_dirty_cursor *cursor; /* NULL: nothing is written back (any more) */
};

/* --- opening */

static int refuse_size(const struct mv_backing *backing, uint64_t size, struct mv_error *err)
{
    uint64_t has = backing->nbd->export.size, end;
    if (mv_add_overflows(backing->offset, size, &end))
        end = UINT64_MAX;
    if (end <= has && (backing->part || has == size))
        return 0;
    if (backing->part)
        return mv_error_set(err, EINVAL,
                            "%s has %s, and the block has %s from offset 0x%" PRIx64
                            " on: give a lower offset=, a smaller bank, or a larger export",
                            backing->what, mv_size_text(has), mv_size_text(size), backing->offset);
    if (has < size)
        return mv_error_set(err, EINVAL,
                            "%s has %s, and the block has %s: give a bank of that size, or a "
                            "larger export",
                            backing->what, mv_size_text(has), mv_size_text(size));
    return mv_error_set(err, EINVAL,
                        "%s has %s, and the block has %s: say -m %s, or offset=0 to take a part "
                        "of it",
                        backing->what, mv_size_text(has), mv_size_text(size),
                        mv_argument_text(has));
}

static int refuse_pieces(const struct mv_backing *backing, uint64_t size, struct mv_error *err)
{
    uint64_t minimum = backing->nbd->export.minimum;
    uint64_t most = backing->writes_back ? backing->page_size : MINIMUM_MAX;
    if (backing->offset % MV_DIRTY_PAGE != 0)
        return mv_error_set(err, EINVAL,
                            "offset=0x%" PRIx64 " is no multiple of 4 KiB: make it 0x%" PRIx64,
                            backing->offset, backing->offset - backing->offset % MV_DIRTY_PAGE);
    if ((minimum & (minimum - 1)) != 0 || minimum > most)
        return mv_error_set(err, EINVAL,
                            "%s takes requests of %s at least, and %s is the most that can be "
                            "used%s: have the server serve smaller ones (nbdkit "
                            "--filter=blocksize)",
                            backing->what, mv_size_text(minimum), mv_size_text(most),
                            backing->writes_back ? " with share=on" : "");
    if (backing->offset % minimum != 0 || size % minimum != 0)
        return mv_error_set(err, EINVAL,
                            "%s takes requests of %s at least, of which neither offset= nor the "
                            "block's size may have a part: make them multiples of it",
                            backing->what, mv_size_text(minimum));
    return 0;
}

static int check(const struct mv_backing *backing, uint64_t size, struct mv_error *err)
{
    int r = refuse_size(backing, size, err);
    if (r == 0)
        r = refuse_pieces(backing, size, err);
    if (r == 0 && backing->writes_back && backing->nbd->export.read_only)
        r = mv_error_set(err, EROFS,
                         "%s is read-only, but share=on writes the guest's changes to it: write "
                         "share=off, or have the server let it be written",
                         backing->what);
    return r;
}

int mv_backing_nbd_open(struct mv_backing *backing, const char *uri, uint64_t size,
                        struct mv_error *err)
{
    struct mv_backing_nbd *nbd = calloc(1, sizeof *nbd);
    if (nbd == NULL)
        return mv_error_set_errno(err, ENOMEM, "%s", backing->what);
    backing->nbd = nbd;
    pthread_mutex_init(&nbd->lock, NULL);
    nbd->uri = strdup(uri);
    backing->path = strdup(uri);
    if (nbd->uri == NULL || backing->path == NULL)
        return mv_error_set_errno(err, ENOMEM, "%s", backing->what);
    int r = mv_nbd_open(nbd->uri, -1, &nbd->nbd, &nbd->export, err);
    if (r < 0) {
        mv_error_prefix(err, "%s cannot be opened", backing->what);
        return r;
    }
    return check(backing, size, err);
}

static int open_nbd(struct mv_backing *backing, const struct mv_backing_request *request,
                    struct mv_error *err)
{
    backing->writes_back = request->wish.share == MV_SWITCH_ON;
    backing->cache = request->wish.cache;
    if (backing->cache != 0 && backing->cache < MV_NBD_CACHE_MIN)
        return mv_error_set(err, EINVAL, "cache=: %s is too little to run with: %s is the least",
                            mv_size_text(backing->cache), mv_size_text(MV_NBD_CACHE_MIN));
    return mv_backing_nbd_open(backing, request->wish.nbd, request->size, err);
}

const struct mv_backing_kind mv_backing_nbd = {"nbd", "export", open_nbd};

static void look_at_cache(void *opaque)
{
    mv_nbd_cache_look(((const struct mv_backing_nbd *)opaque)->cache);
}

int mv_backing_nbd_attach(struct mv_block *block, struct mv_space *space, struct mv_error *err)
{
    struct mv_backing_nbd *nbd = block->backing->nbd;
    if (nbd == NULL)
        return 0;
    const struct mv_backing *backing = block->backing;
    if ((backing->writes_back || backing->cache != 0) && space == NULL)
        return mv_error_set(err, ENOTSUP, "nbd=: nothing notes what is written");
    const struct mv_nbd_source_params params = {
        .uri = nbd->uri,
        .offset = backing->offset,
        .nbd = nbd->nbd,
        .export = &nbd->export,
        .takes_back = backing->cache != 0,
        .filled = look_at_cache,
        .opaque = nbd,
    };
    nbd->nbd = NULL;
    int r = mv_nbd_source_begin(block, &params, &nbd->source, err);
    /* Else what is not here would be in memory, too, as a part of huge pages. */
    if (backing->cache != 0)
        madvise(block->host, block->size, MADV_NOHUGEPAGE);
    if (r == 0 && backing->writes_back)
        r = mv_dirty_cursor_open(space, block, &nbd->cursor, err);
    if (r == 0 && backing->cache != 0)
        r = mv_nbd_cache_start(block, space, backing->cache, backing->writes_back, &nbd->cache,
                               err);
    return r;
}

/* --- writing back */

/* What was taken and not written is to be taken again. */
static void give_back(struct mv_dirty_cursor *cursor, uint64_t *bits)
{
    uint64_t offset = 0, len;
    for (; mv_dirty_cursor_next(cursor, &offset, &len); offset += len) {
        for (uint64_t page = offset / MV_DIRTY_PAGE; page < (offset + len) / MV_DIRTY_PAGE; page++)
            bits[page / 64] |= UINT64_C(1) << page % 64;
    }
    mv_dirty_cursor_return(cursor, bits);
}

int mv_backing_nbd_sync(struct mv_block *block, const atomic_bool *cancelled, struct mv_error *err)
{
    struct mv_backing_nbd *nbd = block->backing->nbd;
    uint64_t pages;
    MV_LOCK_SCOPE(&nbd->lock);
    if (nbd->cursor == NULL)
        return 0;
    /* First what can fail. */
    CLEANUP_FREE uint64_t *bits = calloc(block->size / MV_DIRTY_PAGE / 64 + 1, sizeof *bits);
    if (bits == NULL)
        return mv_error_set_errno(err, ENOMEM, "writing to %s", block->backing->what);
    int r = mv_dirty_cursor_take(nbd->cursor, &pages, err);
    if (r < 0 || pages == 0)
        return r;
    r = mv_nbd_source_write(nbd->source, nbd->cursor, cancelled, err);
    if (r < 0) {
        give_back(nbd->cursor, bits);
        mv_error_prefix(err, "%s of it cannot be written to %s",
                        mv_size_text(pages * MV_DIRTY_PAGE), block->backing->what);
    }
    return r;
}

void mv_backing_nbd_keep(struct mv_block *block)
{
    struct mv_backing_nbd *nbd = block->backing->nbd;
    if (nbd == NULL)
        return;
    mv_nbd_cache_stop(nbd->cache);
}

void mv_backing_nbd_stop(struct mv_block *block)
{
    struct mv_backing_nbd *nbd = block->backing->nbd;
    mv_backing_nbd_keep(block);
    MV_LOCK_SCOPE(&nbd->lock);
    mv_dirty_cursor_close(nbd->cursor);
    nbd->cursor = NULL;
}

void mv_backing_nbd_free(struct mv_backing_nbd *nbd)
{
    if (nbd == NULL)
        return;
    mv_nbd_source_free(nbd->source);
    mv_nbd_cache_free(nbd->cache);
    mv_nbd_close(nbd->nbd);
    pthread_mutex_destroy(&nbd->lock);
    free(nbd->uri);
    free(nbd);
}
