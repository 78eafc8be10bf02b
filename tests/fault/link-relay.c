/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two hosts and the link between them, for tests of what crosses a network:
 * network namespaces with a TUN device each (link0, 10.99.0.1 and 10.99.0.2), and
 * this program carries the packets, since not every kernel has netem.
 * tests/relay.py is its face.
 *
 *     link-relay [WORD=VALUE]...
 *
 *     rate=N     bits a second, each way (0: as fast as it goes)
 *     delay=US   microseconds that each packet takes, each way
 *     loss=PPM   packets of a million that vanish, at random
 *     queue=N    bytes that may wait for the link, each way; more are dropped
 *     seed=N     of what is random: the same packets then vanish
 *     mtu=N      bytes of a packet at most (1500)
 *
 * It writes "host PID" for each host, then "up"; a command runs on one by
 * nsenter --target PID --net (--user --preserve-credentials where it is not root).
 * On its standard input: each WORD=VALUE but mtu, "down" (nothing passes), "up",
 * "count" (it writes "count SENT LOST DROPPED", packets of both ways).  End of file
 * there ends the link and both hosts.  Needs /dev/net/tun.
 *
 * One thread carries; each host is a child that only holds its namespace.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PACKET_MAX 9216
#define PACKETS    16384 /* on their way in one direction; a power of two */

struct packet {
    uint64_t due_ns;
    uint32_t len;
    uint8_t bytes[];
};

struct way {
    int from_fd, to_fd;
    struct packet *packets[PACKETS]; /* a ring */
    unsigned first, count;
    uint64_t free_ns; /* when the link has sent what waits for it */
};

static uint64_t rate, delay_ns, loss_ppm, queue_bytes = 4 << 20, random_state = 1;
static int mtu = 1500;
static bool down;
static uint64_t sent, lost, dropped;

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void __attribute__((noreturn)) die(const char *what)
{
    fprintf(stderr, "link-relay: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void write_to(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, text, strlen(text)) < 0)
        die(path);
    close(fd);
}

/* A network of our own; a user who may make none gets one together with a user namespace. */
static void leave_network(void)
{
    char map[60];
    const uid_t uid = getuid();
    const gid_t gid = getgid();
    if (unshare(CLONE_NEWNET) == 0)
        return;
    if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
        die("no network namespace");
    write_to("/proc/self/setgroups", "deny");
    snprintf(map, sizeof map, "%u %u 1", uid, uid);
    write_to("/proc/self/uid_map", map);
    snprintf(map, sizeof map, "%u %u 1", gid, gid);
    write_to("/proc/self/gid_map", map);
}

static void set_up(int fd, const char *name, const char *address)
{
    struct ifreq request = {0};
    struct sockaddr_in *in = (struct sockaddr_in *)&request.ifr_addr;
    strcpy(request.ifr_name, name);
    if (address != NULL) {
        in->sin_family = AF_INET;
        inet_pton(AF_INET, address, &in->sin_addr);
        if (ioctl(fd, SIOCSIFADDR, &request) < 0)
            die("address");
        inet_pton(AF_INET, "255.255.255.0", &in->sin_addr);
        if (ioctl(fd, SIOCSIFNETMASK, &request) < 0)
            die("netmask");
        request.ifr_mtu = mtu;
        if (ioctl(fd, SIOCSIFMTU, &request) < 0)
            die("mtu");
    }
    if (ioctl(fd, SIOCGIFFLAGS, &request) < 0)
        die(name);
    request.ifr_flags |= IFF_UP | IFF_RUNNING;
    if (ioctl(fd, SIOCSIFFLAGS, &request) < 0)
        die(name);
}

/* The device of a host: its descriptor. */
static int make_device(const char *address)
{
    struct ifreq request = {.ifr_name = "link0", .ifr_flags = IFF_TUN | IFF_NO_PI};
    int tun = open("/dev/net/tun", O_RDWR | O_NONBLOCK), fd = socket(AF_INET, SOCK_DGRAM, 0);
    if (tun < 0 || fd < 0 || ioctl(tun, TUNSETIFF, &request) < 0)
        die("/dev/net/tun");
    set_up(fd, "lo", NULL);
    set_up(fd, "link0", address);
    close(fd);
    return tun;
}

static void send_fd(int socket, int fd)
{
    char byte = 0, control[CMSG_SPACE(sizeof fd)] = {0};
    struct iovec piece = {.iov_base = &byte, .iov_len = 1};
    struct msghdr message = {.msg_iov = &piece,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof control};
    struct cmsghdr *part = CMSG_FIRSTHDR(&message);
    *part = (struct cmsghdr){
        .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof fd)};
    memcpy(CMSG_DATA(part), &fd, sizeof fd);
    if (sendmsg(socket, &message, 0) < 0)
        die("sendmsg");
}

static int receive_fd(int socket)
{
    int fd;
    char byte, control[CMSG_SPACE(sizeof fd)];
    struct iovec piece = {.iov_base = &byte, .iov_len = 1};
    struct msghdr message = {.msg_iov = &piece,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof control};
    struct cmsghdr *part;
    if (recvmsg(socket, &message, MSG_CMSG_CLOEXEC) <= 0 ||
        (part = CMSG_FIRSTHDR(&message)) == NULL)
        exit(1); /* the child said why */
    memcpy(&fd, CMSG_DATA(part), sizeof fd);
    return fd;
}

/* A host, which is there until this process goes. */
static int make_host(const char *address)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        die("socketpair");
    pid_t pid = fork();
    if (pid < 0)
        die("fork");
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(pair[0]);
        leave_network();
        send_fd(pair[1], make_device(address));
        for (;;)
            pause();
    }
    close(pair[1]);
    int fd = receive_fd(pair[0]);
    close(pair[0]);
    printf("host %d\n", pid);
    return fd;
}

static uint64_t next_random(void)
{
    /* xorshift64* (Vigna 2016) */
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return random_state * UINT64_C(2685821657736338717);
}

static void add(struct way *way, const uint8_t *bytes, size_t len)
{
    uint64_t now = now_ns();
    uint64_t start = way->free_ns > now ? way->free_ns : now;
    if (down || (next_random() >> 32) * 1000000 >> 32 < loss_ppm) {
        lost++;
        return;
    }
    if (way->count == PACKETS ||
        (rate != 0 && (start - now) / 8 * rate / 1000000000 > queue_bytes)) {
        dropped++;
        return;
    }
    struct packet *packet = malloc(sizeof *packet + len);
    if (packet == NULL)
        die("memory");
    way->free_ns = start + (rate != 0 ? len * 8 * UINT64_C(1000000000) / rate : 0);
    packet->due_ns = way->free_ns + delay_ns;
    packet->len = (uint32_t)len;
    memcpy(packet->bytes, bytes, len);
    way->packets[(way->first + way->count++) % PACKETS] = packet;
}

/* Some packets from the device, so that the other way gets its turn. */
static void take(struct way *way)
{
    uint8_t bytes[PACKET_MAX];
    for (int i = 0; i < 64; i++) {
        ssize_t n = read(way->from_fd, bytes, sizeof bytes);
        if (n <= 0)
            return;
        add(way, bytes, (size_t)n);
    }
}

/* Those that have arrived. */
static void give(struct way *way)
{
    while (way->count > 0 && way->packets[way->first]->due_ns <= now_ns()) {
        struct packet *packet = way->packets[way->first];
        if (write(way->to_fd, packet->bytes, packet->len) < 0)
            dropped++;
        else
            sent++;
        free(packet);
        way->first = (way->first + 1) % PACKETS;
        way->count--;
    }
}

static bool set(const char *word)
{
    const char *value = strchr(word, '=');
    uint64_t number = value == NULL ? 0 : strtoull(value + 1, NULL, 10);
    if (strncmp(word, "rate=", 5) == 0)
        rate = number;
    else if (strncmp(word, "delay=", 6) == 0)
        delay_ns = number * 1000;
    else if (strncmp(word, "loss=", 5) == 0)
        loss_ppm = number;
    else if (strncmp(word, "queue=", 6) == 0)
        queue_bytes = number;
    else if (strncmp(word, "seed=", 5) == 0)
        random_state = number == 0 ? 1 : number;
    else if (strncmp(word, "mtu=", 4) == 0 && number >= 576 && number <= PACKET_MAX)
        mtu = (int)number;
    else
        return false;
    return true;
}

static void obey(const char *word)
{
    if (strcmp(word, "down") == 0 || strcmp(word, "up") == 0)
        down = *word == 'd';
    else if (strcmp(word, "count") == 0)
        printf("count %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", sent, lost, dropped);
    else if (!set(word))
        printf("what is '%s'?\n", word);
}

/* Whether there may be more to come. */
static bool read_words(void)
{
    static char words[256];
    static size_t used;
    ssize_t n = read(STDIN_FILENO, words + used, sizeof words - used);
    if (n <= 0)
        return n < 0 && errno == EINTR;
    used += (size_t)n;
    for (char *end; (end = memchr(words, '\n', used)) != NULL;) {
        *end = '\0';
        obey(words);
        used -= (size_t)(end + 1 - words);
        memmove(words, end + 1, used);
    }
    return used < sizeof words;
}

static void carry(struct way ways[2])
{
    struct pollfd fds[] = {{.fd = STDIN_FILENO, .events = POLLIN},
                           {.fd = ways[0].from_fd, .events = POLLIN},
                           {.fd = ways[1].from_fd, .events = POLLIN}};
    for (bool more = true; more;) {
        uint64_t now = now_ns(), due = UINT64_MAX;
        for (int i = 0; i < 2; i++)
            if (ways[i].count > 0 && ways[i].packets[ways[i].first]->due_ns < due)
                due = ways[i].packets[ways[i].first]->due_ns;
        uint64_t left = due > now ? due - now : 0;
        struct timespec time = {.tv_sec = (time_t)(left / 1000000000),
                                .tv_nsec = (long)(left % 1000000000)};
        ppoll(fds, 3, due == UINT64_MAX ? NULL : &time, NULL);
        for (int i = 0; i < 2; i++) {
            if (fds[1 + i].revents != 0)
                take(&ways[i]);
            give(&ways[i]);
        }
        if (fds[0].revents != 0)
            more = read_words();
    }
}

int main(int argc, char **argv)
{
    static struct way ways[2];
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (int i = 1; i < argc; i++)
        if (!set(argv[i])) {
            fprintf(stderr, "link-relay: what is '%s'?\n", argv[i]);
            return 2;
        }
    ways[0].from_fd = ways[1].to_fd = make_host("10.99.0.1");
    ways[1].from_fd = ways[0].to_fd = make_host("10.99.0.2");
    printf("up\n");
    carry(ways);
    return 0;
}
