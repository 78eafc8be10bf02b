/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memvisor save: has a VM save itself to a file, and shows how far that is.  The file is
 * written by the VM's process, so its name is made absolute.
 */
#include "verb.h"

#include "cleanup.h"
#include "log.h"
#include "os.h"
#include "work.h"

#include <math.h>
#include <string.h>

struct save_config {
    char *name, *file, *base;
    bool live, stop, json;
};

/* --- how far it is */

struct progress {
    const struct save_config *config;
    bool bar; /* standard error is a terminal that knows where its cursor is sent */
    uint64_t begun_ns;
};

static void draw(double done, double total, double rate, double left)
{
    enum { WIDTH = 20 }; /* all of it fits into 80 columns */
    char bar[WIDTH + 1];
    double part = total > 0 ? done / total : 0;
    int full = (int)(part * WIDTH);
    memset(bar, '.', WIDTH);
    memset(bar, '#', (size_t)(full < WIDTH ? full : WIDTH));
    bar[WIDTH] = '\0';
    fprintf(stderr, "\r[%s] %3.0f %%  %s of %s  %s/s  %.0f s left\033[K", bar, part * 100,
            MV_AMOUNT(done), MV_AMOUNT(total), MV_AMOUNT(rate), ceil(left));
}

static void wipe(const struct progress *progress)
{
    if (progress->bar)
        fputs("\r\033[K", stderr);
}

static int show_progress(void *opaque, const json_t *data, struct mv_error *err)
{
    const struct progress *progress = opaque;
    double done = mv_number_of(data, "done"), total = mv_number_of(data, "total");
    double seconds = (double)(mv_now_ns() - progress->begun_ns) / 1e9;
    double rate = seconds > 0 ? done / seconds : 0, left = rate > 0 ? (total - done) / rate : 0;
    if (progress->bar)
        draw(done, total, rate, left);
    if (!progress->config->json)
        return 0;
    int r =
        printf("{\"done\": %.0f, \"total\": %.0f, \"bytes\": %.0f, \"passes\": %.0f, "
               "\"rate\": %.0f, \"seconds-left\": %.1f}\n",
               done, total, mv_number_of(data, "bytes"), mv_number_of(data, "passes"), rate, left);
    return r < 0 || fflush(stdout) != 0 ? mv_error_set_errno(err, errno, "standard output") : 0;
}

static int show_result(const struct save_config *config, const json_t *result, struct mv_error *err)
{
    double seconds = mv_number_of(result, "microseconds") / 1e6;
    double pause_ms = mv_number_of(result, "pause-microseconds") / 1e3;
    double shared = mv_number_of(result, "shared");
    bool stays = json_is_true(json_object_get(result, "stays-paused"));
    int r;
    if (config->json)
        r = printf("{\"memory\": %.0f, \"bytes\": %.0f, \"shared\": %.0f, \"length\": %.0f, "
                   "\"passes\": %.0f, \"seconds\": %.3f, \"pause-ms\": %.3f, "
                   "\"stays-paused\": %s}\n",
                   mv_number_of(result, "memory"), mv_number_of(result, "bytes"),
                   mv_number_of(result, "shared"), mv_number_of(result, "length"),
                   mv_number_of(result, "passes"), seconds, pause_ms, stays ? "true" : "false");
    else
        r = printf("%s: %s of memory saved to %s in %.2f s, %s written for it; the guest stood "
                   "still for %.1f ms\n",
                   config->name, MV_AMOUNT(mv_number_of(result, "memory")), config->file, seconds,
                   MV_AMOUNT(mv_number_of(result, "bytes")), pause_ms);
    if (r >= 0 && shared > 0 && !config->json)
        r = printf("%s of it were not copied: %s has them in common with the guest's own files\n",
                   MV_AMOUNT(shared), config->file);
    if (r >= 0 && stays && !config->json)
        r = printf("%s stays paused, since some of its memory is in files of its own: 'memvisor "
                   "cont %s' lets it go on, and %s is stale then\n",
                   config->name, config->name, config->file);
    return r < 0 || fflush(stdout) != 0 ? mv_error_set_errno(err, errno, "standard output") : 0;
}

/* --- the save */

static json_t *make_arguments(const struct save_config *config)
{
    CLEANUP_FREE char *path = mv_path_absolute(config->file);
    CLEANUP_FREE char *base = config->base == NULL ? NULL : mv_path_absolute(config->base);
    if (path == NULL || (config->base != NULL && base == NULL))
        return NULL;
    return json_pack("{s:s, s:s, s:s*}", "file", path, "mode", config->stop ? "stop" : "live",
                     "base", base);
}

static int save(void *opaque, struct mv_error *err)
{
    const struct save_config *config = opaque;
    struct progress progress = {
        .config = config, .bar = mv_work_has_bar() && !config->json, .begun_ns = mv_now_ns()};
    const struct mv_work work = {.name = config->name,
                                 .command = "x-save",
                                 .arguments = make_arguments(config),
                                 .event = "X_SAVE_PROGRESS",
                                 .canceller = "x-save-cancel",
                                 .show = show_progress,
                                 .opaque = &progress};
    json_t *result = NULL;
    int r = mv_work_do(&work, &result, err);
    wipe(&progress);
    if (r == 0)
        r = show_result(config, result, err);
    json_decref(result);
    if (r == 0 || mv_work_signal() == 0)
        return r;
    mv_log("%s", err->text);
    return MV_STATUS_SIGNAL + mv_work_signal();
}

static int check(void *opaque, struct mv_error *err)
{
    const struct save_config *config = opaque;
    if (config->live && config->stop)
        return mv_error_set(err, EINVAL,
                            "--live and --stop exclude each other: --live is what is "
                            "done without either");
    return 0;
}

static const struct mv_option options[] = {
    {MV_FLAG(save_config, live,
             "Copy memory while the guest runs, and stop it for the rest alone; the default.")},
    {MV_FLAG(save_config, stop, "Stop the guest until all of its memory is copied.")},
    {MV_TEXT(save_config, base, "base", "FILE",
             "Write only the pages that changed since this file was written, which has to be "
             "one of the last 8 that were saved of the guest; restore needs both.")},
    {MV_FLAG(save_config, json,
             "Print a line of JSON some times a second, and one when it is done.")},
};
static const struct mv_option words[] = {
    {MV_WORD(save_config, name, "NAME", "Name of the VM, as 'memvisor ps' lists it.")},
    {MV_WORD(save_config, file, "FILE",
             "The state file, which 'memvisor restore FILE' goes on from; one of that name is "
             "replaced when the new one is complete.")},
};

const struct mv_verb mv_save_verb = {
    .name = "save",
    .summary = "Save a VM to a file.",
    .synopsis = "memvisor save NAME FILE [option]...",
    .options = MV_OPTIONS("save", 2),
    .config_size = sizeof(struct save_config),
    .check = check,
    .run = save,
};
