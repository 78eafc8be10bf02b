/* SPDX-License-Identifier: Apache-2.0 */
/* JSON on standard output, as --json prints it. */
#ifndef MV_CLI_JSON_PRINT_H
#define MV_CLI_JSON_PRINT_H

#include <jansson.h>
#include <stdio.h>

/* A list has a line for each element, anything else a line of its own. */
void mv_json_print(const json_t *value);
void mv_json_print_to(FILE *out, const json_t *value);

#endif
