/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sections of a state file (src/stream/section.h) of which an input is made: with right sums,
 * so that what is behind those is reached.  For the targets of state files.
 */
#ifndef MV_TESTS_FUZZ_SECTIONS_H
#define MV_TESTS_FUZZ_SECTIONS_H

#include "bytes.h"
#include "section.h"

#include <xxhash.h>

/* Of all whole ones, up to what is none. */
static void sum_sections(uint8_t *bytes, size_t size)
{
    for (size_t at = 0; size - at >= MV_SECTION_BYTES_MIN;) {
        uint8_t *section = bytes + at;
        uint64_t length = mv_bytes_get(section + 16, 8), room = size - at - MV_SECTION_BYTES_MIN;
        if (length > room)
            return;
        length += mv_bytes_get(section + 6, 2) + mv_bytes_get(section + 8, 2);
        if (length > room)
            return;
        mv_bytes_put(section + 24 + length, XXH3_64bits(section, 24 + length), 8);
        at += MV_SECTION_BYTES_MIN + length;
    }
}

#endif
