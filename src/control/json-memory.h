/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory for the JSON library, which does not do without: what it cannot allocate
 * for an answer (a member, the rest of a text) it leaves out, and few of its calls
 * tell; and its parser reads beyond a text that it could not keep.  So its
 * allocations are watched, an answer during which one failed is not sent, and a
 * parse has all that it may need before it begins.  All of it is each thread's own.
 * Called by control.c, the session and jobs.
 */
#ifndef MV_CONTROL_JSON_MEMORY_H
#define MV_CONTROL_JSON_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

/* Watch from now on; before the library is used, or at any time again. */
void mv_json_memory_watch(void);

/* Whether an allocation of this thread's failed since this was asked last. */
bool mv_json_memory_failed(void);

/* One of our own for the same purpose failed. */
void mv_json_memory_note(void);

/*
 * Set memory aside for a text of len bytes, whose parse comes next and takes from it
 * up to end_parse; false where there is none.  The parsed value is there until
 * free_parsed, references to it or not.
 */
bool mv_json_memory_begin_parse(size_t len);
void mv_json_memory_end_parse(void);
void mv_json_memory_free_parsed(void);

#endif
