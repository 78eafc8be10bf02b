/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memvisor ivshmem-client: a peer by hand.  One command from the command line,
 * or a prompt, where what happens is shown as it comes.
 */
#include "ivshmem-verbs.h"
#include "verb.h"

#include "cleanup.h"
#include "log.h"
#include "memvisor-ivshmem.h"
#include "prompt.h"

#include <poll.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define JOIN_MS  5000
#define RETRY_MS 20
#define PROMPT   "> "

const char mv_ivshmem_client_notes[] =
    "Commands:\n"
    "  list                  show our ID, the memory, and the peers with their vectors\n"
    "  ring PEER [VECTOR]    ring a peer, or 'all'; vector 0 unless given, or 'all'\n"
    "  wait [VECTOR]         wait until a vector of ours is rung\n"
    "  read OFFSET SIZE      copy bytes of the memory to standard output\n"
    "  write OFFSET [TEXT]   write text into it, or standard input in a one-shot command\n"
    "  dump OFFSET SIZE      show bytes in hexadecimal\n"
    "  help, quit            at the prompt\n"
    "Offsets and sizes are bytes: 4096, 0x1000, or with a suffix K, M, G.\n";

static void run_line(struct client *client, char *line)
{
    struct mv_error err;
    const struct command *command;
    char *argv[WORDS_MAX + 1], *save = NULL;
    int argc = 0;
    for (char *word = strtok_r(line, " \t\r", &save); word != NULL && argc < WORDS_MAX;
         word = strtok_r(NULL, " \t\r", &save))
        argv[argc++] = word;
    if (argc == 0)
        return;
    int r = mv_ivshmem_command_find(argc, argv, &command, &err);
    if (r == 0)
        r = command->run(client, argc - 1, argv + 1, &err);
    if (r < 0) {
        fflush(stdout);
        mv_log("%s", err.text);
    }
}

/* Lines of standard input, as they come; -1 at its end. */
struct input {
    char text[4096];
    size_t have;
};

static int read_lines(struct client *client, struct input *input)
{
    ssize_t n = read(STDIN_FILENO, input->text + input->have, sizeof input->text - 1 - input->have);
    if (n <= 0) {
        /* The last line may have no end of its own. */
        input->text[input->have] = '\0';
        run_line(client, input->text);
        return -1;
    }
    input->have += (size_t)n;
    char *end;
    while (!client->quit && (end = memchr(input->text, '\n', input->have)) != NULL) {
        size_t used = (size_t)(end - input->text) + 1;
        *end = '\0';
        run_line(client, input->text);
        input->have -= used;
        memmove(input->text, input->text + used, input->have);
    }
    if (input->have == sizeof input->text - 1) {
        mv_log("a line of more than %zu bytes is left out", input->have);
        input->have = 0;
    }
    return 0;
}

static int show_events(struct client *client, struct mv_error *err)
{
    struct mv_ivshmem_event event;
    int r;
    while ((r = mv_ivshmem_wait(client->shm, 0, &event)) > 0)
        mv_ivshmem_client_print(&event, client);
    return r < 0 ? mv_ivshmem_client_error(client, r, err) : 0;
}

/* Commands line by line, from a file, a pipe or a terminal on which nothing can be edited. */
static int run_input(struct client *client, struct mv_error *err)
{
    static struct input input;
    bool terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
    while (!client->quit) {
        struct pollfd ready[] = {{.fd = STDIN_FILENO, .events = POLLIN},
                                 {.fd = mv_ivshmem_fd(client->shm), .events = POLLIN}};
        if (terminal)
            fputs(PROMPT, stdout);
        fflush(stdout);
        if (poll(ready, 2, -1) < 0)
            continue;
        if (ready[1].revents != 0) {
            if (terminal)
                fputs("\r", stdout);
            int r = show_events(client, err);
            if (r < 0)
                return r;
        }
        if (ready[0].revents != 0 && read_lines(client, &input) < 0)
            break;
    }
    if (terminal && !client->quit)
        putchar('\n');
    return 0;
}

static int show_above_line(void *opaque, struct mv_error *err)
{
    return show_events(opaque, err);
}

static int take_line(void *opaque, char *line, struct mv_error *err)
{
    struct client *client = opaque;
    run_line(client, line);
    fflush(stdout);
    return client->quit;
}

static int run_prompt(struct client *client, struct mv_error *err)
{
    struct mv_prompt_params params = {
        .text = PROMPT,
        .word = mv_ivshmem_command_name,
        .fd = mv_ivshmem_fd(client->shm),
        .show = show_above_line,
        .take = take_line,
        .opaque = client,
    };
    return mv_prompt_run(&params, err);
}

static int run_commands(struct client *client, struct mv_error *err)
{
    client->prompt = true;
    if (isatty(STDIN_FILENO) && isatty(STDOUT_FILENO))
        printf("Peer %u; 'help' lists the commands.\n", mv_ivshmem_id(client->shm));
    return mv_prompt_possible() ? run_prompt(client, err) : run_input(client, err);
}

/* Seconds, with a fraction where one is given, as milliseconds. */
static int take_seconds(const char *option, const char *text, int *ret_ms, struct mv_error *err)
{
    char *end;
    if (text == NULL)
        return 0;
    double seconds = strtod(text, &end);
    if (*end != '\0' || end == text || !(seconds >= 0 && seconds <= 1e6))
        return mv_error_set(err, EINVAL, "%s %s: it is a number of seconds", option, text);
    *ret_ms = (int)(seconds * 1000);
    return 0;
}

static int check(void *config, struct mv_error *err)
{
    struct client_options *o = config;
    o->timeout_ms = -1;
    int r = take_seconds("--timeout", o->timeout_text, &o->timeout_ms, err);
    if (r == 0)
        r = take_seconds("--wait", o->wait_text, &o->wait_ms, err);
    if (r < 0 || o->words.count == 0)
        return r;
    return mv_ivshmem_command_find((int)o->words.count, o->words.list, &o->command, err);
}

/* Each vector of each peer is a descriptor: a crowd has more than the usual soft limit. */
static void allow_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

/* A server may be about to start, or to take the place of one that is gone. */
static struct mv_ivshmem *join(const struct client_options *o, char *ret_error)
{
    const struct timespec pause = {.tv_nsec = RETRY_MS * 1000000};
    unsigned flags = o->reconnect ? MV_IVSHMEM_RECONNECT : 0;
    struct mv_ivshmem *shm = mv_ivshmem_open(o->socket, flags, JOIN_MS, ret_error);
    for (int left = o->wait_ms; shm == NULL && left > 0; left -= RETRY_MS) {
        nanosleep(&pause, NULL);
        shm = mv_ivshmem_open(o->socket, flags, JOIN_MS, ret_error);
    }
    return shm;
}

static int run(void *config, struct mv_error *err)
{
    const struct client_options *o = config;
    char text[MV_IVSHMEM_ERROR_SIZE];
    struct client client = {.options = o};
    allow_descriptors();
    client.shm = join(o, text);
    if (client.shm == NULL)
        return mv_error_set(err, EIO, "%s", text);
    int r = o->command == NULL
                ? run_commands(&client, err)
                : o->command->run(&client, (int)o->words.count - 1, o->words.list + 1, err);
    mv_ivshmem_close(client.shm);
    return r;
}

static const struct mv_option options[] = {
    {MV_TEXT(client_options, timeout_text, "timeout", "SECONDS",
             "How long 'wait' waits; default for ever. Giving up is exit status 1.")},
    {MV_TEXT(client_options, wait_text, "wait", "SECONDS",
             "How long to wait for a server that is not there yet; default: not at all.")},
    {MV_FLAG(client_options, reconnect,
             "When the server goes, join again as soon as there is one.")},
    {MV_FLAG(client_options, json,
             "'list' prints an object with id, size (bytes), vectors and peers, a list of objects "
             "with id and vectors.")},
};

static const struct mv_option words[] = {
    {MV_WORD(client_options, socket, "SOCKET", "Where the server listens.")},
    {MV_WORDS(client_options, words, "COMMAND",
              "A command and its arguments, as below; without one, commands come from standard "
              "input.")},
};

const struct mv_verb mv_ivshmem_client_verb = {
    .name = "ivshmem-client",
    .summary = "Join shared memory: list peers, ring and wait, read and write.",
    .synopsis = "memvisor ivshmem-client SOCKET [COMMAND [ARGUMENT]...] [OPTION]...",
    .options = MV_OPTIONS("ivshmem-client", 1),
    .notes = mv_ivshmem_client_notes,
    .names_itself = true,
    .config_size = sizeof(struct client_options),
    .check = check,
    .run = run,
};
