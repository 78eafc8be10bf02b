/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is connected, by the extension of memvisor's device (docs/ivshmem-ext.md):
 * see ivshmem.h.
 */
#include "ivshmem.h"

#include <inttypes.h>
#include <stdio.h>

enum {
    EXT_MAGIC = 0x10,
    EXT_STATE = 0x18,
    EXT_CHANGES = 0x1c,
    EXT_PEERS = 0x20,
    EXT_VECTORS = 0x24,
    EXT_NOTIFY = 0x28,
    EXT_SELECT = 0x2c,
    EXT_WINDOW = 0x40,
    EXT_ENTRIES = 48,
    MAX_PEERS = 65536,
};
#define MAGIC 0x31585649u
#define NONE  0xffffffffu

static void check(const struct ivs_device *device)
{
    if (ivs_register_read(device, EXT_MAGIC) != MAGIC)
        ivs_die("%s does not tell who is connected: the host has to give it ext=on", device->slot);
}

/* The table as it was at one moment: read again where it changed meanwhile. */
static unsigned read_table(const struct ivs_device *device, uint32_t *table)
{
    uint32_t changes;
    unsigned count;
    do {
        uint32_t select = 0, entry = 0;
        changes = ivs_register_read(device, EXT_CHANGES);
        count = 0;
        while (entry != NONE && select < MAX_PEERS) {
            ivs_register_write(device, EXT_SELECT, select);
            for (unsigned i = 0; i < EXT_ENTRIES; i++) {
                entry = ivs_register_read(device, EXT_WINDOW + 4 * i);
                if (entry == NONE || count == MAX_PEERS)
                    break;
                table[count++] = entry;
                select = (entry >> 16) + 1;
            }
        }
    } while (ivs_register_read(device, EXT_CHANGES) != changes);
    return count;
}

static void print_peers(const struct ivs_device *device)
{
    static uint32_t table[MAX_PEERS];
    unsigned count = read_table(device, table);
    printf("%s, ID %" PRIu32 " with %" PRIu32 " vectors, %u peer%s%s",
           ivs_register_read(device, EXT_STATE) & 1 ? "connected" : "not connected",
           ivs_register_read(device, IVS_POSITION), ivs_register_read(device, EXT_VECTORS), count,
           count == 1 ? "" : "s", count > 0 ? ":" : "");
    for (unsigned i = 0; i < count; i++)
        printf("%s %u (%u)", i > 0 ? "," : "", table[i] >> 16, table[i] & 0xffff);
    putchar('\n');
    fflush(stdout);
}

void ivs_peers(const struct ivs_options *options, char **arguments)
{
    (void)arguments;
    struct ivs_device device;
    ivs_device_open(&device, options);
    check(&device);
    print_peers(&device);
}

/* Who is connected, and again after each of --count interrupts of a change. */
void ivs_changes(const struct ivs_options *options, char **arguments)
{
    (void)arguments;
    struct ivs_device device;
    struct ivs_uio uio;
    ivs_device_open(&device, options);
    check(&device);
    ivs_uio_open(&uio, &device, options->vector);
    ivs_register_write(&device, EXT_NOTIFY, options->vector);
    print_peers(&device);
    for (uint64_t seen = 0; seen < options->count; seen++) {
        if (!ivs_uio_wait(&uio, &device, options->timeout))
            ivs_die("no change for %g s", options->timeout);
        print_peers(&device);
    }
    ivs_register_write(&device, EXT_NOTIFY, NONE);
}
