/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers as little-endian bytes, at any address and of any size up to 8, for all
 * that is written for another process or another time.  No state; any thread.
 */
#ifndef MV_STREAM_BYTES_H
#define MV_STREAM_BYTES_H

#include <stddef.h>
#include <stdint.h>

static inline uint64_t mv_bytes_get(const uint8_t *bytes, size_t size)
{
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++)
        value |= (uint64_t)bytes[i] << 8 * i;
    return value;
}

/* Returns where the next one goes. */
static inline uint8_t *mv_bytes_put(uint8_t *bytes, uint64_t value, size_t size)
{
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(value >> 8 * i);
    return bytes + size;
}

#endif
