/* SPDX-License-Identifier: Apache-2.0 */
#include "warm-up.h"

#include "block.h"
#include "bring.h"
#include "cleanup.h"
#include "fault.h"
#include "log.h"
#include "os.h"
#include "working-set.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

/*
 * A guest's first pages are those of so much processor time, or of so many looks while it
 * runs, whichever comes first: one that is busy has begun by then on any host.
 */
#define NOTE_CPU_NS (2 * UINT64_C(1000000000))
#define LOOK_MS     100
#define LOOKS_MAX   200
/*
 * A guest's start waits for the set to be read, and then for so much of the main thread's
 * processor time with what is in memory already, for so long each at most.
 */
#define HELP_NS (6 * 1000 * 1000)
/* Behind the name of the state file. */
#define SUFFIX ".ws"

struct mv_warm_up {
    char *path; /* of the set */
    int fd;     /* of the state file */
    struct mv_working_set set;
    struct mv_block **blocks; /* the set's, in its order */
    struct mv_bring bring;
    pthread_t thread;
    pthread_mutex_t lock; /* of the next ones */
    pthread_cond_t changed;
    bool running, ended;
    bool helped;                          /* the main thread brings pages, too */
    enum { READING, CACHED, REST } stage; /* of bringing: the set is read, what is in memory, ... */
    bool has_run;
    uint64_t cpu_ns; /* when it ran first */
    /* The main thread's: of the process, then. */
    uint64_t minor, major;
    _Atomic uint64_t set_bytes, done_ns;
};

static uint64_t process_cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* --- the thread: bringing */

static void read_set(struct mv_warm_up *warm_up)
{
    struct mv_error err;
    int r = mv_working_set_read(&warm_up->set, warm_up->path, &err);
    if (r == -ESTALE)
        mv_log("'%s': %s, and is made anew", warm_up->path, err.text);
    else if (r < 0 && r != -ENOENT)
        mv_warn("'%s' is not used: %s", warm_up->path, err.text);
    atomic_store(&warm_up->set_bytes, mv_working_set_bytes(&warm_up->set));
}

/* Ends when nobody is at work with the pieces any more. */
static void bring_cached(struct mv_warm_up *warm_up)
{
    pthread_mutex_lock(&warm_up->lock);
    warm_up->stage = CACHED;
    pthread_cond_signal(&warm_up->changed);
    pthread_mutex_unlock(&warm_up->lock);
    mv_bring_cached(&warm_up->bring, INT64_MAX);
    MV_LOCK_SCOPE(&warm_up->lock);
    warm_up->stage = REST;
    pthread_cond_signal(&warm_up->changed);
    while (warm_up->helped)
        pthread_cond_wait(&warm_up->changed, &warm_up->lock);
}

static void bring_set(struct mv_warm_up *warm_up)
{
    struct mv_error err;
    int r = 0;
    for (size_t i = 0; i < warm_up->set.count && r == 0; i++)
        r = mv_bring_add(&warm_up->bring, warm_up->blocks[i], &warm_up->set.blocks[i], &err);
    if (r < 0)
        mv_warn("the working set: %s", err.text);
    bring_cached(warm_up);
    mv_bring_rest(&warm_up->bring);
    mv_bring_clear(&warm_up->bring);
    if (!atomic_load(&warm_up->bring.cancelled))
        atomic_store(&warm_up->done_ns, mv_now_ns());
}

/* --- the thread: noting */

/* True once the guest has run for long enough, false where it has ended before. */
static bool await_window(struct mv_warm_up *warm_up)
{
    unsigned looks = 0;
    MV_LOCK_SCOPE(&warm_up->lock);
    while (!warm_up->ended) {
        if (!warm_up->running) {
            pthread_cond_wait(&warm_up->changed, &warm_up->lock);
            continue;
        }
        if (looks++ == LOOKS_MAX || process_cpu_ns() - warm_up->cpu_ns >= NOTE_CPU_NS)
            return true;
        uint64_t until = mv_now_ns() + LOOK_MS * UINT64_C(1000000);
        struct timespec at = {(time_t)(until / 1000000000), (long)(until % 1000000000)};
        pthread_cond_clockwait(&warm_up->changed, &warm_up->lock, CLOCK_MONOTONIC, &at);
    }
    return false;
}

static bool next_touched(const void *opaque, uint64_t *io_offset, uint64_t *ret_len)
{
    return mv_touch_log_next(opaque, io_offset, ret_len);
}

static int join_touched(struct mv_warm_up *warm_up, bool whole, struct mv_error *err)
{
    int r = 0;
    for (size_t i = 0; i < warm_up->set.count && r == 0; i++)
        r = mv_working_set_join(&warm_up->set.blocks[i], next_touched, warm_up->blocks[i], whole,
                                err);
    return r;
}

/* Whether the state that the guest came from still has the name that the set goes by. */
static bool is_in_place(const struct mv_warm_up *warm_up)
{
    struct stat named, ours;
    CLEANUP_FREE char *path = strndup(warm_up->path, strlen(warm_up->path) - strlen(SUFFIX));
    return path != NULL && stat(path, &named) == 0 && fstat(warm_up->fd, &ours) == 0 &&
           named.st_dev == ours.st_dev && named.st_ino == ours.st_ino;
}

/* Others may have written it since this guest began.  What could not be read was told of then. */
static void write_set(struct mv_warm_up *warm_up, bool whole)
{
    struct mv_error err;
    mv_working_set_clear(&warm_up->set);
    if (mv_working_set_read(&warm_up->set, warm_up->path, &err) == -EEXIST)
        return; /* somebody's own file */
    int r = join_touched(warm_up, whole, &err);
    if (r == 0 && mv_working_set_bytes(&warm_up->set) > 0)
        r = mv_working_set_write(&warm_up->set, warm_up->path, &err);
    /* Who keeps states where they cannot be changed wants no sets. */
    if (r < 0 && r != -EACCES && r != -EPERM && r != -EROFS)
        mv_warn("the working set is not kept: %s", err.text);
}

static void *warm_up_thread(void *opaque)
{
    struct mv_warm_up *warm_up = opaque;
    read_set(warm_up);
    bring_set(warm_up);
    bool whole = await_window(warm_up);
    for (size_t i = 0; i < warm_up->set.count; i++)
        mv_touch_log_stop(warm_up->blocks[i]);
    if (warm_up->has_run && is_in_place(warm_up))
        write_set(warm_up, whole);
    return NULL;
}

/* --- the main thread's */

struct listing {
    const struct mv_warm_up_params *params;
    struct mv_warm_up *warm_up; /* NULL: count alone */
    size_t count;
};

static void list_block(struct mv_block *block, void *opaque)
{
    struct listing *listing = opaque;
    if (!listing->params->is_wanted(block))
        return;
    if (listing->warm_up != NULL) {
        listing->warm_up->blocks[listing->count] = block;
        listing->warm_up->set.blocks[listing->count] =
            (struct mv_working_set_pages){.id = block->id, .size = block->size};
    }
    listing->count++;
}

static int list_blocks(struct mv_warm_up *warm_up, const struct mv_warm_up_params *params,
                       size_t count)
{
    struct listing listing = {params, warm_up, 0};
    warm_up->blocks = calloc(count, sizeof *warm_up->blocks);
    warm_up->set.blocks = calloc(count, sizeof *warm_up->set.blocks);
    if (warm_up->blocks == NULL || warm_up->set.blocks == NULL)
        return -ENOMEM;
    mv_block_for_each(params->blocks, list_block, &listing);
    warm_up->set.count = count;
    return 0;
}

static int start_thread(struct mv_warm_up *warm_up)
{
    sigset_t all, before;
    mv_fault_fill_mask(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int errnum = pthread_create(&warm_up->thread, NULL, warm_up_thread, warm_up);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return -errnum;
}

static void free_warm_up(struct mv_warm_up *warm_up)
{
    mv_working_set_clear(&warm_up->set);
    pthread_cond_destroy(&warm_up->changed);
    pthread_mutex_destroy(&warm_up->lock);
    free(warm_up->set.blocks);
    free(warm_up->blocks);
    free(warm_up->path);
    free(warm_up);
}

int mv_warm_up_begin(const struct mv_warm_up_params *params, struct mv_warm_up **ret,
                     struct mv_error *err)
{
    struct listing listing = {.params = params};
    mv_block_for_each(params->blocks, list_block, &listing);
    *ret = NULL;
    if (listing.count == 0)
        return 0;
    struct mv_warm_up *warm_up = calloc(1, sizeof *warm_up);
    if (warm_up == NULL)
        return mv_error_set_errno(err, ENOMEM, "the working set");
    pthread_mutex_init(&warm_up->lock, NULL);
    pthread_cond_init(&warm_up->changed, NULL);
    warm_up->fd = params->fd;
    memcpy(warm_up->set.id, params->id, sizeof warm_up->set.id);
    int r = list_blocks(warm_up, params, listing.count);
    if (r == 0 && asprintf(&warm_up->path, "%s" SUFFIX, params->path) < 0) {
        warm_up->path = NULL;
        r = -ENOMEM;
    }
    for (size_t i = 0; i < warm_up->set.count && r == 0; i++)
        r = mv_touch_log_begin(warm_up->blocks[i], err);
    if (r == 0)
        r = start_thread(warm_up);
    if (r < 0) {
        for (size_t i = 0; i < warm_up->set.count; i++)
            mv_touch_log_stop(warm_up->blocks[i]);
        free_warm_up(warm_up);
        return mv_error_set_errno(err, -r, "the working set");
    }
    *ret = warm_up;
    return 0;
}

static void count_faults(const struct mv_warm_up *warm_up, uint64_t *ret_minor, uint64_t *ret_major)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    *ret_minor = (uint64_t)usage.ru_minflt - atomic_load(&warm_up->bring.minor);
    *ret_major = (uint64_t)usage.ru_majflt - atomic_load(&warm_up->bring.major);
}

void mv_warm_up_help(struct mv_warm_up *warm_up)
{
    if (warm_up == NULL)
        return;
    uint64_t until = mv_now_ns() + HELP_NS;
    struct timespec at = {(time_t)(until / 1000000000), (long)(until % 1000000000)};
    MV_LOCK_SCOPE(&warm_up->lock);
    while (warm_up->stage == READING &&
           pthread_cond_clockwait(&warm_up->changed, &warm_up->lock, CLOCK_MONOTONIC, &at) == 0)
        continue;
    if (warm_up->stage != CACHED)
        return;
    warm_up->helped = true;
    pthread_mutex_unlock(&warm_up->lock);
    mv_bring_cached(&warm_up->bring, HELP_NS);
    pthread_mutex_lock(&warm_up->lock);
    warm_up->helped = false;
    pthread_cond_signal(&warm_up->changed);
}

void mv_warm_up_run(struct mv_warm_up *warm_up, bool running)
{
    if (warm_up == NULL)
        return;
    MV_LOCK_SCOPE(&warm_up->lock);
    if (running && !warm_up->has_run) {
        warm_up->has_run = true;
        warm_up->cpu_ns = process_cpu_ns();
        count_faults(warm_up, &warm_up->minor, &warm_up->major);
    }
    warm_up->running = running;
    pthread_cond_signal(&warm_up->changed);
}

void mv_warm_up_end(struct mv_warm_up *warm_up)
{
    if (warm_up == NULL)
        return;
    atomic_store(&warm_up->bring.cancelled, true);
    pthread_mutex_lock(&warm_up->lock);
    warm_up->ended = true;
    pthread_cond_signal(&warm_up->changed);
    pthread_mutex_unlock(&warm_up->lock);
    pthread_join(warm_up->thread, NULL);
    free_warm_up(warm_up);
}

/* The counts of a piece that is being brought come a moment late. */
static uint64_t more_than(uint64_t now, uint64_t before)
{
    return now > before ? now - before : 0;
}

void mv_warm_up_figures(const struct mv_warm_up *warm_up, struct mv_warm_up_figures *ret)
{
    uint64_t minor, major;
    *ret = (struct mv_warm_up_figures){0};
    if (warm_up == NULL)
        return;
    count_faults(warm_up, &minor, &major);
    ret->set_bytes = atomic_load(&warm_up->set_bytes);
    ret->brought_bytes = atomic_load(&warm_up->bring.bytes);
    ret->done_ns = atomic_load(&warm_up->done_ns);
    if (warm_up->has_run) {
        ret->minor_faults = more_than(minor, warm_up->minor);
        ret->major_faults = more_than(major, warm_up->major);
    }
}
