/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memvisor info: what is in a state file, whether it is as it was written, a block out of it,
 * in what it differs from another one, and one file of several.
 */
#include "info.h"

#include "info-print.h"
#include "log.h"
#include "mem.h"
#include "output-file.h"
#include "screen.h"
#include "size.h"
#include "statefile.h"
#include "verb.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

struct info_config {
    char *file, *extract, *output, *diff, *flatten;
    bool json, verify;
};

/* --- --verify */

struct telling {
    bool json, lost;
    json_t *list;
};

static const char *why_of(const struct mv_info_damage *damage)
{
    return damage->errnum == EBADMSG ? "damaged: their sum is another than was written"
                                     : strerror(damage->errnum);
}

static json_t *describe_damage(const struct mv_info_damage *damage)
{
    const struct mv_manifest_block *block = damage->block;
    return json_pack("{s:s, s:s, s:o, s:I, s:I, s:s}", "file", damage->file->path, "block",
                     block->id, "gpa", mv_info_gpa(block, damage->offset), "offset",
                     (json_int_t)damage->offset, "size", (json_int_t)damage->size, "why",
                     why_of(damage));
}

static void tell_damage(void *opaque, const struct mv_info_damage *damage)
{
    struct telling *telling = opaque;
    const struct mv_manifest_block *block = damage->block;
    if (telling->json)
        telling->lost |= json_array_append_new(telling->list, describe_damage(damage)) < 0;
    else if (block->has_gpa)
        mv_log("'%s': block %s: %s from 0x%" PRIx64 " on (from its byte 0x%" PRIx64 " on): %s",
               damage->file->path, block->id, mv_size_text(damage->size),
               block->gpa + damage->offset, damage->offset, why_of(damage));
    else
        mv_log("'%s': block %s: %s from its byte 0x%" PRIx64 " on: %s", damage->file->path,
               block->id, mv_size_text(damage->size), damage->offset, why_of(damage));
}

static int print_verified(const struct telling *telling, const struct mv_info_verified *verified,
                          const struct mv_chain *chain, struct mv_error *err)
{
    const struct mv_chain_file *file = &chain->files[0];
    char size[MV_MEM_SIZE];
    if (!telling->json) {
        if (verified->damaged == 0)
            printf("%s: %zu parts and %s of memory are as they were written\n", file->path,
                   file->state->section_count, mv_mem_size(verified->bytes, size));
        return 0;
    }
    json_t *all = json_pack("{s:s, s:I, s:O}", "file", file->path, "bytes",
                            (json_int_t)verified->bytes, "damaged", telling->list);
    bool lost = telling->lost || all == NULL || mv_json_print(stdout, all) < 0;
    json_decref(all);
    return lost ? mv_error_set_errno(err, ENOMEM, "telling what is damaged") : 0;
}

static int verify(const struct mv_chain *chain, const struct info_config *c, struct mv_error *err)
{
    struct telling telling = {.json = c->json, .list = json_array()};
    struct mv_info_verified verified;
    int r = mv_info_verify(chain, tell_damage, &telling, &verified, err);
    if (r == 0)
        r = print_verified(&telling, &verified, chain, err);
    json_decref(telling.list);
    return r < 0 ? r : verified.damaged == 0 ? MV_STATUS_OK : MV_STATUS_ERROR;
}

/* --- --extract, --flatten */

static int write_file(const struct mv_chain *chain, const char *id, const char *path,
                      struct mv_error *err)
{
    struct mv_output_file *file;
    int r = mv_output_file_create(path, &file, err);
    if (r < 0)
        return r;
    int fd = mv_output_file_fd(file);
    r = id == NULL ? mv_info_flatten(chain, fd, path, err)
                   : mv_info_extract(chain, id, fd, path, err);
    if (r == 0)
        r = mv_output_file_commit(file, err);
    mv_output_file_destroy(file);
    return r;
}

static int extract(const struct mv_chain *chain, const struct info_config *c, struct mv_error *err)
{
    return c->output != NULL
               ? write_file(chain, c->extract, c->output, err)
               : mv_info_extract(chain, c->extract, STDOUT_FILENO, "standard output", err);
}

static int flatten(const struct mv_chain *chain, const struct info_config *c, struct mv_error *err)
{
    return write_file(chain, NULL, c->flatten, err);
}

/* --- --diff */

static int open_whole(const char *path, struct mv_chain *chain, struct mv_error *err)
{
    int r = mv_chain_open(path, chain, err);
    if (r < 0)
        return r;
    r = mv_chain_follow(chain, err);
    if (r < 0)
        mv_chain_close(chain);
    return r;
}

static int diff(const struct mv_chain *chain, const struct info_config *c, struct mv_error *err)
{
    struct mv_chain other;
    struct mv_diff found;
    int r = open_whole(c->diff, &other, err);
    if (r < 0)
        return r;
    r = mv_diff_make(chain, &other, &found, err);
    if (r == 0) {
        r = mv_info_show_diff(&found, chain, &other, c->json, err);
        mv_diff_clear(&found);
    }
    mv_chain_close(&other);
    return r;
}

/* --- the verb */

static int check(void *config, struct mv_error *err)
{
    const struct info_config *c = config;
    if (c->verify + (c->extract != NULL) + (c->diff != NULL) + (c->flatten != NULL) > 1)
        return mv_error_set(err, EINVAL,
                            "--verify, --extract, --diff and --flatten exclude each other");
    if (c->output != NULL && c->extract == NULL)
        return mv_error_set(err, EINVAL, "--output: there is nothing to write without --extract");
    if (c->json && (c->extract != NULL || c->flatten != NULL))
        return mv_error_set(err, EINVAL, "--json and --%s exclude each other",
                            c->extract != NULL ? "extract" : "flatten");
    if (c->extract != NULL && c->output == NULL && isatty(STDOUT_FILENO))
        return mv_error_set(err, EINVAL,
                            "--extract %s: a terminal is no place for memory: add '-o OUT', or "
                            "'>OUT', or a pipe",
                            c->extract);
    return 0;
}

static int show(struct mv_chain *chain, const struct info_config *c, struct mv_error *err)
{
    struct mv_error missing;
    int r = mv_chain_follow(chain, &missing);
    return mv_info_show(chain, r < 0 ? &missing : NULL, c->json, err);
}

static int work(struct mv_chain *chain, const struct info_config *c, struct mv_error *err)
{
    if (!c->verify && c->extract == NULL && c->diff == NULL && c->flatten == NULL)
        return show(chain, c, err);
    int r = mv_chain_follow(chain, err);
    if (r < 0)
        return r;
    return (c->verify            ? verify
            : c->extract != NULL ? extract
            : c->diff != NULL    ? diff
                                 : flatten)(chain, c, err);
}

static int run(void *config, struct mv_error *err)
{
    const struct info_config *c = config;
    struct mv_chain chain;
    int r = mv_chain_open(c->file, &chain, err);
    if (r < 0)
        return r;
    r = work(&chain, c, err);
    mv_chain_close(&chain);
    return r;
}

static const struct mv_option words[] = {
    {MV_WORD(info_config, file, "FILE", "A file that 'memvisor save' wrote.")},
};

static const struct mv_option options[] = {
    {MV_FLAG(info_config, json,
             "Print an object: the manifest as it is in the file, with file, status, length and "
             "on-disk (bytes), of each block what is stored of it and of each device the size of "
             "its state; with --verify and --diff, what these find.")},
    {MV_FLAG(info_config, verify,
             "Check all sums, of memory each 2 MiB, and name what is damaged.")},
    {MV_TEXT(info_config, extract, "extract", "ID",
             "Write the bytes of a block, such as ram0 or boot/kernel, to standard output.")},
    {MV_TEXT(info_config, output, "output", "OUT",
             "Behind --extract: write them to this file, with holes where they are zero."),
     .letter = 'o'},
    {MV_TEXT(info_config, diff, "diff", "OTHER",
             "Tell which values, fields of devices and CPUs, and pages of memory are others in "
             "that state file.")},
    {MV_TEXT(info_config, flatten, "flatten", "OUT",
             "Write the state to this file without a base: one file of all those that it builds "
             "on.")},
};

const struct mv_verb mv_info_verb = {
    .name = "info",
    .summary = "Tell what a saved VM is, check it, take memory out of it, compare it.",
    .synopsis =
        "memvisor info FILE [--verify | --extract ID [-o OUT] | --diff OTHER | --flatten OUT] "
        "[--json]",
    .options = MV_OPTIONS("info", 1),
    .notes = "Examples:\n"
             "  memvisor info vm1.state\n"
             "  memvisor info vm1.state --verify\n"
             "  memvisor info vm1.state --extract ram0 -o ram0.img\n"
             "  memvisor info vm1.state --diff older.state\n"
             "  memvisor info newer.state --flatten whole.state\n",
    .config_size = sizeof(struct info_config),
    .check = check,
    .run = run,
};
