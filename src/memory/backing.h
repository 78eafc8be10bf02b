/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_backing: where a block's bytes live.  Each kind is one table of functions
 * (struct mv_backing_ops); what all kinds with a descriptor do alike is in backing-fd.c.
 * A backing belongs to its block and has no lock: the main thread makes and closes it, and
 * its fields do not change in between.
 */
#ifndef MV_MEMORY_BACKING_H
#define MV_MEMORY_BACKING_H

#include "config.h"
#include "error.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct mv_backing;

struct mv_backing_request {
    const char *id; /* the block's, for messages and names */
    uint64_t size;  /* bytes */
    const struct mv_config_backing *wish;
    const char *mem_dir; /* where unnamed files are made; may be NULL */
};

struct mv_backing_ops {
    const char *kind; /* "anonymous", "memfd", "file", "hugetlb", "fd" */
    /*
     * Get hold of size bytes; nothing is mapped yet.  Called with fd -1 and the host's page size
     * set; where it fails, close is called.  NULL: there is nothing to do.
     */
    int (*open)(struct mv_backing *backing, const struct mv_backing_request *request,
                struct mv_error *err);
    /* Keep other memvisors off: -EBUSY where one is there.  May be NULL. */
    int (*claim)(struct mv_backing *backing, struct mv_error *err);
    /* Map all of it at host, in place of what is mapped there. */
    int (*map)(struct mv_backing *backing, uint8_t *host, uint64_t size, struct mv_error *err);
    /*
     * Give pages back: they read as zeros from then on.  offset and len count
     * bytes and are multiples of page_size.  -EOPNOTSUPP or another negative
     * errno where the host cannot.
     */
    int (*punch)(struct mv_backing *backing, uint8_t *host, uint64_t offset, uint64_t len);
    /* Have what was written so far on stable storage. */
    int (*sync)(struct mv_backing *backing, uint8_t *host, uint64_t size);
    /* Have the pages of a range in memory, ready to be written.  Any thread. */
    int (*fetch)(struct mv_backing *backing, uint8_t *host, uint64_t offset, uint64_t len);
    void (*close)(struct mv_backing *backing);
};

struct mv_backing {
    const struct mv_backing_ops *ops;
    bool share;         /* others who map it see what the guest writes */
    bool same_file;     /* others may map it, too */
    bool created;       /* the file is new, and goes with the backing unless a block keeps it */
    bool short_of_part; /* it ends before the block's bytes do, and is to be made longer */
    uint64_t old_size;  /* bytes it had before it was made longer, to new_size; that is 0 else */
    uint64_t new_size;
    char *path;         /* absolute; NULL where it has no name */
    int fd;             /* -1 where there is none */
    dev_t device;       /* of fd; of a block device itself */
    ino_t inode;        /* 0 for a block device */
    bool device_node;   /* fd is a block device */
    bool part;          /* of a file that may hold more */
    uint64_t offset;    /* bytes: where the block's begin in fd */
    uint64_t lock_len;  /* of the lock on a file from there on; 0: all of it */
    uint64_t page_size; /* bytes: what size, offsets and the host address are multiples of */
};

extern const struct mv_backing_ops mv_backing_anonymous;
extern const struct mv_backing_ops mv_backing_memfd;
extern const struct mv_backing_ops mv_backing_file;
extern const struct mv_backing_ops mv_backing_hugetlb;
extern const struct mv_backing_ops mv_backing_parent_fd;

/* --- backing.c */

/* The kind that the wish names. */
const struct mv_backing_ops *mv_backing_choose(const struct mv_backing_request *request);
/* Choose the kind, and open it. */
int mv_backing_open(const struct mv_backing_request *request, struct mv_backing **ret,
                    struct mv_error *err);
/* Whether its pages are of the host's pool of huge pages. */
bool mv_backing_is_huge(const struct mv_backing *backing);
/* close for every kind that keeps nothing of its own. */
void mv_backing_free(struct mv_backing *backing);
/* mmap at a fixed place; `flags` are MAP_SHARED and its like. */
int mv_backing_mmap(struct mv_backing *backing, uint8_t *host, uint64_t size, int flags,
                    struct mv_error *err);
/* fetch for every kind whose pages the host itself brings. */
int mv_backing_populate(struct mv_backing *backing, uint8_t *host, uint64_t offset, uint64_t len);

/* --- backing-fd.c: what kinds with a descriptor share */

/*
 * Give backing->fd this size in bytes.  `what` names it in messages: "file
 * 'ram.img'", "the memfd".  A limit on files of this process is told.
 */
int mv_backing_fd_resize(const struct mv_backing *backing, uint64_t size, const char *what,
                         struct mv_error *err);
/*
 * Make a file that is short_of_part long enough.  Only once it is claimed: another
 * memvisor that takes back its own growth then sees that the file is in use.
 */
int mv_backing_fd_grow(struct mv_backing *backing, uint64_t size, struct mv_error *err);
/* How many bytes fd holds, be it a file or a block device. */
int mv_backing_fd_size(int fd, uint64_t *ret);
/*
 * Take what fstat says of backing->fd, and check that it holds exactly
 * request->size bytes, or a part of so many at the offset that the wish names.
 * `what` is as above.
 */
int mv_backing_fd_check(struct mv_backing *backing, const struct mv_backing_request *request,
                        const char *what, struct mv_error *err);
int mv_backing_fd_map(struct mv_backing *backing, uint8_t *host, uint64_t size,
                      struct mv_error *err);
int mv_backing_fd_punch(struct mv_backing *backing, uint8_t *host, uint64_t offset, uint64_t len);
int mv_backing_fd_sync(struct mv_backing *backing, uint8_t *host, uint64_t size);
/* "64M" for truncate -s and -m: the shortest exact spelling. */
#define MV_BACKING_SIZE_ARGUMENT 32
const char *mv_backing_size_argument(uint64_t size, char buf[MV_BACKING_SIZE_ARGUMENT]);
/*
 * A path quoted for a shell, for a command that a message says to type.  The first form is
 * for a command that stands alone; the second for one inside single quotes.
 */
#define MV_BACKING_QUOTED (2 * PATH_MAX + 4)
const char *mv_backing_quote(const char *path, char buf[MV_BACKING_QUOTED]);
const char *mv_backing_quote_inside(const char *path, char buf[MV_BACKING_QUOTED]);

/* --- backing-file.c */

/* The folder in which unnamed files are made. */
const char *mv_backing_temporary_folder(const struct mv_backing_request *request);

/*
 * The mount point of the file system that has the path; of a path that is gone, that of
 * its folder.
 */
bool mv_mount_point(const char *path, char ret[PATH_MAX]);

/*
 * -EROFS with "WHAT: the file system at /mnt is read-only: CHOICE, or" and the
 * command that makes it writable.
 */
int mv_mount_refuse_read_only(const char *path, const char *what, const char *choice,
                              struct mv_error *err);

#endif
