/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_backing: where a block's bytes live.  Each kind is a row: its name, and how it is
 * opened; what is done with them then goes by the backing's fields.  A backing belongs to its
 * block and has no lock: the main thread makes and closes it, and its fields do not change in
 * between.
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
struct mv_backing_nbd;
struct mv_block_place;

struct mv_backing_request {
    const char *id; /* the block's, for messages and names */
    uint64_t size;  /* bytes */
    struct mv_config_backing wish;
    const char *mem_dir;                /* where unnamed files are made; may be NULL */
    const struct mv_block_place *place; /* where the bytes are already; else NULL */
};

struct mv_backing_kind {
    const char *name;
    const char *what; /* in messages, where the wish names no file and no descriptor */
    /*
     * Get hold of the bytes; nothing is mapped yet.  Called with fd -1 and the host's page size
     * set; where it fails, the backing is freed.  NULL: there is nothing to do.
     */
    int (*open)(struct mv_backing *backing, const struct mv_backing_request *request,
                struct mv_error *err);
};

struct mv_backing {
    const struct mv_backing_kind *kind;
    char *what;         /* in messages: "file 'ram.img'", "the memfd" */
    bool share;         /* others who map it see what the guest writes */
    bool same_file;     /* others may map it, too */
    bool writes_back;   /* the guest's changes are copied to where the bytes came from */
    bool created;       /* the file is new, and goes with the backing unless a block keeps it */
    bool short_of_part; /* it ends before the block's bytes do, and is to be made longer */
    uint64_t old_size;  /* bytes it had before it was made longer, to new_size; that is 0 else */
    uint64_t new_size;
    char *path;         /* absolute, or an export's URI; NULL where it has no name */
    char *keys;         /* text of what was wished, for one that is made again */
    int fd;             /* -1 where there is none */
    dev_t device;       /* of fd; of a block device itself */
    ino_t inode;        /* 0 for a block device */
    bool device_node;   /* fd is a block device */
    bool part;          /* of a file that may hold more */
    uint64_t offset;    /* bytes: where the block's begin in fd */
    uint64_t lock_len;  /* of the lock on a file from there on; 0: all of it */
    uint64_t cache;     /* bytes of an export that may be in memory; 0: all */
    uint64_t page_size; /* bytes: what size, offsets and the host address are multiples of */
    struct mv_backing_nbd *nbd; /* backing-nbd.c's; NULL: its bytes are in no export */
    bool unclaimed;     /* the file is locked by somebody else, or nobody: block-claim.h */
    bool claims;        /* being claimed together with others */
};

extern const struct mv_backing_kind mv_backing_anonymous, mv_backing_memfd, mv_backing_file,
    mv_backing_hugetlb, mv_backing_nbd, mv_backing_parent_fd, mv_backing_placed;

/* --- backing.c */

/* The kind that the wish names. */
const struct mv_backing_kind *mv_backing_choose(const struct mv_backing_request *request);
/* Choose the kind, and open it. */
int mv_backing_open(const struct mv_backing_request *request, struct mv_backing **ret,
                    struct mv_error *err);
void mv_backing_free(struct mv_backing *backing);
/*
 * Note what was wished as backing->keys: with the path from the root on, and what nobody else
 * can be given (a descriptor), or is not to be done again (making the file), left out.
 */
int mv_backing_note_keys(struct mv_backing *backing, const struct mv_config_backing *wish,
                         struct mv_error *err);
/* Whether its pages are of the host's pool of huge pages. */
bool mv_backing_is_huge(const struct mv_backing *backing);
/* Map all of it at host, in place of what is mapped there. */
int mv_backing_map(struct mv_backing *backing, uint8_t *host, uint64_t size, struct mv_error *err);
/*
 * Give pages back: they read as zeros from then on.  offset and len count bytes and are
 * multiples of page_size.  -EOPNOTSUPP or another negative errno where the host cannot.
 */
int mv_backing_punch(struct mv_backing *backing, uint8_t *host, uint64_t offset, uint64_t len);
/* Have the pages of a range in memory, ready to be written.  Any thread. */
int mv_backing_populate(struct mv_backing *backing, uint8_t *host, uint64_t offset, uint64_t len);

/* --- backing-fd.c: what kinds with a descriptor share */

/* Give backing->fd this size in bytes.  A limit on files of this process is told. */
int mv_backing_fd_resize(const struct mv_backing *backing, uint64_t size, struct mv_error *err);
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
 */
int mv_backing_fd_check(struct mv_backing *backing, const struct mv_backing_request *request,
                        struct mv_error *err);
/* "64M" for truncate -s and -m: the shortest exact spelling. */
#define MV_ARGUMENT_TEXT 32
const char *mv_argument_format(uint64_t size, char buf[MV_ARGUMENT_TEXT]);
#define mv_argument_text(size) mv_argument_format(size, (char[MV_ARGUMENT_TEXT]){""})
/*
 * A path quoted for a shell, for a command that a message says to type; `inside`: one that
 * stands in single quotes.
 */
#define MV_QUOTED_TEXT (2 * PATH_MAX + 4)
const char *mv_quoted_format(const char *path, bool inside, char buf[MV_QUOTED_TEXT]);
#define mv_quoted_text(path, inside) mv_quoted_format(path, inside, (char[MV_QUOTED_TEXT]){""})

/* --- backing-file.c */

/* Keep other memvisors off a file with a name: -EBUSY where one is there. */
int mv_backing_claim(struct mv_backing *backing, struct mv_error *err);
void mv_backing_release(struct mv_backing *backing);

/* The folder in which unnamed files are made. */
const char *mv_backing_temporary_folder(const struct mv_backing_request *request);

/*
 * The mount point of the file system that has the path; of a path that is gone, that of
 * its folder.
 */
bool mv_mount_point(const char *path, char ret[PATH_MAX]);

#endif
