/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the bytes of a block cost to save: ram-writer FOLDER [MIB [ROUNDS]] writes a block of
 * twice MIB, half of it random data, to a file in the folder, against a plain loop that
 * copies as many bytes to a buffer and writes them; and looks for zeros in a page against
 * memcmp with a page of zeros.  Prints the best of each, and the ratios.
 */
#include "ram-writer.h"
#include "block.h"
#include "os.h"
#include "output-file.h"
#include "size.h"
#include "zero-page.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static struct mv_error err;

static void check(int result)
{
    if (result >= 0)
        return;
    fprintf(stderr, "ram-writer: %s\n", err.text);
    exit(1);
}

static void fill(uint8_t *bytes, uint64_t len)
{
    uint64_t state = 88172645463325252u;
    for (uint64_t i = 0; i < len; i += 8) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        memcpy(bytes + i, &state, 8);
    }
}

static double seconds_since(uint64_t start)
{
    return (double)(mv_now_ns() - start) / 1e9;
}

static double plain(const char *path, const uint8_t *bytes, uint64_t len)
{
    enum { PIECE = 1 << 20 };
    struct mv_output_file *file;
    uint8_t *buffer = malloc(PIECE);
    check(mv_output_file_create(path, &file, &err));
    uint64_t start = mv_now_ns();
    for (uint64_t at = 0; at < len; at += PIECE) {
        memcpy(buffer, bytes + at, PIECE);
        check(mv_write_all(mv_output_file_fd(file), buffer, PIECE));
    }
    double seconds = seconds_since(start);
    mv_output_file_destroy(file);
    free(buffer);
    return seconds;
}

static double saved(const char *path, struct mv_block *block)
{
    struct mv_output_file *file;
    struct mv_ram_writer *writer;
    const struct mv_ram_part part = {.block = block, .offset = 2 * MV_MIB};
    struct mv_ram_writer_params params = {.file = path, .parts = &part, .count = 1};
    check(mv_output_file_create(path, &file, &err));
    params.fd = mv_output_file_fd(file);
    uint64_t start = mv_now_ns();
    check(mv_ram_writer_create(&params, &writer, &err));
    check(mv_ram_writer_copy_rest(writer, &err));
    check(mv_ram_writer_sum(writer, &err));
    double seconds = seconds_since(start);
    mv_ram_writer_destroy(writer);
    mv_output_file_destroy(file);
    return seconds;
}

static void compare_writers(const char *folder, uint64_t mib, int rounds)
{
    struct mv_block_registry *registry;
    struct mv_block *block;
    double best_plain = 1e9, best_saved = 1e9;
    uint64_t len = mib * MV_MIB;
    char path[4096];
    snprintf(path, sizeof path, "%s/bench-ram-writer", folder);
    check(mv_block_registry_create(&registry, &err));
    check(mv_block_create(registry, "", "ram0", 2 * len, &block, &err));
    fill(block->host, len);
    for (int i = 0; i < rounds; i++) {
        double now = plain(path, block->host, len);
        best_plain = now < best_plain ? now : best_plain;
        now = saved(path, block);
        best_saved = now < best_saved ? now : best_saved;
    }
    printf("%llu MiB copied and written: %.0f MiB/s; saved with sums: %.0f MiB/s; ratio %.2f\n",
           (unsigned long long)mib, (double)mib / best_plain, (double)mib / best_saved,
           best_plain / best_saved);
    mv_block_registry_destroy(registry);
}

static bool by_memcmp(const uint8_t *bytes, size_t len)
{
    static const uint8_t zeros[4096];
    return memcmp(bytes, zeros, len) == 0;
}

static double look(bool (*is_zero)(const uint8_t *bytes, size_t len), const uint8_t *page)
{
    enum { TIMES = 2000000 };
    uint64_t start = mv_now_ns();
    for (int i = 0; i < TIMES; i++) {
        if (!is_zero(page, MV_ZERO_PAGE))
            exit(1);
        __asm__ volatile("" ::: "memory");
    }
    return seconds_since(start) * 1e9 / TIMES;
}

static void compare_ways(void)
{
    uint8_t *page = aligned_alloc(4096, MV_ZERO_PAGE);
    memset(page, 0, MV_ZERO_PAGE);
    double memcmp_ns = look(by_memcmp, page);
    printf("a page of zeros: memcmp %.0f ns", memcmp_ns);
    for (const struct mv_zero_way *way = mv_zero_ways; way->name != NULL; way++) {
        if (way->available()) {
            double ns = look(way->is_zero, page);
            printf("; %s %.0f ns, ratio %.2f", way->name, ns, memcmp_ns / ns);
        }
    }
    printf("\n");
    free(page);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: ram-writer FOLDER [MIB [ROUNDS]]\n");
        return 2;
    }
    compare_ways();
    compare_writers(argv[1], argc > 2 ? strtoull(argv[2], NULL, 10) : 1024,
                    argc > 3 ? atoi(argv[3]) : 3);
    return 0;
}
