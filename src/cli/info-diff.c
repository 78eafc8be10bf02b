/* SPDX-License-Identifier: Apache-2.0 */
/* memvisor info FILE --diff OTHER: what two states differ in. */
#include "info-print.h"

#include "mem.h"
#include "ram-view.h"
#include "screen.h"

#include <inttypes.h>
#include <string.h>

/* Of a block's runs, so many are shown to people. */
#define RUNS_SHOWN 16

/* --- JSON */

static json_t *describe_value(const struct mv_diff_value *v)
{
    return json_pack("{s:s, s:s, s:s, s:s?, s:s?}", "of", v->of, "name", v->name, "what", v->what,
                     "this", v->texts[0], "other", v->texts[1]);
}

static json_t *describe_run(const struct mv_diff_block *block, const struct mv_diff_run *run)
{
    return json_pack("{s:o, s:I, s:I}", "gpa", mv_info_gpa(block->block, run->offset), "offset",
                     (json_int_t)run->offset, "size", (json_int_t)run->size);
}

static json_t *describe_block(const struct mv_diff_block *block, bool *lost)
{
    json_t *runs = json_array();
    for (size_t i = 0; i < block->run_count; i++)
        *lost |= json_array_append_new(runs, describe_run(block, &block->runs[i])) < 0;
    return json_pack("{s:s, s:I, s:o, s:s?}", "id", block->block->id, "bytes",
                     (json_int_t)block->bytes, "runs", runs, "not-compared", block->not_compared);
}

static int print_json(const struct mv_diff *diff, struct mv_error *err)
{
    json_t *values = json_array(), *blocks = json_array();
    bool lost = false;
    for (size_t i = 0; i < diff->value_count; i++)
        lost |= json_array_append_new(values, describe_value(&diff->values[i])) < 0;
    for (size_t i = 0; i < diff->block_count; i++)
        lost |= json_array_append_new(blocks, describe_block(&diff->blocks[i], &lost)) < 0;
    json_t *all = json_pack("{s:o, s:I, s:o}", "values", values, "more", (json_int_t)diff->more,
                            "blocks", blocks);
    lost |= all == NULL || (!lost && mv_json_print(stdout, all) < 0);
    json_decref(all);
    return lost ? mv_error_set_errno(err, ENOMEM, "telling what differs") : 0;
}

/* --- for people */

static void print_value(const struct mv_diff_value *v)
{
    printf("%s%s%s%s%s: ", v->of, v->name[0] == '\0' ? "" : " ", v->name,
           v->what[0] == '\0' ? "" : ": ", v->what);
    printf("%s and %s\n", v->texts[0] == NULL ? "none" : v->texts[0],
           v->texts[1] == NULL ? "none" : v->texts[1]);
}

static void print_block(const struct mv_diff_block *block)
{
    const struct mv_manifest_block *b = block->block;
    char size[MV_MEM_SIZE];
    uint64_t pages = (block->bytes + MV_RAM_PAGE - 1) / MV_RAM_PAGE;
    if (block->not_compared != NULL) {
        printf("block %s: not compared: %s\n", b->id, block->not_compared);
        return;
    }
    printf("block %s: %" PRIu64 " page%s differ%s (%s), in %zu run%s\n", b->id, pages,
           pages == 1 ? "" : "s", pages == 1 ? "s" : "", mv_mem_size(block->bytes, size),
           block->run_count, block->run_count == 1 ? "" : "s");
    for (size_t i = 0; i < block->run_count && i < RUNS_SHOWN; i++)
        printf("  %s0x%" PRIx64 "  %s\n", b->has_gpa ? "" : "byte ",
               (b->has_gpa ? b->gpa : 0) + block->runs[i].offset,
               mv_mem_size(block->runs[i].size, size));
    if (block->run_count > RUNS_SHOWN)
        printf("  and %zu more (--json has all)\n", block->run_count - RUNS_SHOWN);
}

static void print(const struct mv_diff *diff, const char *a, const char *b)
{
    for (size_t i = 0; i < diff->value_count; i++)
        print_value(&diff->values[i]);
    if (diff->more > 0)
        printf("and %zu values more\n", diff->more);
    for (size_t i = 0; i < diff->block_count; i++)
        print_block(&diff->blocks[i]);
    if (diff->value_count == 0 && diff->block_count == 0)
        printf("%s and %s are the same machine, with the same memory and devices\n", a, b);
}

int mv_info_show_diff(const struct mv_diff *diff, const struct mv_chain *a,
                      const struct mv_chain *b, bool json, struct mv_error *err)
{
    if (json)
        return print_json(diff, err);
    print(diff, a->files[0].path, b->files[0].path);
    return 0;
}
