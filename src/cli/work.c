/* SPDX-License-Identifier: Apache-2.0 */
#include "work.h"

#include "cleanup.h"
#include "log.h"
#include "qmp-json.h"
#include "vm-client.h"

#include <signal.h>
#include <stdatomic.h>
#include <string.h>

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

int mv_work_signal(void)
{
    return caught;
}

/* --- the work */

/* By a connection of its own: the other one waits for the answer. */
static void cancel(const struct mv_work *work)
{
    struct mv_vm_client *client;
    struct mv_error err;
    int r = mv_vm_client_open(work->name, &client, &err);
    if (r < 0) {
        mv_log("%s", err.text);
        return;
    }
    /* It may have been done by now, which its answer tells. */
    mv_vm_client_execute(client, work->canceller, NULL, NULL, &err);
    mv_vm_client_close(client);
}

static int request(struct mv_vm_client *client, const struct mv_work *work, struct mv_error *err)
{
    json_t *line = json_pack("{s:s, s:O}", "execute", work->command, "arguments", work->arguments);
    CLEANUP_FREE char *text = line == NULL ? NULL : mv_qmp_value_dump(line, JSON_COMPACT);
    json_decref(line);
    if (text == NULL)
        return mv_error_set(err, EINVAL, "what was given is no UTF-8");
    return mv_vm_client_send(client, text, strlen(text), err);
}

/* Of other work of the kind the machine has none meanwhile. */
static int await_answer(struct mv_vm_client *client, const struct mv_work *work, json_t **ret,
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
        if (strcmp(event, work->event) == 0)
            r = work->show(work->opaque, json_object_get(line, "data"), err);
        json_decref(line);
        /* A reader of the output that went is as good as a Ctrl-C. */
        if ((caught != 0 || r < 0) && !cancelled) {
            cancelled = true;
            cancel(work);
        }
    }
}

static int take_answer(const struct mv_work *work, json_t *answer, json_t **ret,
                       struct mv_error *err)
{
    json_t *result = json_object_get(answer, "return");
    const char *desc = json_string_value(json_object_get(json_object_get(answer, "error"), "desc"));
    int r = 0;
    if (result != NULL)
        *ret = json_incref(result);
    else
        r = mv_error_set(err, EREMOTEIO, "%s: %s", work->name,
                         desc == NULL ? "the VM's answer is no QMP" : desc);
    json_decref(answer);
    return r;
}

int mv_work_do(const struct mv_work *work, json_t **ret, struct mv_error *err)
{
    struct mv_vm_client *client = NULL;
    json_t *answer;
    int r = work->arguments == NULL ? mv_error_set(err, EINVAL, "what was given is no UTF-8")
                                    : mv_vm_client_open(work->name, &client, err);
    for (size_t i = 0; r == 0 && i < work->fd_count; i++)
        if ((r = mv_vm_client_give_fd(client, work->fds[i].name, work->fds[i].fd, err)) < 0)
            mv_error_prefix(err, "%s", work->name);
    if (r == 0) {
        catch_signals();
        r = request(client, work, err);
    }
    if (r == 0)
        r = await_answer(client, work, &answer, err);
    if (r == 0)
        r = take_answer(work, answer, ret, err);
    mv_vm_client_close(client);
    json_decref(work->arguments);
    return r;
}

/* --- what they show */

bool mv_work_has_bar(void)
{
    const char *term = getenv("TERM");
    return isatty(STDERR_FILENO) && term != NULL && strcmp(term, "dumb") != 0;
}

double mv_number_of(const json_t *object, const char *key)
{
    return (double)mv_qmp_value_uint(json_object_get(object, key));
}

const char *mv_amount_format(double bytes, char buf[MV_AMOUNT_TEXT])
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
    size_t unit = 0;
    while (bytes >= 1024 && unit + 1 < sizeof units / sizeof units[0]) {
        bytes /= 1024;
        unit++;
    }
    snprintf(buf, MV_AMOUNT_TEXT, "%.*f %s", unit == 0 || bytes >= 100 ? 0 : 1, bytes, units[unit]);
    return buf;
}

char *mv_path_absolute(const char *path)
{
    char *absolute = NULL;
    if (path[0] == '/')
        return strdup(path);
    CLEANUP_FREE char *folder = get_current_dir_name();
    return folder == NULL || asprintf(&absolute, "%s/%s", folder, path) < 0 ? NULL : absolute;
}

/* Where `text` begins with one of these a path follows, up to its end or a comma. */
static const char *const path_schemes[] = {"unix:", "psk=", "x509="};

char *mv_address_absolute(const char *text)
{
    char *placed = NULL;
    for (size_t i = 0; i < sizeof path_schemes / sizeof path_schemes[0]; i++) {
        size_t len = strlen(path_schemes[i]);
        if (strncmp(text, path_schemes[i], len) != 0 || text[len] == '\0')
            continue;
        CLEANUP_FREE char *path = mv_path_absolute(text + len);
        if (path == NULL || asprintf(&placed, "%s%s", path_schemes[i], path) < 0)
            placed = NULL;
        return placed;
    }
    return strdup(text);
}
