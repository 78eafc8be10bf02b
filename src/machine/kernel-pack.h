/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernels in packed files: an Image compressed as a whole, and EFI zboot images
 * (Linux, drivers/firmware/efi/libstub/zboot-header.S), a program for EFI with
 * the compressed Image in it.
 */
#ifndef MV_MACHINE_KERNEL_PACK_H
#define MV_MACHINE_KERNEL_PACK_H

#include "boot-file.h"
#include "error.h"

#include <stdint.h>

/*
 * Where the file is packed, let what is in it, which is to fit into `ram` bytes,
 * take the place of its copy; *ret_packed says how it was, or is NULL where it was not.
 * -ENOEXEC where this version cannot unpack it, with how to do it; -EFBIG,
 * -EBADMSG (cut off, broken, something behind it), or what else fails: the file
 * is as it was then.  What comes out is yet to be looked at.
 */
int mv_kernel_unpack(struct mv_boot_file *file, uint64_t ram, const char **ret_packed,
                     struct mv_error *err);

#endif
