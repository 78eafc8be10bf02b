/* SPDX-License-Identifier: Apache-2.0 */
#include "save-plan.h"

#include "block-info.h"
#include "block.h"
#include "cleanup.h"
#include "config.h"
#include "device.h"
#include "machine.h"
#include "size.h"
#include "space.h"
#include "statefile.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>

/* What walks the machine and may fail. */
struct walk {
    struct mv_save_plan *plan;
    struct mv_machine *machine;
    int result;
    struct mv_error *err;
};

static int no_memory(struct mv_error *err)
{
    return mv_error_set(err, ENOMEM, "no memory to describe the machine");
}

static int copy_text(const char *text, char **to, struct mv_error *err)
{
    *to = strdup(text);
    return *to == NULL ? no_memory(err) : 0;
}

/* --- memory */

/* Another block of the manifest, zeroed; the room was made for all. */
static struct mv_manifest_block *add_block(struct mv_save_plan *plan, const char *id, uint64_t size,
                                           const char *backing)
{
    struct mv_manifest_block *block = &plan->manifest.blocks[plan->manifest.block_count++];
    *block = (struct mv_manifest_block){.id = strdup(id), .size = size, .backing = strdup(backing)};
    return block->id == NULL || block->backing == NULL ? NULL : block;
}

/* The next place of the file. */
static void place(struct mv_save_plan *plan, struct mv_manifest_block *block,
                  const struct mv_ram_part *part)
{
    plan->parts[plan->count] = *part;
    plan->generations[plan->count] = part->block == NULL ? 0 : part->block->generation;
    block->saved = true;
    block->offset = plan->parts[plan->count++].offset = MV_STATEFILE_RAM_OFFSET + plan->ram_length;
    plan->ram_length += mv_align_up(block->size, MV_STATEFILE_RAM_ALIGN);
}

static int leave_outside(struct mv_manifest_block *block, const char *path, uint64_t size,
                         uint64_t device, uint64_t inode, struct mv_error *err)
{
    block->outside = true;
    block->file = (struct mv_manifest_file){.size = size, .device = device, .inode = inode};
    return copy_text(path, &block->file.path, err);
}

static int describe_block(struct walk *walk, struct mv_block *block)
{
    struct mv_save_plan *plan = walk->plan;
    struct mv_block_file file;
    struct mv_manifest_block *entry = add_block(plan, block->id, block->size, mv_block_keys(block));
    if (entry == NULL)
        return no_memory(walk->err);
    bool is_bank = block->path[0] == '\0';
    entry->has_gpa =
        is_bank && mv_space_find_block(mv_machine_space(walk->machine), block, &entry->gpa);
    if (block->save)
        place(plan, entry, &(struct mv_ram_part){.block = block});
    if (block->save || !mv_block_identify(block, &file) || !file.shared)
        return 0;
    /* A device's is what all that share it make of it, whether this guest goes on or not. */
    plan->shared |= is_bank;
    return leave_outside(entry, file.path, file.size, file.device, file.inode, walk->err);
}

static void visit_block(struct mv_block *block, void *opaque)
{
    struct walk *walk = opaque;
    if (walk->result < 0)
        return;
    walk->result = describe_block(walk, block);
    if (walk->result < 0)
        mv_error_prefix(walk->err, "block %s", block->id);
}

static void count_block(struct mv_block *block, void *opaque)
{
    (void)block;
    ++*(size_t *)opaque;
}

/* --- what a reset boots */

static int add_bytes(struct mv_save_plan *plan, const char *id, const void *bytes, uint64_t size,
                     struct mv_error *err)
{
    struct mv_manifest_block *block = add_block(plan, id, size, "");
    if (block == NULL)
        return no_memory(err);
    place(plan, block, &(struct mv_ram_part){.id = block->id, .bytes = bytes, .size = size});
    return 0;
}

static int add_image(struct mv_save_plan *plan, const char *id,
                     const struct mv_machine_image *image, struct mv_error *err)
{
    uint64_t before = image->offset % (uint64_t)sysconf(_SC_PAGESIZE);
    if (image->size == 0)
        return 0;
    struct mv_save_mapping *mapping = &plan->mappings[plan->mapping_count];
    mapping->length = image->size + before;
    mapping->bytes = mmap(NULL, mapping->length, PROT_READ, MAP_SHARED, image->fd,
                          (off_t)(image->offset - before));
    if (mapping->bytes == MAP_FAILED)
        return mv_error_set_errno(err, errno, "%s", id);
    plan->mapping_count++;
    return add_bytes(plan, id, (const char *)mapping->bytes + before, image->size, err);
}

/* Under --reload on: the file that a reset reads by then. */
static int add_file(struct mv_save_plan *plan, const char *id, const char *path,
                    struct mv_error *err)
{
    struct stat st;
    if (path == NULL)
        return 0;
    CLEANUP_FREE char *real = realpath(path, NULL);
    if (real == NULL || stat(real, &st) < 0)
        return mv_error_set_errno(err, errno, "%s: '%s'", id, path);
    if (st.st_size == 0)
        return mv_error_set(err, EINVAL, "%s: '%s' is empty", id, path);
    struct mv_manifest_block *block = add_block(plan, id, (uint64_t)st.st_size, "");
    return block == NULL
               ? no_memory(err)
               : leave_outside(block, real, (uint64_t)st.st_size, st.st_dev, st.st_ino, err);
}

static int add_boot(struct mv_save_plan *plan, struct mv_machine *machine, struct mv_error *err)
{
    const struct mv_config *config = mv_machine_config(machine);
    struct mv_machine_boot boot;
    int r;
    mv_machine_boot(machine, &boot);
    plan->manifest.firmware = boot.firmware;
    plan->manifest.no_reboot = config->no_reboot;
    plan->manifest.reload = config->reload;
    if (config->reload) {
        r = add_file(plan, MV_MANIFEST_KERNEL,
                     config->kernel != NULL ? config->kernel : config->firmware, err);
        if (r == 0)
            r = add_file(plan, MV_MANIFEST_INITRD, config->initrd, err);
    } else {
        r = add_image(plan, MV_MANIFEST_KERNEL, &boot.kernel, err);
        if (r == 0)
            r = add_image(plan, MV_MANIFEST_INITRD, &boot.initrd, err);
    }
    size_t length = strlen(config->cmdline);
    return r < 0 || length == 0
               ? r
               : add_bytes(plan, MV_MANIFEST_CMDLINE, config->cmdline, length, err);
}

static int add_memory(struct mv_save_plan *plan, struct mv_machine *machine, struct mv_error *err)
{
    struct walk walk = {.plan = plan, .machine = machine, .err = err};
    enum { BOOT_BLOCKS = 3 };
    size_t count = BOOT_BLOCKS;
    mv_block_for_each(mv_machine_blocks(machine), count_block, &count);
    plan->manifest.blocks = calloc(count, sizeof *plan->manifest.blocks);
    plan->parts = calloc(count, sizeof *plan->parts);
    plan->generations = calloc(count, sizeof *plan->generations);
    if (plan->manifest.blocks == NULL || plan->parts == NULL || plan->generations == NULL)
        return no_memory(err);
    mv_block_for_each(mv_machine_blocks(machine), visit_block, &walk);
    return walk.result < 0 ? walk.result : add_boot(plan, machine, err);
}

/* --- devices, and the machine */

static void count_device(void *opaque, struct mv_device *device)
{
    (void)device;
    ++*(size_t *)opaque;
}

static void visit_device(void *opaque, struct mv_device *device)
{
    struct walk *walk = opaque;
    struct mv_manifest *manifest = &walk->plan->manifest;
    if (walk->result < 0 || device->ops->state == NULL)
        return;
    struct mv_manifest_device *entry = &manifest->devices[manifest->device_count++];
    *entry = (struct mv_manifest_device){
        .path = strdup(device->path),
        .type = strdup(device->ops->type),
        .version = device->ops->state->version,
        .options = device->options == NULL ? NULL : strdup(device->options),
    };
    if (entry->path == NULL || entry->type == NULL ||
        (device->options != NULL && entry->options == NULL))
        walk->result = no_memory(walk->err);
}

static int add_devices(struct mv_save_plan *plan, struct mv_machine *machine, struct mv_error *err)
{
    struct walk walk = {.plan = plan, .machine = machine, .err = err};
    size_t count = 1;
    mv_machine_for_each_device(machine, count_device, &count);
    plan->manifest.devices = calloc(count, sizeof *plan->manifest.devices);
    if (plan->manifest.devices == NULL)
        return no_memory(err);
    mv_machine_for_each_device(machine, visit_device, &walk);
    return walk.result;
}

static int add_machine(struct mv_save_plan *plan, struct mv_machine *machine, struct mv_error *err)
{
    const struct mv_config *config = mv_machine_config(machine);
    struct mv_manifest *manifest = &plan->manifest;
    char name[32];
    snprintf(name, sizeof name, "vm-%d", (int)getpid());
    manifest->cpus = mv_machine_cpu_count(machine);
    manifest->saved_at = time(NULL);
    if (getrandom(manifest->id, sizeof manifest->id, 0) != sizeof manifest->id)
        return mv_error_set_errno(err, errno, "a random number");
    int r = copy_text(config->name != NULL ? config->name : name, &manifest->name, err);
    if (r == 0)
        r = copy_text("memvisor " MV_VERSION, &manifest->writer, err);
    if (r == 0)
        r = copy_text(config->machine, &manifest->machine, err);
    return r < 0 ? r : copy_text(config->engine, &manifest->engine, err);
}

int mv_save_plan_make(struct mv_save_plan *plan, struct mv_machine *machine, struct mv_error *err)
{
    int r = add_machine(plan, machine, err);
    if (r == 0)
        r = add_memory(plan, machine, err);
    return r < 0 ? r : add_devices(plan, machine, err);
}

void mv_save_plan_clear(struct mv_save_plan *plan)
{
    mv_manifest_clear(&plan->manifest);
    for (size_t i = 0; i < plan->mapping_count; i++)
        munmap(plan->mappings[i].bytes, plan->mappings[i].length);
    free(plan->parts);
    free(plan->generations);
    *plan = (struct mv_save_plan){0};
}

bool mv_save_plan_matches(const struct mv_save_plan *plan, const struct mv_save_plan *other)
{
    if (plan->count != other->count)
        return false;
    for (size_t i = 0; i < plan->count; i++) {
        const struct mv_ram_part *a = &plan->parts[i], *b = &other->parts[i];
        if (plan->generations[i] != other->generations[i] || a->offset != b->offset ||
            a->size != b->size || (a->block == NULL) != (b->block == NULL))
            return false;
    }
    return true;
}
