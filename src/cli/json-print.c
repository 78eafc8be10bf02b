/* SPDX-License-Identifier: Apache-2.0 */
/* Called by the verbs that take --json; main() notices a failed write. */
#include "json-print.h"

#include <stdio.h>

void mv_json_print(const json_t *value)
{
    if (!json_is_array(value)) {
        json_dumpf(value, stdout, JSON_ENCODE_ANY);
        putchar('\n');
        return;
    }
    size_t i;
    json_t *element;
    putchar('[');
    json_array_foreach(value, i, element)
    {
        fputs(i == 0 ? "" : ",\n ", stdout);
        json_dumpf(element, stdout, JSON_ENCODE_ANY);
    }
    puts("]");
}
