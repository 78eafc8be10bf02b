/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON values with integers up to 2^64-1, as QEMU's QNum has them; the JSON
 * library ends at 2^63-1.  A larger one stands in a value as a string whose
 * first byte is NUL and whose rest are the digits: no other string can begin
 * so, since the input refuses \u0000.  Beyond 2^64-1, or below -2^63, an
 * integer becomes a real number, as in QEMU.  Pure; any thread.
 */
#ifndef MV_CONTROL_QMP_VALUE_H
#define MV_CONTROL_QMP_VALUE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Parse text that a struct mv_qmp_input handed out: NULL, and why. */
json_t *mv_qmp_value_parse(const char *text, size_t len, json_error_t *ret_why);

/* Parse one value of any text, for clients: NULL where it is no JSON. */
json_t *mv_qmp_value_load(const char *text, size_t len);

/* The text of a value, to be freed; flags are json_dumps()'s.  NULL without memory. */
char *mv_qmp_value_dump(const json_t *value, size_t flags);

/* Whether it is an integer from 2^63 on; json_is_string() is true of it too. */
bool mv_qmp_value_is_large(const json_t *value);

/* Of an integer that is not negative; 0 of anything else. */
uint64_t mv_qmp_value_uint(const json_t *value);

#endif
