/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_chain: a state file that was opened to be read, and those that it builds on:
 * a file that was saved with a base has of some blocks only the pages that changed since.
 * What is in it was checked but for RAM (ram-view.h).  No lock: one thread opens it, and any
 * may read until it is closed.  Called by all who look into a state without a machine.
 */
#ifndef MV_MIGRATION_CHAIN_H
#define MV_MIGRATION_CHAIN_H

#include "manifest.h"

struct mv_statefile;

/* Files of one chain. */
#define MV_CHAIN_MAX 64

struct mv_chain_file {
    char *path;
    int fd;
    struct mv_statefile *state;
    struct mv_manifest manifest;
};

struct mv_chain {
    struct mv_chain_file *files; /* each builds on the one behind it */
    size_t count;
};

/*
 * The file alone.  What mv_statefile_read and mv_manifest_parse say, or why it cannot be
 * opened; errors begin with the path.
 */
int mv_chain_open(const char *path, struct mv_chain *ret, struct mv_error *err);
/*
 * Those that it builds on: each where the manifest says, or else in the folder of the one
 * that says so.  -ESTALE where one has another id than the manifest has, -ELOOP where it is
 * there already, -E2BIG where there are too many; the chain has those before it then.
 */
int mv_chain_follow(struct mv_chain *chain, struct mv_error *err);
void mv_chain_close(struct mv_chain *chain);

#endif
