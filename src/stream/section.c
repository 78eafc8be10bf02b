/* SPDX-License-Identifier: Apache-2.0 */
#include "section.h"

#include "bytes.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define MAGIC      UINT32_C(0x4345536d) /* "mSEC" */
#define HEAD_BYTES 24
#define SUM_BYTES  8

_Static_assert(HEAD_BYTES + SUM_BYTES == MV_SECTION_BYTES_MIN, "section.h has the layout");

/* What stands in the first bytes. */
struct head {
    uint32_t magic, version;
    uint16_t type, name_length, kind_length, zero;
    uint64_t length;
};

static const char *text_of(const char *text)
{
    return text == NULL ? "" : text;
}

const char *mv_section_text(const char *text, char buf[MV_SECTION_TEXT])
{
    size_t used = 0;
    for (; text[used] != '\0' && used < MV_SECTION_TEXT - 1; used++)
        buf[used] = text[used] >= 0x20 && text[used] < 0x7f ? text[used] : '?';
    buf[used] = '\0';
    if (text[used] != '\0')
        memcpy(buf + used - 3, "...", 3);
    return buf;
}

/* "section 7 'pci/03.0' (edu)", as far as it is known. */
static void prefix(struct mv_error *err, uint32_t number, const struct mv_section *section)
{
    char name[MV_SECTION_TEXT], kind[MV_SECTION_TEXT];
    mv_section_text(text_of(section->name), name);
    mv_section_text(text_of(section->kind), kind);
    mv_error_prefix(err, "section %" PRIu32 "%s%s%s%s%s%s", number, name[0] != '\0' ? " '" : "",
                    name, name[0] != '\0' ? "'" : "", kind[0] != '\0' ? " (" : "", kind,
                    kind[0] != '\0' ? ")" : "");
}

static int check_text(const char *what, const char *text, size_t len, struct mv_error *err)
{
    if (len > MV_SECTION_NAME_MAX)
        return mv_error_set(err, EINVAL, "its %s has %zu bytes: %d are the most", what, len,
                            MV_SECTION_NAME_MAX);
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c < 0x20 || c == 0x7f)
            return mv_error_set(err, EINVAL, "its %s has the control character 0x%x", what, c);
    }
    return 0;
}

/* --- writing */

static int check_room(const struct mv_section_writer *writer, const struct mv_section *section,
                      uint64_t bytes, struct mv_error *err)
{
    /* The end has its place kept. */
    uint64_t reserved = section->type == MV_SECTION_END ? 0 : MV_SECTION_BYTES_MIN;
    char most[MV_SIZE_TEXT];
    if (section->length > MV_SECTIONS_BYTES_MAX ||
        writer->written + bytes + reserved > MV_SECTIONS_BYTES_MAX)
        return mv_error_set(err, E2BIG,
                            "with its payload of %zu bytes all sections come to more than %s",
                            section->length, mv_size_format(MV_SECTIONS_BYTES_MAX, most));
    if (writer->count + (reserved > 0) >= MV_SECTIONS_COUNT_MAX)
        return mv_error_set(err, E2BIG, "%d sections are the most", MV_SECTIONS_COUNT_MAX);
    return 0;
}

static int write_parts(struct mv_section_writer *writer, const struct mv_section *section,
                       const uint8_t *front, size_t front_length, struct mv_error *err)
{
    XXH3_state_t *state = XXH3_createState();
    uint8_t sum[SUM_BYTES];
    if (state == NULL)
        return mv_error_set_errno(err, ENOMEM, "making its sum");
    XXH3_64bits_reset(state);
    XXH3_64bits_update(state, front, front_length);
    XXH3_64bits_update(state, section->payload, section->length);
    mv_bytes_put(sum, XXH3_64bits_digest(state), SUM_BYTES);
    XXH3_freeState(state);
    int r = writer->write(writer->opaque, front, front_length, err);
    if (r == 0 && section->length > 0)
        r = writer->write(writer->opaque, section->payload, section->length, err);
    return r < 0 ? r : writer->write(writer->opaque, sum, SUM_BYTES, err);
}

static int write_section(struct mv_section_writer *writer, const struct mv_section *section,
                         struct mv_error *err)
{
    uint8_t front[HEAD_BYTES + 2 * MV_SECTION_NAME_MAX], *at = front;
    const char *name = text_of(section->name), *kind = text_of(section->kind);
    size_t name_length = strlen(name), kind_length = strlen(kind);
    uint64_t bytes = MV_SECTION_BYTES_MIN + name_length + kind_length + section->length;
    int r = check_text("name", name, name_length, err);
    if (r == 0)
        r = check_text("kind", kind, kind_length, err);
    if (r == 0)
        r = check_room(writer, section, bytes, err);
    if (r < 0)
        return r;
    at = mv_bytes_put(at, MAGIC, 4);
    at = mv_bytes_put(at, section->type, 2);
    at = mv_bytes_put(at, name_length, 2);
    at = mv_bytes_put(at, kind_length, 2);
    at = mv_bytes_put(at, 0, 2);
    at = mv_bytes_put(at, section->version, 4);
    at = mv_bytes_put(at, section->length, 8);
    memcpy(at, name, name_length);
    memcpy(at + name_length, kind, kind_length);
    r = write_parts(writer, section, front, HEAD_BYTES + name_length + kind_length, err);
    if (r < 0)
        return r;
    writer->written += bytes;
    writer->count++;
    return 0;
}

int mv_section_write(struct mv_section_writer *writer, const struct mv_section *section,
                     struct mv_error *err)
{
    int r = write_section(writer, section, err);
    if (r < 0)
        prefix(err, writer->count + 1, section);
    return r;
}

int mv_section_write_end(struct mv_section_writer *writer, struct mv_error *err)
{
    return mv_section_write(writer, &(struct mv_section){.type = MV_SECTION_END}, err);
}

/* --- reading */

static int take(struct mv_section_reader *reader, XXH3_state_t *state, void *bytes, size_t len,
                struct mv_error *err)
{
    int r = reader->read(reader->opaque, bytes, len, err);
    if (r < 0)
        return r;
    reader->left -= len;
    XXH3_64bits_update(state, bytes, len);
    return 0;
}

static int take_head(struct mv_section_reader *reader, XXH3_state_t *state, struct head *head,
                     struct mv_error *err)
{
    uint8_t bytes[HEAD_BYTES];
    if (reader->left < MV_SECTION_BYTES_MIN)
        return mv_error_set(err, EINVAL, "%d bytes are due, and %" PRIu64 " are left",
                            MV_SECTION_BYTES_MIN, reader->left);
    int r = take(reader, state, bytes, sizeof bytes, err);
    if (r < 0)
        return r;
    *head = (struct head){
        .magic = (uint32_t)mv_bytes_get(bytes, 4),
        .type = (uint16_t)mv_bytes_get(bytes + 4, 2),
        .name_length = (uint16_t)mv_bytes_get(bytes + 6, 2),
        .kind_length = (uint16_t)mv_bytes_get(bytes + 8, 2),
        .zero = (uint16_t)mv_bytes_get(bytes + 10, 2),
        .version = (uint32_t)mv_bytes_get(bytes + 12, 4),
        .length = mv_bytes_get(bytes + 16, 8),
    };
    return 0;
}

/* Is all that the head speaks of there, before anything is allocated for it? */
static int check_head(const struct mv_section_reader *reader, const struct head *head,
                      struct mv_error *err)
{
    uint64_t others = (uint64_t)head->name_length + head->kind_length + SUM_BYTES;
    if (head->magic != MAGIC)
        return mv_error_set(err, EINVAL, "begins with 0x%" PRIx32 ", and sections with 0x%" PRIx32,
                            head->magic, MAGIC);
    if (reader->left < others || reader->left - others < head->length)
        return mv_error_set(err, EINVAL,
                            "%" PRIu64 " bytes and a payload of %" PRIu64 " are due, and %" PRIu64
                            " are left",
                            others, head->length, reader->left);
    return 0;
}

/* Name, kind and payload, in one piece of memory. */
static int take_body(struct mv_section_reader *reader, XXH3_state_t *state, const struct head *head,
                     struct mv_section *section, struct mv_error *err)
{
    size_t texts = (size_t)head->name_length + 1 + head->kind_length + 1;
    char *name = malloc(texts + head->length), *kind = name + head->name_length + 1;
    section->storage = name;
    if (name == NULL)
        return mv_error_set_errno(err, ENOMEM, "its payload of %" PRIu64 " bytes", head->length);
    memset(name, 0, texts);
    section->name = name;
    section->kind = kind;
    section->payload = (uint8_t *)name + texts;
    section->length = head->length;
    int r = take(reader, state, name, head->name_length, err);
    if (r == 0)
        r = take(reader, state, kind, head->kind_length, err);
    return r < 0 ? r : take(reader, state, name + texts, head->length, err);
}

static int take_sum(struct mv_section_reader *reader, XXH3_state_t *state, struct mv_error *err)
{
    uint64_t sum = XXH3_64bits_digest(state), noted;
    uint8_t bytes[SUM_BYTES];
    int r = take(reader, state, bytes, sizeof bytes, err);
    if (r < 0)
        return r;
    noted = mv_bytes_get(bytes, SUM_BYTES);
    if (sum != noted)
        return mv_error_set(
            err, EINVAL, "damaged: its bytes' sum is 0x%" PRIx64 ", and 0x%" PRIx64 " was written",
            sum, noted);
    return 0;
}

/* What is as it was written need not be what is known here. */
static int check_content(const struct mv_section_reader *reader, const struct head *head,
                         const struct mv_section *section, struct mv_error *err)
{
    bool is_end = head->type == MV_SECTION_END;
    int r = check_text("name", section->name, head->name_length, err);
    if (r == 0)
        r = check_text("kind", section->kind, head->kind_length, err);
    if (r < 0)
        return r;
    if (!is_end && (head->type < MV_SECTION_OBJECT || head->type > MV_SECTION_PAGES))
        return mv_error_set(err, ENOTSUP,
                            "type %u is unknown to memvisor " MV_VERSION "; '%s' wrote it",
                            head->type, reader->origin);
    if (head->zero != 0)
        return mv_error_set(err, ENOTSUP,
                            "flags 0x%x are unknown to memvisor " MV_VERSION "; '%s' wrote them",
                            head->zero, reader->origin);
    if (is_end && (head->name_length > 0 || head->kind_length > 0 || head->length > 0))
        return mv_error_set(err, EINVAL, "an end that has a name, a kind or a payload");
    return 0;
}

static int read_section(struct mv_section_reader *reader, XXH3_state_t *state,
                        struct mv_section *section, struct mv_error *err)
{
    struct head head = {0};
    if (reader->count > MV_SECTIONS_COUNT_MAX)
        return mv_error_set(err, EINVAL, "%d are the most", MV_SECTIONS_COUNT_MAX);
    if (state == NULL)
        return mv_error_set_errno(err, ENOMEM, "making its sum");
    XXH3_64bits_reset(state);
    int r = take_head(reader, state, &head, err);
    if (r == 0)
        r = check_head(reader, &head, err);
    if (r < 0)
        return r;
    section->type = head.type;
    section->version = head.version;
    r = take_body(reader, state, &head, section, err);
    if (r == 0)
        r = take_sum(reader, state, err);
    return r < 0 ? r : check_content(reader, &head, section, err);
}

int mv_section_read(struct mv_section_reader *reader, struct mv_section *ret_section,
                    struct mv_error *err)
{
    struct mv_section section = {0};
    XXH3_state_t *state = XXH3_createState();
    reader->count++;
    int r = read_section(reader, state, &section, err);
    XXH3_freeState(state);
    if (r < 0)
        prefix(err, reader->count, &section);
    if (r < 0 || section.type == MV_SECTION_END) {
        mv_section_clear(&section);
        return r;
    }
    *ret_section = section;
    return 1;
}

void mv_section_clear(struct mv_section *section)
{
    free(section->storage);
    *section = (struct mv_section){0};
}
