/* SPDX-License-Identifier: Apache-2.0 */
/*
 * state-checker FILE: reads a state file with the reader of the stream room, checks the sums
 * of all blocks, and prints what is in it as an object of JSON.  For tests/vm/test_save.py.
 */
#include "bytes.h"
#include "manifest.h"
#include "ram-writer.h"
#include "statefile.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

static struct mv_error err;

static int fail(void)
{
    fprintf(stderr, "state-checker: %s\n", err.text);
    return 1;
}

static int check_block(int fd, const struct mv_statefile *file,
                       const struct mv_manifest_block *block)
{
    static uint8_t chunk[MV_RAM_CHUNK];
    const struct mv_section *sums = mv_statefile_find(file, MV_SECTION_SUMS, block->id);
    size_t count = (block->size + MV_RAM_CHUNK - 1) / MV_RAM_CHUNK;
    if (sums == NULL || sums->length != 8 * count)
        return mv_error_set(&err, EINVAL, "block %s: no sums", block->id);
    for (size_t i = 0; i < count; i++) {
        uint64_t at = i * MV_RAM_CHUNK, left = block->size - at;
        size_t len = left < MV_RAM_CHUNK ? left : MV_RAM_CHUNK;
        if (pread(fd, chunk, len, (off_t)(block->offset + at)) != (ssize_t)len)
            return mv_error_set(&err, EINVAL, "block %s: it is cut", block->id);
        if (XXH3_64bits(chunk, len) != mv_bytes_get(sums->payload + 8 * i, 8))
            return mv_error_set(&err, EINVAL, "block %s: sum %zu is not that of its bytes",
                                block->id, i);
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct mv_statefile file;
    struct mv_manifest manifest;
    int fd = argc == 2 ? open(argv[1], O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0)
        return 2;
    if (mv_statefile_read(fd, &file, &err) < 0 ||
        mv_manifest_parse(file.manifest, file.manifest_length, file.ram_length, &manifest, &err) <
            0)
        return fail();
    for (size_t i = 0; i < manifest.block_count; i++)
        if (manifest.blocks[i].saved && check_block(fd, &file, &manifest.blocks[i]) < 0)
            return fail();
    if (memcmp(manifest.id, file.id, sizeof file.id) != 0) {
        mv_error_set(&err, EINVAL, "the manifest's id is another one than the header's");
        return fail();
    }
    printf("{\"status\": %d, \"objects\": [", (int)file.status);
    for (size_t i = 0; i < file.section_count; i++)
        if (file.sections[i].type == MV_SECTION_OBJECT)
            printf("%s\"%s\"", i == 0 ? "" : ", ", file.sections[i].name);
    printf("], \"manifest\": %s}\n", file.manifest);
    mv_manifest_clear(&manifest);
    mv_statefile_clear(&file);
    close(fd);
    return 0;
}
