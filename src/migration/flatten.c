/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One file of a state that builds on others: the same state, under the same id, so that what
 * builds on it can build on that file as well.  No state beyond the call; called by the verb
 * info.
 */
#include "cleanup.h"
#include "info.h"
#include "log.h"
#include "os.h"
#include "ram-view.h"
#include "save-file.h"
#include "statefile.h"
#include "zero-page.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct flattening {
    const struct mv_chain *chain;
    int fd;
    const char *to;
    uint8_t *buffer; /* of two chunks */
    struct mv_progress progress;
};

static int refuse_write(const struct flattening *flattening, int errnum, struct mv_error *err)
{
    return mv_error_set_errno(err, errnum, "cannot write '%s'", flattening->to);
}

static int put_chunk(const struct flattening *flattening, size_t len, uint64_t place,
                     struct mv_error *err)
{
    size_t at = 0, run;
    int r = 0;
    while (r == 0 && mv_zero_next_data(flattening->buffer, len, &at, &run)) {
        r = mv_pwrite_all(flattening->fd, flattening->buffer + at, run, place + at);
        at += run;
    }
    return r < 0 ? refuse_write(flattening, -r, err) : 0;
}

static int put_bytes(struct flattening *flattening, const struct mv_ram_view *view, uint64_t *sums,
                     struct mv_error *err)
{
    uint64_t place = view->layers[0].block->offset;
    uint8_t *buffer = flattening->buffer;
    int r = 0;
    for (uint64_t chunk = 0; r == 0 && chunk < view->chunks; chunk++) {
        size_t len = mv_ram_chunk_size(view->size, chunk);
        bool zero;
        r = mv_ram_view_read(view, chunk, buffer, buffer + MV_RAM_CHUNK, &zero, err);
        if (r < 0)
            break;
        sums[chunk] = mv_ram_sum(zero ? NULL : buffer, len);
        if (!zero)
            r = put_chunk(flattening, len, place + chunk * MV_RAM_CHUNK, err);
        mv_progress_add(&flattening->progress, len);
    }
    return r;
}

static int put_block(struct flattening *flattening, const struct mv_manifest_block *block,
                     struct mv_section_writer *sections, struct mv_error *err)
{
    struct mv_ram_view view;
    int r = mv_ram_view_open(flattening->chain, block->id, &view, err);
    if (r < 0)
        return r;
    CLEANUP_FREE uint64_t *sums = calloc(view.chunks + 1, sizeof *sums);
    r = sums == NULL ? mv_error_set_errno(err, ENOMEM, "block %s", block->id)
                     : put_bytes(flattening, &view, sums, err);
    if (r == 0)
        r = mv_save_write_sums(sections, block->id, sums, view.chunks, err);
    mv_ram_view_close(&view);
    return r;
}

static int put_objects(const struct mv_statefile *state, struct mv_section_writer *sections,
                       struct mv_error *err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < state->section_count; i++)
        if (state->sections[i].type == MV_SECTION_OBJECT)
            r = mv_section_write(sections, &state->sections[i], err);
    return r;
}

static int put_all(struct flattening *flattening, struct mv_error *err)
{
    const struct mv_chain_file *file = &flattening->chain->files[0];
    const struct mv_statefile *state = file->state;
    struct mv_manifest manifest = file->manifest; /* whose memory stays the file's */
    struct mv_statefile_writer out;
    CLEANUP_FREE char *text = NULL;
    size_t length;
    manifest.has_base = false;
    int r = mv_manifest_print(&manifest, state->ram_length, &text, &length, err);
    if (r == 0)
        r = mv_statefile_begin(&out, flattening->fd, state->id, state->ram_length, text, length,
                               err);
    if (r == 0)
        r = put_objects(state, &out.sections, err);
    for (size_t i = 0; r == 0 && i < manifest.block_count; i++)
        if (manifest.blocks[i].saved)
            r = put_block(flattening, &manifest.blocks[i], &out.sections, err);
    if (r == 0)
        r = mv_statefile_end(&out, err);
    /* A guest that runs on its other memory has it stale by the time that one ends. */
    if (r == 0 && state->status != MV_STATEFILE_WHOLE)
        r = mv_statefile_mark(flattening->fd, MV_STATEFILE_STALE, err);
    return r;
}

/* The first of the chain may be replaced by what is the same. */
static int check_path(const struct mv_chain *chain, const char *to, struct mv_error *err)
{
    struct stat own, other;
    bool is_there = stat(to, &own) == 0;
    for (size_t i = 1; is_there && i < chain->count; i++)
        if (fstat(chain->files[i].fd, &other) == 0 && own.st_dev == other.st_dev &&
            own.st_ino == other.st_ino)
            return mv_error_set(err, EINVAL,
                                "'%s' is what '%s' builds on, and others may: name another file",
                                to, chain->files[i - 1].path);
    return 0;
}

int mv_info_flatten(const struct mv_chain *chain, int fd, const char *to, struct mv_error *err)
{
    CLEANUP_FREE uint8_t *buffer = aligned_alloc(MV_RAM_PAGE, 2 * MV_RAM_CHUNK);
    struct flattening flattening = {.chain = chain, .fd = fd, .to = to, .buffer = buffer};
    const struct mv_manifest *manifest = &chain->files[0].manifest;
    uint64_t bytes = 1;
    if (buffer == NULL)
        return mv_error_set_errno(err, ENOMEM, "'%s'", to);
    int r = check_path(chain, to, err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < manifest->block_count; i++)
        bytes += manifest->blocks[i].saved ? manifest->blocks[i].size : 0;
    mv_progress_begin(&flattening.progress, "flattening", bytes);
    r = put_all(&flattening, err);
    mv_progress_end(&flattening.progress);
    return r;
}
