/* SPDX-License-Identifier: Apache-2.0 */
#include "error.h"

#include "rlimit.h"

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

/* What to type where descriptors ran out. */
static void add_remedy(int errnum, char *text, size_t size)
{
    struct rlimit limit;
    size_t used = strlen(text);
    if (errnum == ENFILE)
        snprintf(text + used, size - used,
                 ": all programs of this host share fs.file-max, and fs.file-nr says how many they "
                 "have: end some");
    if (errnum != EMFILE || getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return;
    char remedy[MV_RLIMIT_REMEDY];
    uint64_t enough = limit.rlim_cur < FILES_ENOUGH / 2 ? FILES_ENOUGH : limit.rlim_cur * 2;
    snprintf(text + used, size - used, ": the limit is %ju: %s", (uintmax_t)limit.rlim_cur,
             mv_rlimit_remedy(RLIMIT_NOFILE, enough, remedy));
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
