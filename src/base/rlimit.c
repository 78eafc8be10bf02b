/* SPDX-License-Identifier: Apache-2.0 */
/* A table of limits.  Called by those who run into them. */
#include "rlimit.h"

#include <stdbool.h>
#include <stdio.h>
#include <sys/resource.h>

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

/* What a user types: up to the hard limit there is no need of root. */
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
