/* SPDX-License-Identifier: Apache-2.0 */
/* The commands that look, touch, ring and wait: see ivshmem.h. */
#include "ivshmem.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void ivs_list(const struct ivs_options *options, char **arguments)
{
    (void)arguments;
    struct ivs_device all[64];
    unsigned limit = sizeof all / sizeof all[0];
    unsigned found = ivs_device_list(all, limit);
    if (found == 0) {
        fputs("no ivshmem device\n", stderr);
        return;
    }
    printf("%-14s %-8s %-12s %-6s %s\n", "DEVICE", "REVISION", "MEMORY", "ID", "INTERRUPTS");
    for (unsigned i = 0; i < found && i < limit; i++) {
        struct ivs_device device;
        struct ivs_options one = *options;
        one.slot = all[i].slot;
        ivs_device_open(&device, &one);
        printf("%-14s %-8u %-12" PRIu64 " %-6" PRIu32 " ", device.slot, device.revision,
               device.memory_size, ivs_register_read(&device, IVS_POSITION));
        char name[32];
        const char *why;
        unsigned vectors = 0;
        while (ivs_uio_find(&device, vectors, name, &why)) {
            printf("%s/dev/%s", vectors ? "," : "", name);
            vectors++;
        }
        puts(vectors ? "" : "-");
    }
}

/* The bytes themselves, or at a terminal in hex with the text beside it. */
void ivs_read(const struct ivs_options *options, char **arguments)
{
    struct ivs_device device;
    ivs_device_open(&device, options);
    uint64_t offset = ivs_number(arguments[0], UINT64_MAX, "OFFSET");
    uint64_t size = ivs_number(arguments[1], UINT64_MAX, "LENGTH");
    ivs_check_range(&device, offset, size);
    bool dump = isatty(STDOUT_FILENO);
    for (uint64_t at = 0; at < size; at += 16) {
        unsigned n = size - at < 16 ? size - at : 16;
        uint8_t line[16];
        ivs_copy(line, device.memory + offset + at, n);
        if (!dump) {
            fwrite(line, 1, n, stdout);
            continue;
        }
        printf("%08" PRIx64 " ", offset + at);
        for (unsigned i = 0; i < 16; i++) {
            if (i < n)
                printf(" %02x", line[i]);
            else
                fputs("   ", stdout);
        }
        fputs("  ", stdout);
        for (unsigned i = 0; i < n; i++)
            putchar(isprint(line[i]) ? line[i] : '.');
        putchar('\n');
    }
}

/* TEXT, or standard input for "-", into the memory. */
void ivs_write(const struct ivs_options *options, char **arguments)
{
    struct ivs_device device;
    ivs_device_open(&device, options);
    uint64_t offset = ivs_number(arguments[0], UINT64_MAX, "OFFSET");
    if (strcmp(arguments[1], "-") != 0) {
        size_t size = strlen(arguments[1]);
        ivs_check_range(&device, offset, size);
        ivs_copy(device.memory + offset, (const uint8_t *)arguments[1], size);
        return;
    }
    uint8_t buffer[65536];
    for (size_t n; (n = fread(buffer, 1, sizeof buffer, stdin)) > 0; offset += n) {
        ivs_check_range(&device, offset, n);
        ivs_copy(device.memory + offset, buffer, n);
    }
}

void ivs_ring(const struct ivs_options *options, char **arguments)
{
    struct ivs_device device;
    ivs_device_open(&device, options);
    uint32_t peer = ivs_number(arguments[0], 0xffff, "PEER");
    uint32_t vector = ivs_number(arguments[1], 0xffff, "VECTOR");
    for (uint64_t i = 0; i < options->count; i++)
        ivs_register_write(&device, IVS_DOORBELL, peer << 16 | vector);
}

void ivs_wait(const struct ivs_options *options, char **arguments)
{
    (void)arguments;
    struct ivs_device device;
    struct ivs_uio uio;
    ivs_device_open(&device, options);
    ivs_uio_open(&uio, &device, options->vector);
    fprintf(stderr, "waiting for vector %u of %s on /dev/%s (%s)\n", options->vector, device.slot,
            uio.name, uio.intx ? "INTx" : "MSI-X");
    uint64_t seen = 0;
    while (seen < options->count) {
        uint32_t events = ivs_uio_wait(&uio, &device, options->timeout);
        if (!events)
            ivs_die("no interrupt for %g s, after %" PRIu64 " of %" PRIu64, options->timeout, seen,
                    options->count);
        seen += events;
        printf("vector %u: %" PRIu64 " interrupt%s\n", options->vector, seen, seen == 1 ? "" : "s");
        fflush(stdout);
    }
}
