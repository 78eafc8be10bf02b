/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memvisor qmp: one command to a VM from the command line, or a session of
 * standard input and output with the control socket, at a terminal with a prompt.
 */
#include "verb.h"

#include "cleanup.h"
#include "prompt.h"
#include "qmp-json.h"
#include "screen.h"
#include "vm-client.h"

#include <poll.h>
#include <string.h>
#include <sys/socket.h>

struct qmp_config {
    char *name;
    char *command;
    struct mv_names arguments;
};

/* --- one command */

static json_t *parse_value(const char *text)
{
    char number[24];
    bool hex = text[0] == '0' && text[1] == 'x';
    size_t digits = hex ? strspn(text + 2, "0123456789abcdefABCDEF") : 0;
    if (digits > 0 && digits <= 16 && text[2 + digits] == '\0') {
        snprintf(number, sizeof number, "%llu", strtoull(text + 2, NULL, 16));
        text = number;
    }
    json_t *value = mv_qmp_value_load(text, strlen(text));
    return value != NULL ? value : json_string(text);
}

static int add_argument(json_t *arguments, const char *word, struct mv_error *err)
{
    json_error_t why;
    if (word[0] == '{') {
        json_t *object = mv_qmp_value_load(word, strlen(word));
        if (object == NULL) {
            json_decref(json_loads(word, JSON_REJECT_DUPLICATES, &why));
            return mv_error_set(err, EINVAL, "'%s' is no JSON: %s", word, why.text);
        }
        json_object_update(arguments, object);
        json_decref(object);
        return 0;
    }
    const char *equals = strchr(word, '=');
    if (equals == NULL || equals == word)
        return mv_error_set(err, EINVAL, "'%s' is no argument of a command: write KEY=VALUE", word);
    CLEANUP_FREE char *key = strndup(word, (size_t)(equals - word));
    if (key == NULL || json_object_set_new(arguments, key, parse_value(equals + 1)) < 0)
        return mv_error_set(err, EINVAL, "'%s' is not in UTF-8", word);
    return 0;
}

static int run_command(struct mv_vm_client *client, const struct qmp_config *config,
                       struct mv_error *err)
{
    json_t *arguments = json_object(), *result;
    for (size_t i = 0; i < config->arguments.count; i++) {
        int r = add_argument(arguments, config->arguments.list[i], err);
        if (r < 0) {
            json_decref(arguments);
            return r;
        }
    }
    int r = mv_vm_client_execute(client, config->command, arguments, &result, err);
    if (r < 0)
        return r;
    mv_json_print(stdout, result);
    json_decref(result);
    return 0;
}

/* --- a session */

/* Pass on what stdin has: 0 at its end, else 1 or a negative errno. */
static int pass_input(struct mv_vm_client *client, struct mv_error *err)
{
    char buf[4096];
    ssize_t n = read(STDIN_FILENO, buf, sizeof buf);
    if (n < 0 && errno == EINTR)
        return 1;
    if (n < 0)
        return mv_error_set_errno(err, errno, "cannot read standard input");
    if (n == 0) {
        /* The VM answers what it got, then hangs up. */
        shutdown(mv_vm_client_fd(client), SHUT_WR);
        return 0;
    }
    int r = mv_vm_client_send(client, buf, (size_t)n, err);
    return r < 0 ? r : 1;
}

static int pass_line(struct mv_vm_client *client, struct mv_error *err)
{
    json_t *line;
    int r = mv_vm_client_receive(client, &line, err);
    if (r < 0)
        return r;
    mv_json_print(stdout, line);
    fflush(stdout);
    json_decref(line);
    return 0;
}

static int run_session(struct mv_vm_client *client, struct mv_error *err)
{
    struct pollfd fds[] = {{STDIN_FILENO, POLLIN, 0}, {mv_vm_client_fd(client), POLLIN, 0}};
    for (;;) {
        if (!mv_vm_client_has_line(client) && poll(fds, 2, -1) < 0 && errno != EINTR)
            return mv_error_set_errno(err, errno, "the session");
        int r = 0;
        if (mv_vm_client_has_line(client) || fds[1].revents != 0)
            r = pass_line(client, err);
        if (r == 0 && fds[0].revents != 0) {
            r = pass_input(client, err);
            fds[0].fd = r == 0 ? -1 : fds[0].fd;
            r = r > 0 ? 0 : r;
        }
        if (r == -ESHUTDOWN)
            return 0;
        if (r < 0)
            return r;
        fds[0].revents = fds[1].revents = 0;
    }
}

/* --- a session at a terminal */

struct session {
    struct mv_vm_client *client;
    json_t *commands; /* that the VM has */
};

/* All that is there, at once: a prompt is drawn anew behind it. */
static int pass_lines(void *opaque, struct mv_error *err)
{
    const struct session *session = opaque;
    int r;
    do {
        r = pass_line(session->client, err);
    } while (r == 0 && mv_vm_client_has_line(session->client));
    return r;
}

static const char *command_name(void *opaque, size_t i)
{
    const struct session *session = opaque;
    return json_string_value(json_object_get(json_array_get(session->commands, i), "name"));
}

static int send_line(void *opaque, char *line, struct mv_error *err)
{
    const struct session *session = opaque;
    int r = mv_vm_client_send(session->client, line, strlen(line), err);
    return r < 0 ? r : mv_vm_client_send(session->client, "\n", 1, err);
}

static int run_prompt(struct mv_vm_client *client, struct mv_error *err)
{
    struct session session = {.client = client};
    struct mv_prompt_params params = {
        .text = "(qmp) ",
        .word = command_name,
        .fd = mv_vm_client_fd(client),
        .show = pass_lines,
        .take = send_line,
        .opaque = &session,
    };
    int r = mv_vm_client_execute(client, "query-commands", NULL, &session.commands, err);
    if (r < 0)
        return r;
    puts("Commands are JSON, as {\"execute\": \"query-status\"}; Tab completes their names, Ctrl-D "
         "leaves.");
    while (r == 0 && mv_vm_client_has_line(client))
        r = pass_line(client, err);
    if (r == 0)
        r = mv_prompt_run(&params, err);
    json_decref(session.commands);
    return r == -ESHUTDOWN ? 0 : r;
}

static int speak(void *config, struct mv_error *err)
{
    const struct qmp_config *c = config;
    struct mv_vm_client *client;
    int r = mv_vm_client_open(c->name, &client, err);
    if (r < 0)
        return r;
    if (c->command != NULL)
        r = run_command(client, c, err);
    else
        r = mv_prompt_possible() ? run_prompt(client, err) : run_session(client, err);
    mv_vm_client_close(client);
    return r;
}

static const struct mv_option words[] = {
    {MV_WORD(qmp_config, name, "NAME", "Name of the VM, as 'memvisor ps' lists it.")},
    {MV_WORD(qmp_config, command, "COMMAND",
             "A QMP command, such as query-status; what it returns is printed as JSON. Without "
             "one, commands are read from standard input as JSON, and all that the VM sends is "
             "printed.")},
    {MV_WORDS(qmp_config, arguments, "KEY=VALUE",
              "An argument of the command. VALUE is JSON, or a number in hex (0x...), or else "
              "text. A word that starts with { is an object with all arguments.")},
};

const struct mv_verb mv_qmp_verb = {
    .name = "qmp",
    .summary = "Send commands to a VM's control socket.",
    .synopsis = "memvisor qmp NAME [COMMAND [KEY=VALUE]...]",
    .options =
        &(const struct mv_option_table){
            .verb = "qmp", .words = words, .word_count = 3, .words_needed = 1},
    .notes =
        "Examples:\n"
        "  memvisor qmp vm1 query-status\n"
        "  memvisor qmp vm1 pmemsave val=0x80000000 size=4096 filename=/tmp/page\n"
        "  echo '{\"execute\": \"stop\"} {\"execute\": \"query-cpus-fast\"}' | memvisor qmp vm1\n"
        "  memvisor qmp vm1 query-commands\n",
    .config_size = sizeof(struct qmp_config),
    .run = speak,
};
