/* SPDX-License-Identifier: Apache-2.0 */
#include "info.h"

#include "cleanup.h"
#include "log.h"
#include "os.h"
#include "ram-view.h"
#include "size.h"
#include "statefile.h"
#include "zero-page.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MOST_THREADS 4

/* --- all sums */

struct part {
    struct mv_ram_layer layer;
    uint64_t first; /* of its chunks, among those of all */
};

struct verifying {
    struct part *parts;
    size_t count;
    uint64_t chunks;
    uint8_t *results; /* of each chunk: 0, or an errno */
    _Atomic uint64_t next;
    atomic_bool no_memory;
    struct mv_progress progress;
};

_Static_assert(EBADMSG < 256 && ENODATA < 256 && EIO < 256, "one byte has an errno");

static const struct part *part_of(const struct verifying *verifying, uint64_t chunk)
{
    size_t low = 0, high = verifying->count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (verifying->parts[middle].first <= chunk)
            low = middle;
        else
            high = middle;
    }
    return &verifying->parts[low];
}

static void *verify_chunks(void *opaque)
{
    struct verifying *verifying = opaque;
    CLEANUP_FREE uint8_t *buffer = aligned_alloc(MV_RAM_PAGE, MV_RAM_CHUNK);
    uint64_t chunk;
    bool zero;
    if (buffer == NULL) {
        atomic_store(&verifying->no_memory, true);
        return NULL;
    }
    while ((chunk = atomic_fetch_add(&verifying->next, 1)) < verifying->chunks) {
        const struct part *part = part_of(verifying, chunk);
        uint64_t own = chunk - part->first;
        verifying->results[chunk] = (uint8_t)-mv_ram_layer_read(&part->layer, own, buffer, &zero);
        mv_progress_add(&verifying->progress, mv_ram_chunk_size(part->layer.block->size, own));
    }
    return NULL;
}

/* A thread that the host does not give is none that anything waits for. */
static void verify_together(struct verifying *verifying)
{
    pthread_t threads[MOST_THREADS];
    size_t started = 0;
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    while (started + 1 < MOST_THREADS && started + 1 < verifying->chunks &&
           (long)started + 1 < processors &&
           pthread_create(&threads[started], NULL, verify_chunks, verifying) == 0)
        started++;
    verify_chunks(verifying);
    while (started > 0)
        pthread_join(threads[--started], NULL);
}

static void tell(const struct verifying *verifying, mv_info_damage_fn *fn, void *opaque,
                 struct mv_info_verified *ret)
{
    for (size_t i = 0; i < verifying->count; i++) {
        const struct part *part = &verifying->parts[i];
        uint64_t count = mv_ram_chunks(part->layer.block->size), end;
        const uint8_t *results = verifying->results + part->first;
        for (uint64_t at = 0; at < count; at = end) {
            for (end = at + 1; end < count && results[end] == results[at];)
                end++;
            uint64_t offset = at * MV_RAM_CHUNK,
                     size = (end - 1 - at) * MV_RAM_CHUNK +
                            mv_ram_chunk_size(part->layer.block->size, end - 1);
            if (results[at] == 0)
                continue;
            ret->damaged += size;
            fn(opaque, &(struct mv_info_damage){part->layer.file, part->layer.block, offset, size,
                                                results[at]});
        }
    }
}

static int add_file(struct verifying *verifying, const struct mv_chain_file *file,
                    uint64_t *io_bytes, struct mv_error *err)
{
    const struct mv_manifest *manifest = &file->manifest;
    int r = 0;
    struct part *parts =
        reallocarray(verifying->parts, verifying->count + manifest->block_count + 1, sizeof *parts);
    if (parts == NULL)
        return mv_error_set_errno(err, ENOMEM, "'%s'", file->path);
    verifying->parts = parts;
    for (size_t i = 0; r == 0 && i < manifest->block_count; i++) {
        if (!manifest->blocks[i].saved)
            continue;
        struct part *part = &parts[verifying->count++];
        part->first = verifying->chunks;
        r = mv_ram_layer_find(file, &manifest->blocks[i], &part->layer, err);
        verifying->chunks += mv_ram_chunks(manifest->blocks[i].size);
        *io_bytes += manifest->blocks[i].size;
    }
    return r;
}

int mv_info_verify(const struct mv_chain *chain, mv_info_damage_fn *fn, void *opaque,
                   struct mv_info_verified *ret, struct mv_error *err)
{
    struct verifying verifying = {0};
    uint64_t bytes = 0;
    int r = 0;
    for (size_t i = 0; r == 0 && i < chain->count; i++)
        r = add_file(&verifying, &chain->files[i], &bytes, err);
    CLEANUP_FREE struct part *parts = verifying.parts;
    CLEANUP_FREE uint8_t *results = calloc(verifying.chunks + 1, 1);
    if (r < 0)
        return r;
    if (results == NULL)
        return mv_error_set_errno(err, ENOMEM, "'%s'", chain->files[0].path);
    verifying.results = results;
    *ret = (struct mv_info_verified){.bytes = bytes};
    if (bytes == 0)
        return 0;
    mv_progress_begin(&verifying.progress, "verifying", bytes);
    verify_together(&verifying);
    mv_progress_end(&verifying.progress);
    if (atomic_load(&verifying.no_memory))
        return mv_error_set_errno(err, ENOMEM, "verifying '%s'", chain->files[0].path);
    tell(&verifying, fn, opaque, ret);
    return 0;
}

/* --- a block's bytes */

struct extracting {
    int fd;
    const char *to;
    bool sparse;
    uint64_t skipped; /* bytes of zeros that are still to be left out */
};

static int refuse_write(const struct extracting *extracting, int errnum, struct mv_error *err)
{
    return mv_error_set_errno(err, errnum, "cannot write to %s", extracting->to);
}

static bool can_have_holes(int fd)
{
    struct stat st;
    int flags = fcntl(fd, F_GETFL);
    off_t at = lseek(fd, 0, SEEK_CUR);
    return flags >= 0 && !(flags & O_APPEND) && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
           at >= 0 && st.st_size <= at;
}

static int put(struct extracting *extracting, const uint8_t *bytes, size_t len,
               struct mv_error *err)
{
    if (extracting->skipped > 0 && lseek(extracting->fd, (off_t)extracting->skipped, SEEK_CUR) < 0)
        return refuse_write(extracting, errno, err);
    extracting->skipped = 0;
    int r = mv_write_all(extracting->fd, bytes, len);
    return r < 0 ? refuse_write(extracting, -r, err) : 0;
}

static int put_chunk(struct extracting *extracting, const uint8_t *bytes, size_t len, bool zero,
                     struct mv_error *err)
{
    size_t at = 0, done = 0, run;
    int r = 0;
    if (!extracting->sparse)
        return put(extracting, bytes, len, err);
    while (r == 0 && !zero && mv_zero_next_data(bytes, len, &at, &run)) {
        extracting->skipped += at - done;
        r = put(extracting, bytes + at, run, err);
        done = at += run;
    }
    extracting->skipped += len - done;
    return r;
}

static int put_end(const struct extracting *extracting, struct mv_error *err)
{
    if (extracting->skipped == 0)
        return 0;
    off_t end = lseek(extracting->fd, (off_t)extracting->skipped, SEEK_CUR);
    return end < 0 || ftruncate(extracting->fd, end) < 0 ? refuse_write(extracting, errno, err) : 0;
}

static int put_all(struct extracting *extracting, const struct mv_ram_view *view, uint8_t *buffer,
                   struct mv_error *err)
{
    struct mv_progress progress;
    int r = 0;
    mv_progress_begin(&progress, "extracting", view->size);
    for (uint64_t chunk = 0; r == 0 && chunk < view->chunks; chunk++) {
        size_t len = mv_ram_chunk_size(view->size, chunk);
        bool zero;
        r = mv_ram_view_read(view, chunk, buffer, buffer + MV_RAM_CHUNK, &zero, err);
        if (r == 0 && zero)
            memset(buffer, 0, len);
        if (r == 0)
            r = put_chunk(extracting, buffer, len, zero, err);
        mv_progress_add(&progress, len);
    }
    mv_progress_end(&progress);
    return r < 0 ? r : put_end(extracting, err);
}

int mv_info_extract(const struct mv_chain *chain, const char *id, int fd, const char *to,
                    struct mv_error *err)
{
    struct extracting extracting = {.fd = fd, .to = to, .sparse = can_have_holes(fd)};
    struct mv_ram_view view;
    CLEANUP_FREE uint8_t *buffer = aligned_alloc(MV_RAM_PAGE, 2 * MV_RAM_CHUNK);
    if (buffer == NULL)
        return mv_error_set_errno(err, ENOMEM, "block %s", id);
    int r = mv_ram_view_open(chain, id, &view, err);
    if (r < 0)
        return r;
    r = put_all(&extracting, &view, buffer, err);
    mv_ram_view_close(&view);
    return r;
}
