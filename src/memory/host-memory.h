/* SPDX-License-Identifier: Apache-2.0 */
/* How much memory the host has for this process, and where a tmpfs is mounted. */
#ifndef MV_MEMORY_HOST_MEMORY_H
#define MV_MEMORY_HOST_MEMORY_H

#include <stdint.h>
#include <sys/types.h>

/*
 * Bytes that there are in all: RAM and swap, or what the smallest limit of the
 * control groups around this process says.  *ret_who is a constant that says
 * who has it: "the host has", "its control group may use".  UINT64_MAX where
 * the kernel does not tell.
 */
uint64_t mv_host_memory_total(const char **ret_who);

/* Bytes that can be had now without ending another process; swap: by swapping, too. */
uint64_t mv_host_memory_available(int swap);

/* The value of "NAME: N kB" of /proc/meminfo in bytes; UINT64_MAX where there is none. */
uint64_t mv_host_memory_info(const char *name);

/* Where the tmpfs with this st_dev is mounted, by its shortest name; to be freed, or NULL. */
char *mv_host_memory_tmpfs(dev_t device);

/* A number in a file of the kernel's; UINT64_MAX where there is none. */
uint64_t mv_host_memory_number(const char *path);

#endif
