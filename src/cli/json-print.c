/* SPDX-License-Identifier: Apache-2.0 */
/* Called by the verbs that take --json; main() notices a failed write. */
#include "json-print.h"

#include "cleanup.h"
#include "qmp-json.h"

static void print(FILE *out, const json_t *value)
{
    CLEANUP_FREE char *text = mv_qmp_value_dump(value, JSON_ENCODE_ANY);
    if (text != NULL)
        fputs(text, out);
}

void mv_json_print_to(FILE *out, const json_t *value)
{
    if (!json_is_array(value)) {
        print(out, value);
        fputc('\n', out);
        return;
    }
    size_t i;
    json_t *element;
    fputc('[', out);
    json_array_foreach(value, i, element)
    {
        fputs(i == 0 ? "" : ",\n ", out);
        print(out, element);
    }
    fputs("]\n", out);
}

void mv_json_print(const json_t *value)
{
    mv_json_print_to(stdout, value);
}
