/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the JSON library lacks.
 *
 * Integers up to 2^64-1, as QEMU's QNum has them: the library ends at 2^63-1.  A
 * larger one stands in a value as a string whose first byte is NUL and whose rest
 * are the digits: no other string can begin so, since the input refuses \u0000.
 * Beyond 2^64-1, or below -2^63, an integer becomes a real number, as in QEMU.
 *
 * Word of memory that ran out: what the library cannot allocate for an answer (a
 * member, the rest of a text) it leaves out, and few of its calls tell; and its
 * parser reads beyond a text that it could not keep.  So its allocations are
 * watched, an answer during which one failed is not sent, and a parse has all that
 * it may need before it begins.  All of this is each thread's own.
 *
 * Called by the session, jobs, the commands, and the verbs' client.
 */
#ifndef MV_CONTROL_QMP_JSON_H
#define MV_CONTROL_QMP_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* --- values */

/* Parse text that a struct mv_qmp_input handed out: NULL, and why. */
json_t *mv_qmp_value_parse(const char *text, size_t len, json_error_t *ret_why);

/* Parse one value of any text, for clients: NULL where it is no JSON. */
json_t *mv_qmp_value_load(const char *text, size_t len);

/* The text of a value, to be freed; flags are json_dumps()'s.  NULL without memory. */
char *mv_qmp_value_dump(const json_t *value, size_t flags);

/* A list of numbers. */
json_t *mv_qmp_value_uints(const uint64_t *numbers, size_t count);

/* Whether it is an integer from 2^63 on; json_is_string() is true of it too. */
bool mv_qmp_value_is_large(const json_t *value);

/* Of an integer that is not negative; 0 of anything else. */
uint64_t mv_qmp_value_uint(const json_t *value);

/* --- memory */

/* Watch from now on; before the library is used, or at any time again. */
void mv_json_memory_watch(void);

/* Whether an allocation of this thread's failed since this was asked last. */
bool mv_json_memory_failed(void);

/* One of our own for the same purpose failed. */
void mv_json_memory_note(void);

/*
 * Set memory aside for parsing a text of len bytes, which the parse up to end_parse uses;
 * false where there is none.  The parsed value lives until free_parsed, whoever holds
 * references.
 */
bool mv_json_memory_begin_parse(size_t len);
void mv_json_memory_end_parse(void);
void mv_json_memory_free_parsed(void);

#endif
