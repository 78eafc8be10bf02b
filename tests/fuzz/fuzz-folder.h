/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A folder of a target's own, so that the files that its inputs name are where nobody else has
 * any.
 */
#ifndef MV_TESTS_FUZZ_FOLDER_H
#define MV_TESTS_FUZZ_FOLDER_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char folder[4096];

/* Once; `tidy_up` removes it at the end. */
static void enter_folder(void (*tidy_up)(void))
{
    const char *temporary = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/memvisor-fuzz-XXXXXX",
             temporary == NULL ? "/tmp" : temporary);
    if (mkdtemp(folder) == NULL || chdir(folder) < 0) {
        perror(folder);
        abort();
    }
    atexit(tidy_up);
}

#endif
