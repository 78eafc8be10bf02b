/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A line between two processes that can be cut, held up, slowed down: each
 * connection to LISTEN becomes one to TARGET (unix:PATH or tcp:ADDRESS:PORT, the
 * address in numbers), and bytes go both ways.  tests/relay.py is its face.
 *
 *     stream-relay LISTEN TARGET [WORD=VALUE]...
 *
 *     cut=N        cut the line once N bytes have gone, in both directions together
 *     cut-up=N     … from those who connect to the target; cut-down=N: the other way
 *     hold=N …     the same three, but the line goes on standing and carries nothing
 *     rate=N       bytes a second, each way
 *     delay=MS     each byte arrives so much later
 *     piece=N      at most so many bytes go at a time, so that reads are short
 *
 * Exactly N bytes have arrived then.  A cut closes all connections, resets those of
 * TCP, and takes no more.  On its standard input come words as well: cut, hold, go
 * (end of hold), count, and such WORD=VALUE, which count from the beginning.
 * End of file there ends it.  It writes, a line each: "listening ADDRESS",
 * "connected N", "closed N", "cut UP DOWN", "held UP DOWN", "count UP DOWN".
 *
 * One thread; each connection owns its two ways.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define LINES_MAX 64
#define ROOM      (256 * 1024) /* bytes on their way, where nothing delays them */
#define CHUNKS    4096

enum { UP, DOWN };

/* Bytes that came together, and when they may arrive. */
struct chunk {
    uint64_t due_ns;
    size_t len;
};

struct way {
    char *bytes; /* a ring */
    size_t head, used, room;
    struct chunk chunks[CHUNKS]; /* a ring, too */
    unsigned first, count;
    bool ended; /* nothing comes any more */
    bool told;  /* and that was passed on */
};

struct line {
    int fds[2]; /* who connected, the target */
    struct way ways[2];
};

static struct line *lines[LINES_MAX];
static unsigned connected;
static uint64_t gone[2];
static uint64_t limits[2][3]; /* cut, hold: both directions, up, down */
static uint64_t rate, delay_ns;
static size_t piece = SIZE_MAX;
static uint64_t credit_ns[2]; /* when the way is free for the next byte */
static bool held;
static int listen_fd;

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void __attribute__((noreturn)) die(const char *what)
{
    fprintf(stderr, "stream-relay: %s: %s\n", what, strerror(errno));
    exit(1);
}

static socklen_t parse_address(const char *text, struct sockaddr_storage *ret)
{
    memset(ret, 0, sizeof *ret);
    if (strncmp(text, "unix:", 5) == 0) {
        struct sockaddr_un *un = (struct sockaddr_un *)ret;
        un->sun_family = AF_UNIX;
        if (strlen(text + 5) < sizeof un->sun_path) {
            strcpy(un->sun_path, text + 5);
            return sizeof *un;
        }
    }
    struct sockaddr_in *in = (struct sockaddr_in *)ret;
    char host[64];
    unsigned port;
    if (sscanf(text, "tcp:%63[^:]:%u", host, &port) == 2 &&
        inet_pton(AF_INET, host, &in->sin_addr) == 1) {
        in->sin_family = AF_INET;
        in->sin_port = htons((uint16_t)port);
        return sizeof *in;
    }
    errno = EINVAL;
    die(text);
}

static void start_listening(const char *text)
{
    struct sockaddr_storage address;
    socklen_t len = parse_address(text, &address);
    listen_fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (listen_fd < 0 || bind(listen_fd, (struct sockaddr *)&address, len) < 0 ||
        listen(listen_fd, LINES_MAX) < 0)
        die(text);
    if (address.ss_family == AF_UNIX) {
        printf("listening %s\n", text);
        return;
    }
    struct sockaddr_in in;
    len = sizeof in;
    getsockname(listen_fd, (struct sockaddr *)&in, &len);
    char host[INET_ADDRSTRLEN];
    printf("listening tcp:%s:%u\n", inet_ntop(AF_INET, &in.sin_addr, host, sizeof host),
           ntohs(in.sin_port));
}

static void close_line(struct line *line)
{
    for (int i = 0; i < 2; i++) {
        close(line->fds[i]);
        free(line->ways[i].bytes);
    }
    free(line);
}

static void cut(void)
{
    const struct linger reset = {.l_onoff = 1};
    for (int i = 0; i < LINES_MAX; i++) {
        if (lines[i] == NULL)
            continue;
        for (int side = 0; side < 2; side++)
            setsockopt(lines[i]->fds[side], SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        close_line(lines[i]);
        lines[i] = NULL;
    }
    if (listen_fd >= 0)
        close(listen_fd);
    listen_fd = -1;
    printf("cut %" PRIu64 " %" PRIu64 "\n", gone[UP], gone[DOWN]);
}

static void accept_line(const char *target)
{
    const int on = 1;
    struct sockaddr_storage address;
    socklen_t len = parse_address(target, &address);
    int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK), slot = 0;
    if (fd < 0)
        return;
    while (slot < LINES_MAX && lines[slot] != NULL)
        slot++;
    struct line *line = slot < LINES_MAX ? calloc(1, sizeof *line) : NULL;
    int other = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (line == NULL || other < 0 || connect(other, (struct sockaddr *)&address, len) < 0) {
        printf("refused %s\n", strerror(errno));
        close(fd);
        close(other);
        free(line);
        return;
    }
    fcntl(other, F_SETFL, O_NONBLOCK);
    line->fds[0] = fd;
    line->fds[1] = other;
    for (int i = 0; i < 2; i++) {
        setsockopt(line->fds[i], IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        /* What a rate lets through in the time that bytes are on their way, and some more. */
        line->ways[i].room =
            ROOM + (size_t)((rate != 0 ? rate : 1000000000) / 1000 * (delay_ns / 1000000));
        line->ways[i].bytes = malloc(line->ways[i].room);
        if (line->ways[i].bytes == NULL)
            die("memory");
    }
    lines[slot] = line;
    printf("connected %u\n", ++connected);
}

/* How many more bytes may go in a direction before one of the limits is met. */
static uint64_t allowance(int way)
{
    uint64_t least = UINT64_MAX;
    for (int kind = 0; kind < 2; kind++)
        for (int i = 0; i < 3; i++) {
            uint64_t so_far = i == 0 ? gone[UP] + gone[DOWN] : gone[i - 1];
            uint64_t left = limits[kind][i] > so_far ? limits[kind][i] - so_far : 0;
            if ((i == 0 || i - 1 == way) && left < least)
                least = left;
        }
    return least;
}

/* Cut or hold where a limit is met.  Whether the line still carries. */
static bool look_at_limits(void)
{
    for (int kind = 0; kind < 2; kind++)
        for (int i = 0; i < 3; i++)
            if ((i == 0 ? gone[UP] + gone[DOWN] : gone[i - 1]) >= limits[kind][i]) {
                for (int j = 0; j < 3; j++)
                    limits[kind][j] = UINT64_MAX;
                if (kind == 0) {
                    cut();
                    return false;
                }
                held = true;
                printf("held %" PRIu64 " %" PRIu64 "\n", gone[UP], gone[DOWN]);
            }
    return !held;
}

static void take(struct line *line, int number)
{
    struct way *way = &line->ways[number];
    if (way->ended || way->used == way->room || way->count == CHUNKS)
        return;
    size_t tail = (way->head + way->used) % way->room;
    size_t len = tail >= way->head ? way->room - tail : way->head - tail;
    len = len < piece ? len : piece;
    ssize_t n = recv(line->fds[number], way->bytes + tail, len, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        way->ended = true;
        return;
    }
    uint64_t now = now_ns();
    if (rate != 0) {
        credit_ns[number] = credit_ns[number] > now ? credit_ns[number] : now;
        credit_ns[number] += (uint64_t)n * 1000000000 / rate;
        now = credit_ns[number];
    }
    way->chunks[(way->first + way->count++) % CHUNKS] =
        (struct chunk){.due_ns = now + delay_ns, .len = (size_t)n};
    way->used += (size_t)n;
}

/* Pass on what is due.  Whether the line still stands. */
static bool give(struct line *line, int number)
{
    struct way *way = &line->ways[number];
    while (way->count > 0 && way->chunks[way->first].due_ns <= now_ns()) {
        if (!look_at_limits())
            return listen_fd >= 0;
        struct chunk *chunk = &way->chunks[way->first];
        size_t len = chunk->len < way->room - way->head ? chunk->len : way->room - way->head;
        uint64_t most = allowance(number);
        len = len < most ? len : (size_t)most;
        ssize_t n = send(line->fds[1 - number], way->bytes + way->head, len, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN && errno != EINTR) {
            way->ended = true;
            way->used = way->count = 0;
            return true;
        }
        if (n <= 0)
            return true;
        gone[number] += (uint64_t)n;
        way->head = (way->head + (size_t)n) % way->room;
        way->used -= (size_t)n;
        chunk->len -= (size_t)n;
        if (chunk->len == 0) {
            way->first = (way->first + 1) % CHUNKS;
            way->count--;
        }
        if (!look_at_limits())
            return listen_fd >= 0;
    }
    if (way->ended && way->count == 0 && !way->told) {
        shutdown(line->fds[1 - number], SHUT_WR);
        way->told = true;
    }
    return true;
}

static bool set(const char *word)
{
    static const char *const names[2][3] = {{"cut=", "cut-up=", "cut-down="},
                                            {"hold=", "hold-up=", "hold-down="}};
    for (int kind = 0; kind < 2; kind++)
        for (int i = 0; i < 3; i++)
            if (strncmp(word, names[kind][i], strlen(names[kind][i])) == 0) {
                limits[kind][i] = strtoull(word + strlen(names[kind][i]), NULL, 10);
                return true;
            }
    if (strncmp(word, "rate=", 5) == 0)
        rate = strtoull(word + 5, NULL, 10);
    else if (strncmp(word, "delay=", 6) == 0)
        delay_ns = strtoull(word + 6, NULL, 10) * 1000000;
    else if (strncmp(word, "piece=", 6) == 0)
        piece = strtoul(word + 6, NULL, 10);
    else
        return false;
    return true;
}

/* A word of the one who steers. */
static void obey(const char *word)
{
    if (strcmp(word, "cut") == 0)
        cut();
    else if (strcmp(word, "hold") == 0)
        limits[1][0] = 0;
    else if (strcmp(word, "go") == 0)
        held = false;
    else if (strcmp(word, "count") == 0)
        printf("count %" PRIu64 " %" PRIu64 "\n", gone[UP], gone[DOWN]);
    else if (!set(word))
        printf("what is '%s'?\n", word);
    look_at_limits();
}

/* Whether there may be more to come. */
static bool read_words(void)
{
    static char words[256];
    static size_t used;
    ssize_t n = read(STDIN_FILENO, words + used, sizeof words - used);
    if (n < 0)
        return errno == EINTR || errno == EAGAIN;
    used += (size_t)n;
    for (char *end; (end = memchr(words, '\n', used)) != NULL;) {
        *end = '\0';
        obey(words);
        used -= (size_t)(end + 1 - words);
        memmove(words, end + 1, used);
    }
    return n > 0 && used < sizeof words;
}

/* What is waited for, and no longer than until the next byte is due. */
static void wait_for_more(struct pollfd *fds, nfds_t count, uint64_t now)
{
    uint64_t due = UINT64_MAX;
    for (int i = 0; i < LINES_MAX; i++)
        for (int number = 0; lines[i] != NULL && !held && number < 2; number++) {
            const struct way *way = &lines[i]->ways[number];
            if (way->count > 0 && way->chunks[way->first].due_ns < due)
                due = way->chunks[way->first].due_ns;
        }
    uint64_t left = due > now ? due - now : 0;
    struct timespec time = {.tv_sec = (time_t)(left / 1000000000),
                            .tv_nsec = (long)(left % 1000000000)};
    /* What is due and was not taken waits for POLLOUT. */
    ppoll(fds, count, due == UINT64_MAX || due <= now ? NULL : &time, NULL);
}

static nfds_t list(struct pollfd *fds, uint64_t now)
{
    nfds_t count = 0;
    fds[count++] = (struct pollfd){.fd = STDIN_FILENO, .events = POLLIN};
    fds[count++] = (struct pollfd){.fd = listen_fd, .events = POLLIN};
    for (int i = 0; i < LINES_MAX; i++)
        for (int side = 0; side < 2; side++, count++) {
            fds[count] = (struct pollfd){.fd = -1};
            if (lines[i] == NULL || held)
                continue;
            const struct way *in = &lines[i]->ways[side], *out = &lines[i]->ways[1 - side];
            if (!in->ended && in->used < in->room && in->count < CHUNKS)
                fds[count].events |= POLLIN;
            if (out->count > 0 && out->chunks[out->first].due_ns <= now)
                fds[count].events |= POLLOUT;
            if (fds[count].events != 0)
                fds[count].fd = lines[i]->fds[side];
        }
    return count;
}

static void serve_lines(const struct pollfd *fds)
{
    for (int i = 0; i < LINES_MAX; i++) {
        if (lines[i] == NULL || held)
            continue;
        for (int side = 0; side < 2; side++)
            if (fds[2 + 2 * i + side].revents & (POLLIN | POLLHUP | POLLERR))
                take(lines[i], side);
        for (int number = 0; number < 2; number++)
            if (!give(lines[i], number))
                return;
        if (lines[i]->ways[UP].told && lines[i]->ways[DOWN].told) {
            close_line(lines[i]);
            lines[i] = NULL;
            printf("closed %d\n", i + 1);
        }
    }
}

int main(int argc, char **argv)
{
    static struct pollfd fds[2 + 2 * LINES_MAX];
    signal(SIGPIPE, SIG_IGN);
    setvbuf(stdout, NULL, _IOLBF, 0);
    memset(limits, 0xff, sizeof limits);
    for (int i = 3; i < argc; i++)
        if (!set(argv[i]))
            argc = 0;
    if (argc < 3) {
        fprintf(stderr, "usage: stream-relay LISTEN TARGET [WORD=VALUE]...\n");
        return 2;
    }
    start_listening(argv[1]);
    for (bool more = true; more;) {
        uint64_t now = now_ns();
        wait_for_more(fds, list(fds, now), now);
        if (fds[1].revents & POLLIN)
            accept_line(argv[2]);
        serve_lines(fds);
        if (fds[0].revents != 0)
            more = read_words();
    }
    return 0;
}
