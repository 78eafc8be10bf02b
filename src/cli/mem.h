/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of `memvisor mem` know of one another. */
#ifndef MV_CLI_MEM_H
#define MV_CLI_MEM_H

#include "error.h"
#include "screen.h"

#include <jansson.h>
#include <stdint.h>

struct mv_vm_client;

/* mem-map.c: what x-query-space returns. */
void mv_mem_print_map(FILE *out, const json_t *ranges, const struct mv_screen *screen);

/* --- mem-query.c */

/*
 * The blocks as x-query-blocks tells of them, each with dirty_rate (bytes a
 * second, measured for so long), and with parts > 0 residency and written: a
 * list of numbers each.
 */
int mv_mem_query(struct mv_vm_client *client, unsigned parts, unsigned milliseconds, json_t **ret,
                 struct mv_error *err);

/* Guest memory to standard output: bytes, or a dump where that is a terminal. */
int mv_mem_read(struct mv_vm_client *client, uint64_t gpa, uint64_t len, struct mv_error *err);

/* A field as a number, 0 where it is none; as text that a terminal may get, "-" where none. */
uint64_t mv_mem_number(const json_t *row, const char *key);
const char *mv_mem_text(const json_t *row, const char *key);

/* Bytes with three digits or so, as in "1.5 MiB". */
#define MV_MEM_SIZE 32
const char *mv_mem_size(uint64_t bytes, char buf[MV_MEM_SIZE]);

#endif
