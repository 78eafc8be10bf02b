/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memvisor ivshmem-client: a peer by hand.  One command from the command line,
 * or a prompt, where what happens is shown as it comes.
 */
#include "verb.h"

#include "cleanup.h"
#include "json-print.h"
#include "log.h"
#include "memvisor-ivshmem.h"
#include "names.h"
#include "size.h"

#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define JOIN_MS   5000
#define WORDS_MAX 8
#define RETRY_MS  20
#define COPY_SIZE 65536

struct client_options {
    char *socket, *timeout_text, *wait_text;
    struct mv_names words;
    bool json, reconnect;
    int timeout_ms, wait_ms;
};

#define FIELD(member) .offset = offsetof(struct client_options, member)
static const struct mv_option options[] = {
    {.name = "timeout",
     .argument = "SECONDS",
     .help = "How long 'wait' waits; default for ever. Giving up is exit status 1.",
     .set = mv_option_set_string,
     FIELD(timeout_text)},
    {.name = "wait",
     .argument = "SECONDS",
     .help = "How long to wait for a server that is not there yet; default: not at all.",
     .set = mv_option_set_string,
     FIELD(wait_text)},
    {.name = "reconnect",
     .help = "When the server goes, join again as soon as there is one.",
     .set = mv_option_set_flag,
     FIELD(reconnect)},
    {.name = "json",
     .help = "'list' prints an object with id, size (bytes), vectors and peers, a list of objects "
             "with id and vectors.",
     .set = mv_option_set_flag,
     FIELD(json)},
};

static const struct mv_option words[] = {
    {.argument = "SOCKET",
     .help = "Where the server listens.",
     .set = mv_option_set_string,
     FIELD(socket)},
    {.argument = "COMMAND",
     .help = "A command and its arguments, as below; without one, commands come from standard "
             "input.",
     .repeatable = true,
     .set = mv_names_append,
     FIELD(words)},
};

const struct mv_option_table mv_ivshmem_client_options = {
    .verb = "ivshmem-client",
    .options = options,
    .count = sizeof options / sizeof options[0],
    .words = words,
    .word_count = 2,
    .words_needed = 1,
};

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

struct client {
    const struct client_options *options;
    struct mv_ivshmem *shm;
    bool prompt; /* not a one-shot command */
    bool quit;
};

struct command {
    const char *name;
    const char *usage;
    int min, max; /* arguments */
    int (*run)(struct client *client, int argc, char **argv, struct mv_error *err);
};

static int library_error(const struct client *client, int r, struct mv_error *err)
{
    return mv_error_set(err, -r, "%s", mv_ivshmem_error(client->shm));
}

static int parse_number(const char *what, const char *text, uint64_t max, uint64_t *ret,
                        struct mv_error *err)
{
    static const char suffixes[] = "KMGT";
    char *end;
    errno = 0;
    uint64_t value = strtoull(text, &end, 0);
    const char *suffix = end != text && *end != '\0' ? strchr(suffixes, *end & ~0x20) : NULL;
    if (suffix != NULL && *suffix != '\0') {
        if (mv_mul_overflows(value, UINT64_C(1) << (10 * (suffix - suffixes + 1)), &value))
            errno = ERANGE;
        end++;
    }
    if (text[0] < '0' || text[0] > '9' || *end != '\0')
        return mv_error_set(err, EINVAL, "%s '%s' is no number", what, text);
    if (errno != 0 || value > max)
        return mv_error_set(err, ERANGE, "%s %s is too large: the most is %" PRIu64, what, text,
                            max);
    *ret = value;
    return 0;
}

static void print_event(const struct mv_ivshmem_event *event, const struct client *client)
{
    switch (event->kind) {
    case MV_IVSHMEM_RUNG:
        printf("rung: vector %u, %" PRIu64 " time%s\n", event->vector, event->count,
               event->count == 1 ? "" : "s");
        break;
    case MV_IVSHMEM_JOINED:
        printf("joined: peer %u\n", event->peer);
        break;
    case MV_IVSHMEM_LEFT:
        printf("left: peer %u\n", event->peer);
        break;
    case MV_IVSHMEM_LOST:
        printf("lost: the server is gone (%s)\n", mv_ivshmem_error(client->shm));
        break;
    case MV_IVSHMEM_BACK:
        printf("back: our ID is %u\n", event->peer);
        break;
    }
}

/* The peers' IDs in order, to be freed; NULL out of memory. */
static unsigned *peers_of(const struct client *client, size_t *ret_count)
{
    size_t count = mv_ivshmem_peers(client->shm, NULL, 0);
    unsigned *ids = calloc(count + 1, sizeof *ids);
    if (ids != NULL)
        *ret_count = mv_ivshmem_peers(client->shm, ids, count);
    return ids;
}

static void print_json(const struct client *client, const unsigned *ids, size_t count)
{
    unsigned self = mv_ivshmem_id(client->shm);
    json_t *peers = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(peers, json_pack("{s:i, s:i}", "id", (int)ids[i], "vectors",
                                               (int)mv_ivshmem_vectors(client->shm, ids[i])));
    json_t *all = json_pack("{s:i, s:I, s:i, s:o}", "id", (int)self, "size",
                            (json_int_t)mv_ivshmem_size(client->shm), "vectors",
                            (int)mv_ivshmem_vectors(client->shm, self), "peers", peers);
    mv_json_print(all);
    json_decref(all);
}

static int run_list(struct client *client, int argc, char **argv, struct mv_error *err)
{
    char size[MV_SIZE_TEXT];
    size_t count;
    unsigned self = mv_ivshmem_id(client->shm);
    CLEANUP_FREE unsigned *ids = peers_of(client, &count);
    if (ids == NULL)
        return mv_error_set_errno(err, ENOMEM, "list");
    if (client->options->json) {
        print_json(client, ids, count);
        return 0;
    }
    printf("memory  %s\n", mv_size_format(mv_ivshmem_size(client->shm), size));
    printf("%5u  %u vectors, ourselves\n", self, mv_ivshmem_vectors(client->shm, self));
    for (size_t i = 0; i < count; i++)
        printf("%5u  %u vectors\n", ids[i], mv_ivshmem_vectors(client->shm, ids[i]));
    return 0;
}

static int ring_peer(struct client *client, unsigned peer, const char *vector_text,
                     struct mv_error *err)
{
    uint64_t vector = 0, end = 0;
    int r = 0;
    if (vector_text != NULL && strcmp(vector_text, "all") == 0)
        end = mv_ivshmem_vectors(client->shm, peer);
    else if (vector_text != NULL)
        r = parse_number("vector", vector_text, UINT32_MAX - 1, &vector, err);
    if (end == 0)
        end = vector + 1;
    for (; r == 0 && vector < end; vector++) {
        r = mv_ivshmem_ring(client->shm, peer, (unsigned)vector);
        if (r < 0)
            return library_error(client, r, err);
    }
    return r;
}

static int run_ring(struct client *client, int argc, char **argv, struct mv_error *err)
{
    const char *vector = argc > 1 ? argv[1] : NULL;
    uint64_t peer;
    size_t count;
    if (strcmp(argv[0], "all") != 0) {
        int r = parse_number("peer", argv[0], 65535, &peer, err);
        return r < 0 ? r : ring_peer(client, (unsigned)peer, vector, err);
    }
    CLEANUP_FREE unsigned *ids = peers_of(client, &count);
    if (ids == NULL)
        return mv_error_set_errno(err, ENOMEM, "ring");
    for (size_t i = 0; i < count; i++) {
        int r = ring_peer(client, ids[i], vector, err);
        if (r < 0)
            return r;
    }
    return 0;
}

static int run_wait(struct client *client, int argc, char **argv, struct mv_error *err)
{
    struct mv_ivshmem_event event;
    uint64_t vector = UINT64_MAX;
    struct timespec start, now;
    int left = client->options->timeout_ms, r = 0;
    if (argc > 0)
        r = parse_number("vector", argv[0], UINT32_MAX, &vector, err);
    if (r < 0)
        return r;
    unsigned vectors = mv_ivshmem_vectors(client->shm, mv_ivshmem_id(client->shm));
    if (argc > 0 && vector >= vectors)
        return mv_error_set(err, EINVAL, "we have no vector %" PRIu64 ": our last is %u", vector,
                            vectors - 1);
    clock_gettime(CLOCK_MONOTONIC, &start);
    for (;;) {
        r = mv_ivshmem_wait(client->shm, left, &event);
        if (r < 0)
            return library_error(client, r, err);
        if (r == 0)
            return mv_error_set(err, ETIMEDOUT, "no ring within %s seconds",
                                client->options->timeout_text);
        print_event(&event, client);
        fflush(stdout);
        if (event.kind == MV_IVSHMEM_RUNG && (argc == 0 || event.vector == vector))
            return 0;
        if (left < 0)
            continue;
        clock_gettime(CLOCK_MONOTONIC, &now);
        long long spent =
            (now.tv_sec - start.tv_sec) * 1000LL + (now.tv_nsec - start.tv_nsec) / 1000000;
        left = spent >= client->options->timeout_ms ? 0 : client->options->timeout_ms - (int)spent;
    }
}

static int parse_range(const struct client *client, char **argv, uint64_t *ret_offset,
                       uint64_t *ret_size, struct mv_error *err)
{
    int r = parse_number("offset", argv[0], UINT64_MAX, ret_offset, err);
    if (r == 0)
        r = parse_number("size", argv[1], UINT64_MAX, ret_size, err);
    uint64_t total = mv_ivshmem_size(client->shm);
    if (r == 0 && (*ret_offset > total || *ret_size > total - *ret_offset))
        r = mv_error_set(err, ERANGE,
                         "%" PRIu64 " bytes at offset %" PRIu64 " reach beyond the memory, which "
                         "has %" PRIu64,
                         *ret_size, *ret_offset, total);
    return r;
}

/* Give the range to `put`, piece by piece. */
static int copy_out(struct client *client, char **argv,
                    void (*put)(const uint8_t *bytes, size_t size, uint64_t offset),
                    struct mv_error *err)
{
    static uint8_t bytes[COPY_SIZE];
    uint64_t offset, left;
    int r = parse_range(client, argv, &offset, &left, err);
    while (r == 0 && left > 0 && !ferror(stdout)) {
        size_t size = left < sizeof bytes ? (size_t)left : sizeof bytes;
        r = mv_ivshmem_read(client->shm, offset, bytes, size);
        if (r < 0)
            return library_error(client, r, err);
        put(bytes, size, offset);
        offset += size;
        left -= size;
    }
    return r;
}

static void put_raw(const uint8_t *bytes, size_t size, uint64_t offset)
{
    fwrite(bytes, 1, size, stdout);
}

static void put_hex(const uint8_t *bytes, size_t size, uint64_t offset)
{
    for (size_t at = 0; at < size; at += 16) {
        size_t end = size - at < 16 ? size - at : 16;
        printf("%08" PRIx64, offset + at);
        for (size_t i = 0; i < 16; i++) {
            if (i < end)
                printf("%s%02x", i % 8 == 0 ? "  " : " ", bytes[at + i]);
            else
                fputs(i % 8 == 0 ? "    " : "   ", stdout);
        }
        fputs("  ", stdout);
        for (size_t i = 0; i < end; i++)
            putchar(bytes[at + i] >= 0x20 && bytes[at + i] < 0x7f ? bytes[at + i] : '.');
        putchar('\n');
    }
}

static int run_read(struct client *client, int argc, char **argv, struct mv_error *err)
{
    int r = copy_out(client, argv, put_raw, err);
    if (r == 0 && client->prompt)
        putchar('\n');
    return r;
}

static int run_dump(struct client *client, int argc, char **argv, struct mv_error *err)
{
    return copy_out(client, argv, put_hex, err);
}

static int write_stdin(struct client *client, uint64_t offset, struct mv_error *err)
{
    static uint8_t bytes[COPY_SIZE];
    size_t n;
    while ((n = fread(bytes, 1, sizeof bytes, stdin)) > 0) {
        int r = mv_ivshmem_write(client->shm, offset, bytes, n);
        if (r < 0)
            return library_error(client, r, err);
        offset += n;
    }
    return ferror(stdin) ? mv_error_set(err, EIO, "cannot read standard input") : 0;
}

static int run_write(struct client *client, int argc, char **argv, struct mv_error *err)
{
    uint64_t offset;
    int r = parse_number("offset", argv[0], UINT64_MAX, &offset, err);
    if (r < 0)
        return r;
    if (argc == 1 && client->prompt)
        return mv_error_set(err, EINVAL, "write OFFSET TEXT: the text is missing");
    if (argc == 1)
        return write_stdin(client, offset, err);
    for (int i = 1; i < argc && r == 0; i++) {
        if (i > 1) {
            r = mv_ivshmem_write(client->shm, offset++, " ", 1);
            if (r < 0)
                break;
        }
        r = mv_ivshmem_write(client->shm, offset, argv[i], strlen(argv[i]));
        offset += strlen(argv[i]);
    }
    return r < 0 ? library_error(client, r, err) : 0;
}

static int run_help(struct client *client, int argc, char **argv, struct mv_error *err)
{
    fputs(mv_ivshmem_client_notes, stdout);
    return 0;
}

static int run_quit(struct client *client, int argc, char **argv, struct mv_error *err)
{
    client->quit = true;
    return 0;
}

static const struct command commands[] = {
    {"list", "list", 0, 0, run_list},
    {"ring", "ring PEER|all [VECTOR|all]", 1, 2, run_ring},
    {"wait", "wait [VECTOR]", 0, 1, run_wait},
    {"read", "read OFFSET SIZE", 2, 2, run_read},
    {"write", "write OFFSET [TEXT]", 1, WORDS_MAX, run_write},
    {"dump", "dump OFFSET SIZE", 2, 2, run_dump},
    {"help", "help", 0, 0, run_help},
    {"quit", "quit", 0, 0, run_quit},
};

/* -EINVAL where it is no command, or has not the arguments that it takes. */
static int find_command(int argc, char **argv, const struct command **ret, struct mv_error *err)
{
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        const struct command *command = &commands[i];
        if (strcmp(argv[0], command->name) != 0)
            continue;
        if (argc - 1 < command->min || argc - 1 > command->max)
            return mv_error_set(err, EINVAL, "'%s' is used as: %s", argv[0], command->usage);
        *ret = command;
        return 0;
    }
    return mv_error_set(err, EINVAL,
                        "there is no command '%s': it is list, ring, wait, read, write, dump, help "
                        "or quit",
                        argv[0]);
}

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
    int r = find_command(argc, argv, &command, &err);
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
        print_event(&event, client);
    return r < 0 ? library_error(client, r, err) : 0;
}

static int run_prompt(struct client *client, struct mv_error *err)
{
    static struct input input;
    bool terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
    if (terminal)
        printf("Peer %u; 'help' lists the commands.\n", mv_ivshmem_id(client->shm));
    client->prompt = true;
    while (!client->quit) {
        struct pollfd ready[] = {{.fd = STDIN_FILENO, .events = POLLIN},
                                 {.fd = mv_ivshmem_fd(client->shm), .events = POLLIN}};
        if (terminal)
            fputs("> ", stdout);
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

static int check_options(struct client_options *o, const struct command **ret_command,
                         struct mv_error *err)
{
    o->timeout_ms = -1;
    int r = take_seconds("--timeout", o->timeout_text, &o->timeout_ms, err);
    if (r == 0)
        r = take_seconds("--wait", o->wait_text, &o->wait_ms, err);
    if (r < 0)
        return r;
    return o->words.count == 0 ? 0
                               : find_command((int)o->words.count, o->words.list, ret_command, err);
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

static int run(const struct client_options *o, const struct command *command, struct mv_error *err)
{
    char text[MV_IVSHMEM_ERROR_SIZE];
    struct client client = {.options = o};
    allow_descriptors();
    client.shm = join(o, text);
    if (client.shm == NULL)
        return mv_error_set(err, EIO, "%s", text);
    int r = command == NULL
                ? run_prompt(&client, err)
                : command->run(&client, (int)o->words.count - 1, o->words.list + 1, err);
    mv_ivshmem_close(client.shm);
    return r;
}

int mv_ivshmem_client_main(int argc, char **argv)
{
    struct client_options o = {0};
    const struct command *command = NULL;
    struct mv_error err;
    int status = MV_STATUS_OK;
    int r = mv_options_parse(&mv_ivshmem_client_options, argc, argv, &o, &err);
    if (r == MV_OPTIONS_HELP) {
        mv_help_print_verb(stdout, mv_verb_find("ivshmem-client"));
    } else if (r < 0 || check_options(&o, &command, &err) < 0) {
        mv_log("ivshmem-client: %s", err.text);
        status = MV_STATUS_USAGE;
    } else if (run(&o, command, &err) < 0) {
        mv_log("ivshmem-client: %s", err.text);
        status = MV_STATUS_ERROR;
    }
    free(o.socket);
    free(o.timeout_text);
    free(o.wait_text);
    mv_names_free(&o.words);
    return status;
}
