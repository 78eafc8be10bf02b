/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the migration room: what goes over a channel while a guest moves.  All of it stands
 * in frames; bytes of one, little-endian:
 *
 *      0  magic, "mMOV"
 *      4  type (2): enum mv_wire_type
 *      6  kind (2): enum mv_wire_kind of RAM; of RUN whether the guest ran; of HELLO whether it
 *         takes up a move whose line broke; else 0
 *      8  length of the payload (4), within the type's limit
 *     12  index (4): of RAM, ABSENT and WANT the block's in the manifest, of PASS its number;
 *         else 0
 *     16  offset (8): of those three in the block; else 0
 *     24  size (8): of those three the bytes of the block that it is of; of MANIFEST ram_length
 *         as mv_manifest_parse has it; of END the sum of all RAM's sizes; else 0
 *     32  XXH3-64 of the payload, with the XXH3-64 of all before this as its seed (8)
 *     40  payload
 *
 * From the sender, on the first channel:
 *     HELLO      who it is: below
 *     MANIFEST   the text of a manifest (manifest.h); blocks that are saved come as RAM
 *     RAM…       of the blocks that a reset boots
 *     PASS 0     now the receiver makes the machine, and answers READY or REFUSED
 *     RAM… PASS 1, RAM… PASS 2 …    what is not sent in the first pass is zero
 *     SECTIONS…  a state's sections (section.h), cut anywhere; all of type OBJECT
 *     END        the receiver answers LOADED
 *     RUN        permission to let the guest run: the receiver answers RUNNING or FAILED
 * and on each other channel HELLO, RAM… and PASS in the same passes, from 1 on.
 *
 * Memory may follow the guest (postcopy): then ABSENT… stand before SECTIONS, a bit for each
 * page of 4 KiB, from the lowest one on, in whole words of 64: those are not there, or old.
 * From RUNNING on RAM… have them, on all channels; the receiver asks for those that are waited
 * for by WANT…, and says LOADED once all is there.  Where a line breaks before that the sender
 * connects again, each HELLO with the move's id and a kind of 1; the receiver says what it
 * lacks by ABSENT…, then READY, and all goes on as after RUNNING.
 *
 * What stands
 * behind a PASS is newer than what stands before it on any channel.  The receiver may say
 * FAILED at any time instead of what it would have answered, and nothing more; READY, LOADED
 * and RUNNING have no payload, REFUSED and FAILED a text.
 *
 * HELLO's payload, 128 bytes, of which magic, format and writer stay in later formats:
 *      0  "memvisor stream", a zero (16)
 *     16  format (4): 1, or 2 of a sender whose memory may follow
 *     20  number of channels (2), number of this one (2): 0 for the first
 *     24  id of the move (16), the same on all its channels
 *     40  id of the host's boot (16): files of both ends can be compared where it is the same
 *     56  zeros (8)
 *     64  writer, "memvisor VERSION", zeros (64)
 *
 * What is read is hostile: no length counts before it was found within its limit, and no
 * payload before its sum was checked.  No state but the channel's.
 */
#ifndef MV_MIGRATION_WIRE_H
#define MV_MIGRATION_WIRE_H

#include "error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mv_channel;

#define MV_WIRE_FORMAT     2 /* the newest that is known */
#define MV_WIRE_HEAD_BYTES 40
/* Of guest memory in one frame, where it has bytes of it, and of its payload. */
#define MV_WIRE_PIECE    (256u << 10)
#define MV_WIRE_TEXT_MAX 2000

enum mv_wire_type {
    MV_WIRE_HELLO = 1,
    MV_WIRE_MANIFEST,
    MV_WIRE_RAM,
    MV_WIRE_PASS,
    MV_WIRE_SECTIONS,
    MV_WIRE_END,
    MV_WIRE_RUN,
    /* The receiver's: */
    MV_WIRE_READY,
    MV_WIRE_REFUSED,
    MV_WIRE_LOADED,
    MV_WIRE_RUNNING,
    MV_WIRE_FAILED,
    /* Where memory follows: */
    MV_WIRE_ABSENT, /* either side's */
    MV_WIRE_WANT,   /* the receiver's */
};
/* A set of types that may come now. */
#define MV_WIRE_BIT(type) (UINT32_C(1) << (type))

enum mv_wire_kind {
    MV_WIRE_DATA = 1, /* the bytes */
    MV_WIRE_ZERO,     /* none: all are zero */
    MV_WIRE_FILL,     /* 8 bytes, repeated */
    MV_WIRE_ZSTD,     /* the bytes, as a frame of Zstandard (RFC 8878) */
};

struct mv_wire_head {
    uint16_t type, kind;
    uint32_t length, index;
    uint64_t offset, size;
    uint64_t seed, sum; /* of one that was read */
};

/* The bytes of a frame's head. */
void mv_wire_seal(const struct mv_wire_head *head, const void *payload,
                  uint8_t bytes[MV_WIRE_HEAD_BYTES]);
/* A frame, at once. */
int mv_wire_send(struct mv_channel *channel, const struct mv_wire_head *head, const void *payload,
                 struct mv_error *err);
/* The pages that a frame of ABSENT can tell of. */
#define MV_WIRE_ABSENT_PAGES (UINT64_C(8) * MV_WIRE_PIECE)
/* All pages of a block that have a bit among these (which has whole words), as frames of ABSENT. */
int mv_wire_send_absent(struct mv_channel *channel, uint32_t index, const uint64_t *bits,
                        uint64_t pages, struct mv_error *err);
/*
 * The words of an ABSENT frame, whose payload this is: for each page of the block there is a bit
 * in `bits`, which those of the frame are added to.  -EPROTO where it speaks of pages that are
 * none of the block's.
 */
int mv_wire_take_absent(const struct mv_wire_head *head, const void *payload, uint64_t *bits,
                        uint64_t pages, struct mv_error *err);
/* A frame without more than its type and a text (or NULL), cut where it is too long. */
int mv_wire_say(struct mv_channel *channel, enum mv_wire_type type, const char *text,
                struct mv_error *err);

/*
 * The next frame's head, of one of the types in the set.  -EPROTO where it is no such frame, or
 * says what its type cannot; what mv_channel_read says.  RAM has its kind, a payload of a
 * length that the kind has, and a size that is not 0 and no more than MV_WIRE_PIECE where it
 * has bytes: whether the block has such a place, the caller checks.
 */
int mv_wire_read_head(struct mv_channel *channel, uint32_t expected, struct mv_wire_head *ret,
                      struct mv_error *err);
/* Its payload: head->length bytes.  -EPROTO where the sum is another. */
int mv_wire_read_payload(struct mv_channel *channel, const struct mv_wire_head *head, void *bytes,
                         struct mv_error *err);
/*
 * The receiver's next answer, one of the types in the set, 0.  -EREMOTEIO for REFUSED and FAILED,
 * with the text, where they are in it.
 */
int mv_wire_read_answer(struct mv_channel *channel, uint32_t expected, struct mv_error *err);

/* --- HELLO */

#define MV_WIRE_ID_BYTES 16

struct mv_wire_hello {
    bool follows; /* memory may */
    bool resumes; /* a move whose line broke */
    uint16_t channels, number;
    uint8_t id[MV_WIRE_ID_BYTES];
    uint8_t boot[MV_WIRE_ID_BYTES];
    char writer[65];
};
/* This process's, of a new move, as its first channel's. */
int mv_wire_hello_make(unsigned channels, struct mv_wire_hello *ret, struct mv_error *err);
int mv_wire_send_hello(struct mv_channel *channel, const struct mv_wire_hello *hello,
                       struct mv_error *err);
/* -ENOTSUP for another format, -EPROTO for what is no HELLO at all. */
int mv_wire_read_hello(struct mv_channel *channel, struct mv_wire_hello *ret, struct mv_error *err);

#endif
