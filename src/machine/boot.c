/* SPDX-License-Identifier: Apache-2.0 */
#include "boot.h"

#include "cleanup.h"
#include "size.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define COPY_CHUNK (1u << 20)
#define KERNEL_ALIGN (2 * MV_MIB)
#define DTB_ALIGN (64 * MV_KIB)
#define PAGE UINT64_C(4096)
#define FIRMWARE_OFFSET UINT64_C(0x80000)
/* Image and initrd lie in one such window, aligned to 1 GiB (booting.rst). */
#define INITRD_WINDOW (32 * MV_GIB)

/* Copy what a pipe has to say into a memfd, so that a reset can read it again. */
static int slurp(struct mv_boot_file *file, struct mv_error *err)
{
    CLEANUP_CLOSE int copy = memfd_create(file->what, MFD_CLOEXEC);
    CLEANUP_FREE char *buf = malloc(COPY_CHUNK);
    if (copy < 0 || buf == NULL)
        return mv_error_set(err, ENOMEM, "no memory to read it");
    file->size = 0;
    for (;;) {
        ssize_t n = read(file->fd, buf, COPY_CHUNK);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return mv_error_set_errno(err, errno, "cannot read it");
        if (n == 0)
            break;
        for (ssize_t done = 0; done < n;) {
            ssize_t w = write(copy, buf + done, (size_t)(n - done));
            if (w < 0)
                return mv_error_set_errno(err, errno, "no memory to read it");
            done += w;
        }
        file->size += (uint64_t)n;
    }
    close(file->fd);
    file->fd = copy;
    copy = -1;
    return 0;
}

static int open_file(struct mv_boot_file *file, const char *path, const char *what,
                     struct mv_error *err)
{
    struct stat st;
    file->path = path;
    file->what = what;
    file->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (file->fd < 0)
        return mv_error_set_errno(err, errno, "cannot open it");
    if (fstat(file->fd, &st) < 0)
        return mv_error_set_errno(err, errno, "cannot look at it");
    if (S_ISDIR(st.st_mode))
        return mv_error_set(err, EISDIR, "it is a directory");
    if (!S_ISREG(st.st_mode))
        return slurp(file, err);
    file->size = (uint64_t)st.st_size;
    return 0;
}

/* Read len bytes at offset; a file that became shorter is an error. */
static int read_at(const struct mv_boot_file *file, void *buf, size_t len, uint64_t offset,
                   struct mv_error *err)
{
    for (size_t done = 0; done < len;) {
        ssize_t n = pread(file->fd, (char *)buf + done, len - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return mv_error_set_errno(err, errno, "cannot read it");
        if (n == 0)
            return mv_error_set(err, EIO, "it became shorter while in use");
        done += (size_t)n;
    }
    return 0;
}

static int check_image(struct mv_boot *boot, struct mv_error *err)
{
    uint8_t header[1024]; /* enough for every signature */
    size_t len = boot->image.size < sizeof header ? (size_t)boot->image.size : sizeof header;
    int r = read_at(&boot->image, header, len, 0, err);
    if (r < 0)
        return r;
    if (!boot->firmware)
        return mv_image_parse(header, len, boot->image.size, &boot->text_offset,
                              &boot->memory_size, err);
    if (len == 0)
        return mv_error_set(err, ENOEXEC, "the file is empty");
    boot->memory_size = boot->image.size;
    return 0;
}

int mv_boot_open(struct mv_boot *boot, const struct mv_config *config, struct mv_error *err)
{
    *boot = (struct mv_boot){.image.fd = -1, .initrd.fd = -1, .firmware = config->firmware};
    const char *path = boot->firmware ? config->firmware : config->kernel;
    const char *what = boot->firmware ? "firmware" : "kernel";
    int r = open_file(&boot->image, path, what, err);
    if (r == 0)
        r = check_image(boot, err);
    if (r < 0) {
        mv_error_prefix(err, "%s %s", what, path);
        return r;
    }
    if (config->initrd == NULL)
        return 0;
    r = open_file(&boot->initrd, config->initrd, "initrd", err);
    if (r == 0 && boot->initrd.size == 0)
        r = mv_error_set(err, ENOEXEC, "the file is empty");
    if (r < 0)
        mv_error_prefix(err, "initrd %s", config->initrd);
    return r;
}

void mv_boot_close(struct mv_boot *boot)
{
    if (boot->image.fd >= 0)
        close(boot->image.fd);
    if (boot->initrd.fd >= 0)
        close(boot->initrd.fd);
    boot->image.fd = boot->initrd.fd = -1;
}

/* A run of banks that stand edge to edge. */
struct run {
    uint64_t gpa;
    uint64_t size;
};

/* Take `size` bytes at the next multiple of align from *at on; false: no room. */
static bool take(const struct run *run, uint64_t *at, uint64_t size, uint64_t align,
                 uint64_t *ret_gpa)
{
    uint64_t gpa = mv_align_up(*at, align), end;
    if (gpa < *at || mv_add_overflows(gpa, size, &end) || end > run->gpa + run->size)
        return false;
    *ret_gpa = gpa;
    *at = end;
    return true;
}

static bool place_kernel(struct mv_boot *boot, const struct run *run, uint32_t dtb_size)
{
    uint64_t at = run->gpa, base;
    if (!take(run, &at, boot->text_offset + boot->memory_size, KERNEL_ALIGN, &base))
        return false;
    boot->image.gpa = boot->entry = base + boot->text_offset;
    if (boot->initrd.fd >= 0) {
        if (!take(run, &at, boot->initrd.size, PAGE, &boot->initrd.gpa) ||
            at - (base & ~(MV_GIB - 1)) > INITRD_WINDOW)
            return false;
    }
    return take(run, &at, dtb_size, DTB_ALIGN, &boot->dtb_gpa);
}

/*
 * A bare-metal binary says nothing of its bss and stack, so what else is
 * loaded keeps its distance: half the run, at most 128 MiB.
 */
static bool place_firmware(struct mv_boot *boot, const struct run *run, uint32_t dtb_size)
{
    uint64_t at = run->gpa + FIRMWARE_OFFSET;
    if (!take(run, &at, boot->memory_size, 4, &boot->image.gpa) || at < run->gpa)
        return false;
    boot->entry = boot->image.gpa;
    uint64_t half = run->gpa + (run->size / 2 < 128 * MV_MIB ? run->size / 2 : 128 * MV_MIB);
    if (at < half)
        at = half;
    if (boot->initrd.fd >= 0 && !take(run, &at, boot->initrd.size, PAGE, &boot->initrd.gpa))
        return false;
    return take(run, &at, dtb_size, DTB_ALIGN, &boot->dtb_gpa);
}

static int no_place(const struct mv_boot *boot, const struct mv_bank_layout *layout,
                    uint32_t dtb_size, struct mv_error *err)
{
    char a[MV_SIZE_TEXT], b[MV_SIZE_TEXT], c[MV_SIZE_TEXT], banks[512] = "";
    size_t used = 0;
    for (size_t i = 0; i < layout->count && used < sizeof banks - 80; i++)
        used += (size_t)snprintf(banks + used, sizeof banks - used, "%s%s at 0x%llx",
                                 i ? ", " : "", mv_size_format(layout->banks[i].size, a),
                                 (unsigned long long)layout->banks[i].gpa);
    if (used >= sizeof banks - 80)
        snprintf(banks + used, sizeof banks - used, ", … (%zu banks)", layout->count);
    char initrd[64] = "";
    if (boot->initrd.fd >= 0)
        snprintf(initrd, sizeof initrd, ", the initrd %s", mv_size_format(boot->initrd.size, b));
    return mv_error_set(
        err, ENOSPC,
        "no RAM bank holds what has to be loaded: the %s needs %s%s%s, the device tree %s; the "
        "banks are %s; give a larger -m",
        boot->image.what, mv_size_format(mv_align_up(boot->memory_size, PAGE), a),
        boot->firmware ? " at 0x80000 of the lowest bank" : " at a multiple of 2 MiB", initrd,
        mv_size_format(mv_align_up(dtb_size, PAGE), c), banks);
}

int mv_boot_place(struct mv_boot *boot, const struct mv_bank_layout *layout, uint32_t dtb_size,
                  struct mv_error *err)
{
    for (size_t i = 0; i < layout->count;) {
        struct run run = {.gpa = layout->banks[i].gpa, .size = 0};
        while (i < layout->count && layout->banks[i].gpa == run.gpa + run.size)
            run.size += layout->banks[i++].size;
        if (boot->firmware ? place_firmware(boot, &run, dtb_size)
                           : place_kernel(boot, &run, dtb_size))
            return 0;
        if (boot->firmware)
            break; /* its place is in the lowest bank */
    }
    return no_place(boot, layout, dtb_size, err);
}

static int load_file(const struct mv_boot_file *file, struct mv_space *space, struct mv_error *err)
{
    CLEANUP_FREE void *buf = malloc(COPY_CHUNK);
    if (buf == NULL)
        return mv_error_set(err, ENOMEM, "no memory to load %s", file->path);
    for (uint64_t done = 0; done < file->size;) {
        uint64_t left = file->size - done;
        size_t part = left < COPY_CHUNK ? (size_t)left : COPY_CHUNK;
        int r = read_at(file, buf, part, done, err);
        if (r == 0 && mv_space_write(space, file->gpa + done, buf, part) < 0)
            r = mv_error_set(err, EFAULT, "its place at 0x%llx is no RAM",
                             (unsigned long long)file->gpa);
        if (r < 0) {
            mv_error_prefix(err, "%s %s", file->what, file->path);
            return r;
        }
        done += part;
    }
    return 0;
}

int mv_boot_load(const struct mv_boot *boot, struct mv_space *space, const void *dtb,
                 uint32_t dtb_size, struct mv_error *err)
{
    int r = load_file(&boot->image, space, err);
    if (r == 0 && boot->initrd.fd >= 0)
        r = load_file(&boot->initrd, space, err);
    if (r == 0 && mv_space_write(space, boot->dtb_gpa, dtb, dtb_size) < 0)
        r = mv_error_set(err, EFAULT, "the device tree's place at 0x%llx is no RAM",
                         (unsigned long long)boot->dtb_gpa);
    return r;
}
