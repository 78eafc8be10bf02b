/* SPDX-License-Identifier: Apache-2.0 */
#include "error.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#define FILES_ENOUGH 4096 /* for the most vCPUs and devices */

int mv_error_set(struct mv_error *err, int errnum, const char *fmt, ...)
{
    if (err != NULL) {
        va_list ap;
        va_start(ap, fmt);
        vsnprintf(err->text, sizeof err->text, fmt, ap);
        va_end(ap);
    }
    return -errnum;
}

/* What to type where descriptors ran out: a soft limit may be raised up to the hard one. */
static void add_remedy(int errnum, char *text, size_t size)
{
    struct rlimit limit;
    size_t used = strlen(text);
    if (errnum == ENFILE)
        snprintf(text + used, size - used, ": see fs.file-nr, and type as root 'sysctl fs.file-max=N'");
    if (errnum != EMFILE || getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return;
    uintmax_t enough = limit.rlim_cur < FILES_ENOUGH / 2 ? FILES_ENOUGH : limit.rlim_cur * 2;
    if (limit.rlim_max >= enough)
        snprintf(text + used, size - used, ": the limit is %ju: type 'ulimit -n %ju'",
                 (uintmax_t)limit.rlim_cur, enough);
    else
        snprintf(text + used, size - used,
                 ": the limit is %ju ('ulimit -n'): type as root 'prlimit -p $$ --nofile=%ju'",
                 (uintmax_t)limit.rlim_cur, enough);
}

int mv_error_set_errno(struct mv_error *err, int errnum, const char *fmt, ...)
{
    if (err != NULL) {
        va_list ap;
        va_start(ap, fmt);
        vsnprintf(err->text, sizeof err->text, fmt, ap);
        va_end(ap);
        size_t used = strlen(err->text);
        snprintf(err->text + used, sizeof err->text - used, ": %s", strerror(errnum));
        add_remedy(errnum, err->text, sizeof err->text);
    }
    return -errnum;
}

void mv_error_prefix(struct mv_error *err, const char *fmt, ...)
{
    if (err == NULL)
        return;
    char old[sizeof err->text];
    memcpy(old, err->text, sizeof old);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(err->text, sizeof err->text, fmt, ap);
    va_end(ap);
    size_t used = strlen(err->text);
    snprintf(err->text + used, sizeof err->text - used, ": %s", old);
}
