/* SPDX-License-Identifier: Apache-2.0 */
#include "chain.h"

#include "cleanup.h"
#include "statefile.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

static void close_file(struct mv_chain_file *file)
{
    mv_manifest_clear(&file->manifest);
    if (file->state != NULL)
        mv_statefile_clear(file->state);
    free(file->state);
    if (file->fd >= 0)
        close(file->fd);
    free(file->path);
}

static int read_file(struct mv_chain_file *file, struct mv_error *err)
{
    int r = mv_statefile_read(file->fd, file->state, err);
    if (r == 0)
        r = mv_manifest_parse(file->state->manifest, file->state->manifest_length,
                              file->state->ram_length, &file->manifest, err);
    if (r == 0 && memcmp(file->manifest.id, file->state->id, sizeof file->state->id) != 0)
        r = mv_error_set(err, EINVAL, "manifest: its id is another than the header's");
    if (r < 0)
        mv_error_prefix(err, "'%s'", file->path);
    return r;
}

/* A pipe without a writer must not make us wait. */
static int open_file(const char *path, struct mv_chain_file *file, struct mv_error *err)
{
    *file = (struct mv_chain_file){
        .path = strdup(path),
        .state = calloc(1, sizeof *file->state),
        .fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK),
    };
    if (file->fd < 0)
        return mv_error_set_errno(err, errno, "cannot open '%s'", path);
    if (file->path == NULL || file->state == NULL)
        return mv_error_set_errno(err, ENOMEM, "'%s'", path);
    return read_file(file, err);
}

/* One more at the end. */
static int add_file(struct mv_chain *chain, const char *path, struct mv_error *err)
{
    struct mv_chain_file *files = reallocarray(chain->files, chain->count + 1, sizeof *files);
    if (files == NULL)
        return mv_error_set_errno(err, ENOMEM, "'%s'", path);
    chain->files = files;
    int r = open_file(path, &files[chain->count], err);
    if (r < 0)
        close_file(&files[chain->count]);
    else
        chain->count++;
    return r;
}

int mv_chain_open(const char *path, struct mv_chain *ret, struct mv_error *err)
{
    struct mv_chain chain = {0};
    int r = add_file(&chain, path, err);
    if (r < 0)
        mv_chain_close(&chain);
    else
        *ret = chain;
    return r;
}

/* The base's name in the folder of the file that has it as its base: to be freed. */
static char *beside(const struct mv_chain_file *file)
{
    const char *slash = strrchr(file->path, '/'), *base = strrchr(file->manifest.base_path, '/');
    const char *name = base == NULL ? file->manifest.base_path : base + 1;
    char *path;
    int folder = slash == NULL ? 0 : (int)(slash + 1 - file->path);
    return asprintf(&path, "%.*s%s", folder, file->path, name) < 0 ? NULL : path;
}

static int check_base(const struct mv_chain *chain, struct mv_error *err)
{
    const struct mv_chain_file *base = &chain->files[chain->count - 1], *file = base - 1;
    if (memcmp(base->state->id, file->manifest.base_id, sizeof base->state->id) != 0)
        return mv_error_set(err, ESTALE,
                            "'%s' is not the state that '%s' builds on: it was saved by another "
                            "save, or anew since",
                            base->path, file->path);
    for (size_t i = 0; i + 1 < chain->count; i++)
        if (memcmp(chain->files[i].state->id, base->state->id, sizeof base->state->id) == 0)
            return mv_error_set(err, ELOOP, "'%s' builds on itself, by way of '%s'", base->path,
                                file->path);
    return 0;
}

static int follow_one(struct mv_chain *chain, struct mv_error *err)
{
    const struct mv_chain_file *file = &chain->files[chain->count - 1];
    const char *path = file->manifest.base_path;
    CLEANUP_FREE char *near = beside(file);
    if (chain->count == MV_CHAIN_MAX)
        return mv_error_set(err, E2BIG, "'%s': %d files that build on each other are the most",
                            file->path, MV_CHAIN_MAX);
    if (near == NULL)
        return mv_error_set_errno(err, ENOMEM, "'%s'", path);
    if (access(path, F_OK) < 0 && access(near, F_OK) == 0)
        path = near;
    int r = add_file(chain, path, err);
    if (r < 0) {
        mv_error_prefix(err, "the base of '%s'", chain->files[chain->count - 1].path);
        return r;
    }
    r = check_base(chain, err);
    if (r < 0)
        close_file(&chain->files[--chain->count]);
    return r;
}

int mv_chain_follow(struct mv_chain *chain, struct mv_error *err)
{
    int r = 0;
    while (r == 0 && chain->files[chain->count - 1].manifest.has_base)
        r = follow_one(chain, err);
    return r;
}

void mv_chain_close(struct mv_chain *chain)
{
    for (size_t i = 0; i < chain->count; i++)
        close_file(&chain->files[i]);
    free(chain->files);
    *chain = (struct mv_chain){0};
}
