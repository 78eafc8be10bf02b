/* SPDX-License-Identifier: Apache-2.0 */
/*
 * State files in a folder of their own, for tests of what looks into them: a machine with a
 * block, ram0, of as many pages as are told, and one device, uart.
 */
#ifndef MV_TESTS_STATE_FIXTURE_H
#define MV_TESTS_STATE_FIXTURE_H

#include "bytes.h"
#include "chain.h"
#include "cleanup.h"
#include "ram-view.h"
#include "statefile.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>

#include <cmocka.h>

#define FIXTURE_PATH  128
#define FIXTURE_PAGES 512

struct fixture_state {
    char id;           /* each byte of its id */
    const char *pages; /* of each a letter; ' ': it is zero, '-': the file has it not */
    const char *base;  /* the name of the file that it builds on, and its id; or NULL */
    char base_id;
    /* Of the machine and of uart; what is not told is as everywhere. */
    const char *name, *type, *backing, *outside;
    unsigned cpus, version;
    uint64_t gpa;
    const uint8_t *fields; /* bytes of uart's state; NULL: it has none */
    size_t fields_length;
    bool is_torn; /* the header has another id */
};

static char fixture_folder[64];
static struct mv_error err;

static inline int fixture_begin(void **state)
{
    (void)state;
    strcpy(fixture_folder, "/tmp/memvisor-states-XXXXXX");
    err.text[0] = '\0';
    return mkdtemp(fixture_folder) == NULL;
}

static inline int fixture_end(void **state)
{
    char command[FIXTURE_PATH];
    (void)state;
    snprintf(command, sizeof command, "rm -r '%s'", fixture_folder);
    return system(command);
}

static inline const char *fixture_path(const char *name, char path[FIXTURE_PATH])
{
    snprintf(path, FIXTURE_PATH, "%s/%s", fixture_folder, name);
    return path;
}

/* The bytes of the pages, and their sum; a chunk has them all. */
static inline void fixture_write_pages(int fd, const char *pages, uint8_t sum[8])
{
    static uint8_t bytes[FIXTURE_PAGES * MV_RAM_PAGE];
    size_t count = strlen(pages);
    assert_true(count <= MV_RAM_CHUNK / MV_RAM_PAGE);
    memset(bytes, 0, count * MV_RAM_PAGE);
    for (size_t i = 0; i < count; i++) {
        if (pages[i] == ' ' || pages[i] == '-')
            continue;
        memset(bytes + i * MV_RAM_PAGE, pages[i], MV_RAM_PAGE);
        assert_int_equal(pwrite(fd, bytes + i * MV_RAM_PAGE, MV_RAM_PAGE,
                                (off_t)(MV_STATEFILE_RAM_OFFSET + i * MV_RAM_PAGE)),
                         MV_RAM_PAGE);
    }
    mv_bytes_put(sum, mv_ram_sum(bytes, count * MV_RAM_PAGE), 8);
}

static inline int fixture_write_sections(struct mv_section_writer *out,
                                         const struct fixture_state *s, const uint8_t sum[8])
{
    uint8_t bits[FIXTURE_PAGES / 8] = {0};
    int r = 0;
    for (size_t i = 0; i < strlen(s->pages); i++)
        bits[i / 8] |= (uint8_t)((s->pages[i] != '-') << i % 8);
    if (s->fields != NULL)
        r = mv_section_write(out,
                             &(struct mv_section){.type = MV_SECTION_OBJECT,
                                                  .version = 1,
                                                  .name = "uart",
                                                  .kind = "ns16550a",
                                                  .payload = s->fields,
                                                  .length = s->fields_length},
                             &err);
    if (r == 0 && s->outside == NULL)
        r = mv_section_write(
            out,
            &(struct mv_section){
                .type = MV_SECTION_SUMS, .name = "ram0", .kind = "", .payload = sum, .length = 8},
            &err);
    if (r == 0 && s->base != NULL)
        r = mv_section_write(
            out,
            &(struct mv_section){.type = MV_SECTION_PAGES,
                                 .name = "ram0",
                                 .kind = "",
                                 .payload = bits,
                                 .length = mv_ram_pages_length(strlen(s->pages) * MV_RAM_PAGE)},
            &err);
    return r;
}

/* A file of that name in the folder. */
static inline void fixture_write(const char *name, const struct fixture_state *s)
{
#define TEXT(value, otherwise) ((char *)(uintptr_t)((value) != NULL ? (value) : (otherwise)))
    char path[FIXTURE_PATH], base[FIXTURE_PATH];
    uint64_t size = strlen(s->pages) * MV_RAM_PAGE;
    struct mv_manifest_block block = {.id = TEXT(NULL, "ram0"),
                                      .has_gpa = true,
                                      .gpa = s->gpa != 0 ? s->gpa : 0x80000000,
                                      .size = size,
                                      .backing = TEXT(s->backing, ""),
                                      .saved = s->outside == NULL,
                                      .offset = s->outside == NULL ? MV_STATEFILE_RAM_OFFSET : 0,
                                      .outside = s->outside != NULL,
                                      .file = {.path = TEXT(s->outside, NULL), .size = size}};
    struct mv_manifest_device device = {.path = TEXT(NULL, "uart"),
                                        .type = TEXT(s->type, "ns16550a"),
                                        .version = s->version != 0 ? s->version : 1};
    struct mv_manifest manifest = {.name = TEXT(s->name, "vm"),
                                   .writer = TEXT(NULL, "memvisor 9.9"),
                                   .machine = TEXT(NULL, "arm64"),
                                   .engine = TEXT(NULL, "emulator"),
                                   .cpus = s->cpus != 0 ? s->cpus : 1,
                                   .blocks = &block,
                                   .block_count = 1,
                                   .devices = &device,
                                   .device_count = 1,
                                   .has_base = s->base != NULL};
#undef TEXT
    struct mv_statefile_writer out;
    uint8_t sum[8], id[MV_STATEFILE_ID_BYTES];
    char *text;
    size_t length;
    memset(manifest.id, s->id, sizeof manifest.id);
    memset(manifest.base_id, s->base_id, sizeof manifest.base_id);
    memset(id, s->is_torn ? s->id + 1 : s->id, sizeof id);
    if (s->base != NULL)
        manifest.base_path = (char *)(uintptr_t)fixture_path(s->base, base);
    int fd = open(fixture_path(name, path), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    fixture_write_pages(fd, s->pages, sum);
    if (mv_manifest_print(&manifest, MV_STATEFILE_RAM_ALIGN, &text, &length, &err) < 0 ||
        mv_statefile_begin(&out, fd, id, MV_STATEFILE_RAM_ALIGN, text, length, &err) < 0 ||
        fixture_write_sections(&out.sections, s, sum) < 0 || mv_statefile_end(&out, &err) < 0)
        fail_msg("%s: %s", name, err.text);
    free(text);
    close(fd);
}

/* The chain of that file, as far as it goes; what mv_chain_follow says. */
static inline int fixture_follow(const char *name, struct mv_chain *ret)
{
    char path[FIXTURE_PATH];
    if (mv_chain_open(fixture_path(name, path), ret, &err) < 0)
        fail_msg("%s", err.text);
    return mv_chain_follow(ret, &err);
}

#endif
