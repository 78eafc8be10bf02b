/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memvisor save: has a VM save itself to a file, and shows how far that is.  The file is
 * written by the VM's process, so its name is made absolute.  Ctrl-C and its kin ask the VM
 * to drop the save and then wait for its word; a second one ends this process alone.
 */
#include "verb.h"

#include "cleanup.h"
#include "log.h"
#include "os.h"
#include "qmp-json.h"
#include "size.h"
#include "vm-client.h"

#include <math.h>
#include <signal.h>
#include <stdatomic.h>
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

static double number(const json_t *object, const char *key)
{
    return (double)mv_qmp_value_uint(json_object_get(object, key));
}

#define AMOUNT_TEXT 32

/* "1.5 GiB" */
static const char *format_amount(double bytes, char buf[AMOUNT_TEXT])
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
    size_t unit = 0;
    while (bytes >= 1024 && unit + 1 < sizeof units / sizeof units[0]) {
        bytes /= 1024;
        unit++;
    }
    snprintf(buf, AMOUNT_TEXT, "%.*f %s", unit == 0 || bytes >= 100 ? 0 : 1, bytes, units[unit]);
    return buf;
}
/* In memory of the block that it stands in. */
#define AMOUNT(bytes) format_amount(bytes, (char[AMOUNT_TEXT]){""})

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
            AMOUNT(done), AMOUNT(total), AMOUNT(rate), ceil(left));
}

static void wipe(const struct progress *progress)
{
    if (progress->bar)
        fputs("\r\033[K", stderr);
}

static int show_progress(const struct progress *progress, const json_t *data, struct mv_error *err)
{
    double done = number(data, "done"), total = number(data, "total");
    double seconds = (double)(mv_now_ns() - progress->begun_ns) / 1e9;
    double rate = seconds > 0 ? done / seconds : 0, left = rate > 0 ? (total - done) / rate : 0;
    if (progress->bar)
        draw(done, total, rate, left);
    if (!progress->config->json)
        return 0;
    int r = printf("{\"done\": %.0f, \"total\": %.0f, \"bytes\": %.0f, \"passes\": %.0f, "
                   "\"rate\": %.0f, \"seconds-left\": %.1f}\n",
                   done, total, number(data, "bytes"), number(data, "passes"), rate, left);
    return r < 0 || fflush(stdout) != 0 ? mv_error_set_errno(err, errno, "standard output") : 0;
}

static int show_result(const struct save_config *config, const json_t *result, struct mv_error *err)
{
    double seconds = number(result, "microseconds") / 1e6;
    double pause_ms = number(result, "pause-microseconds") / 1e3;
    double shared = number(result, "shared");
    bool stays = json_is_true(json_object_get(result, "stays-paused"));
    int r;
    if (config->json)
        r = printf("{\"memory\": %.0f, \"bytes\": %.0f, \"shared\": %.0f, \"length\": %.0f, "
                   "\"passes\": %.0f, \"seconds\": %.3f, \"pause-ms\": %.3f, "
                   "\"stays-paused\": %s}\n",
                   number(result, "memory"), number(result, "bytes"), number(result, "shared"),
                   number(result, "length"), number(result, "passes"), seconds, pause_ms,
                   stays ? "true" : "false");
    else
        r = printf("%s: %s of memory saved to %s in %.2f s, %s written for it; the guest stood "
                   "still for %.1f ms\n",
                   config->name, AMOUNT(number(result, "memory")), config->file, seconds,
                   AMOUNT(number(result, "bytes")), pause_ms);
    if (r >= 0 && shared > 0 && !config->json)
        r = printf("%s of it were not copied: %s has them in common with the guest's own files\n",
                   AMOUNT(shared), config->file);
    if (r >= 0 && stays && !config->json)
        r = printf("%s stays paused, since some of its memory is in files of its own: 'memvisor "
                   "cont %s' lets it go on, and %s is stale then\n",
                   config->name, config->name, config->file);
    return r < 0 || fflush(stdout) != 0 ? mv_error_set_errno(err, errno, "standard output") : 0;
}

/* --- signals */

static volatile sig_atomic_t caught;

static void on_signal(int number)
{
    caught = number;
}

static void catch_signals(void)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    const struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        struct sigaction old;
        /* What the parent had ignored stays so. */
        if (sigaction(signals[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
            sigaction(signals[i], &action, NULL);
    }
}

/* By a connection of its own: the other one waits for the save's answer. */
static void cancel(const struct save_config *config)
{
    struct mv_vm_client *client;
    struct mv_error err;
    int r = mv_vm_client_open(config->name, &client, &err);
    if (r < 0) {
        mv_log("%s", err.text);
        return;
    }
    /* It may have been done by now, which its answer tells. */
    mv_vm_client_execute(client, "x-save-cancel", NULL, NULL, &err);
    mv_vm_client_close(client);
}

/* --- the save */

static char *make_absolute(const char *path)
{
    char *absolute = NULL;
    if (path[0] == '/')
        return strdup(path);
    CLEANUP_FREE char *folder = get_current_dir_name();
    return folder == NULL || asprintf(&absolute, "%s/%s", folder, path) < 0 ? NULL : absolute;
}

static int send_request(struct mv_vm_client *client, const struct save_config *config,
                        struct mv_error *err)
{
    CLEANUP_FREE char *path = make_absolute(config->file);
    CLEANUP_FREE char *base = config->base == NULL ? NULL : make_absolute(config->base);
    if (path == NULL || (config->base != NULL && base == NULL))
        return mv_error_set_errno(err, errno, "'%s'", config->file);
    json_t *request = json_pack("{s:s, s:{s:s, s:s, s:s*}}", "execute", "x-save", "arguments",
                                "file", path, "mode", config->stop ? "stop" : "live", "base", base);
    CLEANUP_FREE char *text = request == NULL ? NULL : json_dumps(request, JSON_COMPACT);
    json_decref(request);
    if (text == NULL)
        return mv_error_set(err, EINVAL, "'%s' is no UTF-8", config->file);
    return mv_vm_client_send(client, text, strlen(text), err);
}

/* Of other saves of the machine there are none meanwhile. */
static int await_answer(struct mv_vm_client *client, const struct progress *progress, json_t **ret,
                        struct mv_error *err)
{
    bool cancelled = false;
    for (;;) {
        json_t *line;
        int r = mv_vm_client_receive(client, &line, err);
        if (r < 0)
            return r;
        const char *event = json_string_value(json_object_get(line, "event"));
        if (event == NULL) {
            *ret = line;
            return 0;
        }
        if (strcmp(event, "X_SAVE_PROGRESS") == 0)
            r = show_progress(progress, json_object_get(line, "data"), err);
        json_decref(line);
        /* A reader of the output that went is as good as a Ctrl-C. */
        if ((caught != 0 || r < 0) && !cancelled) {
            cancelled = true;
            cancel(progress->config);
        }
    }
}

static int take_answer(const struct save_config *config, const json_t *answer, struct mv_error *err)
{
    const json_t *result = json_object_get(answer, "return");
    const char *desc = json_string_value(json_object_get(json_object_get(answer, "error"), "desc"));
    if (result != NULL)
        return show_result(config, result, err);
    return mv_error_set(err, EREMOTEIO, "%s: %s", config->name,
                        desc == NULL ? "the VM's answer is no QMP" : desc);
}

static int save(void *opaque, struct mv_error *err)
{
    const struct save_config *config = opaque;
    const char *term = getenv("TERM");
    const struct progress progress = {
        .config = config,
        .bar = isatty(STDERR_FILENO) && term != NULL && strcmp(term, "dumb") != 0 && !config->json,
        .begun_ns = mv_now_ns(),
    };
    struct mv_vm_client *client;
    json_t *answer = NULL;
    int r = mv_vm_client_open(config->name, &client, err);
    if (r < 0)
        return r;
    catch_signals();
    r = send_request(client, config, err);
    if (r == 0)
        r = await_answer(client, &progress, &answer, err);
    wipe(&progress);
    if (r == 0)
        r = take_answer(config, answer, err);
    json_decref(answer);
    mv_vm_client_close(client);
    if (r == 0 || caught == 0)
        return r;
    mv_log("%s", err->text);
    return MV_STATUS_SIGNAL + caught;
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
             "the last one that was saved of the guest; restore needs both.")},
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
