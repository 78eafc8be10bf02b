/* SPDX-License-Identifier: Apache-2.0 */
#include "buffer.h"

#include <stdlib.h>
#include <string.h>

#define CAPACITY_MIN 4096

void mv_buffer_clear(struct mv_buffer *buffer)
{
    free(buffer->bytes);
    *buffer = (struct mv_buffer){0};
}

int mv_buffer_write(void *opaque, const void *bytes, size_t len, struct mv_error *err)
{
    struct mv_buffer *buffer = opaque;
    if (len > SIZE_MAX / 2 - buffer->length)
        return mv_error_set(err, ENOMEM, "%zu bytes are too many for a buffer", len);
    size_t needed = buffer->length + len;
    if (needed > buffer->capacity) {
        size_t capacity = needed > 2 * buffer->capacity ? needed : 2 * buffer->capacity;
        capacity = capacity > CAPACITY_MIN ? capacity : CAPACITY_MIN;
        uint8_t *grown = realloc(buffer->bytes, capacity);
        if (grown == NULL)
            return mv_error_set_errno(err, ENOMEM, "a buffer of %zu bytes", capacity);
        buffer->bytes = grown;
        buffer->capacity = capacity;
    }
    if (len > 0)
        memcpy(buffer->bytes + buffer->length, bytes, len);
    buffer->length = needed;
    return 0;
}

int mv_buffer_read(void *opaque, void *bytes, size_t len, struct mv_error *err)
{
    struct mv_buffer *buffer = opaque;
    size_t left = buffer->length - buffer->next;
    if (len > left)
        return mv_error_set(err, EINVAL, "%zu bytes are due, and %zu are left", len, left);
    if (len > 0)
        memcpy(bytes, buffer->bytes + buffer->next, len);
    buffer->next += len;
    return 0;
}
