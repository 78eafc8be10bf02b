/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memvisor stop, cont and quit: a command to each VM that is named.  Quit is the plug of
 * a VM, which ends its process, whatever state that is in: one step after the other, from
 * the gentlest on.  The process is held by a descriptor (pidfd_open(2)), so that no other
 * of its number is hit.
 */
#include "verb.h"

#include "cleanup.h"
#include "config-text.h"
#include "log.h"
#include "process.h"
#include "rundir.h"
#include "vm-client.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>

/* --- the end of a VM */

#define QUIT_MS     10000 /* for the answer, and for the end after it */
#define POWERDOWN_S 86400 /* at most, for a guest to power itself off */
#define TERM_MS     5000
#define KILL_MS     30000 /* the kernel's time for the memory of the largest guest */

static const struct step {
    int signal, grace_ms;
} steps[] = {{SIGTERM, TERM_MS}, {SIGKILL, KILL_MS}};

static int ask(const char *path, struct mv_error *err)
{
    struct mv_vm_client *client;
    int r = mv_vm_client_open_at(path, QUIT_MS, &client, err);
    if (r < 0)
        return r;
    r = mv_vm_client_execute(client, "quit", NULL, NULL, err);
    mv_vm_client_close(client);
    return r;
}

static bool has_ended(int pidfd, int timeout_ms)
{
    struct pollfd p = {pidfd, POLLIN, 0};
    return poll(&p, 1, timeout_ms) > 0;
}

/* Whether the guest runs, so that somebody is there to see the power button. */
static int check_runs(struct mv_vm_client *client, struct mv_error *err)
{
    json_t *result;
    int r = mv_vm_client_execute(client, "query-status", NULL, &result, err);
    if (r < 0)
        return r;
    if (!json_is_true(json_object_get(result, "running")))
        r = mv_error_set(err, EHOSTDOWN, "the guest stands still and cannot power itself off");
    json_decref(result);
    return r;
}

/*
 * Press the power button and wait until the guest has powered itself off: -ETIMEDOUT where
 * it has not within so many seconds; other errors are why it cannot.
 */
static int power_down(const char *path, int pidfd, unsigned long seconds, struct mv_error *err)
{
    struct mv_vm_client *client;
    int r = mv_vm_client_open_at(path, QUIT_MS, &client, err);
    if (r < 0)
        return r;
    r = check_runs(client, err);
    if (r == 0)
        r = mv_vm_client_execute(client, "system_powerdown", NULL, NULL, err);
    mv_vm_client_close(client);
    if (r < 0)
        return r;
    bool ended = pidfd < 0 ? mv_rundir_await_end(path, (unsigned)seconds * 1000)
                           : has_ended(pidfd, (int)seconds * 1000);
    return ended ? 0
                 : mv_error_set(err, ETIMEDOUT,
                                "the guest has not powered itself off within %lu seconds", seconds);
}

static int end_by_signal(const char *name, int pidfd, const char *why, struct mv_error *err)
{
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        if (pidfd_send_signal(pidfd, steps[i].signal, NULL, 0) < 0 && errno != ESRCH)
            return mv_error_set_errno(err, errno, "%s: %s: it cannot be ended by a signal", name,
                                      why);
        pidfd_send_signal(pidfd, SIGCONT, NULL, 0); /* a stopped one takes it then */
        if (has_ended(pidfd, steps[i].grace_ms)) {
            mv_log("%s: %s: ended by SIG%s", name, why, sigabbrev_np(steps[i].signal));
            return 0;
        }
    }
    return mv_error_set(err, ETIMEDOUT, "%s: %s: not even SIGKILL has ended it", name, why);
}

/*
 * By its power button, where it has seconds for that, by its control socket, else by SIGTERM,
 * else by SIGKILL, each with a grace; what it took is said.  Returns once it is gone, so that
 * its name and its files are free.
 */
static int end_vm(const char *name, unsigned long seconds, struct mv_error *err)
{
    CLEANUP_FREE char *path = NULL, *again = NULL, *last = NULL;
    struct mv_error why;
    int pid, same;
    int r = mv_vm_client_find(name, &path, &pid, err);
    if (r < 0)
        return r;
    CLEANUP_CLOSE int pidfd = pid > 0 ? pidfd_open(pid, 0) : -1;
    if (seconds > 0 && power_down(path, pidfd, seconds, &why) == 0)
        return 0;
    if (seconds > 0)
        mv_log("%s: %s: its plug is pulled", name, why.text);
    r = ask(path, &why);
    if (r == 0 && mv_rundir_await_end(path, QUIT_MS))
        return 0;
    if (r == -ENOENT || r == -ECONNREFUSED)
        mv_error_set(&why, -r, "it starts and has no control socket yet");
    if (r == 0) {
        char hint[MV_PROCESS_HINT];
        mv_process_hint(pid, hint);
        mv_error_set(&why, ETIMEDOUT, "it has not ended within %d seconds: %s", QUIT_MS / 1000,
                     hint);
    }
    /* That it is listed still means that the descriptor is of this VM. */
    r = mv_vm_client_find(name, &again, &same, err);
    if (r == -ENOENT)
        return 0;
    if (r < 0)
        return r;
    if (pidfd < 0 || same != pid)
        return mv_error_set(err, ESRCH, "%s: %s", name, why.text);
    r = end_by_signal(name, pidfd, why.text, err);
    if (r == 0)
        mv_vm_client_find(name, &last, &same, &why); /* removes what SIGKILL left */
    return r;
}

/* --- the verbs */

static int execute(const char *name, const char *command, struct mv_error *err)
{
    struct mv_vm_client *client;
    int r = mv_vm_client_open(name, &client, err);
    if (r < 0)
        return r;
    r = mv_vm_client_execute(client, command, NULL, NULL, err);
    mv_vm_client_close(client);
    if (r < 0)
        mv_error_prefix(err, "%s", name);
    return r;
}

struct steer_config {
    struct mv_names names;
    char *powerdown;
    unsigned long seconds; /* of --powerdown */
};

/* Each is tried; the errors are logged, one line each.  No command: its end. */
static int steer(const struct steer_config *config, const char *command)
{
    int status = MV_STATUS_OK;
    for (size_t i = 0; i < config->names.count; i++) {
        const char *name = config->names.list[i];
        struct mv_error err;
        if ((command == NULL ? end_vm(name, config->seconds, &err) : execute(name, command, &err)) <
            0) {
            mv_log("%s", err.text);
            status = MV_STATUS_ERROR;
        }
    }
    return status;
}

static int stop(void *config, struct mv_error *err)
{
    return steer(config, "stop");
}

static int cont(void *config, struct mv_error *err)
{
    return steer(config, "cont");
}

static int quit(void *config, struct mv_error *err)
{
    return steer(config, NULL);
}

static int check_quit(void *opaque, struct mv_error *err)
{
    struct steer_config *config = opaque;
    if (config->powerdown != NULL &&
        !mv_config_number(config->powerdown, POWERDOWN_S, &config->seconds))
        return mv_error_set(err, EINVAL, "--powerdown %s: give a number of seconds, up to %d",
                            config->powerdown, POWERDOWN_S);
    return 0;
}

static const struct mv_option words[] = {
    {MV_WORDS(steer_config, names, "NAME",
              "Name of the VM, as 'memvisor ps' lists it; any number of them.")},
};

static const struct mv_option quit_options[] = {
    {MV_TEXT(steer_config, powerdown, "powerdown", "SECONDS",
             "Press the power button first, and give each guest this long to power itself off.")},
};

#define VERB(word, text, fn)                                                                       \
    {                                                                                              \
        .name = word, .summary = text, .synopsis = "memvisor " word " NAME...",                    \
        .options =                                                                                 \
            &(const struct mv_option_table){                                                       \
                .verb = word, .words = words, .word_count = 1, .words_needed = 1},                 \
        .config_size = sizeof(struct steer_config), .run = fn                                      \
    }
const struct mv_verb mv_stop_verb = VERB("stop", "Pause a VM.", stop);
const struct mv_verb mv_cont_verb =
    VERB("cont", "Continue a VM that is paused, or was started so.", cont);
const struct mv_verb mv_quit_verb = {
    .name = "quit",
    .summary = "End a VM at once, without a word to its guest, and wait until it is gone.",
    .synopsis = "memvisor quit [--powerdown SECONDS] NAME...",
    .options = &(const struct mv_option_table){.verb = "quit",
                                               .options = quit_options,
                                               .count = 1,
                                               .words = words,
                                               .word_count = 1,
                                               .words_needed = 1},
    .config_size = sizeof(struct steer_config),
    .check = check_quit,
    .run = quit,
};
