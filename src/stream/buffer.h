/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_buffer: bytes in memory that sections are written to, and read from
 * again.  Zeroed it is empty.  No lock: one thread at a time.  Called by whoever
 * wants a state at once and hands it on later: a save, a fork.
 */
#ifndef MV_STREAM_BUFFER_H
#define MV_STREAM_BUFFER_H

#include "error.h"

#include <stddef.h>
#include <stdint.h>

struct mv_buffer {
    uint8_t *bytes;
    size_t length, capacity;
    size_t next; /* what mv_buffer_read comes to next */
};

void mv_buffer_clear(struct mv_buffer *buffer);

/* A section writer's and a reader's function; `opaque` is the buffer. */
int mv_buffer_write(void *opaque, const void *bytes, size_t len, struct mv_error *err);
int mv_buffer_read(void *opaque, void *bytes, size_t len, struct mv_error *err);

#endif
