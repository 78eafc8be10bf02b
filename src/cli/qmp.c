/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memvisor qmp: one command to a VM from the command line, or a session of
 * standard input and output with the control socket, at a terminal with a prompt.
 */
#include "verb.h"

#include "cleanup.h"
#include "screen.h"
#include "log.h"
#include "prompt.h"
#include "qmp-json.h"
#include "vm-client.h"

#include <poll.h>
#include <string.h>
#include <sys/socket.h>

struct qmp_config {
    char *name;
    char *command;
    struct mv_names arguments;
};

static const struct mv_option words[] = {
    {.argument = "NAME",
     .help = "Name of the VM, as 'memvisor ps' lists it.",
     .set = mv_option_set_string,
     .offset = offsetof(struct qmp_config, name)},
    {.argument = "COMMAND",
     .help = "A QMP command, such as query-status; what it returns is printed as JSON. Without "
             "one, commands are read from standard input as JSON, and all that the VM sends is "
             "printed.",
     .set = mv_option_set_string,
     .offset = offsetof(struct qmp_config, command)},
    {.argument = "KEY=VALUE",
     .help = "An argument of the command. VALUE is JSON, or a number in hex (0x...), or else "
             "text. A word that starts with { is an object with all arguments.",
     .repeatable = true,
     .set = mv_names_append,
     .offset = offsetof(struct qmp_config, arguments)},
};

const struct mv_option_table mv_qmp_options = {
    .verb = "qmp", .words = words, .word_count = 3, .words_needed = 1};

const char mv_qmp_notes[] =
    "Examples:\n"
    "  memvisor qmp vm1 query-status\n"
    "  memvisor qmp vm1 pmemsave val=0x80000000 size=4096 filename=/tmp/page\n"
    "  echo '{\"execute\": \"stop\"} {\"execute\": \"query-cpus-fast\"}' | memvisor qmp vm1\n"
    "  memvisor qmp vm1 query-commands\n";

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
    mv_json_print(result);
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
    mv_json_print(line);
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

/* All that is there, at once: a prompt is drawn anew behind it. */
static int pass_lines(void *opaque, struct mv_error *err)
{
    struct mv_vm_client *client = opaque;
    int r;
    do {
        r = pass_line(client, err);
    } while (r == 0 && mv_vm_client_has_line(client));
    return r;
}

/* --- a session at a terminal */

/* The names of the commands that the VM has, as long as *ret_list lives; NULL without memory. */
static const char **list_commands(const json_t *list)
{
    size_t i;
    json_t *command;
    const char **names = calloc(json_array_size(list) + 1, sizeof *names);
    json_array_foreach((json_t *)list, i, command)
    {
        const char *name = json_string_value(json_object_get(command, "name"));
        if (names != NULL)
            names[i] = name == NULL ? "" : name;
    }
    return names;
}

static int send_line(struct mv_vm_client *client, const char *line, struct mv_error *err)
{
    int r = mv_vm_client_send(client, line, strlen(line), err);
    return r < 0 ? r : mv_vm_client_send(client, "\n", 1, err);
}

static int read_prompt(struct mv_vm_client *client, struct mv_prompt *prompt, struct mv_error *err)
{
    char *line;
    int r = 0;
    while (r == 0 && mv_vm_client_has_line(client))
        r = pass_line(client, err);
    while (r == 0 && (r = mv_prompt_read(prompt, &line, err)) == 1)
        r = send_line(client, line, err);
    return r;
}

static int run_prompt(struct mv_vm_client *client, struct mv_error *err)
{
    json_t *list = NULL;
    struct mv_prompt *prompt = NULL;
    int r = mv_vm_client_execute(client, "query-commands", NULL, &list, err);
    if (r < 0)
        return r;
    CLEANUP_FREE const char **names = list_commands(list);
    struct mv_prompt_params params = {
        .text = "(qmp) ",
        .words = names,
        .word_count = names == NULL ? 0 : json_array_size(list),
        .fd = mv_vm_client_fd(client),
        .show = pass_lines,
        .opaque = client,
    };
    puts("Commands are JSON, as {\"execute\": \"query-status\"}; Tab completes their names, Ctrl-D "
         "leaves.");
    r = mv_prompt_open(&params, &prompt, err);
    if (r == 0)
        r = read_prompt(client, prompt, err);
    mv_prompt_close(prompt);
    json_decref(list);
    return r == -ESHUTDOWN ? 0 : r;
}

static int speak(const struct qmp_config *config, struct mv_error *err)
{
    struct mv_vm_client *client;
    int r = mv_vm_client_open(config->name, &client, err);
    if (r < 0)
        return r;
    if (config->command != NULL)
        r = run_command(client, config, err);
    else
        r = mv_prompt_possible() ? run_prompt(client, err) : run_session(client, err);
    mv_vm_client_close(client);
    return r;
}

int mv_qmp_main(int argc, char **argv)
{
    struct qmp_config config = {0};
    struct mv_error err;
    int status = MV_STATUS_OK;
    int r = mv_options_parse(&mv_qmp_options, argc, argv, &config, &err);
    if (r == MV_OPTIONS_HELP) {
        mv_help_print_verb(stdout, mv_verb_find("qmp"));
    } else if (r < 0) {
        mv_log("%s", err.text);
        status = mv_verb_status_of_words(r);
    } else if (speak(&config, &err) < 0) {
        mv_log("%s", err.text);
        status = MV_STATUS_ERROR;
    }
    free(config.name);
    free(config.command);
    mv_names_free(&config.arguments);
    return status;
}
