/* SPDX-License-Identifier: Apache-2.0 */
#include "statefile.h"

#include "bytes.h"
#include "os.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <xxhash.h>

#define MAGIC        "memvisor state\0" /* with the string's own, 16 bytes */
#define STATUS_MAGIC UINT32_C(0x4154536d)
#define PART_BYTES   512 /* of the header, and of the status behind it */
#define SUM_AT       504
#define BOTH_BYTES   (2 * PART_BYTES)

/* Where things are in the header. */
enum {
    FORMAT_AT = 16,
    LENGTH_AT = 20,
    ID_AT = 24,
    LAYOUT_AT = 40,
    WRITER_AT = 96,
    MANIFEST_SUM_AT = 160,
};

_Static_assert(sizeof MAGIC == FORMAT_AT, "statefile.h has the layout");

enum piece { RAM, MANIFEST, SECTIONS, PIECES };

/* What follows what, and how long it may be. */
static const struct {
    const char *is, *has;
    uint64_t longest;
} pieces[PIECES] = {
    [RAM] = {"RAM is", "RAM has", INT64_MAX},
    [MANIFEST] = {"the manifest is", "the manifest has", MV_STATEFILE_MANIFEST_MAX},
    [SECTIONS] = {"the sections are", "the sections have", MV_SECTIONS_BYTES_MAX},
};

struct layout {
    uint64_t file_length, manifest_sum;
    struct {
        uint64_t offset, length;
    } pieces[PIECES];
};

/* --- bytes of the file */

static int read_at(int fd, uint64_t at, void *bytes, size_t len, struct mv_error *err)
{
    int r = mv_pread_all(fd, bytes, len, at);
    if (r == -ENODATA)
        return mv_error_set(err, EINVAL, "the file has become shorter than it was");
    return r < 0 ? mv_error_set_errno(err, -r, "reading %zu bytes at %" PRIu64, len, at) : 0;
}

static int write_at(int fd, uint64_t at, const void *bytes, size_t len, struct mv_error *err)
{
    int r = mv_pwrite_all(fd, bytes, len, at);
    return r < 0 ? mv_error_set_errno(err, -r, "writing %zu bytes at %" PRIu64, len, at) : 0;
}

static void put_sum(uint8_t part[PART_BYTES])
{
    mv_bytes_put(part + SUM_AT, XXH3_64bits(part, SUM_AT), 8);
}

static int check_sum(uint64_t sum, uint64_t noted, struct mv_error *err)
{
    if (sum == noted)
        return 0;
    return mv_error_set(err, EINVAL,
                        "damaged: its bytes' sum is 0x%" PRIx64 ", and 0x%" PRIx64 " was written",
                        sum, noted);
}

static int check_part(const uint8_t part[PART_BYTES], struct mv_error *err)
{
    return check_sum(XXH3_64bits(part, SUM_AT), mv_bytes_get(part + SUM_AT, 8), err);
}

/* --- header and status */

static void put_header(const struct mv_statefile_writer *writer, const struct layout *layout,
                       uint8_t header[PART_BYTES])
{
    static const char version[] = "memvisor " MV_VERSION;
    _Static_assert(sizeof version <= MV_STATEFILE_WRITER_BYTES, "it has a place of fixed length");
    memset(header, 0, PART_BYTES);
    memcpy(header, MAGIC, sizeof MAGIC);
    mv_bytes_put(header + FORMAT_AT, MV_STATEFILE_FORMAT, 4);
    mv_bytes_put(header + LENGTH_AT, PART_BYTES, 4);
    memcpy(header + ID_AT, writer->id, MV_STATEFILE_ID_BYTES);
    uint8_t *at = mv_bytes_put(header + LAYOUT_AT, layout->file_length, 8);
    for (enum piece i = RAM; i < PIECES; i++) {
        at = mv_bytes_put(at, layout->pieces[i].offset, 8);
        at = mv_bytes_put(at, layout->pieces[i].length, 8);
    }
    memcpy(header + WRITER_AT, version, sizeof version);
    mv_bytes_put(header + MANIFEST_SUM_AT, layout->manifest_sum, 8);
    put_sum(header);
}

static void put_status(enum mv_statefile_status status, uint8_t part[PART_BYTES])
{
    memset(part, 0, PART_BYTES);
    mv_bytes_put(part, STATUS_MAGIC, 4);
    mv_bytes_put(part + 4, status, 4);
    put_sum(part);
}

/* Each piece begins where the one before it ends, and the last one ends the file. */
static int check_layout(const struct layout *layout, struct mv_error *err)
{
    uint64_t due = MV_STATEFILE_RAM_OFFSET;
    for (enum piece i = RAM; i < PIECES; i++) {
        uint64_t offset = layout->pieces[i].offset, length = layout->pieces[i].length;
        if (offset != due)
            return mv_error_set(err, EINVAL,
                                "%s at byte %" PRIu64 ", and byte %" PRIu64 " is where it can be",
                                pieces[i].is, offset, due);
        if (length > pieces[i].longest)
            return mv_error_set(err, EINVAL, "%s %" PRIu64 " bytes: %" PRIu64 " are the most",
                                pieces[i].has, length, pieces[i].longest);
        if (mv_add_overflows(offset, length, &due) || due > layout->file_length)
            return mv_error_set(err, EINVAL,
                                "%s %" PRIu64 " bytes from byte %" PRIu64
                                " on, beyond the file's end at %" PRIu64,
                                pieces[i].has, length, offset, layout->file_length);
    }
    if (layout->pieces[RAM].length % MV_STATEFILE_RAM_ALIGN != 0)
        return mv_error_set(err, EINVAL, "RAM has %" PRIu64 " bytes, no multiple of 2 MiB",
                            layout->pieces[RAM].length);
    if (due != layout->file_length)
        return mv_error_set(err, EINVAL,
                            "the sections end at byte %" PRIu64 ", and the file at byte %" PRIu64,
                            due, layout->file_length);
    return 0;
}

static int check_format(const uint8_t header[PART_BYTES], const char *writer, struct mv_error *err)
{
    uint32_t format = (uint32_t)mv_bytes_get(header + FORMAT_AT, 4);
    uint32_t length = (uint32_t)mv_bytes_get(header + LENGTH_AT, 4);
    struct mv_error why;
    int damaged = check_part(header, &why);
    if (memcmp(header, MAGIC, sizeof MAGIC) != 0)
        return mv_error_set(err, EINVAL, "this is no state file of memvisor's");
    if (format != MV_STATEFILE_FORMAT)
        return mv_error_set(err, ENOTSUP,
                            "format %" PRIu32 " is unknown to memvisor " MV_VERSION
                            ", which knows %d; '%s' wrote it%s",
                            format, MV_STATEFILE_FORMAT, writer,
                            damaged < 0 ? ", or it is damaged" : "");
    if (damaged < 0)
        return mv_error_set(err, -damaged, "%s", why.text);
    if (length != PART_BYTES)
        return mv_error_set(err, EINVAL, "it has %" PRIu32 " bytes, and of format %d are %d",
                            length, MV_STATEFILE_FORMAT, PART_BYTES);
    return 0;
}

static int take_header(const uint8_t header[PART_BYTES], uint64_t file_length,
                       struct mv_statefile *file, struct layout *layout, struct mv_error *err)
{
    char writer[MV_STATEFILE_WRITER_BYTES + 1] = "", text[MV_SECTION_TEXT];
    memcpy(writer, header + WRITER_AT, MV_STATEFILE_WRITER_BYTES);
    memcpy(file->writer, mv_section_text(writer, text), sizeof file->writer);
    int r = check_format(header, file->writer, err);
    if (r < 0)
        return r;
    memcpy(file->id, header + ID_AT, MV_STATEFILE_ID_BYTES);
    layout->file_length = mv_bytes_get(header + LAYOUT_AT, 8);
    for (enum piece i = RAM; i < PIECES; i++) {
        layout->pieces[i].offset = mv_bytes_get(header + LAYOUT_AT + 8 + 16 * i, 8);
        layout->pieces[i].length = mv_bytes_get(header + LAYOUT_AT + 16 + 16 * i, 8);
    }
    layout->manifest_sum = mv_bytes_get(header + MANIFEST_SUM_AT, 8);
    if (layout->file_length != file_length)
        return mv_error_set(err, EINVAL,
                            "the file has %" PRIu64 " bytes, and was written with %" PRIu64,
                            file_length, layout->file_length);
    file->length = file_length;
    file->ram_length = layout->pieces[RAM].length;
    file->manifest_length = layout->pieces[MANIFEST].length;
    return check_layout(layout, err);
}

static int read_header(int fd, uint8_t both[BOTH_BYTES], struct mv_statefile *file,
                       struct layout *layout, struct mv_error *err)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return mv_error_set_errno(err, errno, "looking at the file");
    if (!S_ISREG(st.st_mode))
        return mv_error_set(err, EINVAL, "this is no regular file, as a state file is");
    if (st.st_size < BOTH_BYTES)
        return mv_error_set(err, EINVAL,
                            "the file has %jd bytes, and a state file's header and status %d",
                            (intmax_t)st.st_size, BOTH_BYTES);
    int r = read_at(fd, 0, both, BOTH_BYTES, err);
    return r < 0 ? r : take_header(both, (uint64_t)st.st_size, file, layout, err);
}

int mv_statefile_measure(int fd, uint64_t *ret_length, uint64_t *ret_tail, struct mv_error *err)
{
    uint8_t both[BOTH_BYTES];
    struct mv_statefile file;
    struct layout layout = {0};
    _Static_assert(MV_STATEFILE_HEAD_BYTES == BOTH_BYTES, "header and status");
    int r = read_at(fd, 0, both, BOTH_BYTES, err);
    if (r == 0)
        r = take_header(both, mv_bytes_get(both + LAYOUT_AT, 8), &file, &layout, err);
    if (r < 0) {
        mv_error_prefix(err, "header");
        return r;
    }
    *ret_length = layout.file_length;
    *ret_tail = layout.pieces[MANIFEST].offset;
    return 0;
}

static int take_status(const uint8_t part[PART_BYTES], enum mv_statefile_status *status,
                       struct mv_error *err)
{
    uint32_t magic = (uint32_t)mv_bytes_get(part, 4), value = (uint32_t)mv_bytes_get(part + 4, 4);
    int r = check_part(part, err);
    if (r < 0)
        return r;
    if (magic != STATUS_MAGIC || value > MV_STATEFILE_RAM_IN_USE)
        return mv_error_set(err, EINVAL, "0x%" PRIx32 " with the magic 0x%" PRIx32 " is unknown",
                            value, magic);
    *status = value;
    return 0;
}

/* --- the tail */

static int read_manifest(int fd, const struct layout *layout, struct mv_statefile *file,
                         struct mv_error *err)
{
    size_t length = layout->pieces[MANIFEST].length;
    file->manifest = malloc(length + 1);
    if (file->manifest == NULL)
        return mv_error_set_errno(err, ENOMEM, "%zu bytes", length);
    file->manifest[length] = '\0';
    int r = read_at(fd, layout->pieces[MANIFEST].offset, file->manifest, length, err);
    return r < 0 ? r : check_sum(XXH3_64bits(file->manifest, length), layout->manifest_sum, err);
}

struct place {
    int fd;
    uint64_t at;
};

static int read_section_bytes(void *opaque, void *bytes, size_t len, struct mv_error *err)
{
    struct place *place = opaque;
    int r = read_at(place->fd, place->at, bytes, len, err);
    place->at += len;
    return r;
}

static int compare_keys(const struct mv_section *a, const struct mv_section *b)
{
    return a->type != b->type ? (a->type < b->type ? -1 : 1) : strcmp(a->name, b->name);
}

static int compare(const void *a, const void *b)
{
    return compare_keys(*(const struct mv_section *const *)a, *(const struct mv_section *const *)b);
}

static int sort_sections(struct mv_statefile *file, struct mv_error *err)
{
    char name[MV_SECTION_TEXT];
    file->sorted = calloc(file->section_count + 1, sizeof *file->sorted);
    if (file->sorted == NULL)
        return mv_error_set_errno(err, ENOMEM, "sections: sorting them");
    for (size_t i = 0; i < file->section_count; i++)
        file->sorted[i] = &file->sections[i];
    qsort(file->sorted, file->section_count, sizeof *file->sorted, compare);
    for (size_t i = 1; i < file->section_count; i++)
        if (compare(&file->sorted[i - 1], &file->sorted[i]) == 0)
            return mv_error_set(
                err, EINVAL, "section %td '%s': type %u of that name is there twice",
                file->sorted[i] - file->sections + 1, mv_section_text(file->sorted[i]->name, name),
                file->sorted[i]->type);
    return 0;
}

static int add_section(struct mv_statefile *file, struct mv_section *section, struct mv_error *err)
{
    size_t count = file->section_count;
    if ((count & (count - 1)) == 0) {
        size_t capacity = count == 0 ? 1 : 2 * count;
        struct mv_section *grown = reallocarray(file->sections, capacity, sizeof *grown);
        if (grown == NULL)
            return mv_error_set_errno(err, ENOMEM, "sections: a list of %zu", capacity);
        file->sections = grown;
    }
    file->sections[file->section_count++] = *section;
    return 0;
}

static int read_sections(int fd, const struct layout *layout, struct mv_statefile *file,
                         struct mv_error *err)
{
    struct place place = {fd, layout->pieces[SECTIONS].offset};
    struct mv_section_reader reader = {.read = read_section_bytes,
                                       .opaque = &place,
                                       .left = layout->pieces[SECTIONS].length,
                                       .origin = file->writer};
    struct mv_section section;
    int r;
    while ((r = mv_section_read(&reader, &section, err)) > 0) {
        r = add_section(file, &section, err);
        if (r < 0) {
            mv_section_clear(&section);
            return r;
        }
    }
    if (r == 0 && reader.left > 0)
        r = mv_error_set(err, EINVAL, "section %" PRIu32 ": %" PRIu64 " bytes are behind the end",
                         reader.count, reader.left);
    return r < 0 ? r : sort_sections(file, err);
}

static int read_file(int fd, struct mv_statefile *file, struct mv_error *err)
{
    uint8_t both[BOTH_BYTES];
    struct layout layout = {0};
    const char *where = "header";
    int r = read_header(fd, both, file, &layout, err);
    if (r == 0) {
        where = "status";
        r = take_status(both + PART_BYTES, &file->status, err);
    }
    if (r == 0) {
        where = "manifest";
        r = read_manifest(fd, &layout, file, err);
    }
    if (r == 0)
        return read_sections(fd, &layout, file, err);
    mv_error_prefix(err, "%s", where);
    return r;
}

int mv_statefile_read(int fd, struct mv_statefile *ret_file, struct mv_error *err)
{
    struct mv_statefile file = {0};
    int r = read_file(fd, &file, err);
    if (r < 0)
        mv_statefile_clear(&file);
    else
        *ret_file = file;
    return r;
}

void mv_statefile_clear(struct mv_statefile *file)
{
    for (size_t i = 0; i < file->section_count; i++)
        mv_section_clear(&file->sections[i]);
    free(file->sections);
    free(file->sorted);
    free(file->manifest);
    *file = (struct mv_statefile){0};
}

const struct mv_section *mv_statefile_find(const struct mv_statefile *file,
                                           enum mv_section_type type, const char *name)
{
    const struct mv_section wanted = {.type = (uint16_t)type, .name = name}, *key = &wanted;
    const struct mv_section **found =
        bsearch(&key, file->sorted, file->section_count, sizeof *file->sorted, compare);
    return found == NULL ? NULL : *found;
}

bool mv_statefile_is_one(int fd)
{
    char magic[sizeof MAGIC];
    return mv_pread_all(fd, magic, sizeof magic, 0) == 0 && memcmp(magic, MAGIC, sizeof magic) == 0;
}

/* --- writing */

static int append(void *opaque, const void *bytes, size_t len, struct mv_error *err)
{
    struct mv_statefile_writer *writer = opaque;
    int r = write_at(writer->fd, writer->next, bytes, len, err);
    writer->next += len;
    return r;
}

int mv_statefile_begin(struct mv_statefile_writer *writer, int fd,
                       const uint8_t id[MV_STATEFILE_ID_BYTES], uint64_t ram_length,
                       const char *manifest, size_t manifest_length, struct mv_error *err)
{
    if (manifest_length > MV_STATEFILE_MANIFEST_MAX || ram_length > INT64_MAX / 2)
        return mv_error_set(err, E2BIG,
                            "manifest: it has %zu bytes for RAM of %" PRIu64
                            ": more than a state file takes",
                            manifest_length, ram_length);
    *writer = (struct mv_statefile_writer){
        .fd = fd,
        .ram_length = mv_align_up(ram_length, MV_STATEFILE_RAM_ALIGN),
        .manifest_length = manifest_length,
        .manifest_sum = XXH3_64bits(manifest, manifest_length),
        .sections = {.write = append, .opaque = writer},
    };
    memcpy(writer->id, id, MV_STATEFILE_ID_BYTES);
    writer->next = MV_STATEFILE_RAM_OFFSET + writer->ram_length;
    int r = append(writer, manifest, manifest_length, err);
    if (r < 0)
        mv_error_prefix(err, "manifest");
    return r;
}

int mv_statefile_end(struct mv_statefile_writer *writer, struct mv_error *err)
{
    uint8_t both[BOTH_BYTES];
    struct layout layout = {.manifest_sum = writer->manifest_sum};
    int r = mv_section_write_end(&writer->sections, err);
    if (r < 0)
        return r;
    layout.file_length = writer->next;
    const uint64_t lengths[PIECES] = {
        [RAM] = writer->ram_length,
        [MANIFEST] = writer->manifest_length,
        [SECTIONS] = writer->sections.written,
    };
    uint64_t at = MV_STATEFILE_RAM_OFFSET;
    for (enum piece i = RAM; i < PIECES; at += lengths[i++]) {
        layout.pieces[i].offset = at;
        layout.pieces[i].length = lengths[i];
    }
    put_header(writer, &layout, both);
    put_status(MV_STATEFILE_WHOLE, both + PART_BYTES);
    r = ftruncate(writer->fd, (off_t)layout.file_length) < 0
            ? mv_error_set_errno(err, errno, "cutting the file at byte %" PRIu64, writer->next)
            : write_at(writer->fd, 0, both, sizeof both, err);
    if (r < 0)
        mv_error_prefix(err, "header");
    return r;
}

int mv_statefile_mark(int fd, enum mv_statefile_status status, struct mv_error *err)
{
    uint8_t part[PART_BYTES];
    put_status(status, part);
    int r = write_at(fd, PART_BYTES, part, sizeof part, err);
    if (r == 0 && fdatasync(fd) < 0)
        r = mv_error_set_errno(err, errno, "syncing it");
    if (r < 0)
        mv_error_prefix(err, "status");
    return r;
}
