/* SPDX-License-Identifier: Apache-2.0 */
/*
 * compute [SECONDS [NAME]...]
 *
 * Prints "GROUP NAME NANOSECONDS" for each work (a round's time, the least of three), each of
 * which is run for about SECONDS (0.1), or for those of these names and groups.  The clock is
 * the machine's.
 */
#define _GNU_SOURCE
#include "compute.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

volatile uint64_t result;

static const struct work *const lists[] = {integer_works, memory_works, float_works, atomic_works,
                                           system_works};

static double seconds_of(const struct work *work, unsigned long n)
{
    struct timespec begin, end;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    work->run(n);
    clock_gettime(CLOCK_MONOTONIC, &end);
    return (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9;
}

static void measure(const struct work *work, double wanted)
{
    unsigned long n = work->first != 0 ? work->first : 1;
    double took = seconds_of(work, n);
    /* What ran for a tenth of it says well enough how many rounds all of it has. */
    while (took < wanted / 10) {
        n *= took < wanted / 1000 ? 20 : 4;
        took = seconds_of(work, n);
    }
    n = (unsigned long)((double)n * wanted / took) + 1;
    double least = seconds_of(work, n);
    for (unsigned i = 1; i < 3; i++) {
        took = seconds_of(work, n);
        least = took < least ? took : least;
    }
    printf("%s %s %.3f\n", work->group, work->name, least / (double)n * 1e9);
    fflush(stdout);
}

static int is_wanted(const struct work *work, char **names, int count)
{
    for (int i = 0; i < count; i++) {
        if (strcmp(names[i], work->name) == 0 || strcmp(names[i], work->group) == 0)
            return 1;
    }
    return count == 0;
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], CHILD_WORD) == 0)
        return 0;
    double wanted = argc > 1 ? strtod(argv[1], NULL) : 0.1;
    if (wanted <= 0) {
        fprintf(stderr, "compute: '%s' is no number of seconds, such as 0.1\n", argv[1]);
        return 2;
    }
    for (size_t l = 0; l < sizeof lists / sizeof lists[0]; l++) {
        for (const struct work *work = lists[l]; work->name != NULL; work++) {
            if (is_wanted(work, argv + 2, argc > 2 ? argc - 2 : 0))
                measure(work, wanted);
        }
    }
    return 0;
}
