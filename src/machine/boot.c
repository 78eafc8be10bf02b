/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Boot loading.  No lock: the main thread's, called by machine.c while no vCPU
 * runs.
 */
#include "boot.h"

#include "cleanup.h"
#include "loader.h"
#include "machine.h"
#include "size.h"
#include "space.h"

struct mv_boot {
    const struct mv_loader *loader;
    struct mv_boot_file kernel; /* or firmware */
    struct mv_boot_file initrd;
    bool firmware;
    bool reload;  /* read the files anew before a reset */
    bool carried; /* a saved guest goes on: there is nothing to warn of */
    bool loaded;  /* what was read is in the guest's memory */
    const char *cmdline;
    struct mv_image image;
    struct mv_placement place;
    void *fdt;
};

static uint64_t total_ram(const struct mv_bank_layout *layout)
{
    uint64_t total = 0;
    for (size_t i = 0; i < layout->count; i++)
        total += layout->banks[i].size;
    return total;
}

static int look_at_image(struct mv_boot *boot, struct mv_error *err)
{
    if (boot->firmware) {
        boot->image = (struct mv_image){0, boot->kernel.size};
        return 0;
    }
    uint8_t head[MV_IMAGE_HEAD];
    ssize_t len = mv_boot_file_bytes(&boot->kernel, 0, head, sizeof head, err);
    return len < 0 ? (int)len
                   : boot->loader->look(boot->kernel.path, head, (size_t)len, boot->kernel.size,
                                        &boot->image, err);
}

static int look_at_kernel(struct mv_boot *boot, uint64_t most, struct mv_error *err)
{
    const char *packed = NULL;
    int r = boot->firmware ? 0 : mv_kernel_unpack(&boot->kernel, most, &packed, err);
    if (r < 0)
        return r;
    r = look_at_image(boot, err);
    if (r < 0 && packed != NULL)
        mv_error_prefix(err, "unpacked from %s", packed);
    return r;
}

static int read_files(struct mv_boot *boot, const struct mv_bank_layout *layout,
                      struct mv_error *err)
{
    uint64_t most = total_ram(layout);
    int r = mv_boot_file_read(&boot->kernel, most, boot->reload, err);
    if (r == 0)
        r = look_at_kernel(boot, most, err);
    if (r == 0 && boot->initrd.path != NULL)
        r = mv_boot_file_read(&boot->initrd, most, boot->reload, err);
    return r;
}

/* They were unpacked when they were read. */
static int take_images(struct mv_boot *boot, const struct mv_machine_boot *carried,
                       struct mv_error *err)
{
    boot->kernel.path = "boot/kernel";
    boot->initrd.path = carried->initrd.size == 0 ? NULL : "boot/initrd";
    int r = mv_boot_file_take(&boot->kernel, &carried->kernel, err);
    if (r == 0)
        r = look_at_image(boot, err);
    if (r == 0 && boot->initrd.path != NULL)
        r = mv_boot_file_take(&boot->initrd, &carried->initrd, err);
    return r;
}

/* The files are read when the guest resets itself. */
static int wait_for_reset(struct mv_boot *boot, struct mv_error *err)
{
    boot->loaded = true;
    return boot->kernel.path != NULL ? 0
                                     : mv_error_set(err, EINVAL,
                                                    "the %s, which --reload on reads at each "
                                                    "reset, is not named",
                                                    boot->kernel.role);
}

int mv_boot_create(const struct mv_config *config, const struct mv_machine_boot *carried,
                   const struct mv_loader *loader, const struct mv_bank_layout *layout,
                   struct mv_boot **ret, struct mv_error *err)
{
    struct mv_boot *boot = malloc(sizeof *boot);
    if (boot == NULL)
        return mv_error_set(err, ENOMEM, "no memory for the boot loader");
    bool firmware = carried == NULL ? config->firmware != NULL : carried->firmware;
    *boot = (struct mv_boot){
        .loader = loader,
        .firmware = firmware,
        .reload = config->reload,
        .carried = carried != NULL,
        .cmdline = config->cmdline,
        .kernel = {.role = firmware ? "firmware" : "kernel",
                   .path = firmware ? config->firmware : config->kernel,
                   .fd = -1},
        .initrd = {.role = "initrd", .path = config->initrd, .fd = -1},
    };
    int r = carried == NULL ? read_files(boot, layout, err)
            : boot->reload  ? wait_for_reset(boot, err)
                            : take_images(boot, carried, err);
    if (r < 0)
        mv_boot_destroy(boot);
    else
        *ret = boot;
    return r;
}

void mv_boot_destroy(struct mv_boot *boot)
{
    if (boot == NULL)
        return;
    mv_cleanup_close(&boot->kernel.fd);
    mv_cleanup_close(&boot->initrd.fd);
    free(boot->fdt);
    free(boot);
}

static int place(struct mv_boot *boot, const struct mv_bank_layout *layout, struct mv_error *err)
{
    struct mv_placement_request request = {
        .firmware = boot->firmware,
        .image = boot->image,
        .initrd_size = boot->initrd.size,
        .fdt_size = boot->loader->size(boot->fdt),
    };
    int r = boot->loader->place(&request, layout, &boot->place, err);
    if (r == 0 && !boot->carried)
        boot->loader->warn(&request, layout);
    if (r == 0 && boot->initrd.path != NULL)
        r = boot->loader->set_initrd(boot->fdt, boot->place.initrd, boot->initrd.size, err);
    return r;
}

int mv_boot_place(struct mv_boot *boot, const struct mv_board *board,
                  const struct mv_bank_layout *layout, const struct mv_engine_cache *caches,
                  struct mv_error *err)
{
    const struct mv_description_params params = {.board = board,
                                                 .layout = layout,
                                                 .cmdline = boot->cmdline,
                                                 .has_initrd = boot->initrd.path != NULL,
                                                 .caches = caches};
    int r = boot->loader->describe(&params, &boot->fdt, err);
    if (r == 0 && !boot->loaded)
        r = place(boot, layout, err);
    if (r == 0 && !boot->firmware && !boot->carried)
        boot->loader->warn_limits(boot->cmdline, layout);
    return r;
}

int mv_boot_reload(struct mv_boot *boot, const struct mv_bank_layout *layout, struct mv_error *err)
{
    if (!boot->reload || !boot->loaded)
        return 0;
    int r = read_files(boot, layout, err);
    if (r == 0)
        r = place(boot, layout, err);
    boot->loaded = r < 0;
    return r;
}

static struct mv_machine_image image_of(const struct mv_boot_file *file)
{
    if (file->fd < 0)
        return (struct mv_machine_image){.fd = -1};
    return (struct mv_machine_image){file->fd, file->offset, file->size};
}

void mv_boot_describe(const struct mv_boot *boot, struct mv_machine_boot *ret)
{
    *ret = (struct mv_machine_boot){
        .firmware = boot->firmware,
        .kernel = image_of(&boot->kernel),
        .initrd = image_of(&boot->initrd),
    };
}

const void *mv_boot_fdt(const struct mv_boot *boot, uint32_t *ret_size)
{
    *ret_size = boot->loader->size(boot->fdt);
    return boot->fdt;
}

int mv_boot_load(struct mv_boot *boot, struct mv_space *space, struct mv_error *err)
{
    int r = mv_boot_file_load(&boot->kernel, space, boot->place.kernel, err);
    if (r == 0 && boot->initrd.path != NULL)
        r = mv_boot_file_load(&boot->initrd, space, boot->place.initrd, err);
    if (r == 0)
        r = boot->loader->set_seeds(boot->fdt, err);
    if (r < 0)
        return r;
    r = mv_space_write(space, boot->place.fdt, boot->fdt, boot->loader->size(boot->fdt));
    if (r < 0)
        return mv_error_set(err, -r, "no RAM for the device tree at 0x%llx",
                            (unsigned long long)boot->place.fdt);
    boot->loaded = true;
    if (boot->reload) {
        mv_boot_file_replace(&boot->kernel, -1, 0);
        mv_boot_file_replace(&boot->initrd, -1, 0);
    }
    return 0;
}

void mv_boot_entry(const struct mv_boot *boot, uint64_t *ret_pc, uint64_t *ret_argument)
{
    *ret_pc = boot->place.kernel;
    *ret_argument = boot->place.fdt;
}
