/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer against the reader of state files, and what looks into them without a
 * machine.  An input is a byte that says what is put right (else no sum would ever
 * be), the header and the status, and the manifest and the sections; RAM between
 * them stays a hole.  What is read is written again, and must be the same.
 *
 * With MEMVISOR_FUZZ_SEEDS=FOLDER in its environment the program writes inputs to
 * begin with, which the writer has made, and those of the files that are its
 * arguments, and ends.
 */
#include "bytes.h"
#include "diff.h"
#include "fuzz-sections.h"
#include "fuzz.h"
#include "info.h"
#include "statefile.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#define FRONT     1024 /* bytes of header and status */
#define INPUT_MAX (64 * 1024)
#define FILE_MAX  (1 * MV_GIB)

/* What is put right, bits of the first byte. */
enum {
    HEADER_SUM = 1,
    STATUS_SUM = 2,
    MANIFEST_SUM = 4,
    SECTION_SUMS = 8,
    LENGTHS = 16,
    HOLE = 32
};

static struct mv_error err;
static int fd, again_fd, null_fd;

/* --- the input */

static void sum_part(uint8_t *part)
{
    mv_bytes_put(part + 504, XXH3_64bits(part, 504), 8);
}

/* The file that the input is of. */
static void make_file(unsigned repairs, uint8_t *front, uint8_t *tail, size_t size)
{
    uint64_t ram_end = MV_STATEFILE_RAM_OFFSET + mv_bytes_get(front + 56, 8) % (64 * MV_MIB);
    uint64_t manifest = mv_bytes_get(front + 72, 8), end = ram_end + size;
    manifest = manifest < size ? manifest : size;
    if (repairs & SECTION_SUMS)
        sum_sections(tail + manifest, size - manifest);
    if (repairs & LENGTHS) {
        mv_bytes_put(front + 40, end, 8);
        mv_bytes_put(front + 48, MV_STATEFILE_RAM_OFFSET, 8);
        mv_bytes_put(front + 64, ram_end, 8);
        mv_bytes_put(front + 80, ram_end + manifest, 8);
        mv_bytes_put(front + 88, size - manifest, 8);
    }
    if (repairs & MANIFEST_SUM)
        mv_bytes_put(front + 160, XXH3_64bits(tail, manifest), 8);
    if (repairs & HEADER_SUM)
        sum_part(front);
    if (repairs & STATUS_SUM)
        sum_part(front + 512);
    uint64_t said = mv_bytes_get(front + 40, 8);
    CHECK(ftruncate(fd, 0) == 0);
    CHECK(pwrite(fd, front, FRONT, 0) == FRONT);
    CHECK(pwrite(fd, tail, size, (off_t)ram_end) == (ssize_t)size);
    if ((repairs & HOLE) && said > end && said < FILE_MAX)
        CHECK(ftruncate(fd, (off_t)said) == 0);
}

/* --- what always holds */

static void check_error(void)
{
    static const char *const begins[] = {"header: ", "status: ", "manifest: ", "section "};
    unsigned known = 0;
    for (size_t i = 0; i < sizeof begins / sizeof begins[0]; i++)
        known += strncmp(err.text, begins[i], strlen(begins[i])) == 0;
    CHECK(known == 1);
    for (const char *c = err.text; *c != '\0'; c++)
        CHECK(*c >= ' ' && *c < 0x7f);
}

static void check_same(const struct mv_section *a, const struct mv_section *b)
{
    CHECK(a->type == b->type && a->version == b->version && a->length == b->length);
    CHECK(strcmp(a->name, b->name) == 0 && strcmp(a->kind, b->kind) == 0);
    CHECK(memcmp(a->payload, b->payload, a->length) == 0);
}

static void write_again(const struct mv_statefile *file)
{
    struct mv_statefile_writer writer;
    CHECK(ftruncate(again_fd, 0) == 0);
    CHECK(mv_statefile_begin(&writer, again_fd, file->id, file->ram_length, file->manifest,
                             file->manifest_length, &err) == 0);
    for (size_t i = 0; i < file->section_count; i++)
        CHECK(mv_section_write(&writer.sections, &file->sections[i], &err) == 0);
    CHECK(mv_statefile_end(&writer, &err) == 0);
    CHECK(mv_statefile_mark(again_fd, file->status, &err) == 0);
}

static void check_file(const struct mv_statefile *file)
{
    struct mv_statefile again;
    write_again(file);
    CHECK(mv_statefile_read(again_fd, &again, &err) == 0);
    CHECK(again.length == file->length && again.ram_length == file->ram_length);
    CHECK(again.status == file->status && memcmp(again.id, file->id, sizeof file->id) == 0);
    CHECK(again.manifest_length == file->manifest_length);
    CHECK(memcmp(again.manifest, file->manifest, file->manifest_length + 1) == 0);
    CHECK(again.section_count == file->section_count);
    for (size_t i = 0; i < file->section_count; i++) {
        const struct mv_section *section = &file->sections[i];
        check_same(section, &again.sections[i]);
        CHECK(mv_statefile_find(file, section->type, section->name) == section);
    }
    mv_statefile_clear(&again);
}

/* --- what memvisor info does */

static void count_damage(void *opaque, const struct mv_info_damage *damage)
{
    *(uint64_t *)opaque += damage->size;
}

static void look_into(const struct mv_chain *chain)
{
    const struct mv_manifest *manifest = &chain->files[0].manifest;
    struct mv_info_verified verified;
    struct mv_diff diff;
    uint64_t damaged = 0;
    if (mv_diff_make(chain, chain, &diff, &err) == 0) {
        CHECK(diff.value_count == 0 && diff.more == 0);
        mv_diff_clear(&diff);
    }
    if (chain->files[0].state->ram_length > 8 * MV_MIB)
        return; /* it would take its time */
    if (mv_info_verify(chain, count_damage, &damaged, &verified, &err) == 0)
        CHECK(damaged == verified.damaged && damaged <= verified.bytes);
    for (size_t i = 0; i < manifest->block_count && i < 4; i++)
        mv_info_extract(chain, manifest->blocks[i].id, null_fd, "nowhere", &err);
}

/* There are no bases where the file is. */
static void look(void)
{
    struct mv_chain chain;
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (mv_chain_open(path, &chain, &err) < 0)
        return;
    if (mv_chain_follow(&chain, &err) == 0)
        look_into(&chain);
    mv_chain_close(&chain);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t front[FRONT], tail[INPUT_MAX];
    struct mv_statefile file;
    if (size <= FRONT || size > INPUT_MAX)
        return 0;
    size_t tail_size = size - 1 - FRONT;
    memcpy(front, data + 1, FRONT);
    memcpy(tail, data + 1 + FRONT, tail_size);
    make_file(data[0], front, tail, tail_size);
    err.text[0] = '\0';
    if (mv_statefile_read(fd, &file, &err) < 0) {
        check_error();
        return 0;
    }
    check_file(&file);
    mv_statefile_clear(&file);
    look();
    return 0;
}

/* --- what to begin with */

static void write_seed(const char *folder, unsigned number, unsigned repairs)
{
    static uint8_t bytes[INPUT_MAX];
    char path[256];
    struct stat st;
    uint64_t ram;
    snprintf(path, sizeof path, "%s/%u", folder, number);
    CHECK(fstat(fd, &st) == 0 && pread(fd, bytes + 1, FRONT, 0) == FRONT);
    bytes[0] = (uint8_t)repairs;
    ram = MV_STATEFILE_RAM_OFFSET + mv_bytes_get(bytes + 1 + 56, 8);
    ssize_t tail = pread(fd, bytes + 1 + FRONT, sizeof bytes - 1 - FRONT, (off_t)ram);
    CHECK(tail >= 0 && (uint64_t)tail == (uint64_t)st.st_size - ram);
    FILE *out = fopen(path, "w");
    CHECK(out != NULL && fwrite(bytes, 1, 1 + FRONT + (size_t)tail, out) > FRONT);
    CHECK(fclose(out) == 0);
}

/* Without its RAM, which no input has. */
static void write_file_seed(const char *folder, unsigned number, const char *path)
{
    static uint8_t bytes[INPUT_MAX];
    int file = open(path, O_RDONLY);
    struct stat st;
    CHECK(file >= 0 && fstat(file, &st) == 0 && pread(file, bytes, FRONT, 0) == FRONT);
    off_t ram_end = (off_t)(MV_STATEFILE_RAM_OFFSET + mv_bytes_get(bytes + 56, 8));
    CHECK(ftruncate(fd, 0) == 0 && pwrite(fd, bytes, FRONT, 0) == FRONT);
    ssize_t tail = pread(file, bytes, sizeof bytes, ram_end);
    CHECK(tail == st.st_size - ram_end && pwrite(fd, bytes, (size_t)tail, ram_end) == tail);
    close(file);
    write_seed(folder, number, 0x1f);
}

static void write_seeds(const char *folder)
{
    static const uint8_t id[MV_STATEFILE_ID_BYTES] = "0123456789abcde";
    static const char manifest[] = "{\"name\": \"vm1\", \"blocks\": [{\"id\": \"ram0\"}]}";
    static const struct mv_section sections[] = {
        {.type = MV_SECTION_OBJECT, .version = 1, .name = "vcpu/0", .kind = "arm64"},
        {.type = MV_SECTION_OBJECT, .version = 2, .name = "pci/03.0", .kind = "edu"},
        {.type = MV_SECTION_SUMS, .name = "ram0"},
        {.type = MV_SECTION_PAGES, .name = "ram0"},
        {.type = MV_SECTION_SUMS, .name = "boot/kernel"},
        {.type = MV_SECTION_SUMS,
         .name = "a name of a block that is longer than what a message says of it, as no name "
                 "of ours is, and with a number behind it that nobody sees: 1234567"},
        {.type = MV_SECTION_OBJECT, .name = "pci/03.0", .kind = "it is there already"},
    };
    uint8_t payload[300];
    for (size_t i = 0; i < sizeof payload; i++)
        payload[i] = (uint8_t)(i * 37);
    for (unsigned count = 0; count <= sizeof sections / sizeof sections[0]; count++) {
        struct mv_statefile_writer writer;
        CHECK(mv_statefile_begin(&writer, fd, id, count * MV_MIB, manifest,
                                 count == 1 ? 0 : sizeof manifest - 1, &err) == 0);
        for (unsigned i = 0; i < count; i++) {
            struct mv_section section = sections[i];
            section.payload = payload;
            section.length = 40 * i;
            CHECK(mv_section_write(&writer.sections, &section, &err) == 0);
        }
        CHECK(mv_statefile_end(&writer, &err) == 0);
        CHECK(mv_statefile_mark(fd, count % 5, &err) == 0);
        write_seed(folder, 2 * count, 0);
        write_seed(folder, 2 * count + 1, count % 2 ? 0x1f : 0x2f);
    }
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    const char *folder = getenv("MEMVISOR_FUZZ_SEEDS");
    fd = memfd_create("fuzz", 0);
    again_fd = memfd_create("again", 0);
    null_fd = open("/dev/null", O_WRONLY);
    CHECK(fd >= 0 && again_fd >= 0 && null_fd >= 0);
    if (folder != NULL) {
        write_seeds(folder);
        for (int i = 1; i < *argc; i++)
            write_file_seed(folder, 100 + (unsigned)i, (*argv)[i]);
        exit(0);
    }
    return 0;
}
