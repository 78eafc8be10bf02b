/* SPDX-License-Identifier: Apache-2.0 */
/* The command table, options and help: see ivshmem.h. */
#include "ivshmem.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct command {
    const char *name;
    const char *arguments; /* a word each */
    unsigned count;
    void (*run)(const struct ivs_options *options, char **arguments);
    const char *help;
};

static const struct command commands[] = {
    {"list", "", 0, ivs_list, "the ivshmem devices of this guest"},
    {"read", "OFFSET LENGTH", 2, ivs_read, "bytes of the shared memory; as a dump at a terminal"},
    {"write", "OFFSET TEXT", 2, ivs_write, "text into the shared memory; - takes standard input"},
    {"ring", "PEER VECTOR", 2, ivs_ring, "ring a peer, --count times"},
    {"wait", "", 0, ivs_wait, "wait for --count interrupts of --vector, through UIO"},
    {"ping", "PEER VECTOR", 2, ivs_ping,
     "--count round trips with a peer that answers: their times"},
    {"answer", "PEER VECTOR", 2, ivs_answer, "answer --count pings of a peer"},
    {"echo", "PEER VECTOR", 2, ivs_echo,
     "at each of --count interrupts copy a word, count it, and ring a peer"},
    {"bandwidth", "", 0, ivs_bandwidth,
     "copy --size bytes into the shared memory, and into the guest's own"},
    {"peers", "", 0, ivs_peers, "who is connected, where the device tells (ext=on)"},
    {"changes", "", 0, ivs_changes, "the same, and again at each of --count changes, by --vector"},
    {"add", "", 0, ivs_add, "add 1 to the 64-bit word at --offset, --count times or for --timeout"},
};
enum { N_COMMANDS = sizeof commands / sizeof commands[0] };

static const struct option long_options[] = {
    {"device", required_argument, NULL, 'd'}, {"vector", required_argument, NULL, 'v'},
    {"count", required_argument, NULL, 'n'},  {"timeout", required_argument, NULL, 't'},
    {"offset", required_argument, NULL, 'o'}, {"size", required_argument, NULL, 's'},
    {"poll", no_argument, NULL, 'p'},         {"map", required_argument, NULL, 'm'},
    {"help", no_argument, NULL, 'h'},         {0},
};

static const char options_help[] =
    "Options:\n"
    "  -d, --device SLOT     PCI slot, where there are several devices\n"
    "  -v, --vector N        vector to wait on; default 0\n"
    "  -n, --count N         how often; default 1\n"
    "  -t, --timeout SECONDS give up after as long without an event; default never\n"
    "  -o, --offset BYTES    where in the shared memory; default 0\n"
    "  -s, --size BYTES      how much to copy; default all, up to 16 MiB\n"
    "  -p, --poll            ping and answer: watch the memory, take no interrupts\n"
    "  -m, --map KIND        map the memory cached (as RAM is; with uio_ivshmem),\n"
    "                        combining (writes) or device (as registers are);\n"
    "                        default the first of these that there is\n"
    "  -h, --help            show this help\n"
    "\n"
    "Interrupts need the driver uio_ivshmem bound to the device, or uio_pci_generic\n"
    "for INTx. Exit status: 0, 1 on an error, 2 on wrong usage.\n";

void ivs_die(const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    fputs("ivshmem: ", stderr);
    vfprintf(stderr, format, ap);
    fputc('\n', stderr);
    va_end(ap);
    exit(1);
}

__attribute__((noreturn, format(printf, 1, 2))) static void usage(const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    fputs("ivshmem: ", stderr);
    vfprintf(stderr, format, ap);
    fputs("; 'ivshmem --help' shows what there is\n", stderr);
    va_end(ap);
    exit(2);
}

uint64_t ivs_number(const char *text, uint64_t max, const char *what)
{
    char *end;
    errno = 0;
    uint64_t value = strtoull(text, &end, 0);
    if (end == text || *end || text[0] == '-')
        usage("%s is no number: %s", what, text);
    if (errno || value > max)
        usage("%s is too large: %s (the most is %" PRIu64 ")", what, text, max);
    return value;
}

void ivs_check_range(const struct ivs_device *device, uint64_t offset, uint64_t size)
{
    if (offset > device->memory_size || size > device->memory_size - offset)
        ivs_die("%" PRIu64 " bytes at offset %" PRIu64 " reach beyond the memory of %s, which has "
                "%" PRIu64,
                size, offset, device->slot, device->memory_size);
}

static void help(void)
{
    puts("Usage: ivshmem COMMAND [ARGUMENT]... [OPTION]...\n\n"
         "Uses an ivshmem device from inside a guest.\n\nCommands:");
    for (unsigned i = 0; i < N_COMMANDS; i++)
        printf("  %-9s %-14s %s\n", commands[i].name, commands[i].arguments, commands[i].help);
    putchar('\n');
    fputs(options_help, stdout);
}

static double seconds(const char *text)
{
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end || !(value > 0 && value < 1e6))
        usage("--timeout is no time in seconds: %s", text);
    return value;
}

static enum ivs_map map_kind(const char *text)
{
    static const char *const kinds[] = {[IVS_MAP_CACHED] = "cached",
                                        [IVS_MAP_COMBINING] = "combining",
                                        [IVS_MAP_DEVICE] = "device"};
    for (unsigned i = IVS_MAP_CACHED; i <= IVS_MAP_DEVICE; i++) {
        if (strcmp(text, kinds[i]) == 0)
            return i;
    }
    usage("--map is cached, combining or device, not %s", text);
}

static struct ivs_options parse(int argc, char **argv)
{
    struct ivs_options o = {.count = 1};
    for (int c; (c = getopt_long(argc, argv, "d:v:n:t:o:s:pm:h", long_options, NULL)) != -1;) {
        switch (c) {
        case 'd':
            o.slot = optarg;
            break;
        case 'v':
            o.vector = ivs_number(optarg, 0xffff, "--vector");
            break;
        case 'n':
            o.count = ivs_number(optarg, 1ull << 32, "--count");
            break;
        case 't':
            o.timeout = seconds(optarg);
            break;
        case 'o':
            o.offset = ivs_number(optarg, UINT64_MAX, "--offset");
            break;
        case 's':
            o.size = ivs_number(optarg, 1ull << 40, "--size");
            break;
        case 'p':
            o.poll = true;
            break;
        case 'm':
            o.map = map_kind(optarg);
            break;
        case 'h':
            help();
            exit(0);
        default:
            exit(2);
        }
    }
    if (o.count == 0)
        usage("--count 0 asks for nothing");
    return o;
}

int main(int argc, char **argv)
{
    struct ivs_options options = parse(argc, argv);
    if (optind == argc)
        usage("no command");
    const char *name = argv[optind++];
    for (unsigned i = 0; i < N_COMMANDS; i++) {
        const struct command *c = &commands[i];
        if (strcmp(name, c->name) != 0)
            continue;
        if ((unsigned)(argc - optind) != c->count)
            usage("%s takes %s", name, c->count ? c->arguments : "no arguments");
        c->run(&options, argv + optind);
        return fflush(stdout) == 0 ? 0 : 1;
    }
    usage("no command %s", name);
}
