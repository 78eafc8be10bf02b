/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The commands of memvisor ivshmem-client, one table for the command line and
 * for the prompt.  Called by ivshmem-client.c.
 */
#include "ivshmem-verbs.h"

#include "cleanup.h"
#include "memvisor-ivshmem.h"
#include "os.h"
#include "screen.h"
#include "size.h"

#include <inttypes.h>
#include <string.h>

#define COPY_SIZE 65536

int mv_ivshmem_client_error(const struct client *client, int r, struct mv_error *err)
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

void mv_ivshmem_client_print(const struct mv_ivshmem_event *event, const struct client *client)
{
    static const char *const words[] = {[MV_IVSHMEM_JOINED] = "joined: peer",
                                        [MV_IVSHMEM_LEFT] = "left: peer",
                                        [MV_IVSHMEM_BACK] = "back: our ID is"};
    if (event->kind == MV_IVSHMEM_RUNG)
        printf("rung: vector %u, %" PRIu64 " time%s\n", event->vector, event->count,
               event->count == 1 ? "" : "s");
    else if (event->kind == MV_IVSHMEM_LOST)
        printf("lost: the server is gone (%s)\n", mv_ivshmem_error(client->shm));
    else
        printf("%s %u\n", words[event->kind], event->peer);
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
    mv_json_print(stdout, all);
    json_decref(all);
}

static int run_list(struct client *client, int argc, char **argv, struct mv_error *err)
{
    size_t count;
    unsigned self = mv_ivshmem_id(client->shm);
    CLEANUP_FREE unsigned *ids = peers_of(client, &count);
    if (ids == NULL)
        return mv_error_set_errno(err, ENOMEM, "list");
    if (client->options->json) {
        print_json(client, ids, count);
        return 0;
    }
    printf("memory  %s\n", mv_size_text(mv_ivshmem_size(client->shm)));
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
            return mv_ivshmem_client_error(client, r, err);
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
    int left = client->options->timeout_ms, r = 0;
    if (argc > 0)
        r = parse_number("vector", argv[0], UINT32_MAX, &vector, err);
    if (r < 0)
        return r;
    unsigned vectors = mv_ivshmem_vectors(client->shm, mv_ivshmem_id(client->shm));
    if (argc > 0 && vector >= vectors)
        return mv_error_set(err, EINVAL, "we have no vector %" PRIu64 ": our last is %u", vector,
                            vectors - 1);
    int64_t start = mv_now_ms();
    for (;;) {
        r = mv_ivshmem_wait(client->shm, left, &event);
        if (r < 0)
            return mv_ivshmem_client_error(client, r, err);
        if (r == 0)
            return mv_error_set(err, ETIMEDOUT, "no ring within %s seconds",
                                client->options->timeout_text);
        mv_ivshmem_client_print(&event, client);
        fflush(stdout);
        if (event.kind == MV_IVSHMEM_RUNG && (argc == 0 || event.vector == vector))
            return 0;
        if (left < 0)
            continue;
        int64_t spent = mv_now_ms() - start;
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
            return mv_ivshmem_client_error(client, r, err);
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
    mv_screen_dump("", offset, bytes, size, "");
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
            return mv_ivshmem_client_error(client, r, err);
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
    return r < 0 ? mv_ivshmem_client_error(client, r, err) : 0;
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

const char *mv_ivshmem_command_name(void *opaque, size_t i)
{
    return i < sizeof commands / sizeof commands[0] ? commands[i].name : NULL;
}

int mv_ivshmem_command_find(int argc, char **argv, const struct command **ret, struct mv_error *err)
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
