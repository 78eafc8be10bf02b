/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The side of the guest that is forked.  The thread of the caller's brings small pages
 * together, has the main thread fork, and listens to what the clones tell; the two meet under
 * the fork's lock.
 */
#include "fork-parts.h"

#include "backing.h"
#include "block-collapse.h"
#include "block-info.h"
#include "block.h"
#include "cleanup.h"
#include "loop.h"
#include "os.h"
#include "size.h"
#include "state.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

/*
 * A fork copies an entry for each page: a guest that has no more of them than this is not
 * worth the time that it takes to bring pages together, which may be seconds.  Else all but
 * a rest are, so that little of a processor is enough for the fork: a main thread
 * that is made to wait for one meanwhile has its guest wait, too.
 */
#define SMALL_GUEST (128 * MV_MIB)
#define SMALL_PAGES (16 * MV_MIB)
#define COLLAPSE_NS (UINT64_C(5) * 1000 * 1000 * 1000)

#define LOOK_MS 20 /* how often a thread that waits sees that it is to end */

_Static_assert(sizeof(struct mv_fork_report) <= PIPE_BUF, "reports do not mix");

/* --- what is asked for */

static int take_names(struct mv_fork *fork, const struct mv_fork_params *params,
                      struct mv_error *err)
{
    fork->clones = calloc(params->count, sizeof *fork->clones);
    if (fork->clones == NULL)
        return mv_error_set_errno(err, ENOMEM, "%zu clones", params->count);
    for (; fork->count < params->count; fork->count++) {
        const char *name = params->names[fork->count];
        for (size_t i = 0; i < fork->count; i++) {
            if (strcmp(fork->clones[i].name, name) == 0)
                return mv_error_set(err, EEXIST, "two clones would be named '%s'", name);
        }
        fork->clones[fork->count].name = strdup(name);
        if (fork->clones[fork->count].name == NULL)
            return mv_error_set_errno(err, ENOMEM, "a clone's name");
    }
    return 0;
}

static int take_serial(struct mv_fork *fork, const struct mv_config *serial, struct mv_error *err)
{
    if (serial == NULL)
        return 0;
    fork->has_serial = true;
    fork->serial = serial->serial;
    if (serial->serial == MV_SERIAL_STDIO)
        return mv_error_set(err, EINVAL,
                            "a clone has no standard input: choose none, file:PATH or unix:PATH");
    if (serial->serial_path == NULL)
        return 0;
    if (fork->count > 1 && strstr(serial->serial_path, "%n") == NULL)
        return mv_error_set(err, EINVAL,
                            "%zu consoles cannot be at '%s': write %%n where each clone's name "
                            "is to stand",
                            fork->count, serial->serial_path);
    fork->serial_path = strdup(serial->serial_path);
    return fork->serial_path == NULL ? mv_error_set_errno(err, ENOMEM, "a console's path") : 0;
}

struct listing {
    struct mv_fork *fork;
    int result;
    struct mv_error *err;
};

static void check_block(struct mv_block *block, void *opaque)
{
    struct listing *listing = opaque;
    const struct mv_backing *backing = block->backing;
    if (listing->result < 0)
        return;
    if (backing->writes_back || block->paging.takes_back)
        listing->result =
            mv_error_set(listing->err, EBUSY,
                         "block %s is %s %s (%s), which its clones cannot have: save the guest, "
                         "and restore it without that",
                         block->id, backing->writes_back ? "written back to" : "dropped and had of",
                         backing->what, backing->writes_back ? "share=on" : "cache=");
    else if (backing->share && !listing->fork->keep_shared)
        listing->result = mv_error_set(
            listing->err, EBUSY,
            "block %s is shared (%s): guest and clones would write to the same memory: type "
            "--share keep where that is meant",
            block->id, backing->what);
}

/* Devices come and go: so this is looked at again when it comes to the fork. */
static int check_shared(struct mv_fork *fork, struct mv_error *err)
{
    struct listing listing = {fork, 0, err};
    mv_block_for_each(mv_machine_blocks(fork->machine), check_block, &listing);
    return listing.result;
}

static void check_here(struct mv_block *block, void *opaque)
{
    struct listing *listing = opaque;
    uint64_t absent = mv_paging_absent(block);
    if (listing->result == 0 && absent > 0)
        listing->result = mv_error_set(
            listing->err, EAGAIN,
            "block %s: %s of it are still to come from %s, and its clones would wait for them "
            "for ever: try again",
            block->id, mv_size_text(absent), mv_paging_source_name(block));
}

/* Those that came meanwhile, with a device that was plugged, have not been fetched. */
static int check_absent(struct mv_fork *fork, struct mv_error *err)
{
    struct listing listing = {fork, 0, err};
    mv_block_for_each(mv_machine_blocks(fork->machine), check_here, &listing);
    return listing.result;
}

static void list_block(struct mv_block *block, void *opaque)
{
    struct listing *listing = opaque;
    struct mv_fork *fork = listing->fork;
    if (listing->result < 0)
        return;
    struct mv_fork_block *more =
        reallocarray(fork->blocks, fork->block_count + 1, sizeof *fork->blocks);
    char *id = strdup(block->id);
    if (more != NULL)
        fork->blocks = more;
    if (more != NULL && id != NULL)
        more[fork->block_count++] = (struct mv_fork_block){id, block->generation};
    else
        listing->result = mv_error_set_errno(listing->err, ENOMEM, "the guest's blocks");
    if (more == NULL)
        free(id);
}

int mv_fork_create(const struct mv_fork_params *params, struct mv_fork **ret, struct mv_error *err)
{
    struct mv_fork *fork = calloc(1, sizeof *fork);
    if (fork == NULL)
        return mv_error_set_errno(err, ENOMEM, "a fork");
    *fork = (struct mv_fork){.machine = params->machine,
                             .loop = params->loop,
                             .paused = params->paused,
                             .keep_shared = params->keep_shared,
                             .run = params->run,
                             .told = params->told,
                             .opaque = params->opaque,
                             .reports = {-1, -1}};
    pthread_mutex_init(&fork->lock, NULL);
    pthread_cond_init(&fork->changed, NULL);
    int r = take_names(fork, params, err);
    if (r == 0)
        r = take_serial(fork, params->serial, err);
    if (r == 0)
        r = check_shared(fork, err);
    struct listing listing = {fork, r, err};
    mv_block_for_each(mv_machine_blocks(fork->machine), list_block, &listing);
    if (listing.result < 0)
        mv_fork_destroy(fork);
    else
        *ret = fork;
    return listing.result;
}

static void forget_saved(struct mv_fork *fork)
{
    while (fork->saved_count > 0) {
        const struct mv_machine_saved *saved = &fork->saved[--fork->saved_count];
        free((char *)(uintptr_t)saved->path);
        free((uint8_t *)(uintptr_t)saved->bytes);
    }
    free(fork->saved);
    fork->saved = NULL;
}

void mv_fork_destroy(struct mv_fork *fork)
{
    mv_loop_forget(fork->loop, fork);
    mv_cleanup_close(&fork->reports[0]);
    mv_cleanup_close(&fork->reports[1]);
    forget_saved(fork);
    while (fork->block_count > 0)
        free(fork->blocks[--fork->block_count].id);
    free(fork->blocks);
    for (size_t i = 0; fork->clones != NULL && i < fork->count; i++)
        free(fork->clones[i].name);
    free(fork->clones);
    free(fork->serial_path);
    pthread_cond_destroy(&fork->changed);
    pthread_mutex_destroy(&fork->lock);
    free(fork);
}

/* --- the main thread's step */

static int save_part(void *opaque, const char *path, const struct mv_state_table *table,
                     void *object, struct mv_error *err)
{
    struct mv_fork *fork = opaque;
    size_t len = mv_state_size(table);
    struct mv_machine_saved *more =
        reallocarray(fork->saved, fork->saved_count + 1, sizeof *fork->saved);
    if (more == NULL)
        return mv_error_set_errno(err, ENOMEM, "%s", path);
    fork->saved = more;
    char *copy = strdup(path);
    uint8_t *bytes = malloc(len);
    if (copy == NULL || bytes == NULL) {
        free(copy);
        free(bytes);
        return mv_error_set_errno(err, ENOMEM, "%s", path);
    }
    mv_state_save(table, object, bytes);
    more[fork->saved_count++] =
        (struct mv_machine_saved){copy, table->type, table->version, bytes, len};
    return 0;
}

/* The C library keeps its own locks from being held; those of blocks are ours to keep so. */
static int spawn(struct mv_fork *state, struct mv_error *err)
{
    struct mv_block_registry *blocks = mv_machine_blocks(state->machine);
    mv_block_fork_begin(blocks);
    pid_t pid = fork();
    int errnum = errno;
    mv_block_fork_end(blocks);
    if (pid == 0)
        mv_fork_template(state);
    if (pid < 0)
        return mv_error_set_errno(err, errnum, "cannot fork");
    state->template = pid;
    return 0;
}

/* The guest that is forked goes on, whatever came of it. */
static int fork_machine(struct mv_fork *fork, struct mv_error *err)
{
    struct mv_machine *machine = fork->machine;
    bool ran = mv_machine_state(machine) == MV_MACHINE_RUNNING;
    int r = check_shared(fork, err);
    if (r == 0)
        r = check_absent(fork, err);
    /* Clones go on with memory that stays outside of a saved state, as the guest would. */
    if (r == 0 && fork->keep_shared)
        r = mv_machine_check_change(machine, err);
    if (r < 0)
        return r;
    if (pipe2(fork->reports, O_CLOEXEC) < 0)
        return mv_error_set_errno(err, errno, "a pipe to the clones");
    fork->stopped_ns = mv_now_ns();
    if (ran)
        mv_machine_pause(machine);
    r = mv_machine_save_objects(machine, save_part, fork, err);
    if (r == 0)
        r = spawn(fork, err);
    if (ran) {
        mv_machine_resume(machine);
        fork->pause_ns = mv_now_ns() - fork->stopped_ns;
    }
    mv_cleanup_close(&fork->reports[1]);
    forget_saved(fork);
    return r;
}

static void step(void *opaque)
{
    struct mv_fork *fork = opaque;
    {
        MV_LOCK_SCOPE(&fork->lock);
        if (fork->dropped)
            return;
    }
    int r = fork_machine(fork, &fork->err);
    MV_LOCK_SCOPE(&fork->lock);
    fork->result = r;
    fork->stepped = true;
    pthread_cond_signal(&fork->changed);
}

/* --- the caller's thread */

static void collapse(struct mv_fork *fork, const atomic_bool *cancelled)
{
    struct mv_block_registry *blocks = mv_machine_blocks(fork->machine);
    uint64_t all = 0, leave = SMALL_PAGES, until = mv_thread_cpu_ns() + COLLAPSE_NS;
    for (size_t i = 0; i < 2 * fork->block_count && (i < fork->block_count || all > SMALL_GUEST);
         i++) {
        const struct mv_fork_block *wanted = &fork->blocks[i % fork->block_count];
        struct mv_block *block = mv_block_pin_generation(blocks, wanted->id, wanted->generation);
        if (block == NULL)
            continue;
        if (i < fork->block_count)
            all += mv_block_collapsible(block);
        else
            mv_block_collapse(block, &leave, until, cancelled);
        mv_block_unpin(block);
    }
}

/* Clones have no source: all that comes later (paging.h) comes before. */
static int fetch(struct mv_fork *fork, const atomic_bool *cancelled, struct mv_error *err)
{
    struct mv_block_registry *blocks = mv_machine_blocks(fork->machine);
    struct mv_block_fault fault;
    int r = 0;
    for (size_t i = 0; i < fork->block_count && r == 0; i++) {
        const struct mv_fork_block *wanted = &fork->blocks[i];
        struct mv_block *block = mv_block_pin_generation(blocks, wanted->id, wanted->generation);
        uint64_t offset = 0, len;
        if (block == NULL)
            continue;
        r = mv_paging_fetch(&block->paging, 0, block->size, cancelled);
        if (r == -EIO && mv_paging_next_absent(block, &offset, &len)) {
            mv_block_fault_explain(block, offset, &fault);
            mv_error_set(err, EIO, "%s: %s", fault.what.text, fault.remedy.text);
        } else if (r < 0) {
            mv_error_set(err, -r, "the guest is not forked: it ends");
        }
        mv_block_unpin(block);
    }
    return r;
}

static int await_step(struct mv_fork *fork, const atomic_bool *cancelled, struct mv_error *err)
{
    mv_loop_defer(fork->loop, step, fork);
    MV_LOCK_SCOPE(&fork->lock);
    while (!fork->stepped) {
        struct timespec until;
        if (atomic_load(cancelled)) {
            fork->dropped = true;
            return mv_error_set(err, ECANCELED, "the guest is not forked: it ends");
        }
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += LOOK_MS * 1000000L;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        pthread_cond_timedwait(&fork->changed, &fork->lock, &until);
    }
    if (fork->result < 0)
        *err = fork->err;
    return fork->result;
}

static void take_report(struct mv_fork *fork, const struct mv_fork_report *report)
{
    struct mv_fork_clone *clone = &fork->clones[report->index];
    clone->pid = report->failed ? 0 : report->pid;
    if (report->failed)
        clone->failure = report->failure;
    atomic_fetch_add(report->failed ? &fork->failed : &fork->running, 1);
    if (fork->told != NULL)
        fork->told(fork->opaque);
}

void mv_fork_progress(struct mv_fork *fork, size_t *ret_running, size_t *ret_failed)
{
    *ret_running = atomic_load(&fork->running);
    *ret_failed = atomic_load(&fork->failed);
}

/* Until each has told, or no process is left that could. */
static void listen(struct mv_fork *fork, const atomic_bool *cancelled)
{
    struct pollfd readable = {.fd = fork->reports[0], .events = POLLIN};
    struct mv_fork_report report;
    size_t told = 0;
    while (told < fork->count && !atomic_load(cancelled)) {
        if (poll(&readable, 1, LOOK_MS) <= 0)
            continue;
        ssize_t n = read(fork->reports[0], &report, sizeof report);
        if (n == 0)
            break;
        if (n == (ssize_t)sizeof report && report.index < fork->count) {
            take_report(fork, &report);
            told++;
        }
    }
    if (told < fork->count && atomic_load(cancelled))
        kill(fork->template, SIGKILL); /* ours, since nobody has waited for it */
    while (waitpid(fork->template, NULL, 0) < 0 && errno == EINTR)
        ;
}

int mv_fork_run(struct mv_fork *fork, const atomic_bool *cancelled, struct mv_fork_result *ret,
                struct mv_error *err)
{
    uint64_t start = mv_now_ns();
    int r = fetch(fork, cancelled, err);
    if (r < 0)
        return r;
    collapse(fork, cancelled);
    r = await_step(fork, cancelled, err);
    if (r < 0)
        return r;
    listen(fork, cancelled);
    *ret = (struct mv_fork_result){
        .clones = fork->clones, .pause_ns = fork->pause_ns, .ns = mv_now_ns() - start};
    for (size_t i = 0; i < fork->count; i++) {
        struct mv_fork_clone *clone = &fork->clones[i];
        if (clone->pid == 0 && clone->failure.text[0] == '\0')
            mv_error_set(&clone->failure, ESRCH, "its process ended without a word");
        ret->failed += clone->pid == 0;
    }
    return 0;
}
