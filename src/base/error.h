/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_error: one line of text that says what went wrong, built by the
 * function that noticed and prefixed by its callers with what they were at.
 * Owned by the caller (usually on its stack); no allocation, no lock.
 */
#ifndef MV_BASE_ERROR_H
#define MV_BASE_ERROR_H

#include <errno.h>
#include <stdint.h>

struct mv_error {
    char text[2048];
};

/*
 * Set the text and return -errnum, so that callers can `return
 * mv_error_set(err, EINVAL, "…")`.  errnum is positive.  err may be NULL.
 */
int mv_error_set(struct mv_error *err, int errnum, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/*
 * Like mv_error_set, with ": " and strerror(errnum) behind the text, and what to
 * type where that tells of too many open files.
 */
int mv_error_set_errno(struct mv_error *err, int errnum, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Put "prefix: " before the text that is there.  err may be NULL. */
void mv_error_prefix(struct mv_error *err, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#define MV_RLIMIT_REMEDY 160

/*
 * "type 'ulimit -l 5120', or as root 'prlimit …'" for RLIMIT_NOFILE, _AS, _DATA,
 * _MEMLOCK or _FSIZE, of which `needed` (descriptors or bytes) is wanted.  A
 * user's shell cannot go beyond the hard limit: then root's command alone.
 */
const char *mv_rlimit_remedy(int resource, uint64_t needed, char buf[MV_RLIMIT_REMEDY]);

#endif
