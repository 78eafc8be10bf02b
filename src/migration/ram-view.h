/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_ram_view: a block's bytes, as a state file and those that it builds on have
 * them, a chunk of MV_RAM_CHUNK after another, each checked against its sum.  What one file
 * has of a block is a layer; where it has only some of the pages, the layer below has the
 * others.  Nothing is changed by reading, so that any number of threads may.
 */
#ifndef MV_MIGRATION_RAM_VIEW_H
#define MV_MIGRATION_RAM_VIEW_H

#include "chain.h"
#include "ram-writer.h"

#include <stdbool.h>

/* What the bits of a section of type PAGES are of: byte 0's bit 0 is the first page. */
#define MV_RAM_PAGE 4096

struct mv_ram_layer {
    const struct mv_chain_file *file;
    const struct mv_manifest_block *block;
    const uint8_t *sums;  /* of a section of type SUMS: 8 bytes for each chunk */
    const uint8_t *pages; /* of one of type PAGES; NULL: the file has all of them */
};

struct mv_ram_view {
    uint64_t size;
    uint64_t chunks;
    struct mv_ram_layer *layers; /* each has what those before it have not */
    size_t count;
};

/* How many chunks a block of that size has, and how many bytes the chunk has. */
uint64_t mv_ram_chunks(uint64_t size);
size_t mv_ram_chunk_size(uint64_t size, uint64_t chunk);

/* Of a chunk's bytes; NULL: they are zero. */
uint64_t mv_ram_sum(const uint8_t *bytes, size_t len);

/* How many bytes tell of its pages. */
uint64_t mv_ram_pages_length(uint64_t size);

/*
 * What the file has of a block that is saved in it.  -EINVAL, with the block's name, where
 * its sums or pages are missing or not as many as it has; -ESTALE where its memory is a
 * guest's, or was.
 */
int mv_ram_layer_find(const struct mv_chain_file *file, const struct mv_manifest_block *block,
                      struct mv_ram_layer *ret, struct mv_error *err);
/*
 * The chunk's bytes as the layer has them, those of pages that it has not being zero:
 * 0; -EBADMSG where the sum is another; -ENODATA where the file ends before; or what pread(2)
 * said, negative.  Where *ret_zero becomes true all are zero, and the buffer is as it was.
 */
int mv_ram_layer_read(const struct mv_ram_layer *layer, uint64_t chunk, uint8_t *buffer,
                      bool *ret_zero);

/*
 * -ENOENT where the chain's first file has no such block, -ENODATA where its bytes are in no
 * file of the chain, -EINVAL where the files do not fit together; all with the block's name.
 */
int mv_ram_view_open(const struct mv_chain *chain, const char *id, struct mv_ram_view *ret,
                     struct mv_error *err);
void mv_ram_view_close(struct mv_ram_view *view);
/* The chunk's bytes; `spare` is a second buffer.  As mv_ram_layer_read, with a message. */
int mv_ram_view_read(const struct mv_ram_view *view, uint64_t chunk, uint8_t *buffer,
                     uint8_t *spare, bool *ret_zero, struct mv_error *err);
/* Whether both have the same bytes there, as far as sums tell without reading. */
bool mv_ram_view_is_same(const struct mv_ram_view *view, const struct mv_ram_view *other,
                         uint64_t chunk);

#endif
