/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which pages are zero, looked for with the widest vectors that the host's processor has,
 * chosen when first asked.  For memory of the host's own, that nobody writes meanwhile.
 * Any thread.
 */
#ifndef MV_MIGRATION_ZERO_PAGE_H
#define MV_MIGRATION_ZERO_PAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MV_ZERO_PAGE ((size_t)4096)

/* Whether each of the bytes is 0; of any length and alignment. */
bool mv_zero_bytes(const uint8_t *bytes, size_t len);

/*
 * The first run of pages with anything but zeros, at or behind *io_at, which is a multiple
 * of the page: its offset and length, false where there is none.  Pages count from `bytes`
 * on, and the last may be a part of one.  Start with 0, go on with offset + length.
 */
bool mv_zero_next_data(const uint8_t *bytes, size_t len, size_t *io_at, size_t *ret_len);

/*
 * The ways to look: the widest first, one of plain C last, which every host has, and then a
 * row whose name is NULL.
 */
struct mv_zero_way {
    const char *name;
    bool (*available)(void);
    bool (*is_zero)(const uint8_t *bytes, size_t len);
};
extern const struct mv_zero_way mv_zero_ways[];

#endif
