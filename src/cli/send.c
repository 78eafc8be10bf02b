/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memvisor send: has a VM send its guest to another process, shows how far that is, and waits for
 * the end of the one that had it.  What is opened is opened by the VM's process, so names of files
 * are made absolute.
 */
#include "verb.h"

#include "cleanup.h"
#include "config-text.h"
#include "log.h"
#include "move-view.h"
#include "rundir.h"
#include "size.h"
#include "vm-client.h"
#include "work.h"

#include <string.h>

#define END_MS       30000 /* the kernel's time for the memory of the largest guest */
#define CHANNELS_MAX MV_MOVE_CHANNELS_MAX
#define PASSES_MAX   1000

struct send_config {
    char *name, *uri;
    char *max_bandwidth, *downtime, *channels, *compress, *tls, *after;
    bool keep, json, postcopy, resume;
};

/* --- where it goes */

#define FD_SCHEME "fd:"

/* fd:N and fd:IN,OUT: the descriptors, and how many there are; 0: it is another address. */
static size_t list_fds(const char *uri, struct mv_work_fd ret[2])
{
    static const char *const names[] = {"memvisor-send-in", "memvisor-send-out"};
    size_t count = 0;
    if (strncmp(uri, FD_SCHEME, strlen(FD_SCHEME)) != 0)
        return 0;
    for (const char *at = uri + strlen(FD_SCHEME); count < 2; at += strcspn(at, ",") + 1) {
        ret[count] = (struct mv_work_fd){names[count], (int)strtoul(at, NULL, 10)};
        count++;
        if (at[strcspn(at, ",")] == '\0')
            break;
    }
    return count;
}

/* --- how far it is */

static uint64_t uint_of(const json_t *object, const char *key)
{
    return (uint64_t)mv_number_of(object, key);
}

/* Where standard output is the line that the guest goes over, words in it are not for us. */
static FILE *output(const struct send_config *config)
{
    struct mv_work_fd fds[2];
    bool taken = false;
    for (size_t i = list_fds(config->uri, fds); i-- > 0;)
        taken |= fds[i].fd <= STDOUT_FILENO;
    return taken ? stderr : stdout;
}

static int flush(FILE *out, struct mv_error *err)
{
    return fflush(out) != 0 ? mv_error_set_errno(err, errno, "standard output") : 0;
}

static int print(const struct send_config *config, json_t *line, struct mv_error *err)
{
    FILE *out = output(config);
    int r = mv_move_view_print(out, line);
    return r < 0 ? mv_error_set_errno(err, -r, "standard output") : flush(out, err);
}

static int show_progress(void *opaque, const json_t *data, struct mv_error *err)
{
    const struct send_config *config = opaque;
    const char *status = json_string_value(json_object_get(data, "status"));
    const struct mv_move_progress progress = {
        .passes = (unsigned)uint_of(data, "pass"),
        .throttle = (unsigned)uint_of(data, "throttle"),
        .memory = uint_of(data, "total"),
        .remaining = uint_of(data, "remaining"),
        .transferred = uint_of(data, "transferred"),
        .rate = uint_of(data, "rate"),
        .dirty_rate = uint_of(data, "dirty-rate"),
        .expected_downtime_ns = uint_of(data, "expected-downtime") * 1000,
    };
    if (status == NULL)
        return 0;
    if (config->json)
        return print(config, mv_move_view_progress(status, &progress), err);
    if (mv_work_has_bar())
        mv_move_view_draw(status, &progress);
    return 0;
}

static int show_result(const struct send_config *config, const json_t *result, struct mv_error *err)
{
    const struct mv_move_progress end = {
        .passes = (unsigned)uint_of(result, "passes"),
        .memory = uint_of(result, "memory"),
        .transferred = uint_of(result, "transferred"),
        .data_pages = uint_of(result, "normal"),
        .zero_pages = uint_of(result, "zero"),
        .fill_pages = uint_of(result, "repeated"),
        .compressed_pages = uint_of(result, "compressed"),
        .followed = uint_of(result, "postcopy-bytes"),
        .requests = uint_of(result, "postcopy-requests"),
        .setup_ns = uint_of(result, "setup-microseconds") * 1000,
        .total_ns = uint_of(result, "microseconds") * 1000,
        .downtime_ns = uint_of(result, "downtime-microseconds") * 1000,
    };
    if (config->json)
        return print(config, mv_move_view_end(&end, config->uri), err);
    CLEANUP_FREE char *sentence = mv_move_view_sentence(&end);
    if (sentence == NULL)
        return mv_error_set_errno(err, ENOMEM, "telling what was sent");
    FILE *out = output(config);
    fprintf(out, "%s: sent to %s: %s\n", config->name, config->uri, sentence);
    if (config->keep)
        fprintf(out, "%s stays here, paused: 'memvisor quit %s' ends it\n", config->name,
                config->name);
    return flush(out, err);
}

/* --- what is asked of the VM */

/* The descriptors are this process's, and go to the VM under names. */
static char *place_uri(const char *uri)
{
    struct mv_work_fd fds[2];
    char *placed;
    size_t count = list_fds(uri, fds);
    if (count == 0)
        return mv_address_absolute(uri);
    return asprintf(&placed, FD_SCHEME "%s%s%s", fds[0].name, count == 2 ? "," : "",
                    count == 2 ? fds[1].name : "") < 0
               ? NULL
               : placed;
}

static void add_number(json_t *arguments, const char *key, uint64_t value)
{
    json_object_set_new(arguments, key, json_integer((json_int_t)value));
}

/* The values were checked. */
static json_t *make_arguments(const struct send_config *config)
{
    struct mv_error err;
    uint64_t rate = 0;
    CLEANUP_FREE char *uri = place_uri(config->uri);
    CLEANUP_FREE char *tls = config->tls == NULL ? NULL : mv_address_absolute(config->tls);
    if (uri == NULL || (config->tls != NULL && tls == NULL))
        return NULL;
    json_t *arguments = json_pack("{s:s, s:b, s:s*, s:s*}", "uri", uri, "end", !config->keep, "tls",
                                  tls, "multifd-compression", config->compress);
    if (config->max_bandwidth != NULL && mv_size_parse(config->max_bandwidth, &rate, &err) == 0)
        add_number(arguments, "max-bandwidth", rate);
    if (config->downtime != NULL)
        add_number(arguments, "downtime-limit", strtoul(config->downtime, NULL, 10));
    if (config->channels != NULL)
        add_number(arguments, "multifd-channels", strtoul(config->channels, NULL, 10));
    if (config->postcopy)
        add_number(arguments, "postcopy-after",
                   config->after == NULL ? 0 : strtoul(config->after, NULL, 10));
    if (config->resume)
        json_object_set_new(arguments, "resume", json_true());
    return arguments;
}

/* Its name and its files are free once it is gone. */
static int await_end(const struct send_config *config, const char *path, struct mv_error *err)
{
    if (config->keep || mv_rundir_await_end(path, END_MS))
        return 0;
    return mv_error_set(err, ETIMEDOUT,
                        "%s: the guest runs at %s, and the process that had it has not ended "
                        "within %d seconds: 'memvisor quit %s' ends it",
                        config->name, config->uri, END_MS / 1000, config->name);
}

static int send_vm(void *opaque, struct mv_error *err)
{
    struct send_config *config = opaque;
    CLEANUP_FREE char *path = NULL;
    int pid;
    int r = mv_vm_client_find(config->name, &path, &pid, err);
    if (r < 0)
        return r;
    struct mv_work_fd fds[2];
    const struct mv_work work = {.name = config->name,
                                 .command = "x-send",
                                 .arguments = make_arguments(config),
                                 .fds = fds,
                                 .fd_count = list_fds(config->uri, fds),
                                 .event = "X_MIGRATION_PROGRESS",
                                 .canceller = "migrate_cancel",
                                 .show = show_progress,
                                 .opaque = config};
    json_t *result = NULL;
    r = mv_work_do(&work, &result, err);
    if (mv_work_has_bar() && !config->json)
        mv_move_view_wipe();
    if (r == 0)
        r = await_end(config, path, err);
    if (r == 0)
        r = show_result(config, result, err);
    json_decref(result);
    if (r == 0 || mv_work_signal() == 0)
        return r;
    mv_log("%s", err->text);
    return MV_STATUS_SIGNAL + mv_work_signal();
}

/* --- the options */

static int check(void *opaque, struct mv_error *err)
{
    const struct send_config *config = opaque;
    unsigned long number;
    uint64_t rate;
    if (config->max_bandwidth != NULL &&
        (mv_size_parse(config->max_bandwidth, &rate, err) < 0 || rate > INT64_MAX))
        return mv_error_set(err, EINVAL,
                            "--max-bandwidth %s: give bytes a second as a size, such as 100M",
                            config->max_bandwidth);
    if (config->downtime != NULL && !mv_config_number(config->downtime, 2000000, &number))
        return mv_error_set(err, EINVAL, "--downtime %s: give milliseconds, from 0 to 2000000",
                            config->downtime);
    if (config->channels != NULL &&
        (!mv_config_number(config->channels, CHANNELS_MAX, &number) || number == 0))
        return mv_error_set(err, EINVAL, "--channels %s: give a number from 1 to %d",
                            config->channels, CHANNELS_MAX);
    if (config->after != NULL && !mv_config_number(config->after, PASSES_MAX, &number))
        return mv_error_set(err, EINVAL, "--after %s: give a number of passes, from 0 to %d",
                            config->after, PASSES_MAX);
    if (config->after != NULL && !config->postcopy)
        return mv_error_set(err, EINVAL, "--after %s: that is when --postcopy begins: give both",
                            config->after);
    if (config->resume && config->postcopy)
        return mv_error_set(err, EINVAL,
                            "--resume --postcopy: what is taken up follows its guest already: "
                            "leave --postcopy out");
    if (config->compress != NULL && strcmp(config->compress, "none") != 0 &&
        strcmp(config->compress, "zstd") != 0)
        return mv_error_set(err, EINVAL, "--compress %s: choose none or zstd", config->compress);
    return 0;
}

static const struct mv_option options[] = {
    {MV_TEXT(send_config, max_bandwidth, "max-bandwidth", "RATE",
             "Send so many bytes a second at most, such as 100M; a bare number is MiB. Default: as "
             "fast as it goes.")},
    {MV_TEXT(send_config, downtime, "downtime", "MS",
             "For how many milliseconds the guest may stand still; default 300.")},
    {MV_TEXT(send_config, channels, "channels", "N",
             "Send memory over so many connections, from 1 to 16; default 1.")},
    {MV_TEXT(send_config, compress, "compress", "none|zstd",
             "Whether what is sent is compressed; default none.")},
    {MV_TEXT(send_config, tls, "tls", "SPEC",
             "Encrypt, and know each other: psk=FILE[,identity=NAME], a key that both sides have, "
             "or x509=DIR[,name=PEER], a folder with ca-cert.pem, client-cert.pem and "
             "client-key.pem.")},
    {MV_FLAG(
        send_config, keep,
        "Leave the guest here, too, paused, instead of ending its process once it runs there.")},
    {MV_FLAG(send_config, json,
             "Print a line of JSON some times a second, and one when it is done.")},
    {MV_FLAG(send_config, postcopy,
             "Let the guest run on the other side at once; its memory follows, first what it waits "
             "for. Until all is there it needs both hosts and the line.")},
    {MV_TEXT(send_config, after, "after", "PASSES",
             "With --postcopy: send memory in so many passes first; default 0.")},
    {MV_FLAG(send_config, resume,
             "Go on with a guest whose line broke while its memory followed, to where 'memvisor "
             "receive --resume' waits.")},
};
static const struct mv_option words[] = {
    {MV_WORD(send_config, name, "NAME", "Name of the VM, as 'memvisor ps' lists it.")},
    {MV_WORD(send_config, uri, "URI",
             "Where 'memvisor receive' waits for it: tcp:HOST:PORT, unix:PATH, exec:COMMAND, or "
             "fd:N or fd:IN,OUT, a socket or two pipes that are open here.")},
};

const struct mv_verb mv_send_verb = {
    .name = "send",
    .summary = "Move a VM to another process or host, while it runs.",
    .synopsis = "memvisor send NAME URI [OPTION]...",
    .options = MV_OPTIONS("send", 2),
    .notes =
        "The guest goes on there, and its process here ends. What fails before that leaves\n"
        "it here, where it runs on.\n"
        "\n"
        "Examples:\n"
        "  memvisor send demo unix:/tmp/demo.move\n"
        "  memvisor send demo tcp:other.example:4444 --tls psk=mover.psk\n"
        "  memvisor send demo 'exec:ssh other.example memvisor receive fd:0,1 --serial none'\n",
    .config_size = sizeof(struct send_config),
    .check = check,
    .run = send_vm,
};
