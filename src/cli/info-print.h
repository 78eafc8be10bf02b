/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What memvisor info shows on standard output, for people and as JSON.  info.c is the verb;
 * a state's description is info-show.c's, what two differ in info-diff.c's.
 */
#ifndef MV_CLI_INFO_PRINT_H
#define MV_CLI_INFO_PRINT_H

#include "chain.h"
#include "diff.h"
#include "error.h"

#include <jansson.h>
#include <stdbool.h>

/* "whole", "stale", "in use" */
const char *mv_info_status(const struct mv_chain_file *file);
/* The guest's address of a byte of the block, "0x80200000"; or null. */
json_t *mv_info_gpa(const struct mv_manifest_block *block, uint64_t offset);

/* `missing` says why the chain does not have all files that there should be; or NULL. */
int mv_info_show(const struct mv_chain *chain, const struct mv_error *missing, bool json,
                 struct mv_error *err);

int mv_info_show_diff(const struct mv_diff *diff, const struct mv_chain *a,
                      const struct mv_chain *b, bool json, struct mv_error *err);

#endif
