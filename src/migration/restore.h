/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_restore: a state file that a machine is made of, from the first look at it until
 * the machine has ended.  The file stays open, because the machine's memory and what a reset
 * boots may lie in it, and locked (fcntl_locking(2)) against a guest that would change it.
 * Main thread.
 *
 *     mv_restore_open      what the file says, and the options that replace it, come to a
 *                          configuration; all that can be told without making anything
 *     mv_restore_machine   the machine, every block and device matched by its identity in
 *                          both directions, its state loaded; it has not run
 *     mv_restore_begin     it is about to run
 *     mv_restore_stop      it will not run any more, and is there still
 *     mv_restore_end       it is no more
 */
#ifndef MV_MIGRATION_RESTORE_H
#define MV_MIGRATION_RESTORE_H

#include "config.h"
#include "error.h"

#include <stdbool.h>
#include <stdint.h>

struct mv_loop;
struct mv_machine;
struct mv_restore;
struct mv_serial_backend;

/*
 * `wish` has its file, and what else was given; what is in its configuration becomes the
 * restore's, whether this fails or not.  begun_ns: when the process began, by mv_now_ns.
 * -EBUSY where a guest is at the file that would disturb this one, -ESTALE for a file whose
 * memory went on without its devices, -ENOTSUP for a newer one, -EINVAL for what is damaged
 * or does not match, or why it cannot be read.
 */
int mv_restore_open(struct mv_config_restore *wish, uint64_t begun_ns, struct mv_restore **ret,
                    struct mv_error *err);
/* What the machine is made of; its name may be set.  The restore's. */
struct mv_config *mv_restore_config(struct mv_restore *restore);
/* Nothing has changed in files where this fails, but for ones that --ram copy reads into. */
int mv_restore_machine(struct mv_restore *restore, struct mv_loop *loop,
                       struct mv_serial_backend *serial, struct mv_machine **ret,
                       struct mv_error *err);
/*
 * Note in the file that a guest runs on what it has, where that will change.  What the
 * file cannot be told is an error: then the guest must not run.
 */
int mv_restore_begin(struct mv_restore *restore, struct mv_error *err);
/* Before the machine is destroyed, where it was made: what the guest touched is written. */
void mv_restore_stop(struct mv_restore *restore);
/* Once the machine is destroyed, or was not made.  May be NULL. */
void mv_restore_end(struct mv_restore *restore);

struct mv_restore_info {
    const char *file;   /* absolute */
    const char *name;   /* of the VM that was saved */
    const char *writer; /* the memvisor that wrote it */
    uint8_t id[16];
    int64_t saved_at; /* seconds since 1970 */
    enum mv_config_ram ram;
    bool has_begun;    /* the guest was let go once: */
    uint64_t first_ns; /* how long after the process began, nanoseconds */
    /* Page faults since then, but for those of bringing the working set. */
    uint64_t minor_faults, major_faults;
    bool has_set; /* the state's working set, of what guests touched before, is brought in: */
    uint64_t set_bytes, brought_bytes; /* with what lies between its pages, so far */
    bool set_is_there;
    uint64_t set_ns; /* how long after the process began all was there */
};
/* The texts are the restore's. */
void mv_restore_describe(const struct mv_restore *restore, struct mv_restore_info *ret);
/* "private", "copy", "shared" */
const char *mv_restore_ram_word(enum mv_config_ram ram);

#endif
