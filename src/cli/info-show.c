/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memvisor info FILE: a state's manifest, as the file has it, with what the file itself tells
 * beside it: its status, what is on disk, how large the parts' states are.  One description
 * is made, as JSON; the text for people is drawn from that.
 */
#include "info-print.h"

#include "mem.h"
#include "ram-view.h"
#include "screen.h"
#include "statefile.h"

#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const struct {
    const char *word, *means;
} statuses[] = {
    [MV_STATEFILE_WHOLE] = {"whole", ""},
    [MV_STATEFILE_STALE] = {"stale", ": its guest went on with memory that is not in this file, so "
                                     "that restore refuses it"},
    [MV_STATEFILE_IN_USE] = {"in use",
                             ": a guest runs on memory of it that is not in this file, or "
                             "was killed there"},
    [MV_STATEFILE_RAM_STALE] = {"stale",
                                ": a guest ran on the memory in it (restore --ram shared)"},
    [MV_STATEFILE_RAM_IN_USE] = {"in use", ": a guest runs on the memory in it (restore --ram "
                                           "shared), or was killed there"},
};

const char *mv_info_status(const struct mv_chain_file *file)
{
    return statuses[file->state->status].word;
}

json_t *mv_info_gpa(const struct mv_manifest_block *block, uint64_t offset)
{
    return block->has_gpa ? json_sprintf("0x%" PRIx64, block->gpa + offset) : json_null();
}

/* --- the description */

/* What is missing for want of memory is told at the end. */
struct description {
    json_t *all;
    bool lost;
};

static int refuse(const struct mv_chain *chain, struct mv_error *err)
{
    return mv_error_set_errno(err, ENOMEM, "'%s'", chain->files[0].path);
}

static void put(struct description *d, json_t *object, const char *key, json_t *value)
{
    d->lost |= json_object_set_new(object, key, value) < 0;
}

static json_t *number(uint64_t value)
{
    return json_integer((json_int_t)value);
}

/* Bytes of a part of a file that are no hole. */
static uint64_t stored(int fd, uint64_t offset, uint64_t size)
{
    uint64_t end = offset + size, bytes = 0;
    off_t data = (off_t)offset;
    while ((data = lseek(fd, data, SEEK_DATA)) >= 0 && (uint64_t)data < end) {
        off_t hole = lseek(fd, data, SEEK_HOLE);
        uint64_t stop = hole < 0 || (uint64_t)hole > end ? end : (uint64_t)hole;
        bytes += stop - (uint64_t)data;
        data = (off_t)stop;
    }
    return bytes;
}

static uint64_t count_pages(const struct mv_section *pages)
{
    uint64_t count = 0;
    for (size_t i = 0; i < pages->length; i++)
        count += (uint64_t)__builtin_popcount(pages->payload[i]);
    return count;
}

static void add_block(struct description *d, const struct mv_chain_file *file,
                      const struct mv_manifest_block *block, json_t *entry)
{
    const struct mv_section *pages = mv_statefile_find(file->state, MV_SECTION_PAGES, block->id);
    if (!block->has_gpa)
        put(d, entry, "gpa", json_null());
    put(d, entry, "stored",
        number(block->saved ? stored(file->fd, block->offset, block->size) : 0));
    if (pages != NULL)
        put(d, entry, "pages", number(count_pages(pages)));
}

static void add_device(struct description *d, const struct mv_chain_file *file,
                       const struct mv_manifest_device *device, json_t *entry)
{
    const struct mv_section *state =
        mv_statefile_find(file->state, MV_SECTION_OBJECT, device->path);
    put(d, entry, "state", number(state == NULL ? 0 : state->length));
}

static void describe_id(const uint8_t id[MV_STATEFILE_ID_BYTES], char *text)
{
    for (size_t i = 0; i < MV_STATEFILE_ID_BYTES; i++)
        sprintf(text + 2 * i, "%02x", id[i]);
}

static json_t *describe_chain(struct description *d, const struct mv_chain *chain)
{
    json_t *list = json_array();
    for (size_t i = 1; i < chain->count; i++) {
        const struct mv_chain_file *file = &chain->files[i];
        char id[2 * MV_STATEFILE_ID_BYTES + 1];
        describe_id(file->state->id, id);
        json_t *entry =
            json_pack("{s:s, s:s, s:s, s:I}", "file", file->path, "id", id, "status",
                      mv_info_status(file), "saved", (json_int_t)file->manifest.saved_at);
        d->lost |= json_array_append_new(list, entry) < 0;
    }
    return list;
}

static int describe(struct description *d, const struct mv_chain *chain,
                    const struct mv_error *missing, struct mv_error *err)
{
    const struct mv_chain_file *file = &chain->files[0];
    struct stat st = {0};
    size_t i;
    json_t *entry;
    int r = mv_manifest_load(file->state->manifest, file->state->manifest_length, &d->all, err);
    if (r < 0)
        return r;
    if (fstat(file->fd, &st) < 0)
        return mv_error_set_errno(err, errno, "'%s'", file->path);
    put(d, d->all, "file", json_string(file->path));
    put(d, d->all, "status", json_string(mv_info_status(file)));
    put(d, d->all, "length", number(file->state->length));
    put(d, d->all, "on-disk", number((uint64_t)st.st_blocks * 512));
    json_array_foreach(json_object_get(d->all, "blocks"), i, entry)
        add_block(d, file, &file->manifest.blocks[i], entry);
    json_array_foreach(json_object_get(d->all, "devices"), i, entry)
        add_device(d, file, &file->manifest.devices[i], entry);
    if (file->manifest.has_base)
        put(d, d->all, "chain", describe_chain(d, chain));
    if (missing != NULL)
        put(d, d->all, "missing", json_string(missing->text));
    return d->lost ? refuse(chain, err) : 0;
}

/* --- for people */

static const char *where_of(const json_t *block, char buf[MV_TEXT_CELL])
{
    const json_t *file = json_object_get(block, "file"), *pages = json_object_get(block, "pages");
    if (file != NULL)
        return mv_mem_text(file, "path");
    if (pages != NULL) {
        snprintf(buf, MV_TEXT_CELL, "here: %" PRIu64 " pages of it", mv_mem_number(block, "pages"));
        return buf;
    }
    return json_object_get(block, "offset") != NULL ? "here" : "nowhere (save=off)";
}

static const char *cell(const json_t *row, const char *key, char buf[MV_TEXT_CELL])
{
    const json_t *value = json_object_get(row, key);
    if (strcmp(key, "where") == 0)
        return where_of(row, buf);
    if (strcmp(key, "version") == 0) {
        snprintf(buf, MV_TEXT_CELL, "%" PRIu64, mv_mem_number(row, key));
        return buf;
    }
    if (json_is_integer(value))
        return mv_mem_size(mv_mem_number(row, key), buf);
    const char *text = mv_mem_text(row, key);
    return text[0] == '\0' ? "-" : text;
}

static const char *time_text(int64_t seconds, char buf[64])
{
    time_t then = seconds;
    struct tm tm;
    if (localtime_r(&then, &tm) == NULL || strftime(buf, 64, "%Y-%m-%d %H:%M:%S", &tm) == 0)
        snprintf(buf, 64, "%" PRId64 " s after 1970", seconds);
    return buf;
}

static void print_base(const struct mv_chain *chain, const struct mv_error *missing)
{
    char when[64];
    for (size_t i = 1; i < chain->count; i++) {
        const struct mv_chain_file *file = &chain->files[i];
        printf("  %-8s %s, saved %s, %s\n", i == 1 ? "base" : "", file->path,
               time_text(file->manifest.saved_at, when), mv_info_status(file));
    }
    if (missing != NULL)
        printf("  %-8s missing: %s\n", chain->count == 1 ? "base" : "", missing->text);
}

static void print_head(const struct mv_chain *chain, const struct mv_error *missing,
                       const json_t *all)
{
    const struct mv_chain_file *file = &chain->files[0];
    const struct mv_manifest *m = &file->manifest;
    char when[64], length[MV_MEM_SIZE], on_disk[MV_MEM_SIZE], id[2 * MV_STATEFILE_ID_BYTES + 1];
    describe_id(file->state->id, id);
    printf("%s: %s, saved %s by %s\n", file->path, m->name, time_text(m->saved_at, when),
           m->writer);
    printf("  %-8s %s%s\n", "status", mv_info_status(file), statuses[file->state->status].means);
    printf("  %-8s %s\n", "id", id);
    printf("  %-8s %s, of which %s are on disk\n", "length",
           mv_mem_size(file->state->length, length),
           mv_mem_size(mv_mem_number(all, "on-disk"), on_disk));
    printf("  %-8s %s, %u CPU%s, engine %s, boots a %s%s%s\n", "machine", m->machine, m->cpus,
           m->cpus == 1 ? "" : "s", m->engine, m->firmware ? "flat binary" : "kernel",
           m->no_reboot ? ", no reboot" : "", m->reload ? ", reads it anew" : "");
    print_base(chain, missing);
}

static void print(const struct mv_chain *chain, const struct mv_error *missing, const json_t *all)
{
    static const struct mv_text_column blocks[] = {
        {"id", "BLOCK"},        {"gpa", "GPA", true},
        {"size", "SIZE", true}, {"stored", "ON DISK", true},
        {"where", "BYTES"},     {"backing", "BACKING"}};
    static const struct mv_text_column devices[] = {{"path", "DEVICE"},
                                                    {"type", "TYPE"},
                                                    {"version", "VERSION", true},
                                                    {"state", "STATE", true},
                                                    {"options", "OPTIONS"}};
    static const struct mv_text_table tables[] = {
        {blocks, sizeof blocks / sizeof blocks[0], cell, NULL},
        {devices, sizeof devices / sizeof devices[0], cell, NULL},
    };
    struct mv_screen screen = mv_screen_look();
    print_head(chain, missing, all);
    putchar('\n');
    mv_text_table_print(stdout, &screen, &tables[0], json_object_get(all, "blocks"));
    putchar('\n');
    mv_text_table_print(stdout, &screen, &tables[1], json_object_get(all, "devices"));
}

int mv_info_show(const struct mv_chain *chain, const struct mv_error *missing, bool json,
                 struct mv_error *err)
{
    struct description d = {0};
    int r = describe(&d, chain, missing, err);
    if (r == 0 && json)
        r = mv_json_print(stdout, d.all) < 0 ? refuse(chain, err) : 0;
    else if (r == 0)
        print(chain, missing, d.all);
    json_decref(d.all);
    return r;
}
