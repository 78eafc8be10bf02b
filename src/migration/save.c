/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The thread that saves has the main thread do steps of it (main-step.h), so that both never
 * touch the save at once.
 */
#include "save.h"

#include "block-info.h"
#include "block.h"
#include "cleanup.h"
#include "machine.h"
#include "main-step.h"
#include "os.h"
#include "output-file.h"
#include "ram-writer.h"
#include "save-file.h"
#include "statefile.h"
#include "track.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct mv_save {
    struct mv_machine *machine;
    struct mv_main_step step;
    char *path;
    struct mv_output_file *file;
    char *base;                   /* the state that this one builds on, or NULL; */
    const struct mv_track *since; /* what the guest wrote since that */
    int fd;                       /* of the file once it is complete; -1 */
    uint64_t end;                 /* the file's length */
    bool live;
    bool stays; /* the guest is not let go again, once the file is complete */
    const atomic_bool *cancelled;
    /* Whoever has the turn: */
    struct mv_save_plan plan;
    struct mv_save_plan before; /* the plan of a live copy, whose bytes the writer has */
    struct mv_ram_writer *writer;
    struct mv_save_objects objects;
    uint64_t began_ns, stopped_ns, pause_ns;
    /* The main thread's: */
    struct mv_track *track; /* what the guest writes from now on */
    bool holds;             /* paused the guest, which ran */
    uint64_t stops;         /* the machine's then */
    bool still;             /* the guest has to be, from here on */
    bool complete;          /* the file is in its place */
};

/* --- steps of the main thread */

static bool is_cancelled(const struct mv_save *save)
{
    return atomic_load(save->cancelled);
}

static int refuse_cancelled(const struct mv_save *save, struct mv_error *err)
{
    return mv_error_set(err, ECANCELED, "'%s' is not written: that was cancelled", save->path);
}

static int have_done(struct mv_save *save, mv_main_step_fn *fn, struct mv_error *err)
{
    int r = mv_main_step_do(&save->step, fn, save, save->cancelled, err);
    return r == -ECANCELED ? refuse_cancelled(save, err) : r;
}

static int make_plan(const struct mv_save *save, struct mv_save_plan *plan, struct mv_error *err)
{
    int r = mv_save_plan_make(plan, save->machine, err);
    return r < 0 || save->base == NULL ? r : mv_track_apply(save->since, save->base, plan, err);
}

static int make_writer(struct mv_save *save, bool live, struct mv_error *err)
{
    const struct mv_ram_writer_params params = {
        .fd = mv_output_file_fd(save->file),
        .file = save->path,
        .parts = save->plan.parts,
        .count = save->plan.count,
        .space = live ? mv_machine_space(save->machine) : NULL,
        .cancelled = save->cancelled,
    };
    return mv_ram_writer_create(&params, &save->writer, err);
}

/* From here on the guest's writes are noted. */
static int begin_live(void *opaque, struct mv_error *err)
{
    struct mv_save *save = opaque;
    if (mv_machine_state(save->machine) != MV_MACHINE_RUNNING) {
        save->live = false;
        return 0;
    }
    int r = make_plan(save, &save->plan, err);
    return r < 0 ? r : make_writer(save, true, err);
}

/*
 * Devices may have come or gone with their blocks while the guest ran: then what was copied
 * has other places than it should, and all is copied again, now that it stands still.
 */
static int plan_stopped(struct mv_save *save, struct mv_error *err)
{
    struct mv_save_plan now = {0};
    int r = make_plan(save, &now, err);
    if (r == 0 && save->live && mv_save_plan_matches(&save->plan, &now)) {
        save->before = save->plan;
        save->plan = now;
        return 0;
    }
    mv_ram_writer_destroy(save->writer);
    save->writer = NULL;
    mv_save_plan_clear(&save->plan);
    save->plan = now;
    if (r == 0 && ftruncate(mv_output_file_fd(save->file), 0) < 0)
        r = mv_error_set_errno(err, errno, "cannot write '%s'", save->path);
    return r < 0 ? r : make_writer(save, false, err);
}

static int stop_guest(void *opaque, struct mv_error *err)
{
    struct mv_save *save = opaque;
    if (mv_machine_state(save->machine) == MV_MACHINE_RUNNING) {
        save->stopped_ns = mv_now_ns();
        save->holds = true;
        mv_machine_pause(save->machine);
        save->stops = mv_machine_stops(save->machine);
    }
    save->still = true;
    int r = mv_save_objects_take(&save->objects, save->machine, err);
    if (r == 0)
        r = plan_stopped(save, err);
    return r < 0 ? r
                 : mv_track_open(&save->plan, save->path, mv_machine_space(save->machine),
                                 &save->track, err);
}

static void let_go(struct mv_save *save)
{
    if (!save->holds)
        return;
    save->holds = false;
    if (mv_machine_stops(save->machine) == save->stops &&
        mv_machine_state(save->machine) != MV_MACHINE_ENDED)
        mv_machine_resume(save->machine);
    save->pause_ns = mv_now_ns() - save->stopped_ns;
}

/* All has been read. */
static int go_on(void *opaque, struct mv_error *err)
{
    struct mv_save *save = opaque;
    save->still = save->plan.shared || save->stays;
    if (!save->still)
        let_go(save);
    return 0;
}

/* --- all of it */

static int write_rest(struct mv_save *save, struct mv_error *err)
{
    int r = mv_save_file_end(mv_output_file_fd(save->file), &save->plan, save->writer,
                             &save->objects, &save->end, err);
    if (r < 0)
        mv_error_prefix(err, "'%s'", save->path);
    return r;
}

static int commit(struct mv_save *save, struct mv_error *err)
{
    if (is_cancelled(save))
        return refuse_cancelled(save, err);
    CLEANUP_CLOSE int fd = fcntl(mv_output_file_fd(save->file), F_DUPFD_CLOEXEC, 0);
    if (fd < 0)
        return mv_error_set_errno(err, errno, "'%s'", save->path);
    int r = mv_output_file_commit(save->file, err);
    save->complete = r == 0;
    if (r == 0) {
        save->fd = fd;
        fd = -1;
    } else if (save->plan.shared) {
        /* It may be in its place all the same, and the guest goes on. */
        struct mv_error ignored;
        mv_statefile_mark(fd, MV_STATEFILE_STALE, &ignored);
    }
    return r;
}

/* Memory of a device that is gone is no reason to give up: it is not looked for any more. */
static int copy_live(struct mv_save *save, struct mv_error *err)
{
    int r = have_done(save, begin_live, err);
    if (r < 0 || !save->live)
        return r;
    r = mv_ram_writer_copy_live(save->writer, err);
    save->live = r == 0;
    return r == -ESTALE ? 0 : r;
}

static int do_steps(struct mv_save *save, struct mv_error *err)
{
    int r = save->live ? copy_live(save, err) : 0;
    if (r == 0)
        r = have_done(save, stop_guest, err);
    if (r == 0)
        r = mv_ram_writer_copy_rest(save->writer, err);
    if (r == 0)
        r = have_done(save, go_on, err);
    if (r == 0)
        r = mv_ram_writer_sum(save->writer, err);
    if (r == 0)
        r = write_rest(save, err);
    return r < 0 ? r : commit(save, err);
}

int mv_save_run(struct mv_save *save, const atomic_bool *cancelled, struct mv_save_figures *ret,
                struct mv_error *err)
{
    save->cancelled = cancelled;
    save->began_ns = mv_now_ns();
    int r = do_steps(save, err);
    if (r < 0)
        return r;
    *ret = (struct mv_save_figures){.length = save->end,
                                    .ns = mv_now_ns() - save->began_ns,
                                    .pause_ns = save->pause_ns,
                                    .stays_paused = save->plan.shared};
    const struct mv_save_progress progress = mv_save_progress(save);
    ret->written = progress.written;
    ret->passes = progress.passes;
    ret->shared = progress.shared;
    for (size_t i = 0; i < save->plan.manifest.block_count; i++)
        ret->memory += save->plan.manifest.blocks[i].saved ? save->plan.manifest.blocks[i].size : 0;
    return 0;
}

/* --- what others see */

bool mv_save_needs_pause(const struct mv_save *save)
{
    return save->still;
}

const char *mv_save_path(const struct mv_save *save)
{
    return save->path;
}

struct mv_save_progress mv_save_progress(const struct mv_save *save)
{
    if (save->writer == NULL)
        return (struct mv_save_progress){0};
    const struct mv_ram_progress *progress = mv_ram_writer_progress(save->writer);
    return (struct mv_save_progress){
        .total = atomic_load(&progress->total),
        .done = atomic_load(&progress->done),
        .written = atomic_load(&progress->written),
        .shared = atomic_load(&progress->shared),
        .passes = atomic_load(&progress->passes),
    };
}

int mv_save_take_fd(struct mv_save *save)
{
    int fd = save->fd;
    save->fd = -1;
    return fd;
}

struct mv_track *mv_save_take_track(struct mv_save *save)
{
    struct mv_track *track = save->complete ? save->track : NULL;
    if (save->complete)
        save->track = NULL;
    return track;
}

/* --- life */

struct search {
    struct stat st;
    const char *found;
};

static void look(struct mv_block *block, void *opaque)
{
    struct search *search = opaque;
    struct mv_block_file file;
    /* The state that a guest goes on from is its own to replace: it is there without a name, too.
     */
    if (!mv_block_is_placed(block) && mv_block_identify(block, &file) &&
        file.device == search->st.st_dev && file.inode == search->st.st_ino)
        search->found = block->id;
}

/* States alone are replaced, whatever else a slip of the hand may name. */
static int check_old(const char *path, struct mv_error *err)
{
    CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return mv_error_set_errno(
            err, errno, "cannot see whether '%s' is a state file, and may be replaced", path);
    return mv_statefile_is_one(fd)
               ? 0
               : mv_error_set(err, EEXIST,
                              "'%s' is there and no state file, and so is not replaced: remove it, "
                              "or name another file",
                              path);
}

/* A guest would lose its memory's name, or a user what is no state. */
static int check_path(const struct mv_save_params *params, struct mv_error *err)
{
    struct search search = {.found = NULL};
    if (stat(params->path, &search.st) < 0)
        return 0; /* the file says so where it matters */
    mv_block_for_each(mv_machine_blocks(params->machine), look, &search);
    if (search.found != NULL)
        return mv_error_set(err, EINVAL,
                            "'%s' has the bytes of the guest's block %s: name another file",
                            params->path, search.found);
    return S_ISREG(search.st.st_mode) && search.st.st_size > 0 ? check_old(params->path, err) : 0;
}

int mv_save_create(const struct mv_save_params *params, struct mv_save **ret, struct mv_error *err)
{
    const struct mv_track *since = NULL;
    int r = check_path(params, err);
    if (r == 0 && params->base != NULL)
        r = mv_tracks_find(params->tracks, params->base, params->path, &since, err);
    if (r < 0)
        return r;
    struct mv_save *save = calloc(1, sizeof *save);
    if (save == NULL)
        return mv_error_set_errno(err, ENOMEM, "saving");
    save->machine = params->machine;
    mv_main_step_init(&save->step, params->loop);
    save->live = params->live;
    save->stays = params->stays;
    save->fd = -1;
    save->since = since;
    save->base = params->base == NULL ? NULL : strdup(params->base);
    save->path = strdup(params->path);
    r = save->path == NULL || (params->base != NULL && save->base == NULL)
            ? mv_error_set_errno(err, ENOMEM, "saving")
            : mv_output_file_create(params->path, &save->file, err);
    if (r < 0)
        mv_save_destroy(save);
    else
        *ret = save;
    return r;
}

void mv_save_destroy(struct mv_save *save)
{
    if (save == NULL)
        return;
    /* Memory outside of the file has to stay as it is. */
    if (!save->complete || !(save->plan.shared || save->stays))
        let_go(save);
    mv_main_step_end(&save->step);
    mv_ram_writer_destroy(save->writer);
    mv_track_close(save->track);
    mv_save_plan_clear(&save->plan);
    mv_save_plan_clear(&save->before);
    mv_output_file_destroy(save->file);
    mv_cleanup_close(&save->fd);
    mv_save_objects_clear(&save->objects);
    free(save->base);
    free(save->path);
    free(save);
}
