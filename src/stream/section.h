/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sections: all of a state beside RAM, in pieces that say what they are and that
 * a sum guards.  They go to whatever takes bytes and come from whatever gives
 * them (a file, memory, a socket), by a function of the caller's.  Bytes of one,
 * little-endian:
 *
 *      0  magic, "mSEC"
 *      4  type (2): enum mv_section_type
 *      6  length of the name (2), 8 of the kind (2), up to MV_SECTION_NAME_MAX
 *     10  zero (2)
 *     12  version (4): of the kind's state table, else 0
 *     16  length of the payload (8)
 *     24  name, kind, payload: as they are, without a zero behind them
 *         XXH3-64 of all before it (8)
 *
 * The last one is of type END and has nothing in it.
 *
 * What is read is hostile until the section is complete: no more is allocated
 * than the bytes that there can be.  Errors begin with which section it is:
 * "section 7 'pci/03.0' (edu): …", counted from 1.  No lock: a writer or reader
 * belongs to one thread.  Called by statefile.c and by migration.
 */
#ifndef MV_STREAM_SECTION_H
#define MV_STREAM_SECTION_H

#include "error.h"
#include "size.h"

#include <stddef.h>
#include <stdint.h>

/* Of a name, and of a kind, in bytes; neither has control characters in it. */
#define MV_SECTION_NAME_MAX 4096
/* Of all sections of a state together; what is beyond them is neither written nor read. */
#define MV_SECTIONS_BYTES_MAX (40 * MV_MIB)
#define MV_SECTIONS_COUNT_MAX 16384
/* A section with nothing in it. */
#define MV_SECTION_BYTES_MIN 32

enum mv_section_type {
    MV_SECTION_OBJECT = 1, /* a state table's bytes; kind and version are the table's */
    MV_SECTION_SUMS = 2,   /* of a block's RAM */
    MV_SECTION_PAGES = 3,  /* which pages of a block the file has: a bit each, the lowest first */
    MV_SECTION_END = 0xffff,
};

struct mv_section {
    uint16_t type;
    uint32_t version;
    const char *name; /* a device's or vCPU's path, a block's identity */
    const char *kind; /* a device's type; "" where there is none */
    const uint8_t *payload;
    size_t length;
    void *storage; /* of one that was read: what all of it lies in */
};

struct mv_section_writer {
    /* All bytes or none that count: 0, or an error behind which the writer is of no use. */
    int (*write)(void *opaque, const void *bytes, size_t len, struct mv_error *err);
    void *opaque;
    uint64_t written; /* bytes */
    uint32_t count;   /* sections */
};

/*
 * -EINVAL for a name or kind that is none, -E2BIG where the section, or all of
 * them, would be more than a reader takes; what `write` says.
 */
int mv_section_write(struct mv_section_writer *writer, const struct mv_section *section,
                     struct mv_error *err);
int mv_section_write_end(struct mv_section_writer *writer, struct mv_error *err);

struct mv_section_reader {
    /* All of the bytes, or an error behind which the reader is of no use. */
    int (*read)(void *opaque, void *bytes, size_t len, struct mv_error *err);
    void *opaque;
    uint64_t left;      /* bytes that there can be: up to MV_SECTIONS_BYTES_MAX */
    const char *origin; /* which version wrote them, for errors */
    uint32_t count;
};

/*
 * The next section: 1, and the caller clears it; 0 for the end; -EINVAL where it
 * is damaged or breaks a limit, -ENOTSUP for a type that is unknown here,
 * -ENOMEM, or what `read` says.
 */
int mv_section_read(struct mv_section_reader *reader, struct mv_section *ret_section,
                    struct mv_error *err);
void mv_section_clear(struct mv_section *section);

/*
 * What a message says of a text that may be hostile or long: the printable ASCII
 * of its first bytes, '?' for others.
 */
#define MV_SECTION_TEXT 128
const char *mv_section_text(const char *text, char buf[MV_SECTION_TEXT]);

#endif
