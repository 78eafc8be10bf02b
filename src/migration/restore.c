/* SPDX-License-Identifier: Apache-2.0 */
#include "restore.h"

#include "backing.h"
#include "block.h"
#include "cleanup.h"
#include "log.h"
#include "machine.h"
#include "os.h"
#include "ram-reader.h"
#include "ram-view.h"
#include "remote-file.h"
#include "restore-parts.h"
#include "statefile.h"
#include "warm-up.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

/* Linux takes 2047 bytes; an argument of a program may have 128 KiB. */
#define CMDLINE_MAX (128 * MV_KIB)

struct mv_restore {
    char *path; /* as it was given */
    char *real; /* from the root on */
    int fd;
    struct mv_remote_file remote; /* from which fd gets its bytes, where it is in an export */
    bool writable;
    enum mv_config_ram ram;
    struct mv_statefile file;
    struct mv_manifest manifest;
    struct mv_chain chain; /* of a file that builds on others, else empty */
    char *cmdline;
    struct mv_config config;
    struct mv_restore_given given;
    struct mv_machine *machine; /* while it is there */
    struct mv_machine_observer observer;
    struct mv_warm_up *warm_up;  /* NULL: its memory is not mapped from the file */
    bool marked;                 /* the file says that a guest runs on what it has */
    bool changed;                /* memory was, or is about to be */
    uint64_t begun_ns, first_ns; /* 0: not yet */
};

/* --- the file */

static int set_lock(struct mv_restore *restore, short type)
{
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_len = MV_RESTORE_LOCKED};
    if (fcntl(restore->fd, F_OFD_SETLK, &lock) == 0 || (errno != EAGAIN && errno != EACCES))
        return 0;
    return -EBUSY;
}

/* Where others only look at the file, or nobody else is there: a write lock. */
static int lock(struct mv_restore *restore, bool alone, struct mv_error *err)
{
    if (set_lock(restore, alone ? F_WRLCK : F_RDLCK) == 0)
        return 0;
    return mv_error_set(err, EBUSY,
                        alone ? "it is in use by another guest, which has its memory there: end "
                                "that one, or copy the file"
                              : "it is in use: a guest changes its memory there (--ram shared, or "
                                "memory in files of their own): end that one, and save it");
}

static int open_file(struct mv_restore *restore, struct mv_error *err)
{
    if (mv_remote_file_is_meant(restore->path)) {
        restore->real = strdup(restore->path);
        return mv_remote_file_open(restore->real, &restore->remote, &restore->fd, err);
    }
    const int flags = O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
    restore->fd = open(restore->path, O_RDWR | flags);
    restore->writable = restore->fd >= 0;
    if (restore->fd < 0)
        restore->fd = open(restore->path, O_RDONLY | flags);
    if (restore->fd < 0)
        return mv_error_set_errno(err, errno, "cannot open it");
    restore->real = realpath(restore->path, NULL);
    if (restore->real == NULL)
        return mv_error_set_errno(err, errno, "cannot look at it");
    return lock(restore, false, err);
}

static int check_status(const struct mv_restore *restore, struct mv_error *err)
{
    enum mv_statefile_status status = restore->file.status;
    if (status == MV_STATEFILE_STALE || status == MV_STATEFILE_RAM_STALE)
        return mv_error_set(err, ESTALE,
                            "it is stale: its guest's memory, in this file or in others, has gone "
                            "on since it was written: save the guest again");
    if (status == MV_STATEFILE_IN_USE || status == MV_STATEFILE_RAM_IN_USE)
        return mv_error_set(err, ESTALE,
                            "a guest ran on its memory, and ended without a word, as a killed "
                            "process does: what is there belongs to no state");
    return 0;
}

/* Where the state has what a reset boots; fd -1 where it has it not. */
static int find_image(const struct mv_restore *restore, const char *id,
                      struct mv_machine_image *ret, struct mv_error *err)
{
    const struct mv_manifest_block *block = mv_manifest_find_block(&restore->manifest, id);
    *ret = (struct mv_machine_image){.fd = -1};
    if (block == NULL || !block->saved)
        return 0;
    *ret = (struct mv_machine_image){restore->fd, block->offset, block->size};
    return restore->chain.count == 0
               ? mv_remote_file_fetch(&restore->remote, block->offset, block->size, err)
               : mv_restore_find_whole(&restore->chain, id, &ret->fd, &ret->offset, err);
}

static int read_cmdline(struct mv_restore *restore, struct mv_error *err)
{
    const struct mv_manifest_block *block =
        mv_manifest_find_block(&restore->manifest, MV_MANIFEST_CMDLINE);
    uint64_t size = block != NULL && block->saved ? block->size : 0;
    if (size > CMDLINE_MAX)
        return mv_error_set(err, E2BIG, "block %s: it has %llu bytes, and %llu are the most",
                            block->id, (unsigned long long)size, (unsigned long long)CMDLINE_MAX);
    restore->cmdline = calloc(1, size + 1);
    if (restore->cmdline == NULL)
        return mv_error_set_errno(err, ENOMEM, "the command line");
    struct mv_machine_image place;
    int r = find_image(restore, MV_MANIFEST_CMDLINE, &place, err);
    if (r < 0)
        return r;
    r = size == 0 ? 0 : mv_pread_all(place.fd, restore->cmdline, size, place.offset);
    if (r < 0)
        return mv_error_set_errno(err, r == -ENODATA ? EINVAL : -r, "block %s", block->id);
    if (strlen(restore->cmdline) < size)
        return mv_error_set(err, EINVAL, "block %s: a command line with a zero byte in it",
                            block->id);
    return 0;
}

static int read_state(struct mv_restore *restore, struct mv_error *err)
{
    int r = mv_statefile_read(restore->fd, &restore->file, err);
    if (r == 0)
        r = check_status(restore, err);
    if (r == 0)
        r = mv_manifest_parse(restore->file.manifest, restore->file.manifest_length,
                              restore->file.ram_length, &restore->manifest, err);
    if (r == 0 && restore->manifest.has_base && restore->remote.nbd == NULL)
        r = mv_restore_open_chain(restore->path, &restore->file, &restore->chain, err);
    if (r == 0 && restore->manifest.has_base && restore->ram == MV_RAM_SHARED)
        r = mv_error_set(err, EINVAL,
                         "--ram shared: it has only what changed since '%.200s' was written: type "
                         "'memvisor info %s --flatten OUT', which makes one file of them",
                         restore->manifest.base_path, restore->path);
    return r == 0 ? read_cmdline(restore, err) : r;
}

/* Whether memory that belongs to the state comes to be another's while the guest runs. */
static bool changes_memory(const struct mv_restore *restore)
{
    for (size_t i = 0; i < restore->manifest.block_count; i++) {
        const struct mv_manifest_block *block = &restore->manifest.blocks[i];
        if (block->outside && mv_manifest_is_bank(block))
            return true;
    }
    return restore->ram == MV_RAM_SHARED;
}

static int check_alone(struct mv_restore *restore, struct mv_error *err)
{
    if (restore->remote.nbd != NULL)
        return mv_remote_file_check(mv_restore_ram_word(restore->ram), &restore->manifest,
                                    changes_memory(restore), err);
    if (!changes_memory(restore))
        return 0;
    if (!restore->writable)
        return mv_error_set(err, EACCES,
                            "the guest's memory goes on %s, which has to be noted in the file, and "
                            "it cannot be written: chmod u+w, or copy it",
                            restore->ram == MV_RAM_SHARED ? "in it (--ram shared)"
                                                          : "in files of its own (save=off)");
    return lock(restore, true, err);
}

static int open_restore(struct mv_restore *restore, struct mv_config_restore *wish,
                        struct mv_error *err)
{
    int r = open_file(restore, err);
    if (r == 0)
        r = read_state(restore, err);
    if (r == 0)
        r = check_alone(restore, err);
    if (r == 0)
        r = mv_restore_complete(wish, &restore->manifest, restore->cmdline, &restore->config,
                                &restore->given, err);
    if (r == 0)
        r = mv_restore_match_config(&restore->config, &restore->given, &restore->manifest, err);
    if (r < 0)
        mv_error_prefix(err, "'%s'", restore->path);
    return r;
}

int mv_restore_open(struct mv_config_restore *wish, uint64_t begun_ns, struct mv_restore **ret,
                    struct mv_error *err)
{
    struct mv_restore *restore = calloc(1, sizeof *restore);
    if (restore == NULL)
        return mv_error_set_errno(err, ENOMEM, "restoring");
    *restore = (struct mv_restore){.fd = -1,
                                   .path = strdup(wish->file),
                                   .ram = wish->ram,
                                   .config = wish->config,
                                   .begun_ns = begun_ns};
    wish->config = (struct mv_config){0};
    int r = restore->path == NULL ? mv_error_set_errno(err, ENOMEM, "restoring")
                                  : open_restore(restore, wish, err);
    if (r < 0)
        mv_restore_end(restore);
    else
        *ret = restore;
    return r;
}

struct mv_config *mv_restore_config(struct mv_restore *restore)
{
    return &restore->config;
}

/* --- the machine */

/* What is in the file's RAM, of blocks that a machine has. */
static bool has_bytes(const struct mv_manifest_block *block)
{
    return block->saved && !mv_manifest_is_boot(block);
}

static size_t list_places(const struct mv_restore *restore, struct mv_block_place *places)
{
    size_t count = 0;
    for (size_t i = 0; restore->ram != MV_RAM_COPY && i < restore->manifest.block_count; i++) {
        const struct mv_manifest_block *block = &restore->manifest.blocks[i];
        if (has_bytes(block) && !mv_restore_is_partial(&restore->file, block))
            places[count++] =
                (struct mv_block_place){.id = block->id,
                                        .fd = restore->remote.nbd == NULL ? restore->fd : -1,
                                        .path = restore->real,
                                        .offset = block->offset,
                                        .share = restore->ram == MV_RAM_SHARED};
    }
    return count;
}

static int create(struct mv_restore *restore, struct mv_loop *loop,
                  struct mv_serial_backend *serial, struct mv_error *err)
{
    CLEANUP_FREE struct mv_block_place *list =
        calloc(restore->manifest.block_count + 1, sizeof *list);
    struct mv_machine_boot boot = {
        .firmware =
            restore->config.reload ? restore->config.firmware != NULL : restore->manifest.firmware,
    };
    if (list == NULL)
        return mv_error_set_errno(err, ENOMEM, "restoring");
    int r = find_image(restore, MV_MANIFEST_KERNEL, &boot.kernel, err);
    if (r == 0)
        r = find_image(restore, MV_MANIFEST_INITRD, &boot.initrd, err);
    if (r < 0)
        return r;
    const struct mv_machine_places places = {list, list_places(restore, list)};
    return mv_machine_create_saved(&restore->config, &boot, &places, loop, serial,
                                   &restore->machine, err);
}

static bool wants_bytes(const struct mv_restore *restore, const struct mv_manifest_block *saved,
                        const struct mv_block *block)
{
    if (saved->saved && mv_manifest_is_boot(saved))
        return restore->ram == MV_RAM_COPY; /* they are looked at, whether they are whole */
    return has_bytes(saved) && !mv_block_is_placed(block) && mv_restore_takes_bytes(saved, block);
}

/* What is to be read; partial blocks get the next of the views. */
static int list_parts(const struct mv_restore *restore, struct mv_ram_read_part *parts,
                      struct mv_ram_view *views, size_t *ret_count, struct mv_error *err)
{
    struct mv_block_registry *blocks = mv_machine_blocks(restore->machine);
    size_t count = 0;
    int r = 0;
    for (size_t i = 0; r == 0 && i < restore->manifest.block_count; i++) {
        const struct mv_manifest_block *saved = &restore->manifest.blocks[i];
        const struct mv_section *sums =
            mv_statefile_find(&restore->file, MV_SECTION_SUMS, saved->id);
        struct mv_block *block =
            mv_manifest_is_boot(saved) ? NULL : mv_block_find(blocks, saved->id);
        if (!wants_bytes(restore, saved, block))
            continue;
        parts[count++] =
            (struct mv_ram_read_part){.id = saved->id,
                                      .block = block,
                                      .is_zero = block != NULL && mv_restore_is_fresh(block),
                                      .size = saved->size,
                                      .offset = saved->offset,
                                      .sums = sums == NULL ? NULL : sums->payload,
                                      .sums_length = sums == NULL ? 0 : sums->length};
        r = mv_remote_file_fetch(&restore->remote, saved->offset, saved->size, err);
        if (r < 0 || !mv_restore_is_partial(&restore->file, saved))
            continue;
        parts[count - 1].view = views;
        r = mv_ram_view_open(&restore->chain, saved->id, views++, err);
    }
    *ret_count = count;
    return r;
}

static int read_blocks(struct mv_restore *restore, struct mv_error *err)
{
    size_t most = restore->manifest.block_count + 1, count = 0;
    CLEANUP_FREE struct mv_ram_read_part *parts = calloc(most, sizeof *parts);
    CLEANUP_FREE struct mv_ram_view *views = calloc(most, sizeof *views);
    if (parts == NULL || views == NULL)
        return mv_error_set_errno(err, ENOMEM, "restoring");
    int r = list_parts(restore, parts, views, &count, err);
    if (r == 0)
        r = mv_ram_read(restore->fd, restore->path, "restoring memory", parts, count, err);
    for (size_t i = 0; i < most; i++)
        mv_ram_view_close(&views[i]);
    return r;
}

static void on_event(void *opaque, enum mv_machine_event event, enum mv_machine_cause cause)
{
    struct mv_restore *restore = opaque;
    if (event == MV_MACHINE_EVENT_RESUME && restore->first_ns == 0)
        restore->first_ns = mv_now_ns();
    restore->changed |= event == MV_MACHINE_EVENT_RESUME;
    if (event == MV_MACHINE_EVENT_RESUME || event == MV_MACHINE_EVENT_STOP)
        mv_warm_up_run(restore->warm_up, event == MV_MACHINE_EVENT_RESUME);
}

/* Memory may change without that the guest goes on: a reset does that, and clones do. */
static int on_resuming(void *opaque, struct mv_error *err)
{
    struct mv_restore *restore = opaque;
    restore->changed = true;
    return 0;
}

/* A bank's bytes are where they are for as long as the machine. */
static bool is_mapped_bank(const struct mv_block *block)
{
    return mv_block_is_placed(block) && block->backing->fd >= 0 && block->path[0] == '\0';
}

/* A guest does without. */
static void warm_up(struct mv_restore *restore)
{
    struct mv_warm_up_params params = {.path = restore->real,
                                       .fd = restore->fd,
                                       .blocks = mv_machine_blocks(restore->machine),
                                       .is_wanted = is_mapped_bank};
    struct mv_error err;
    memcpy(params.id, restore->file.id, sizeof params.id);
    if (mv_warm_up_begin(&params, &restore->warm_up, &err) < 0)
        mv_warn("'%s': %s", restore->path, err.text);
}

int mv_restore_machine(struct mv_restore *restore, struct mv_loop *loop,
                       struct mv_serial_backend *serial, struct mv_machine **ret,
                       struct mv_error *err)
{
    int r = create(restore, loop, serial, err);
    if (r == 0)
        warm_up(restore);
    if (r == 0)
        r = mv_restore_match_machine(restore->machine, &restore->given, &restore->manifest, err);
    if (r == 0)
        r = mv_restore_load_objects(restore->machine, restore->file.sections,
                                    restore->file.section_count, restore->file.writer, err);
    if (r == 0)
        r = read_blocks(restore, err);
    /* Others may go on from the same state. */
    if (r == 0 && (r = mv_machine_renew_generation(restore->machine, err)) == -ENODEV)
        r = 0; /* it has none */
    if (r < 0) {
        mv_error_prefix(err, "'%s'", restore->path);
        mv_restore_stop(restore);
        mv_machine_destroy(restore->machine);
        restore->machine = NULL;
        return r;
    }
    mv_warm_up_help(restore->warm_up);
    restore->observer =
        (struct mv_machine_observer){.event = on_event, .resuming = on_resuming, .opaque = restore};
    mv_machine_observe(restore->machine, &restore->observer);
    *ret = restore->machine;
    return 0;
}

/* --- life */

int mv_restore_begin(struct mv_restore *restore, struct mv_error *err)
{
    bool in_file = restore->ram == MV_RAM_SHARED;
    int r = 0;
    if (changes_memory(restore))
        r = mv_statefile_mark(restore->fd, in_file ? MV_STATEFILE_RAM_IN_USE : MV_STATEFILE_IN_USE,
                              err);
    restore->marked = r == 0 && changes_memory(restore);
    if (r < 0)
        mv_error_prefix(err, "'%s'", restore->path);
    return r;
}

void mv_restore_stop(struct mv_restore *restore)
{
    mv_warm_up_end(restore->warm_up);
    restore->warm_up = NULL;
}

/* A guest that was never let go has changed nothing, nor has anybody else. */
static void unmark(struct mv_restore *restore)
{
    struct mv_error err;
    enum mv_statefile_status status = !restore->changed               ? MV_STATEFILE_WHOLE
                                      : restore->ram == MV_RAM_SHARED ? MV_STATEFILE_RAM_STALE
                                                                      : MV_STATEFILE_STALE;
    if (restore->marked && mv_statefile_mark(restore->fd, status, &err) < 0)
        mv_warn("'%s': %s", restore->path, err.text);
}

void mv_restore_end(struct mv_restore *restore)
{
    if (restore == NULL)
        return;
    unmark(restore);
    mv_chain_close(&restore->chain);
    mv_statefile_clear(&restore->file);
    mv_manifest_clear(&restore->manifest);
    mv_config_free(&restore->config);
    mv_cleanup_close(&restore->fd);
    mv_remote_file_close(&restore->remote);
    free(restore->cmdline);
    free(restore->real);
    free(restore->path);
    free(restore);
}

const char *mv_restore_ram_word(enum mv_config_ram ram)
{
    static const char *const words[] = {
        [MV_RAM_PRIVATE] = "private", [MV_RAM_COPY] = "copy", [MV_RAM_SHARED] = "shared"};
    return words[ram];
}

void mv_restore_describe(const struct mv_restore *restore, struct mv_restore_info *ret)
{
    *ret = (struct mv_restore_info){
        .file = restore->real,
        .name = restore->manifest.name,
        .writer = restore->file.writer,
        .saved_at = restore->manifest.saved_at,
        .ram = restore->ram,
        .has_begun = restore->first_ns != 0,
        .first_ns = restore->first_ns == 0 ? 0 : restore->first_ns - restore->begun_ns,
    };
    memcpy(ret->id, restore->file.id, sizeof ret->id);
    struct mv_warm_up_figures figures;
    mv_warm_up_figures(restore->warm_up, &figures);
    ret->minor_faults = figures.minor_faults;
    ret->major_faults = figures.major_faults;
    ret->has_set = figures.set_bytes > 0;
    ret->set_bytes = figures.set_bytes;
    ret->brought_bytes = figures.brought_bytes;
    ret->set_is_there = figures.done_ns != 0;
    ret->set_ns = ret->set_is_there ? figures.done_ns - restore->begun_ns : 0;
}
