/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the migration room: what one thread of ram-writer.c does with a chunk.  The bytes
 * are read once, a piece after another, into a buffer that stays in the processor's cache;
 * from there they are looked at, summed and written.
 */
#ifndef MV_MIGRATION_RAM_CHUNK_H
#define MV_MIGRATION_RAM_CHUNK_H

#include "ram-feed.h"

struct XXH3_state_s;

/* All buffers together are less than what a guest's memory may grow by while it is saved. */
#define MV_RAM_PIECE (UINT64_C(128) << 10)

struct mv_ram_chunk {
    int fd;                       /* of the file */
    const char *file;             /* its name */
    const atomic_bool *cancelled; /* or NULL: so that nobody waits for absent pages for nothing */
    uint8_t *buffer;              /* a piece; its owner's */
    struct XXH3_state_s *state;
    _Atomic uint64_t *written; /* counts bytes */
};

int mv_ram_chunk_init(struct mv_ram_chunk *chunk, int fd, const char *file,
                      const atomic_bool *cancelled, _Atomic uint64_t *written,
                      struct mv_error *err);
void mv_ram_chunk_end(struct mv_ram_chunk *chunk);

/*
 * What lies between the runs is zero, and a hole in the file already.  The sum is of all of it.
 * Where the source has extents, the file has the runs, too.
 */
int mv_ram_chunk_write_all(struct mv_ram_chunk *chunk, const struct mv_ram_work *work,
                           uint64_t *ret_sum, struct mv_error *err);
/* What lies between the runs is in the file already. */
int mv_ram_chunk_write_again(struct mv_ram_chunk *chunk, const struct mv_ram_work *work,
                             struct mv_error *err);
/* The sum of what is in the file. */
int mv_ram_chunk_sum_file(struct mv_ram_chunk *chunk, const struct mv_ram_source *source,
                          uint64_t offset, uint64_t len, uint64_t *ret_sum, struct mv_error *err);
uint64_t mv_ram_chunk_sum_zeros(struct mv_ram_chunk *chunk, uint64_t len);

#endif
