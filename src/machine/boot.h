/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_boot: what the guest starts from: kernel or firmware, initrd and
 * device tree, and where they go.  Kept for the machine's life, because each
 * reset puts them into RAM again.
 */
#ifndef MV_MACHINE_BOOT_H
#define MV_MACHINE_BOOT_H

#include "bank.h"
#include "config.h"
#include "error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct mv_board;
struct mv_boot;
struct mv_engine_cache;
struct mv_loader;
struct mv_machine_boot;
struct mv_machine_image;
struct mv_space;

/*
 * --- boot-file.c: struct mv_boot_file, a file that the guest boots from.  It is
 * read once, into a copy that goes into guest memory at the start and again at
 * each reset; or anew before each reset, with a copy only as long as it takes
 * (--reload on).
 */

struct mv_boot_file {
    const char *role; /* "kernel", "initrd", "firmware"; not owned, as is the path */
    const char *path; /* NULL: the guest has none */
    int fd;           /* of the copy; -1: none now */
    uint64_t offset;  /* where in it the bytes begin */
    uint64_t size;    /* bytes, not 0 */
};

/*
 * Read it to its end into a copy of its bytes, which takes the place of the one
 * before.  What is larger than `most` bytes is not copied: a file may be asked
 * for its head and size and is then to be refused, a stream is refused here,
 * with -EFBIG.  -EINVAL where it is no file and has to be one, as it is to be
 * read `again`.  -EISDIR, -ENODATA (empty) and what open(2) and read(2) say are
 * the other refusals.
 */
int mv_boot_file_read(struct mv_boot_file *file, uint64_t most, bool again, struct mv_error *err);

/*
 * Take what a saved state carries in the file's place, where it lies.  -EINVAL where
 * that is nothing, or goes beyond the end.
 */
int mv_boot_file_take(struct mv_boot_file *file, const struct mv_machine_image *image,
                      struct mv_error *err);

/* At most len bytes from offset `at` on: their number, 0 at the end, or a negative errno. */
ssize_t mv_boot_file_bytes(const struct mv_boot_file *file, uint64_t at, void *buf, size_t len,
                           struct mv_error *err);

/* Something to make a copy in, which mv_boot_file_replace gives to the file. */
int mv_boot_file_copy(const struct mv_boot_file *file, struct mv_error *err);
int mv_boot_file_copy_add(const struct mv_boot_file *file, int copy, const void *buf, size_t len,
                          struct mv_error *err);
void mv_boot_file_replace(struct mv_boot_file *file, int copy, uint64_t size); /* -1: with none */

/* Copy it all to gpa, where `size` bytes of RAM are. */
int mv_boot_file_load(const struct mv_boot_file *file, struct mv_space *space, uint64_t gpa,
                      struct mv_error *err);

/*
 * --- kernel-pack.c: kernels in packed files: an Image compressed as a whole, and
 * EFI zboot images (Linux, drivers/firmware/efi/libstub/zboot-header.S), a program
 * for EFI with the compressed Image in it.
 */

/*
 * Where the file is packed, let what is in it, which is to fit into `ram` bytes,
 * take the place of its copy; *ret_packed says how it was, or is NULL where it was not.
 * -ENOEXEC where this version cannot unpack it, with how to do it; -EFBIG,
 * -EBADMSG (cut off, broken, something behind it), or what else fails: the file
 * is as it was then.  What comes out is yet to be looked at.
 */
int mv_kernel_unpack(struct mv_boot_file *file, uint64_t ram, const char **ret_packed,
                     struct mv_error *err);

/* --- boot.c */

/*
 * Read and check the files; the banks' total bounds how much.  The configuration outlives
 * it.  `carried` is what a saved state has in their place, for a guest that runs
 * already, or NULL: nothing is read by path then before a reset (--reload on).
 */
int mv_boot_create(const struct mv_config *config, const struct mv_machine_boot *carried,
                   const struct mv_loader *loader, const struct mv_bank_layout *layout,
                   struct mv_boot **ret, struct mv_error *err);
void mv_boot_destroy(struct mv_boot *boot);

/* Build the device tree and find a place for everything. */
int mv_boot_place(struct mv_boot *boot, const struct mv_board *board,
                  const struct mv_bank_layout *layout, const struct mv_engine_cache *caches,
                  struct mv_error *err);

/*
 * Before a reset: under --reload on, read and place the files anew.  Where that
 * fails nothing is changed that the guest sees, and it may be tried again.
 */
int mv_boot_reload(struct mv_boot *boot, const struct mv_bank_layout *layout, struct mv_error *err);

/* What a state that is saved is to carry; the descriptors stay the boot's. */
void mv_boot_describe(const struct mv_boot *boot, struct mv_machine_boot *ret);

/* The device tree, once it is built. */
const void *mv_boot_fdt(const struct mv_boot *boot, uint32_t *ret_size);

/* Copy everything into guest memory, the device tree with fresh seeds. */
int mv_boot_load(struct mv_boot *boot, struct mv_space *space, struct mv_error *err);

/* Where the first vCPU starts, and with which argument (booting.rst, section 4). */
void mv_boot_entry(const struct mv_boot *boot, uint64_t *ret_pc, uint64_t *ret_argument);

#endif
