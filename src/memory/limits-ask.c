/* SPDX-License-Identifier: Apache-2.0 */
#include "limits-ask.h"

#include "cleanup.h"

#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- files */

/* The file, or the folder in which a fresh one will be made. */
static char *place_of(const struct mv_backing_request *request, bool *ret_fresh)
{
    const struct mv_config_backing *wish = &request->wish;
    char path[PATH_MAX];
    *ret_fresh = false;
    if (wish->has_fd)
        snprintf(path, sizeof path, "/proc/self/fd/%d", wish->fd);
    else if (wish->file != NULL && snprintf(path, sizeof path, "%s", wish->file) >= PATH_MAX)
        return NULL;
    if (wish->has_fd || (wish->file != NULL && (!wish->create || access(path, F_OK) == 0)))
        return strdup(path);
    *ret_fresh = true;
    return strdup(wish->file == NULL ? mv_backing_temporary_folder(request) : dirname(path));
}

/*
 * Bytes that the file system has given the part already: at least what does not
 * fit the rest of the file, since what was allocated and not written counts as
 * a hole (lseek(2)).
 */
static uint64_t allocated(const char *path, const struct stat *st, uint64_t start, uint64_t size)
{
    uint64_t all = (uint64_t)st->st_blocks * 512, length = (uint64_t)st->st_size;
    uint64_t rest = length > size ? length - size : 0, least = all > rest ? all - rest : 0;
    CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    uint64_t sum = 0;
    off_t at = (off_t)start, end = (off_t)(start + size);
    while (fd >= 0 && at < end) {
        off_t data = lseek(fd, at, SEEK_DATA);
        if (data < 0 || data >= end)
            break;
        at = lseek(fd, data, SEEK_HOLE);
        if (at < 0)
            break;
        sum += (uint64_t)((at < end ? at : end) - data);
    }
    return sum > least ? sum : least;
}

static bool look_at_place(struct mv_limits_ask *ask)
{
    const struct mv_backing_request *request = ask->request;
    struct stat st;
    bool fresh;
    ask->place = place_of(request, &fresh);
    if (ask->place == NULL || stat(ask->place, &st) < 0 || statfs(ask->place, &ask->fs) < 0 ||
        !(fresh ? S_ISDIR(st.st_mode) : S_ISREG(st.st_mode)))
        return false;
    uint64_t has = fresh ? 0 : (uint64_t)st.st_blocks * 512;
    if (!fresh && request->wish.has_offset)
        has = allocated(ask->place, &st, request->wish.offset, request->size);
    ask->device = st.st_dev;
    ask->inode = fresh ? 0 : st.st_ino;
    ask->room = has < request->size ? request->size - has : 0;
    ask->room_now = fresh || request->wish.prealloc == MV_SWITCH_ON ? ask->room : 0;
    return true;
}

/* --- memory */

static void ask_memory(struct mv_limits_ask *ask, uint64_t memory)
{
    const struct mv_config_backing *wish = &ask->request->wish;
    bool early = wish->lock == MV_SWITCH_ON || wish->prealloc == MV_SWITCH_ON;
    ask->use.memory = memory;
    ask->use.early = early ? memory : 0;
}

/* Pages of the pool cannot be swapped, and are no part of what others use. */
static void ask_of_file(struct mv_limits_ask *ask)
{
    bool shared = ask->request->wish.share != MV_SWITCH_OFF;
    bool known = look_at_place(ask);
    if (known && ask->fs.f_type == HUGETLBFS_MAGIC) {
        ask->use.locked = ask->room = ask->room_now = 0;
        return;
    }
    if (!shared)
        ask_memory(ask, ask->request->size);
    else if (known && (ask->fs.f_type == TMPFS_MAGIC || ask->fs.f_type == RAMFS_MAGIC))
        ask_memory(ask, ask->room);
    if (!shared || !known)
        ask->room = ask->room_now = 0;
}

static void fill(struct mv_limits_ask *ask, const struct mv_backing_request *request)
{
    const struct mv_backing_kind *kind = mv_backing_choose(request);
    ask->request = request;
    mv_numa_policy_bound(&request->wish, &ask->bound);
    if (kind == &mv_backing_hugetlb) {
        ask->pool = request->size;
        return;
    }
    /* What is locked of a file on a disk is in memory, too. */
    ask->use.locked = request->wish.lock == MV_SWITCH_ON ? request->size : 0;
    if (kind == &mv_backing_file || kind == &mv_backing_parent_fd)
        ask_of_file(ask);
    else if (request->place == NULL || !request->place->share)
        ask_memory(ask, request->size);
}

/* Blocks that share a file's bytes (same-file=ok) take them once. */
static bool is_same_file(const struct mv_limits_ask *a, const struct mv_limits_ask *b)
{
    const char *a_file = a->request->wish.file, *b_file = b->request->wish.file;
    uint64_t a_start = a->request->wish.offset, b_start = b->request->wish.offset;
    if (a->room == 0 || b->room == 0 || a->device != b->device)
        return false;
    if (a_start >= b_start + b->request->size || b_start >= a_start + a->request->size)
        return false;
    return a->inode != 0 ? a->inode == b->inode
                         : a_file != NULL && b_file != NULL && strcmp(a_file, b_file) == 0;
}

static void drop_same_files(struct mv_limits_job *job)
{
    for (size_t i = 1; i < job->count; i++) {
        struct mv_limits_ask *ask = &job->asks[i];
        size_t k = 0;
        while (k < i && !is_same_file(&job->asks[k], ask))
            k++;
        if (k == i)
            continue;
        job->asks[k].room_now += job->asks[k].room_now == 0 ? ask->room_now : 0;
        ask->room = ask->room_now = 0;
        ask->use.memory = ask->use.early = 0;
    }
}

int mv_limits_job_make(struct mv_limits_job *job, const struct mv_backing_request *requests,
                       size_t count, struct mv_error *err)
{
    job->asks = calloc(count, sizeof *job->asks);
    job->count = job->asks == NULL ? 0 : count;
    if (job->asks == NULL)
        return mv_error_set(err, ENOMEM, "no memory for the banks");
    for (size_t i = 0; i < count; i++)
        fill(&job->asks[i], &requests[i]);
    drop_same_files(job);
    return 0;
}

void mv_limits_job_free(struct mv_limits_job *job)
{
    for (size_t i = 0; i < job->count; i++)
        free(job->asks[i].place);
    free(job->asks);
}

/* --- sums and words */

static uint64_t value(const struct mv_limits_ask *ask, size_t field, mv_limits_filter *alike,
                      const struct mv_limits_ask *like)
{
    if (alike != NULL && !alike(ask, like))
        return 0;
    return *(const uint64_t *)((const char *)ask + field);
}

uint64_t mv_limits_sum(const struct mv_limits_job *job, size_t field, mv_limits_filter *alike,
                       const struct mv_limits_ask *like)
{
    uint64_t total = 0;
    for (size_t i = 0; i < job->count; i++) {
        if (mv_add_overflows(total, value(&job->asks[i], field, alike, like), &total))
            return UINT64_MAX;
    }
    return total;
}

const char *mv_limits_subject_format(const struct mv_limits_job *job, size_t field,
                                     mv_limits_filter *alike, const struct mv_limits_ask *like,
                                     char buf[MV_LIMITS_SUBJECT])
{
    char names[MV_LIMITS_SUBJECT - 48] = "";
    size_t used = 0, named = 0, left = 0;
    for (size_t i = 0; i < job->count; i++) {
        const char *id = job->asks[i].request->id;
        if (value(&job->asks[i], field, alike, like) == 0)
            continue;
        if (used + strlen(id) + 3 > sizeof names) {
            left++;
            continue;
        }
        used += (size_t)sprintf(names + used, "%s%s", named++ == 0 ? "" : ", ", id);
    }
    int n = snprintf(buf, MV_LIMITS_SUBJECT, "block%s %s", named + left == 1 ? "" : "s", names);
    if (left > 0)
        snprintf(buf + n, MV_LIMITS_SUBJECT - (size_t)n, "%s%zu more", named == 0 ? "" : " and ",
                 left);
    return buf;
}

uint64_t mv_limits_round(uint64_t bytes)
{
    return bytes < MV_MIB ? bytes : bytes - bytes % MV_MIB;
}
