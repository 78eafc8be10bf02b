/* SPDX-License-Identifier: Apache-2.0 */
#include "working-set.h"

#include "buffer.h"
#include "bytes.h"
#include "cleanup.h"
#include "os.h"
#include "output-file.h"
#include "section.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#define MAGIC  "memvisor set\n\0\0" /* with the string's own, 16 bytes */
#define FORMAT 1
#define KIND   "touched"

/* Where things are in the header. */
enum {
    FORMAT_AT = 16,
    LENGTH_AT = 20,
    ID_AT = 24,
    FILE_LENGTH_AT = 40,
    SUM_AT = 56,
    HEADER_BYTES = 64,
};
enum { RUN_BYTES = 16 };

_Static_assert(sizeof MAGIC == FORMAT_AT, "working-set.h has the layout");

void mv_working_set_clear(struct mv_working_set *set)
{
    for (size_t i = 0; i < set->count; i++) {
        struct mv_working_set_pages *pages = &set->blocks[i];
        free(pages->runs);
        pages->runs = NULL;
        pages->count = pages->capacity = 0;
    }
}

uint64_t mv_working_set_bytes(const struct mv_working_set *set)
{
    uint64_t count = 0;
    for (size_t i = 0; i < set->count; i++) {
        for (size_t run = 0; run < set->blocks[i].count; run++)
            count += set->blocks[i].runs[run].pages;
    }
    return count * MV_WORKING_SET_PAGE;
}

/* One that goes on where the last one ends becomes a part of it. */
static int add_run(struct mv_working_set_pages *pages, uint64_t first, uint64_t count, uint32_t age)
{
    struct mv_working_set_run *last = pages->count == 0 ? NULL : &pages->runs[pages->count - 1];
    if (last != NULL && last->age == age && last->first + last->pages == first &&
        count <= UINT32_MAX - last->pages) {
        last->pages += (uint32_t)count;
        return 0;
    }
    for (uint64_t part; count > 0; first += part, count -= part) {
        part = count < UINT32_MAX ? count : UINT32_MAX;
        if (pages->count == pages->capacity) {
            size_t capacity = pages->capacity == 0 ? 64 : 2 * pages->capacity;
            void *grown = reallocarray(pages->runs, capacity, sizeof *pages->runs);
            if (grown == NULL)
                return -ENOMEM;
            pages->runs = grown;
            pages->capacity = capacity;
        }
        pages->runs[pages->count++] =
            (struct mv_working_set_run){.first = first, .pages = (uint32_t)part, .age = age};
    }
    return 0;
}

/* --- joining */

struct stretch {
    uint64_t start, end; /* pages; empty where none is left */
};

static struct stretch next_touched(mv_working_set_next_fn *next, const void *opaque, uint64_t at)
{
    uint64_t offset = at * MV_WORKING_SET_PAGE, len;
    if (!next(opaque, &offset, &len))
        return (struct stretch){UINT64_MAX, UINT64_MAX};
    return (struct stretch){offset / MV_WORKING_SET_PAGE, (offset + len) / MV_WORKING_SET_PAGE};
}

int mv_working_set_join(struct mv_working_set_pages *pages, mv_working_set_next_fn *next,
                        const void *opaque, bool whole, struct mv_error *err)
{
    struct mv_working_set_pages joined = {.id = pages->id, .size = pages->size};
    struct stretch touched = next_touched(next, opaque, 0);
    int r = 0;
    for (uint64_t at = 0, i = 0; r == 0;) {
        if (touched.end <= at)
            touched = next_touched(next, opaque, at);
        while (i < pages->count && pages->runs[i].first + pages->runs[i].pages <= at)
            i++;
        const struct mv_working_set_run *old = i < pages->count ? &pages->runs[i] : NULL;
        uint64_t from = old == NULL ? UINT64_MAX : old->first > at ? old->first : at;
        if (touched.start <= from && touched.start != UINT64_MAX) {
            r = add_run(&joined, touched.start, touched.end - touched.start, 0);
            at = touched.end;
        } else if (old != NULL) {
            uint64_t end = old->first + old->pages;
            end = end < touched.start ? end : touched.start;
            if (old->age + whole < MV_WORKING_SET_AGE)
                r = add_run(&joined, from, end - from, old->age + whole);
            at = end;
        } else {
            break;
        }
    }
    if (r < 0) {
        free(joined.runs);
        return mv_error_set(err, ENOMEM, "no memory for the pages of block %s", pages->id);
    }
    free(pages->runs);
    *pages = joined;
    return 0;
}

/* --- reading */

static int check_header(const uint8_t header[HEADER_BYTES], uint64_t length, const uint8_t id[16],
                        struct mv_error *err)
{
    static const uint8_t zeros[8];
    uint32_t format = (uint32_t)mv_bytes_get(header + FORMAT_AT, 4);
    if (mv_bytes_get(header + SUM_AT, 8) != XXH3_64bits(header, SUM_AT))
        return mv_error_set(err, EINVAL, "its header is damaged");
    if (format > FORMAT)
        return mv_error_set(err, ENOTSUP, "its format is %" PRIu32 ", of a newer memvisor", format);
    if (format != FORMAT || mv_bytes_get(header + LENGTH_AT, 4) != HEADER_BYTES ||
        memcmp(header + FILE_LENGTH_AT + 8, zeros, sizeof zeros) != 0)
        return mv_error_set(err, EINVAL, "its header is damaged");
    if (mv_bytes_get(header + FILE_LENGTH_AT, 8) != length)
        return mv_error_set(err, EINVAL, "it has %" PRIu64 " bytes, and %" PRIu64 " were written",
                            length, mv_bytes_get(header + FILE_LENGTH_AT, 8));
    if (memcmp(header + ID_AT, id, 16) != 0)
        return mv_error_set(err, ESTALE, "it is of another state");
    return 0;
}

static int take_run(struct mv_working_set_pages *pages, const uint8_t *bytes)
{
    struct mv_working_set_run run = {
        .first = mv_bytes_get(bytes, 8),
        .pages = (uint32_t)mv_bytes_get(bytes + 8, 4),
        .age = (uint32_t)mv_bytes_get(bytes + 12, 4),
    };
    uint64_t all = pages->size / MV_WORKING_SET_PAGE;
    const struct mv_working_set_run *last =
        pages->count == 0 ? NULL : &pages->runs[pages->count - 1];
    if (run.pages == 0 || run.age >= MV_WORKING_SET_AGE || run.first >= all ||
        run.pages > all - run.first || (last != NULL && run.first < last->first + last->pages))
        return -EINVAL;
    return add_run(pages, run.first, run.pages, run.age);
}

static int take_section(struct mv_working_set *set, const struct mv_section *section,
                        struct mv_error *err)
{
    struct mv_working_set_pages *pages = NULL;
    char name[MV_SECTION_TEXT];
    if (section->type != MV_SECTION_PAGES || strcmp(section->kind, KIND) != 0 ||
        section->version != 1 || section->length % RUN_BYTES != 0)
        return mv_error_set(err, EINVAL, "it has a section of another kind");
    for (size_t i = 0; i < set->count && pages == NULL; i++) {
        if (strcmp(set->blocks[i].id, section->name) == 0)
            pages = &set->blocks[i];
    }
    if (pages == NULL)
        return 0;
    int r = pages->count == 0 ? 0 : -EINVAL;
    for (size_t at = 0; r == 0 && at < section->length; at += RUN_BYTES)
        r = take_run(pages, section->payload + at);
    if (r == -ENOMEM)
        return mv_error_set_errno(err, ENOMEM, "the pages");
    return r == 0 ? 0
                  : mv_error_set(err, EINVAL, "its pages of block %s are none of that block's",
                                 mv_section_text(section->name, name));
}

static int take_sections(struct mv_working_set *set, struct mv_buffer *buffer, struct mv_error *err)
{
    struct mv_section_reader reader = {.read = mv_buffer_read,
                                       .opaque = buffer,
                                       .left = buffer->length - buffer->next,
                                       .origin = "memvisor"};
    struct mv_section section;
    int r;
    while ((r = mv_section_read(&reader, &section, err)) == 1) {
        r = take_section(set, &section, err);
        mv_section_clear(&section);
        if (r < 0)
            return r;
    }
    if (r == 0 && buffer->next != buffer->length)
        return mv_error_set(err, EINVAL, "there are bytes behind its end");
    return r;
}

static int read_all(const char *path, struct mv_buffer *buffer, struct mv_error *err)
{
    struct stat st;
    CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &st) < 0)
        return mv_error_set_errno(err, errno, "cannot open it");
    if (!S_ISREG(st.st_mode))
        return mv_error_set(err, EINVAL, "it is no file");
    if ((uint64_t)st.st_size > HEADER_BYTES + MV_SECTIONS_BYTES_MAX)
        return mv_error_set(err, EEXIST, "it has %" PRIu64 " bytes, which no working set has",
                            (uint64_t)st.st_size);
    buffer->bytes = malloc((size_t)st.st_size + 1);
    if (buffer->bytes == NULL)
        return mv_error_set_errno(err, ENOMEM, "reading it");
    buffer->length = buffer->capacity = (size_t)st.st_size;
    buffer->next = HEADER_BYTES;
    int r = mv_pread_all(fd, buffer->bytes, buffer->length, 0);
    if (r < 0)
        return mv_error_set_errno(err, r == -ENODATA ? EINVAL : -r, "cannot read it");
    size_t known = buffer->length < sizeof MAGIC ? buffer->length : sizeof MAGIC;
    if (memcmp(buffer->bytes, MAGIC, known) != 0)
        return mv_error_set(err, EEXIST, "it is no working set, and stays as it is");
    if (buffer->length < HEADER_BYTES)
        return mv_error_set(err, EINVAL, "it has %zu bytes, which no working set has",
                            buffer->length);
    return 0;
}

int mv_working_set_read(struct mv_working_set *set, const char *path, struct mv_error *err)
{
    struct mv_buffer buffer = {0};
    int r = read_all(path, &buffer, err);
    if (r == 0)
        r = check_header(buffer.bytes, buffer.length, set->id, err);
    if (r == 0)
        r = take_sections(set, &buffer, err);
    mv_buffer_clear(&buffer);
    if (r < 0)
        mv_working_set_clear(set);
    return r;
}

/* --- writing */

static int put_pages(struct mv_section_writer *writer, const struct mv_working_set_pages *pages,
                     struct mv_error *err)
{
    CLEANUP_FREE uint8_t *bytes = reallocarray(NULL, pages->count, RUN_BYTES);
    if (bytes == NULL)
        return mv_error_set_errno(err, ENOMEM, "the pages of block %s", pages->id);
    uint8_t *at = bytes;
    for (size_t i = 0; i < pages->count; i++) {
        at = mv_bytes_put(at, pages->runs[i].first, 8);
        at = mv_bytes_put(at, pages->runs[i].pages, 4);
        at = mv_bytes_put(at, pages->runs[i].age, 4);
    }
    const struct mv_section section = {.type = MV_SECTION_PAGES,
                                       .version = 1,
                                       .name = pages->id,
                                       .kind = KIND,
                                       .payload = bytes,
                                       .length = pages->count * RUN_BYTES};
    return mv_section_write(writer, &section, err);
}

static void put_header(const struct mv_working_set *set, struct mv_buffer *buffer)
{
    uint8_t *header = buffer->bytes;
    memcpy(header, MAGIC, sizeof MAGIC);
    mv_bytes_put(header + FORMAT_AT, FORMAT, 4);
    mv_bytes_put(header + LENGTH_AT, HEADER_BYTES, 4);
    memcpy(header + ID_AT, set->id, sizeof set->id);
    mv_bytes_put(header + FILE_LENGTH_AT, buffer->length, 8);
    mv_bytes_put(header + SUM_AT, XXH3_64bits(header, SUM_AT), 8);
}

static int make_bytes(const struct mv_working_set *set, struct mv_buffer *buffer,
                      struct mv_error *err)
{
    static const uint8_t room[HEADER_BYTES];
    struct mv_section_writer writer = {.write = mv_buffer_write, .opaque = buffer};
    int r = mv_buffer_write(buffer, room, sizeof room, err);
    for (size_t i = 0; i < set->count && r == 0; i++) {
        if (set->blocks[i].count > 0)
            r = put_pages(&writer, &set->blocks[i], err);
    }
    if (r == 0)
        r = mv_section_write_end(&writer, err);
    if (r == 0)
        put_header(set, buffer);
    return r;
}

int mv_working_set_write(const struct mv_working_set *set, const char *path, struct mv_error *err)
{
    struct mv_output_file *file = NULL;
    struct mv_buffer buffer = {0};
    int r = make_bytes(set, &buffer, err);
    if (r == 0)
        r = mv_output_file_create(path, &file, err);
    if (r == 0) {
        r = mv_pwrite_all(mv_output_file_fd(file), buffer.bytes, buffer.length, 0);
        r = r < 0 ? mv_error_set_errno(err, -r, "cannot write '%s'", path)
                  : mv_output_file_commit(file, err);
    }
    mv_output_file_destroy(file);
    mv_buffer_clear(&buffer);
    return r;
}
