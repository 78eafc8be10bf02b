/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Texts of errors, and a table of limits with what to type where one is too low.
 * No state; any thread.
 */
#include "error.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#define FILES_ENOUGH 4096 /* for the most vCPUs and devices */

/* --- texts */

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

/* --- limits of this process */

static const struct limit {
    int resource;
    char letter;
    const char *name; /* as prlimit(1) has it */
    unsigned unit;    /* bytes that ulimit counts in; 0: shells differ */
    bool exact;       /* ask for what is needed, not for all there is */
} limits[] = {
    {RLIMIT_NOFILE, 'n', "nofile", 1, true}, {RLIMIT_MEMLOCK, 'l', "memlock", 1024, true},
    {RLIMIT_AS, 'v', "as", 1024, false},     {RLIMIT_DATA, 'd', "data", 1024, false},
    {RLIMIT_FSIZE, 'f', "fsize", 0, false},
};

/* The command for a user, who may raise the limit as far as the hard one without being root. */
static void by_user(const struct limit *limit, uint64_t needed, uint64_t hard,
                    char buf[MV_RLIMIT_REMEDY])
{
    bool all = hard == RLIM_INFINITY && !limit->exact;
    uint64_t value = limit->exact ? needed : hard;
    if (all)
        snprintf(buf, MV_RLIMIT_REMEDY, "ulimit -%c unlimited", limit->letter);
    else if (limit->unit == 0)
        snprintf(buf, MV_RLIMIT_REMEDY, "prlimit -p $$ --%s=%ju", limit->name, (uintmax_t)value);
    else
        snprintf(buf, MV_RLIMIT_REMEDY, "ulimit -%c %ju", limit->letter,
                 (uintmax_t)((value + (limit->exact ? limit->unit - 1 : 0)) / limit->unit));
}

const char *mv_rlimit_remedy(int resource, uint64_t needed, char buf[MV_RLIMIT_REMEDY])
{
    char user[MV_RLIMIT_REMEDY], wanted[24] = "unlimited";
    struct rlimit rlimit = {RLIM_INFINITY, RLIM_INFINITY};
    const struct limit *limit = limits;
    while (limit->resource != resource)
        limit++;
    getrlimit((__rlimit_resource_t)resource, &rlimit);
    if (resource == RLIMIT_NOFILE) /* there is no such number of descriptors */
        snprintf(wanted, sizeof wanted, "%ju", (uintmax_t)needed);
    if (rlimit.rlim_max < needed) {
        snprintf(buf, MV_RLIMIT_REMEDY, "ulimit -%c goes no further: type as root 'prlimit -p $$ "
                 "--%s=%s'", limit->letter, limit->name, wanted);
        return buf;
    }
    by_user(limit, needed, rlimit.rlim_max, user);
    snprintf(buf, MV_RLIMIT_REMEDY, "type '%.60s', or as root 'prlimit -p $$ --%s=%s'", user,
             limit->name, wanted);
    return buf;
}
