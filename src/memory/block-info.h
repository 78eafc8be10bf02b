/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is told of a block, as --json lists it; and why the host could not access a byte of
 * it, by what the host says of the backing afterwards: SIGBUS itself (fault.h) tells no more
 * than the address.  A block's fields do not change and the host's kernel counts the pages,
 * so there is no state and no lock.
 */
#ifndef MV_MEMORY_BLOCK_INFO_H
#define MV_MEMORY_BLOCK_INFO_H

#include "error.h"
#include "policy.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mv_block;

/* The texts belong to the block and live as long as it does. */
struct mv_block_info {
    const char *id;
    const char *device; /* path of the owner, "" for the board */
    uint64_t generation;
    uint64_t size;       /* bytes */
    const char *backing; /* "anonymous", "memfd", "file", "nbd", "hugetlb", "fd" */
    const char *path;    /* of the file, or the export's URI; NULL where it has no name */
    bool part;           /* its bytes are a part of the file, */
    uint64_t offset;     /* from this byte on */
    bool share;          /* others who map it see what the guest writes */
    bool save;
    uint64_t page_size; /* of the host's pages, bytes */
    uint64_t resident;  /* bytes mapped into this process now, huge pages too */
    uint64_t huge;      /* bytes of these in huge pages */
    bool from_source;   /* its bytes come later (paging.h): */
    uint64_t absent;    /* those that are to come still */
    /* What stands for all of the block, by what the host's kernel says. */
    bool locked;
    bool merge;       /* KSM may share its pages */
    bool dump;        /* a core file has it */
    bool thp, no_thp; /* asked for, or refused; neither: the host's default */
    struct mv_numa_policy numa;
};

/* Any thread; takes time in proportion to what is resident. */
int mv_block_describe(const struct mv_block *block, struct mv_block_info *ret,
                      struct mv_error *err);

/* As mv_config_parse_backing takes them: of what the block could be made again; the block's. */
const char *mv_block_keys(const struct mv_block *block);

/*
 * The file that has the block's bytes, or those that the guest has not changed (share=off);
 * false where there is none with a name.
 */
struct mv_block_file {
    const char *path;       /* absolute; the block's */
    uint64_t size;          /* bytes that the file has now */
    uint64_t device, inode; /* which file it is; a block device has itself and 0 */
    bool shared;            /* the guest's changes go there */
};
bool mv_block_identify(const struct mv_block *block, struct mv_block_file *ret);

/*
 * Where another process finds the block's bytes, if it is given the descriptor:
 * from this offset on, as many as the block has.  False where nobody else can
 * map them.  The number stays good as long as the block; after
 * mv_block_replace_fd other memory is behind it, and whoever mapped the old one
 * is to be told.
 */
struct mv_block_handle {
    int fd;
    uint64_t offset; /* bytes */
};
bool mv_block_share(const struct mv_block *block, struct mv_block_handle *ret);

/*
 * The path by which another process of this host can open and map the block's
 * bytes from its start on, as long as this one runs; to be freed.  NULL where none
 * can, where the bytes do not begin with the file, or where memory is out.  It stays good
 * as long as the block; after mv_block_replace_fd other memory is behind it, and whoever
 * mapped the old one is to be told.
 */
char *mv_block_map_path(const struct mv_block *block);

/*
 * How much of each of `parts` equal stretches of the block is resident, in
 * bytes: for drawing.  The stretches are size / parts bytes, the last one what
 * is left.  parts is at least 1.
 */
int mv_block_residency(const struct mv_block *block, size_t parts, uint64_t *ret_bytes,
                       struct mv_error *err);

/* --- faults */

/*
 * What is wrong with the byte at `offset` now: a word for programs ("shrunk",
 * "no-space", "no-huge-page", "source-lost", "io-error"), a sentence, and what can be done.
 * Any thread.
 */
struct mv_block_fault {
    const char *reason;
    struct mv_error what;   /* "block ram0 has no byte 0x1000: ..." */
    struct mv_error remedy; /* "make the file whole again (truncate -s ...)" */
};
void mv_block_fault_explain(const struct mv_block *block, uint64_t offset,
                            struct mv_block_fault *ret);

#endif
