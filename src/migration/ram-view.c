/* SPDX-License-Identifier: Apache-2.0 */
#include "ram-view.h"

#include "bytes.h"
#include "cleanup.h"
#include "os.h"
#include "size.h"
#include "statefile.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* As in ram-chunk.c. */
#if defined(__x86_64__) && __has_include(<xxh_x86dispatch.h>)
#include <xxh_x86dispatch.h>
#else
#include <xxhash.h>
#endif

#define SUM_BYTES 8

uint64_t mv_ram_chunks(uint64_t size)
{
    return size / MV_RAM_CHUNK + (size % MV_RAM_CHUNK != 0);
}

size_t mv_ram_chunk_size(uint64_t size, uint64_t chunk)
{
    uint64_t left = size - chunk * MV_RAM_CHUNK;
    return left < MV_RAM_CHUNK ? left : MV_RAM_CHUNK;
}

/* --- a layer */

uint64_t mv_ram_pages_length(uint64_t size)
{
    uint64_t pages = size / MV_RAM_PAGE + (size % MV_RAM_PAGE != 0);
    return pages / 8 + (pages % 8 != 0);
}

static int check_length(const struct mv_chain_file *file, const struct mv_manifest_block *block,
                        const struct mv_section *section, const char *what, uint64_t due,
                        struct mv_error *err)
{
    char id[MV_SECTION_TEXT];
    if (section != NULL && section->length == due)
        return 0;
    return mv_error_set(err, EINVAL,
                        "'%s': block %s: %zu bytes tell of its %s, and %" PRIu64 " are due",
                        file->path, mv_section_text(block->id, id),
                        section == NULL ? (size_t)0 : section->length, what, due);
}

/* Whose memory a guest changes, or has changed, is not damaged. */
static int check_owner(const struct mv_chain_file *file, struct mv_error *err)
{
    if (file->state->status == MV_STATEFILE_RAM_IN_USE)
        return mv_error_set(err, ESTALE,
                            "'%s' is in use: its memory is that of a guest that runs there "
                            "(restore --ram shared), or was killed, and no sum of it can hold",
                            file->path);
    if (file->state->status == MV_STATEFILE_RAM_STALE)
        return mv_error_set(err, ESTALE,
                            "'%s' is stale: its memory was that of a guest that ran there "
                            "(restore --ram shared), and no sum of it can hold",
                            file->path);
    return 0;
}

int mv_ram_layer_find(const struct mv_chain_file *file, const struct mv_manifest_block *block,
                      struct mv_ram_layer *ret, struct mv_error *err)
{
    const struct mv_section *sums = mv_statefile_find(file->state, MV_SECTION_SUMS, block->id);
    const struct mv_section *pages = mv_statefile_find(file->state, MV_SECTION_PAGES, block->id);
    int r = check_owner(file, err);
    if (r == 0)
        r = check_length(file, block, sums, "sums", mv_ram_chunks(block->size) * SUM_BYTES, err);
    if (r == 0 && pages != NULL)
        r = check_length(file, block, pages, "pages", mv_ram_pages_length(block->size), err);
    if (r == 0 && pages != NULL && !file->manifest.has_base)
        r = mv_error_set(err, EINVAL, "'%s': block %s: only some pages, of a state without a base",
                         file->path, block->id);
    if (r < 0)
        return r;
    *ret = (struct mv_ram_layer){file, block, sums->payload, pages == NULL ? NULL : pages->payload};
    return 0;
}

static bool is_hole(int fd, uint64_t offset, size_t len)
{
    off_t data = lseek(fd, (off_t)offset, SEEK_DATA);
    return data < 0 ? errno == ENXIO : (uint64_t)data >= offset + len;
}

uint64_t mv_ram_sum(const uint8_t *bytes, size_t len)
{
    static uint8_t zeros[MV_RAM_CHUNK]; /* never written, so that they cost no memory */
    return XXH3_64bits(bytes == NULL ? zeros : bytes, len);
}

static uint64_t sum_at(const struct mv_ram_layer *layer, uint64_t chunk)
{
    return mv_bytes_get(layer->sums + chunk * SUM_BYTES, SUM_BYTES);
}

int mv_ram_layer_read(const struct mv_ram_layer *layer, uint64_t chunk, uint8_t *buffer,
                      bool *ret_zero)
{
    size_t len = mv_ram_chunk_size(layer->block->size, chunk);
    uint64_t offset = layer->block->offset + chunk * MV_RAM_CHUNK;
    bool hole = is_hole(layer->file->fd, offset, len);
    int r = hole ? 0 : mv_pread_all(layer->file->fd, buffer, len, offset);
    if (r < 0)
        return r;
    if (mv_ram_sum(hole ? NULL : buffer, len) != sum_at(layer, chunk))
        return -EBADMSG;
    *ret_zero = hole;
    return 0;
}

/* --- layers on top of each other */

static int add_layer(struct mv_ram_view *view, const struct mv_chain_file *file, const char *id,
                     struct mv_error *err)
{
    char text[MV_SECTION_TEXT];
    const struct mv_manifest_block *block = mv_manifest_find_block(&file->manifest, id);
    mv_section_text(id, text);
    if (block == NULL)
        return mv_error_set(err, view->count == 0 ? ENOENT : EINVAL, "'%s' has no block '%s'",
                            file->path, text);
    if (block->outside)
        return mv_error_set(err, ENODATA, "block %s is not in '%s': its bytes stayed in '%s'", text,
                            file->path, block->file.path);
    if (!block->saved)
        return mv_error_set(err, ENODATA, "block %s is not in '%s': it was not to be saved", text,
                            file->path);
    if (view->count > 0 && block->size != view->size)
        return mv_error_set(err, EINVAL, "block %s has %s in '%s', and %s in '%s'", text,
                            mv_size_text(view->size), view->layers[0].file->path,
                            mv_size_text(block->size), file->path);
    view->size = block->size;
    return mv_ram_layer_find(file, block, &view->layers[view->count++], err);
}

static int add_layers(struct mv_ram_view *view, const struct mv_chain *chain, const char *id,
                      struct mv_error *err)
{
    int r = add_layer(view, &chain->files[0], id, err);
    while (r == 0 && view->layers[view->count - 1].pages != NULL) {
        const struct mv_chain_file *file = &chain->files[view->count];
        if (view->count == chain->count)
            return mv_error_set(err, EINVAL, "block %s: the base of '%s' is missing", id,
                                file[-1].path);
        r = add_layer(view, file, id, err);
    }
    return r;
}

int mv_ram_view_open(const struct mv_chain *chain, const char *id, struct mv_ram_view *ret,
                     struct mv_error *err)
{
    struct mv_ram_view view = {.layers = calloc(chain->count, sizeof *view.layers)};
    if (view.layers == NULL)
        return mv_error_set_errno(err, ENOMEM, "block %s", id);
    int r = add_layers(&view, chain, id, err);
    if (r < 0) {
        mv_ram_view_close(&view);
        return r;
    }
    view.chunks = mv_ram_chunks(view.size);
    *ret = view;
    return 0;
}

void mv_ram_view_close(struct mv_ram_view *view)
{
    free(view->layers);
    *view = (struct mv_ram_view){0};
}

static int read_layer(const struct mv_ram_layer *layer, uint64_t chunk, uint8_t *buffer,
                      bool *ret_zero, struct mv_error *err)
{
    int r = mv_ram_layer_read(layer, chunk, buffer, ret_zero);
    if (r == 0)
        return 0;
    uint64_t at = chunk * MV_RAM_CHUNK;
    const char *id = layer->block->id, *path = layer->file->path;
    size_t len = mv_ram_chunk_size(layer->block->size, chunk);
    if (r == -EBADMSG)
        return mv_error_set(err, EBADMSG,
                            "'%s': block %s: damaged: the sum of its %s from byte 0x%" PRIx64
                            " on is another than was written",
                            path, id, mv_size_text(len), at);
    if (r == -ENODATA)
        return mv_error_set(err, ENODATA, "'%s': block %s: the file has become shorter than it was",
                            path, id);
    return mv_error_set_errno(err, -r, "'%s': block %s: its %s from byte 0x%" PRIx64 " on", path,
                              id, mv_size_text(len), at);
}

static bool has_page(const uint8_t *pages, uint64_t page)
{
    return pages[page / 8] >> page % 8 & 1;
}

/* The pages that the layer has, over those below. */
static void put_pages(const struct mv_ram_layer *layer, uint64_t chunk, uint8_t *to,
                      const uint8_t *from, bool zero)
{
    size_t len = mv_ram_chunk_size(layer->block->size, chunk);
    for (size_t at = 0; at < len; at += MV_RAM_PAGE) {
        size_t n = len - at < MV_RAM_PAGE ? len - at : MV_RAM_PAGE;
        if (!has_page(layer->pages, (chunk * MV_RAM_CHUNK + at) / MV_RAM_PAGE))
            continue;
        if (zero)
            memset(to + at, 0, n);
        else
            memcpy(to + at, from + at, n);
    }
}

static bool has_any(const struct mv_ram_layer *layer, uint64_t chunk)
{
    uint64_t first = chunk * (MV_RAM_CHUNK / MV_RAM_PAGE / 8),
             all = mv_ram_pages_length(layer->block->size);
    for (uint64_t i = first; i < all && i < first + MV_RAM_CHUNK / MV_RAM_PAGE / 8; i++)
        if (layer->pages[i] != 0)
            return true;
    return false;
}

int mv_ram_view_read(const struct mv_ram_view *view, uint64_t chunk, uint8_t *buffer,
                     uint8_t *spare, bool *ret_zero, struct mv_error *err)
{
    size_t i = view->count - 1, len = mv_ram_chunk_size(view->size, chunk);
    bool zero = false, all = false;
    int r = read_layer(&view->layers[i], chunk, buffer, &all, err);
    while (r == 0 && i-- > 0) {
        const struct mv_ram_layer *layer = &view->layers[i];
        if (!has_any(layer, chunk))
            continue;
        r = read_layer(layer, chunk, spare, &zero, err);
        if (r == 0 && all && !zero)
            memset(buffer, 0, len);
        all = all && zero;
        if (r == 0 && !all)
            put_pages(layer, chunk, buffer, spare, zero);
    }
    if (r == 0)
        *ret_zero = all;
    return r;
}

bool mv_ram_view_is_same(const struct mv_ram_view *view, const struct mv_ram_view *other,
                         uint64_t chunk)
{
    return view->count == 1 && other->count == 1 &&
           mv_ram_chunk_size(view->size, chunk) == mv_ram_chunk_size(other->size, chunk) &&
           sum_at(&view->layers[0], chunk) == sum_at(&other->layers[0], chunk);
}
