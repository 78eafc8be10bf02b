/* SPDX-License-Identifier: Apache-2.0 */
#include "stale.h"

#include "cleanup.h"
#include "statefile.h"

#include <stdlib.h>
#include <string.h>

int mv_stale_files_add(struct mv_stale_files *files, int fd, const char *path, struct mv_error *err)
{
    struct mv_error ignored;
    struct mv_stale_file *grown = reallocarray(files->list, files->count + 1, sizeof *grown);
    char *copy = strdup(path);
    if (grown != NULL)
        files->list = grown;
    if (grown == NULL || copy == NULL) {
        free(copy);
        mv_statefile_mark(fd, MV_STATEFILE_STALE, &ignored);
        mv_cleanup_close(&fd);
        return mv_error_set_errno(err, ENOMEM, "'%s'", path);
    }
    files->list[files->count++] = (struct mv_stale_file){fd, copy};
    return 0;
}

static void drop_last(struct mv_stale_files *files)
{
    struct mv_stale_file *last = &files->list[--files->count];
    mv_cleanup_close(&last->fd);
    free(last->path);
}

int mv_stale_files_mark(struct mv_stale_files *files, struct mv_error *err)
{
    while (files->count > 0) {
        const struct mv_stale_file *last = &files->list[files->count - 1];
        int r = mv_statefile_mark(last->fd, MV_STATEFILE_STALE, err);
        if (r < 0) {
            mv_error_prefix(err, "'%s' is to be marked as stale before the guest's memory changes",
                            last->path);
            return r;
        }
        drop_last(files);
    }
    return 0;
}

void mv_stale_files_clear(struct mv_stale_files *files)
{
    while (files->count > 0)
        drop_last(files);
    free(files->list);
    *files = (struct mv_stale_files){0};
}
