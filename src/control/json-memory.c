/* SPDX-License-Identifier: Apache-2.0 */
#include "json-memory.h"

#include "size.h"

#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>

/*
 * What one byte of text needs at most: "[" becomes an array with room for eight
 * values (jansson 2.14: 48 and 64 bytes), "{},", an object, 70 bytes for each of its
 * three.  And for a text of no length.
 */
#define PARSE_BYTES_EACH 128
#define PARSE_BYTES      4096
#define ALIGNMENT        16

static _Thread_local bool lacking;
static _Thread_local struct {
    char *start, *end;
    char *next; /* NULL: nothing is taken from here any more */
} parsing;

void mv_json_memory_note(void)
{
    lacking = true;
}

bool mv_json_memory_failed(void)
{
    bool failed = lacking;
    lacking = false;
    return failed;
}

static void *allocate(size_t size)
{
    size_t room = parsing.next == NULL ? 0 : (size_t)(parsing.end - parsing.next);
    if (size < room && room - size >= ALIGNMENT) {
        char *block = parsing.next;
        parsing.next += (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
        return block;
    }
    void *block = malloc(size);
    if (block == NULL)
        mv_json_memory_note();
    return block;
}

static void release(void *block)
{
    uintptr_t at = (uintptr_t)block;
    if (at < (uintptr_t)parsing.start || at >= (uintptr_t)parsing.end)
        free(block);
}

void mv_json_memory_watch(void)
{
    json_set_alloc_funcs(allocate, release);
}

bool mv_json_memory_begin_parse(size_t len)
{
    uint64_t size;
    if (mv_mul_overflows(len, PARSE_BYTES_EACH, &size) ||
        mv_add_overflows(size, PARSE_BYTES, &size))
        return false;
    parsing.start = parsing.next = malloc(size);
    parsing.end = parsing.start == NULL ? NULL : parsing.start + size;
    return parsing.start != NULL;
}

void mv_json_memory_end_parse(void)
{
    parsing.next = NULL;
}

void mv_json_memory_free_parsed(void)
{
    free(parsing.start);
    parsing.start = parsing.end = parsing.next = NULL;
}
