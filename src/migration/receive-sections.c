/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What comes behind memory: the sections of a state (section.h), cut into frames anywhere, and
 * the end.  The main channel's loader reads them; they are kept until the objects are loaded.
 */
#include "receive-parts.h"

#include "channel.h"
#include "section.h"
#include "size.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* The objects of a machine are far less. */
#define OBJECTS_MAX (16 * MV_MIB)

struct pieces {
    struct mv_receive_loader *loader;
    struct mv_wire_head head;
    size_t used;
};

static int read_piece(void *opaque, void *bytes, size_t len, struct mv_error *err)
{
    struct pieces *pieces = opaque;
    struct mv_receive *receive = pieces->loader->receive;
    struct mv_channel *channel = receive->lines.channels[0];
    uint8_t *next = bytes;
    while (len > 0) {
        size_t left = pieces->head.length - pieces->used, part = len < left ? len : left;
        memcpy(next, pieces->loader->payload + pieces->used, part);
        pieces->used += part;
        next += part;
        len -= part;
        if (len == 0)
            break;
        int r = mv_wire_read_head(channel, MV_WIRE_BIT(MV_WIRE_SECTIONS), &pieces->head, err);
        if (r == 0)
            r = mv_wire_read_payload(channel, &pieces->head, pieces->loader->payload, err);
        if (r < 0)
            return r;
        pieces->used = 0;
    }
    return 0;
}

static int keep_section(struct mv_receive *receive, struct mv_section *section,
                        struct mv_error *err)
{
    struct mv_section *grown =
        reallocarray(receive->sections, receive->section_count + 1, sizeof *grown);
    if (grown != NULL)
        receive->sections = grown;
    if (grown != NULL && section->type == MV_SECTION_OBJECT) {
        grown[receive->section_count++] = *section;
        return 0;
    }
    mv_section_clear(section);
    return grown == NULL ? mv_error_set_errno(err, ENOMEM, "receiving a guest")
                         : mv_error_set(err, EPROTO, "section %zu is none of an object",
                                        receive->section_count + 1);
}

int mv_receive_read_sections(struct mv_receive_loader *loader, const struct mv_wire_head *first,
                             struct mv_error *err)
{
    struct mv_receive *receive = loader->receive;
    struct pieces pieces = {.loader = loader, .head = *first};
    struct mv_section_reader reader = {.read = read_piece,
                                       .opaque = &pieces,
                                       .left = OBJECTS_MAX,
                                       .origin = receive->manifest.writer};
    struct mv_section section;
    int r = mv_wire_read_payload(receive->lines.channels[0], first, loader->payload, err);
    while (r == 0) {
        r = mv_section_read(&reader, &section, err);
        if (r <= 0)
            break;
        r = keep_section(receive, &section, err);
    }
    if (r == 0 && pieces.used != pieces.head.length)
        r = mv_error_set(err, EPROTO, "there is more behind the last section");
    return r;
}

int mv_receive_read_end(struct mv_receive *receive, struct mv_error *err)
{
    struct mv_channel *channel = receive->lines.channels[0];
    struct mv_wire_head head;
    int r = mv_wire_read_head(channel, MV_WIRE_BIT(MV_WIRE_END), &head, err);
    if (r == 0)
        r = mv_wire_read_payload(channel, &head, NULL, err);
    if (r == 0 && head.size != atomic_load(&receive->sizes))
        r = mv_error_set(err, EPROTO, "%" PRIu64 " bytes of memory were sent, and %" PRIu64 " came",
                         head.size, atomic_load(&receive->sizes));
    return r;
}
