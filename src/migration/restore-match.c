/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a state has, against what a machine has: by identity alone, in both directions.
 * Each difference is told by name, with both values.  No state; called by restore.c.
 */
#include "restore-parts.h"

#include "backing.h"
#include "bank.h"
#include "block.h"
#include "board.h"
#include "cleanup.h"
#include "device.h"
#include "log.h"
#include "machine.h"
#include "size.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* "256 MiB at 0x80000000" */
#define PLACE_TEXT 80
static const char *place_text(uint64_t size, bool has_gpa, uint64_t gpa, char buf[PLACE_TEXT])
{
    char at[32] = "";
    if (has_gpa)
        snprintf(at, sizeof at, " at 0x%" PRIx64, gpa);
    snprintf(buf, PLACE_TEXT, "%s%s", mv_size_text(size), at);
    return buf;
}

/* "ram0, ram1", as far as there is room. */
#define NAMES_TEXT 512
static const char *bank_names(const struct mv_manifest *manifest, char buf[NAMES_TEXT])
{
    size_t used = 0;
    buf[0] = '\0';
    for (size_t i = 0; i < manifest->block_count && used < NAMES_TEXT; i++) {
        if (mv_manifest_is_bank(&manifest->blocks[i]))
            used += (size_t)snprintf(buf + used, NAMES_TEXT - used, "%s%s", used == 0 ? "" : ", ",
                                     manifest->blocks[i].id);
    }
    return buf;
}

/* --- banks, before they are made */

static int match_bank(const struct mv_bank *bank, const struct mv_manifest *manifest,
                      struct mv_error *err)
{
    const struct mv_manifest_block *block = mv_manifest_find_block(manifest, bank->id);
    char mine[PLACE_TEXT], its[PLACE_TEXT], names[NAMES_TEXT];
    place_text(bank->size, true, bank->gpa, mine);
    if (block == NULL || !mv_manifest_is_bank(block))
        return mv_error_set(err, ENODEV,
                            "block %s: the machine has %s by this name, and the state has none: "
                            "its banks are %s",
                            bank->id, mine, bank_names(manifest, names));
    if (block->size == bank->size && block->has_gpa && block->gpa == bank->gpa)
        return 0;
    return mv_error_set(err, EINVAL,
                        "block %s: the machine has %s, and the state %s: give it -m "
                        "%s@0x%" PRIx64 ",id=%s",
                        bank->id, mine, place_text(block->size, block->has_gpa, block->gpa, its),
                        mv_argument_text(block->size), block->gpa, bank->id);
}

static int match_bank_back(const struct mv_manifest_block *block,
                           const struct mv_bank_layout *layout, struct mv_error *err)
{
    char its[PLACE_TEXT];
    for (size_t i = 0; i < layout->count; i++) {
        if (strcmp(layout->banks[i].id, block->id) == 0)
            return 0;
    }
    return mv_error_set(err, ENODEV,
                        "block %s: the state has %s by this name, and the machine has none: give "
                        "it -m %s@0x%" PRIx64 ",id=%s",
                        block->id, place_text(block->size, block->has_gpa, block->gpa, its),
                        mv_argument_text(block->size), block->gpa, block->id);
}

/* --- files that have what the state has not */

/* What --back says of it; or NULL. */
static const struct mv_config_backing *find_back(const struct mv_config *config, const char *id)
{
    for (size_t i = 0; i < config->back_count; i++) {
        if (strcmp(config->backs[i].id, id) == 0)
            return &config->backs[i].backing;
    }
    return NULL;
}

/* A file that is made now has zeros, and one of another size other bytes. */
static int check_file(const char *id, const char *path, const struct mv_manifest_file *file,
                      struct mv_error *err)
{
    struct stat st;
    if (stat(path, &st) < 0)
        return mv_error_set_errno(err, errno,
                                  "block %s: its bytes stayed in the file '%s' when the state was "
                                  "saved, and '%s' cannot be had",
                                  id, file->path, path);
    if (S_ISREG(st.st_mode) && (uint64_t)st.st_size != file->size)
        return mv_error_set(err, EINVAL,
                            "block %s: the file '%s' has %s, and had %s when the state was saved",
                            id, path, mv_size_text((uint64_t)st.st_size), mv_size_text(file->size));
    return 0;
}

static int check_bytes(const struct mv_config *config, const struct mv_bank *bank,
                       const struct mv_manifest *manifest, struct mv_error *err)
{
    const struct mv_manifest_block *block = mv_manifest_find_block(manifest, bank->id);
    const struct mv_config_backing *back = find_back(config, bank->id);
    const struct mv_config_backing *backing = back != NULL ? back : &bank->wish->backing;
    if (block->saved || !block->outside) {
        if (!block->saved)
            mv_warn("block %s: the state has none of its bytes (save=off): they begin as zeros, or "
                    "as what is where they live",
                    bank->id);
        return 0;
    }
    if (backing->file != NULL)
        return check_file(bank->id, backing->file, &block->file, err);
    return backing->has_fd ? 0
                           : mv_error_set(err, ENOENT,
                                          "block %s: the state has none of its bytes, which stayed "
                                          "in the file '%s': name it with file= behind -m, or with "
                                          "--back %s=FILE",
                                          bank->id, block->file.path, bank->id);
}

static int match_banks(const struct mv_config *config, const struct mv_manifest *manifest,
                       const struct mv_bank_layout *layout, struct mv_error *err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < layout->count; i++)
        r = match_bank(&layout->banks[i], manifest, err);
    for (size_t i = 0; r == 0 && i < manifest->block_count; i++) {
        if (mv_manifest_is_bank(&manifest->blocks[i]))
            r = match_bank_back(&manifest->blocks[i], layout, err);
    }
    for (size_t i = 0; r == 0 && i < layout->count; i++)
        r = check_bytes(config, &layout->banks[i], manifest, err);
    return r;
}

int mv_restore_match_config(const struct mv_config *config, const struct mv_restore_given *given,
                            const struct mv_manifest *manifest, struct mv_error *err)
{
    const struct mv_board_ops *board = NULL;
    struct mv_bank_layout layout = {0};
    int r = mv_board_find(config->machine, &board, err);
    if (r == 0)
        r = mv_bank_layout_make(config->banks, config->bank_count, board->windows,
                                board->window_count, board->ram_base, board->ipa_bits, &layout,
                                err);
    if (r == 0)
        r = match_banks(config, manifest, &layout, err);
    mv_bank_layout_free(&layout);
    /* Of devices that the user names now it is the user's to make them. */
    for (size_t i = 0; r == 0 && !given->devices && i < manifest->block_count; i++) {
        const struct mv_manifest_block *block = &manifest->blocks[i];
        if (block->outside && !mv_manifest_is_bank(block) && !mv_manifest_is_boot(block))
            r = check_file(block->id, block->file.path, &block->file, err);
    }
    return r;
}

/* --- devices */

struct matching {
    const struct mv_manifest *manifest;
    const struct mv_restore_given *given;
    const struct mv_config *config;
    bool *known; /* of each device, or block, of the manifest */
    int result;
    struct mv_error *err;
};

static void match_device(void *opaque, struct mv_device *device)
{
    struct matching *m = opaque;
    const struct mv_manifest_device *found = NULL;
    const char *type = device->ops->type;
    if (m->result < 0)
        return;
    for (size_t i = 0; found == NULL && i < m->manifest->device_count; i++) {
        if (strcmp(m->manifest->devices[i].path, device->path) == 0) {
            found = &m->manifest->devices[i];
            m->known[i] = true;
        }
    }
    if (found == NULL && device->ops->state == NULL)
        return; /* a state may leave it out */
    if (found == NULL)
        m->result = mv_error_set(m->err, ENODEV,
                                 "device %s: the machine has '%s' there, and the state has none",
                                 device->path, type);
    else if (strcmp(found->type, type) != 0)
        m->result = mv_error_set(m->err, EINVAL,
                                 "device %s: the machine has '%s' there, and the state '%s'",
                                 device->path, type, found->type);
    else if (device->ops->state != NULL && found->version > device->ops->state->version)
        m->result = mv_error_set(
            m->err, ENOTSUP,
            "device %s: the state of '%s' is of version %" PRIu32
            ", which '%s' wrote, and this memvisor (" MV_VERSION ") knows version %" PRIu32,
            device->path, type, found->version, m->manifest->writer, device->ops->state->version);
}

static int match_devices(struct mv_machine *machine, const struct mv_manifest *manifest,
                         struct mv_error *err)
{
    CLEANUP_FREE bool *known = calloc(manifest->device_count + 1, sizeof *known);
    struct matching m = {.manifest = manifest, .known = known, .err = err};
    if (known == NULL)
        return mv_error_set_errno(err, ENOMEM, "the state's devices");
    mv_machine_for_each_device(machine, match_device, &m);
    for (size_t i = 0; m.result == 0 && i < manifest->device_count; i++) {
        const struct mv_manifest_device *device = &manifest->devices[i];
        if (!known[i])
            m.result = mv_error_set(err, ENODEV,
                                    "device %s: the state has '%s' there, and the machine "
                                    "has none%s%s",
                                    device->path, device->type,
                                    device->options == NULL ? "" : ": it was made by ",
                                    device->options == NULL ? "" : device->options);
    }
    return m.result;
}

/* --- blocks, and the files behind them */

static bool is_same_file(const struct mv_backing *backing, const struct mv_manifest_file *file)
{
    return backing->device == file->device && backing->inode == file->inode;
}

/*
 * A file of the same name that is another one has other bytes: for whoever named it now
 * that may be what is meant, and memory that others share is what they made of it.
 */
static int check_opened(const struct matching *m, const struct mv_block *block,
                        const struct mv_manifest_block *saved, struct mv_error *err)
{
    const struct mv_backing *backing = block->backing;
    if (!saved->outside || backing->fd < 0 || m->given->elsewhere ||
        is_same_file(backing, &saved->file))
        return 0;
    bool named = m->given->banks || find_back(m->config, block->id) != NULL;
    if (mv_manifest_is_bank(saved) && !named)
        return mv_error_set(err, ESTALE,
                            "block %s: the file '%s' is another one (inode %ju of device %ju) than "
                            "the one that has its bytes (inode %" PRIu64 " of device %" PRIu64
                            "): where it is a copy, say so with --back %s=%s",
                            block->id, backing->path, (uintmax_t)backing->inode,
                            (uintmax_t)backing->device, saved->file.inode, saved->file.device,
                            block->id, backing->path);
    mv_warn("block %s: the file%s%s is another one than '%s', which had its bytes when the state "
            "was saved",
            block->id, backing->path == NULL ? "" : " ", backing->path == NULL ? "" : backing->path,
            saved->file.path);
    return 0;
}

static void match_block(struct mv_block *block, void *opaque)
{
    struct matching *m = opaque;
    const struct mv_manifest_block *found = mv_manifest_find_block(m->manifest, block->id);
    if (m->result < 0)
        return;
    if (found == NULL) {
        m->result = mv_error_set(m->err, ENODEV,
                                 "block %s: the machine has %s by this name, and the state has "
                                 "none",
                                 block->id, mv_size_text(block->size));
        return;
    }
    m->known[found - m->manifest->blocks] = true;
    if (found->size != block->size)
        m->result = mv_error_set(m->err, EINVAL, "block %s: the machine has %s, and the state %s",
                                 block->id, mv_size_text(block->size), mv_size_text(found->size));
    else
        m->result = check_opened(m, block, found, m->err);
}

static int match_blocks(struct mv_machine *machine, const struct mv_restore_given *given,
                        const struct mv_manifest *manifest, struct mv_error *err)
{
    CLEANUP_FREE bool *known = calloc(manifest->block_count + 1, sizeof *known);
    struct matching m = {.manifest = manifest,
                         .given = given,
                         .config = mv_machine_config(machine),
                         .known = known,
                         .err = err};
    if (known == NULL)
        return mv_error_set_errno(err, ENOMEM, "the state's blocks");
    mv_block_for_each(mv_machine_blocks(machine), match_block, &m);
    for (size_t i = 0; m.result == 0 && i < manifest->block_count; i++) {
        const struct mv_manifest_block *block = &manifest->blocks[i];
        if (!known[i] && !mv_manifest_is_boot(block))
            m.result = mv_error_set(err, ENODEV,
                                    "block %s: the state has %s by this name, and the machine has "
                                    "none",
                                    block->id, mv_size_text(block->size));
    }
    return m.result;
}

int mv_restore_match_machine(struct mv_machine *machine, const struct mv_restore_given *given,
                             const struct mv_manifest *manifest, struct mv_error *err)
{
    int r = match_devices(machine, manifest, err);
    return r < 0 ? r : match_blocks(machine, given, manifest, err);
}
