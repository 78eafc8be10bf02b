/* SPDX-License-Identifier: Apache-2.0 */
/* Prints the decode table: group, pattern and name of each form, tabs between. */
#include "a64.h"

#include <stdio.h>

int main(void)
{
    for (const struct mv_a64_group *const *group = mv_a64_groups; *group != NULL; group++) {
        for (size_t i = 0; i < (*group)->count; i++)
            printf("%s\t%s\t%s\n", (*group)->name, (*group)->forms[i].pattern,
                   (*group)->forms[i].name);
    }
    return 0;
}
