/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A state file: the container in which a guest is saved.  Little-endian:
 *
 *      0  header, 512 bytes:
 *           0  magic, "memvisor state", zeros (16)
 *          16  format (4): MV_STATEFILE_FORMAT
 *          20  the header's length (4)
 *          24  id (16): random, known to an incremental file that builds on this one
 *          40  the file's length (8)
 *          48  offset and length (8 each) of RAM, 64 of the manifest, 80 of the sections
 *          96  writer: "memvisor VERSION", zeros (64)
 *         160  XXH3-64 of the manifest (8)
 *         168  zeros
 *         504  XXH3-64 of all before it (8)
 *    512  status, 512 bytes, all that ever changes in place:
 *           0  magic, "mSTA" (4)
 *           4  status (4): enum mv_statefile_status
 *           8  zeros
 *         504  XXH3-64 of all before it (8)
 *   1024  not looked at
 *  2 MiB  RAM, a multiple of 2 MiB long, so that it can be mapped with pages of any
 *         size; which block is where says the manifest.  Sparse, and under no sum here.
 *         The manifest, a text; the sections (section.h); and nothing behind them.
 *
 * A later format keeps magic, format, writer, and where the header's sum is.
 *
 * Errors begin with "header: ", "status: ", "manifest: " or "section N …: ".
 * No lock: one thread at a time; a file that changes while it is read is as
 * hostile as any other.  Called by migration, to which RAM and the manifest's
 * meaning belong.
 */
#ifndef MV_STREAM_STATEFILE_H
#define MV_STREAM_STATEFILE_H

#include "section.h"

#define MV_STATEFILE_FORMAT       1
#define MV_STATEFILE_ID_BYTES     16
#define MV_STATEFILE_WRITER_BYTES 64
#define MV_STATEFILE_MANIFEST_MAX (4 * MV_MIB)
/* What a block's place in the file is a multiple of, and where the first may be. */
#define MV_STATEFILE_RAM_ALIGN  (2 * MV_MIB)
#define MV_STATEFILE_RAM_OFFSET MV_STATEFILE_RAM_ALIGN

enum mv_statefile_status {
    MV_STATEFILE_WHOLE = 0,
    MV_STATEFILE_STALE = 1,  /* the guest went on with memory of the state that is elsewhere */
    MV_STATEFILE_IN_USE = 2, /* a guest runs on such memory */
    /* The same of one that runs on the file's RAM: no sum of that holds any more. */
    MV_STATEFILE_RAM_STALE = 3,
    MV_STATEFILE_RAM_IN_USE = 4,
};

/* --- reading */

struct mv_statefile {
    uint8_t id[MV_STATEFILE_ID_BYTES];
    enum mv_statefile_status status;
    char writer[MV_STATEFILE_WRITER_BYTES + 1]; /* printable */
    uint64_t length;                            /* the file's */
    uint64_t ram_length;                        /* from MV_STATEFILE_RAM_OFFSET */
    char *manifest;                             /* with a zero behind it */
    size_t manifest_length;
    struct mv_section *sections; /* in the file's order, without the end */
    size_t section_count;
    const struct mv_section **sorted; /* for mv_statefile_find */
};

/*
 * All but RAM, checked, into memory.  fd is open for reading; its position does
 * not count.  -EINVAL for what is damaged, cut, longer than it says or no state
 * file, -ENOTSUP for a newer one, -ENOMEM, or why it cannot be read.  The status
 * is told and not judged.
 */
int mv_statefile_read(int fd, struct mv_statefile *ret_file, struct mv_error *err);
/*
 * Of one that comes in pieces, of which the first so many bytes are there: how long it is, and
 * from which byte on all is needed for mv_statefile_read.
 */
#define MV_STATEFILE_HEAD_BYTES 1024
int mv_statefile_measure(int fd, uint64_t *ret_length, uint64_t *ret_tail, struct mv_error *err);
void mv_statefile_clear(struct mv_statefile *file);

/* NULL where there is none; there are no two of one type and name. */
const struct mv_section *mv_statefile_find(const struct mv_statefile *file,
                                           enum mv_section_type type, const char *name);

/*
 * Whether the file begins as state files do, of whatever format: all that can be told of one
 * that is cut or damaged.
 */
bool mv_statefile_is_one(int fd);

/* --- writing */

struct mv_statefile_writer {
    int fd;
    uint8_t id[MV_STATEFILE_ID_BYTES];
    uint64_t ram_length, manifest_length, manifest_sum;
    uint64_t next;                     /* where in the file the next byte goes */
    struct mv_section_writer sections; /* for mv_section_write */
};

/*
 * Write the manifest into a file behind RAM of `ram_length` bytes, which is
 * rounded up and may be written before or later.  The writer must stay where it
 * is.  -E2BIG where a reader would not take it, or why it cannot be written.
 */
int mv_statefile_begin(struct mv_statefile_writer *writer, int fd,
                       const uint8_t id[MV_STATEFILE_ID_BYTES], uint64_t ram_length,
                       const char *manifest, size_t manifest_length, struct mv_error *err);
/*
 * Behind the last section: the end, the file's length, and last of all header
 * and status (whole).  Nothing is synced: that is the caller's.
 */
int mv_statefile_end(struct mv_statefile_writer *writer, struct mv_error *err);

/*
 * The status of a file that was read, in place and at once on the disk.  fd is
 * open for writing.
 */
int mv_statefile_mark(int fd, enum mv_statefile_status status, struct mv_error *err);

#endif
