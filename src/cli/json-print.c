/* SPDX-License-Identifier: Apache-2.0 */
/* Called by the verbs that take --json; main() notices a failed write. */
#include "json-print.h"

#include "cleanup.h"
#include "qmp-value.h"

#include <stdio.h>

static void print(const json_t *value)
{
    CLEANUP_FREE char *text = mv_qmp_value_dump(value, JSON_ENCODE_ANY);
    if (text != NULL)
        fputs(text, stdout);
}

void mv_json_print(const json_t *value)
{
    if (!json_is_array(value)) {
        print(value);
        putchar('\n');
        return;
    }
    size_t i;
    json_t *element;
    putchar('[');
    json_array_foreach(value, i, element)
    {
        fputs(i == 0 ? "" : ",\n ", stdout);
        print(element);
    }
    puts("]");
}
