/* SPDX-License-Identifier: Apache-2.0 */
/* Texts that grow, and replies made of them.  Plain data, any thread. */
#include "session.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void mv_gdb_text_clear(struct mv_gdb_text *text)
{
    free(text->bytes);
    *text = (struct mv_gdb_text){0};
}

static bool reserve(struct mv_gdb_text *text, size_t more)
{
    if (text->failed || text->len + more <= text->capacity)
        return !text->failed;
    size_t capacity = 2 * (text->len + more);
    char *bytes = realloc(text->bytes, capacity);
    text->failed = bytes == NULL;
    if (bytes == NULL)
        return false;
    text->bytes = bytes;
    text->capacity = capacity;
    return true;
}

void mv_gdb_text_add(struct mv_gdb_text *text, const void *bytes, size_t len)
{
    if (len == 0 || !reserve(text, len))
        return;
    memcpy(text->bytes + text->len, bytes, len);
    text->len += len;
}

static void print(struct mv_gdb_text *text, const char *format, va_list ap)
{
    char line[512];
    int len = vsnprintf(line, sizeof line, format, ap);
    if (len > 0)
        mv_gdb_text_add(text, line, (size_t)len < sizeof line ? (size_t)len : sizeof line - 1);
}

void mv_gdb_text_print(struct mv_gdb_text *text, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    print(text, format, ap);
    va_end(ap);
}

void mv_gdb_reply_add(struct mv_gdb_reply *reply, const void *bytes, size_t len)
{
    reply->said = true;
    mv_gdb_text_add(&reply->text, bytes, len);
}

void mv_gdb_reply_print(struct mv_gdb_reply *reply, const char *format, ...)
{
    va_list ap;
    reply->said = true;
    va_start(ap, format);
    print(&reply->text, format, ap);
    va_end(ap);
}

void mv_gdb_reply_hex(struct mv_gdb_reply *reply, const void *bytes, size_t len)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *from = bytes;
    struct mv_gdb_text *text = &reply->text;
    reply->said = true;
    if (!reserve(text, 2 * len))
        return;
    for (size_t i = 0; i < len; i++) {
        text->bytes[text->len++] = digits[from[i] >> 4];
        text->bytes[text->len++] = digits[from[i] & 15];
    }
}

void mv_gdb_reply_error(struct mv_gdb_reply *reply, int errnum)
{
    reply->text.len = 0;
    reply->text.failed = false;
    mv_gdb_reply_print(reply, "E%02x", (unsigned)errnum & 0xff);
}

void mv_gdb_reply_clear(struct mv_gdb_reply *reply)
{
    mv_gdb_text_clear(&reply->text);
    *reply = (struct mv_gdb_reply){0};
}
