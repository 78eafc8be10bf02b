/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_output_file: a file that is there whole or not at all.  What is written has no
 * name until it is committed; then it takes the place of the file that had the name, in one
 * step and on stable storage.  Until then, and where anything fails, that file is as it was.
 *
 * Where the file system cannot make files without a name, it is a temporary one beside the
 * other, and for a moment each is, before it takes the other's name.  One of these stays behind
 * when the process is killed, and is removed by the next that makes a file in the folder: while
 * it is written it is locked (flock(2)).  One thread at a time.
 */
#ifndef MV_MIGRATION_OUTPUT_FILE_H
#define MV_MIGRATION_OUTPUT_FILE_H

#include "error.h"

struct mv_output_file;

/*
 * A new file for reading and writing, that only its owner may read unless the one that it
 * will replace says otherwise.  A symbolic link stays, and what it leads to is replaced.
 * -EINVAL where the path is something else than a file, which could not be replaced; else
 * what open(2) said.
 */
int mv_output_file_create(const char *path, struct mv_output_file **ret, struct mv_error *err);
/* The descriptor, which is the file's. */
int mv_output_file_fd(const struct mv_output_file *file);
/* The path as it was given, for messages; the file's. */
const char *mv_output_file_path(const struct mv_output_file *file);

/*
 * All is written: put it on stable storage and give it its name.  Where that fails the old
 * file is still there, unless the message says that the new one is in its place.
 */
int mv_output_file_commit(struct mv_output_file *file, struct mv_error *err);
/* What was not committed is gone.  May be NULL. */
void mv_output_file_destroy(struct mv_output_file *file);

#endif
