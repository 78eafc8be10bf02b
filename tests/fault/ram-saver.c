/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ram-saver FILE: saves the bytes of a few blocks, always the same, to a file, while it goes
 * on writing to one of them, and their sums behind them.  For tests/vm/test_nth_ram.py, which
 * has its calls fail.
 */
#include "block.h"
#include "config.h"
#include "output-file.h"
#include "ram-writer.h"
#include "size.h"
#include "space.h"

#include <stdio.h>
#include <unistd.h>

#define BASE UINT64_C(0x80000000)
#define SIZE (5 * MV_MIB)

enum { BLOCKS = 2 };

static struct mv_block_registry *registry;
static struct mv_space *space;
static struct mv_block *blocks[BLOCKS];
static struct mv_ram_part parts[BLOCKS];

static int write_pages(unsigned step, struct mv_error *err)
{
    int r = 0;
    for (uint64_t at = 0; r == 0 && at < SIZE; at += step * MV_DIRTY_PAGE)
        r = mv_space_write(space, BASE + at, &at, sizeof at);
    return r < 0 ? mv_error_set_errno(err, -r, "cannot write to the guest") : 0;
}

static int make(struct mv_error *err)
{
    static const struct mv_config_backing wishes[BLOCKS] = {{0}, {.memfd = true}};
    static const char *const names[BLOCKS] = {"ram0", "ram1"};
    int r = mv_block_registry_create(&registry, err);
    if (r == 0)
        r = mv_space_create(&space, err);
    for (unsigned i = 0; r == 0 && i < BLOCKS; i++) {
        r = mv_block_create_backed(registry, "", names[i], SIZE, &wishes[i], &blocks[i], err);
        if (r == 0)
            r = mv_space_add_ram(space, BASE + i * SIZE, blocks[i], 0, SIZE, err);
        parts[i] = (struct mv_ram_part){.block = blocks[i], .offset = (1 + 3 * i) * MV_RAM_CHUNK};
    }
    return r == 0 ? write_pages(3, err) : r;
}

static int write_sums(const struct mv_output_file *file, const struct mv_ram_writer *writer,
                      struct mv_error *err)
{
    for (size_t i = 0, count; i < BLOCKS; i++) {
        const uint64_t *sums = mv_ram_writer_sums(writer, i, &count);
        ssize_t wanted = (ssize_t)(count * sizeof *sums);
        off_t place = (off_t)((7 + i) * MV_RAM_CHUNK);
        errno = ENOSPC;
        if (pwrite(mv_output_file_fd(file), sums, (size_t)wanted, place) != wanted)
            return mv_error_set_errno(err, errno, "cannot write '%s'", mv_output_file_path(file));
    }
    return 0;
}

static int copy(const struct mv_output_file *file, struct mv_ram_writer *writer,
                struct mv_error *err)
{
    int r = mv_ram_writer_copy_live(writer, err);
    if (r == 0)
        r = write_pages(7, err);
    if (r == 0)
        r = mv_ram_writer_copy_rest(writer, err);
    if (r == 0)
        r = mv_ram_writer_sum(writer, err);
    return r == 0 ? write_sums(file, writer, err) : r;
}

static int save(const char *path, struct mv_error *err)
{
    struct mv_output_file *file;
    struct mv_ram_writer *writer;
    int r = mv_output_file_create(path, &file, err);
    if (r < 0)
        return r;
    const struct mv_ram_writer_params params = {.fd = mv_output_file_fd(file),
                                                .file = path,
                                                .parts = parts,
                                                .count = BLOCKS,
                                                .space = space};
    r = mv_ram_writer_create(&params, &writer, err);
    if (r == 0) {
        r = copy(file, writer, err);
        mv_ram_writer_destroy(writer);
    }
    if (r == 0)
        r = mv_output_file_commit(file, err);
    mv_output_file_destroy(file);
    return r;
}

int main(int argc, char **argv)
{
    struct mv_error err;
    if (argc != 2)
        return 2;
    int r = make(&err);
    if (r == 0)
        r = save(argv[1], &err);
    mv_space_destroy(space);
    mv_block_registry_destroy(registry);
    if (r < 0)
        fprintf(stderr, "ram-saver: %s\n", err.text);
    return r < 0;
}
