/* SPDX-License-Identifier: Apache-2.0 */
#include "policy.h"

#include "block-registry.h"
#include "cleanup.h"
#include "host-map.h"
#include "log.h"
#include "size.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

/*
 * --- threads that bring a block's pages into memory: prealloc=on, lock=on.  They take
 * pieces in turn, so that none waits for another, and live no longer than the call.
 */

#define THREADS_MAX 16
/* Small pieces make the bar move and Ctrl-C quick; large ones make fewer system calls. */
#define PIECE (64 * MV_MIB)

struct work {
    const struct mv_block *block;
    int (*bring)(const struct mv_block *block, uint64_t offset, uint64_t len);
    struct mv_progress progress;
    _Atomic uint64_t next;
    atomic_int result; /* the first negative errno */
};

static void *take_pieces(void *opaque)
{
    struct work *work = opaque;
    uint64_t size = work->block->size;
    while (atomic_load(&work->result) == 0) {
        uint64_t offset = atomic_fetch_add(&work->next, PIECE);
        if (offset >= size)
            break;
        uint64_t len = size - offset < PIECE ? size - offset : PIECE;
        int none = 0;
        int r = mv_progress_cancelled() ? -ECANCELED : work->bring(work->block, offset, len);
        if (r < 0)
            atomic_compare_exchange_strong(&work->result, &none, r);
        else
            mv_progress_add(&work->progress, len);
    }
    return NULL;
}

/*
 * Call `bring` for the whole of a mapped block, in pieces of some MiB, in as many
 * threads as there are processors, this one among them; a bar on a terminal says that
 * the block is `doing`.  The first negative errno ends it, and -ECANCELED where the
 * user does (log.h).
 */
static int populate(const struct mv_block *block, const char *doing,
                    int (*bring)(const struct mv_block *block, uint64_t offset, uint64_t len))
{
    struct work work = {.block = block, .bring = bring};
    pthread_t threads[THREADS_MAX];
    char what[64];
    unsigned count = 0;
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    snprintf(what, sizeof what, "%s: %s", block->id, doing);
    mv_progress_begin(&work.progress, what, block->size);
    while (count + 1 < processors && count < THREADS_MAX &&
           pthread_create(&threads[count], NULL, take_pieces, &work) == 0)
        count++;
    take_pieces(&work);
    while (count > 0)
        pthread_join(threads[--count], NULL);
    mv_progress_end(&work.progress);
    return atomic_load(&work.result);
}

#define THP_ENABLED "/sys/kernel/mm/transparent_hugepage/enabled"
#define KSM_RUN     "/sys/kernel/mm/ksm/run"

/* Linux 5.14; older headers have not got them. */
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ  22
#define MADV_POPULATE_WRITE 23
#endif

/* Whether the first line of a file of the kernel's has the word in it. */
static bool kernel_says(const char *path, const char *word)
{
    char line[128];
    CLEANUP_FCLOSE FILE *file = fopen(path, "re");
    return file != NULL && fgets(line, sizeof line, file) != NULL && strstr(line, word) != NULL;
}

/* --- advice */

struct advice {
    const char *key;
    int on, off;                /* madvise(2)'s advice, or -1 for nothing to do */
    unsigned on_flag, off_flag; /* of host-map.h */
    const char *refused;        /* why the kernel may not have taken it */
};
static const struct advice thp = {
    "thp",
    MADV_HUGEPAGE,
    MADV_NOHUGEPAGE,
    MV_HOST_MAP_HUGE,
    MV_HOST_MAP_NO_HUGE,
    "the host's kernel has no transparent huge pages for such memory"};
static const struct advice merge = {
    "merge",
    MADV_MERGEABLE,
    MADV_UNMERGEABLE,
    MV_HOST_MAP_MERGEABLE,
    0,
    "the host merges pages of private memory alone (KSM): leave out memfd=, file=, hugetlb= and "
    "share="};
static const struct advice dump = {
    "dump", MADV_DODUMP,         MADV_DONTDUMP,
    0,      MV_HOST_MAP_NO_DUMP, "the host's kernel does not keep such memory out of core dumps"};

static int advise(const struct mv_block *block, const struct advice *advice,
                  enum mv_config_switch wish, struct mv_error *err)
{
    bool on = wish == MV_SWITCH_ON;
    unsigned flag = on ? advice->on_flag : advice->off_flag;
    struct mv_host_map map;
    bool failed = madvise(block->host, block->size, on ? advice->on : advice->off) < 0 && flag != 0;
    int errnum = failed ? errno : ENOTSUP;
    int r = failed ? 0 : mv_host_map_measure(block->host, block->size, &map, err);
    if (r < 0 || (!failed && (map.all & flag) == flag))
        return r;
    return mv_error_set(err, errnum, "%s=%s: %s", advice->key, on ? "on" : "off", advice->refused);
}

static int set_thp(const struct mv_block *block, enum mv_config_switch wish, struct mv_error *err)
{
    if (wish == MV_SWITCH_ON && kernel_says(THP_ENABLED, "[never]"))
        return mv_error_set(err, ENOTSUP,
                            "thp=on: transparent huge pages are off on this host: type 'echo "
                            "madvise > " THP_ENABLED "'");
    return advise(block, &thp, wish, err);
}

static int set_merge(const struct mv_block *block, enum mv_config_switch wish, struct mv_error *err)
{
    int r = advise(block, &merge, wish, err);
    if (r == 0 && wish == MV_SWITCH_ON && !kernel_says(KSM_RUN, "1"))
        mv_warn("block %s: merge=on waits for the host's KSM, which does not run: type 'echo 1 "
                "> " KSM_RUN "'",
                block->id);
    return r;
}

static int set_dump(const struct mv_block *block, enum mv_config_switch wish, struct mv_error *err)
{
    return advise(block, &dump, wish, err);
}

/* --- locking */

static int refuse_lock(const struct mv_block *block, int errnum, struct mv_error *err)
{
    char remedy[MV_RLIMIT_REMEDY];
    struct rlimit rlimit;
    uint64_t all = mv_block_registry_locked(block);
    if (getrlimit(RLIMIT_MEMLOCK, &rlimit) == 0 && rlimit.rlim_cur != RLIM_INFINITY &&
        rlimit.rlim_cur < all)
        return mv_error_set(err, errnum,
                            "lock=on: %s cannot be locked, the limit of this user is %s: %s",
                            mv_size_text(all), mv_size_text(rlimit.rlim_cur),
                            mv_rlimit_remedy(RLIMIT_MEMLOCK, all, remedy));
    return mv_error_set(err, errnum,
                        "lock=on: the host cannot keep %s in memory: %s: give a smaller bank, or "
                        "leave lock=on out",
                        mv_size_text(block->size), strerror(errnum));
}

/* As mlock does it: shared pages are only read, so that a disk need not have room for them. */
static int bring_locked(const struct mv_block *block, uint64_t offset, uint64_t len)
{
    int advice = block->backing->share ? MADV_POPULATE_READ : MADV_POPULATE_WRITE;
    return madvise(block->host + offset, len, advice) < 0 ? -errno : 0;
}

/*
 * mlock alone would bring the pages in one thread, with no bar and no Ctrl-C.  So there
 * are three steps: mlock2 with MLOCK_ONFAULT, which says whether the limit allows it
 * before anything is allocated; threads that bring the pages; and mlock2 for good.
 * (mlock2, because the sanitizers turn mlock into nothing.)  Pages of the pool of huge
 * pages are never swapped and count for no limit: there it is enough to bring them.
 */
static int begin_lock(const struct mv_block *block, enum mv_config_switch wish,
                      struct mv_error *err)
{
    if (wish == MV_SWITCH_ON && !mv_backing_is_huge(block->backing) &&
        mlock2(block->host, block->size, MLOCK_ONFAULT) < 0)
        return refuse_lock(block, errno, err);
    return 0;
}

static int lock(const struct mv_block *block, enum mv_config_switch wish, struct mv_error *err)
{
    struct mv_host_map map;
    if (wish != MV_SWITCH_ON)
        return 0;
    int r = populate(block, "locking", bring_locked);
    if (r == -ECANCELED)
        return mv_error_set(err, ECANCELED, "lock=on: interrupted");
    if (mv_backing_is_huge(block->backing))
        return r < 0 ? refuse_lock(block, -r, err) : 0;
    if (mlock2(block->host, block->size, 0) < 0) /* told better than by r */
        return refuse_lock(block, errno, err);
    r = mv_host_map_measure(block->host, block->size, &map, err);
    if (r == 0 && !(map.all & MV_HOST_MAP_LOCKED))
        return refuse_lock(block, ENOMEM, err);
    return r;
}

/* --- allocation beforehand */

static int bring_written(const struct mv_block *block, uint64_t offset, uint64_t len)
{
    return mv_backing_populate(block->backing, block->host, offset, len);
}

static int prealloc(const struct mv_block *block, enum mv_config_switch wish, struct mv_error *err)
{
    if (wish != MV_SWITCH_ON)
        return 0;
    int r = populate(block, "allocating", bring_written);
    if (r == -ECANCELED)
        return mv_error_set(err, ECANCELED, "prealloc=on: interrupted");
    if (r == -EFAULT && mv_map_refuse_pages(block->backing, block->size, err) < 0) {
        mv_error_prefix(err, "prealloc=on");
        return -ENOMEM;
    }
    if (r == -EFAULT && block->backing->fd >= 0) /* what a SIGBUS would tell */
        return mv_error_set(err, ENOSPC,
                            "prealloc=on: there is no room for %s where its bytes are kept: make "
                            "room in that file system, or leave prealloc=on out",
                            mv_size_text(block->size));
    if (r < 0)
        return mv_error_set(err, -r,
                            "prealloc=on: the host cannot give %s: %s: give a smaller bank, or "
                            "leave prealloc=on out",
                            mv_size_text(block->size), strerror(-r));
    return 0;
}

#define WISH(name) offsetof(struct mv_config_backing, name)

static const struct {
    size_t wish;
    int (*apply)(const struct mv_block *block, enum mv_config_switch wish, struct mv_error *err);
} steps[] = {
    {WISH(thp), set_thp},     {WISH(merge), set_merge},   {WISH(dump), set_dump},
    {WISH(lock), begin_lock}, {WISH(prealloc), prealloc}, {WISH(lock), lock},
};

int mv_policy_apply(struct mv_block *block, const struct mv_config_backing *wish,
                    struct mv_error *err)
{
    int r = mv_numa_policy_apply(block, wish, err);
    for (size_t i = 0; r == 0 && i < sizeof steps / sizeof steps[0]; i++) {
        const enum mv_config_switch *said = (const void *)((const char *)wish + steps[i].wish);
        if (*said != MV_SWITCH_DEFAULT)
            r = steps[i].apply(block, *said, err);
    }
    return r;
}
