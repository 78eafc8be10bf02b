/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Without arguments prints the decode table: group, pattern and name of each
 * form, tabs between.  With a file of instruction words prints for each the
 * name of its form, or a - where it is undefined.
 */
#include "a64.h"

#include <stdio.h>

static void print_table(void)
{
    for (const struct mv_a64_group *const *group = mv_a64_groups; *group != NULL; group++) {
        for (size_t i = 0; i < (*group)->count; i++)
            printf("%s\t%s\t%s\n", (*group)->name, (*group)->forms[i].pattern,
                   (*group)->forms[i].name);
    }
}

static void print_names(FILE *file)
{
    uint32_t word;
    while (fread(&word, sizeof word, 1, file) == 1) {
        struct mv_op op;
        mv_a64_decode(word, &op);
        puts(op.code == MV_OPCODE_undef ? "-" : mv_a64_find(word)->name);
    }
}

int main(int argc, char **argv)
{
    if (argc == 1) {
        print_table();
        return 0;
    }
    FILE *file = fopen(argv[1], "rb");
    if (file == NULL) {
        perror(argv[1]);
        return 1;
    }
    print_names(file);
    fclose(file);
    return 0;
}
