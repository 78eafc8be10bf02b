/* SPDX-License-Identifier: Apache-2.0 */
/* Finding ivshmem functions in sysfs and mapping their BARs: see ivshmem.h. */
#include "ivshmem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define PCI_DEVICES "/sys/bus/pci/devices"

static unsigned long read_attribute(const char *slot, const char *name)
{
    char path[320], text[64] = "";
    snprintf(path, sizeof path, PCI_DEVICES "/%s/%s", slot, name);
    FILE *file = fopen(path, "re");
    if (file) {
        if (!fgets(text, sizeof text, file))
            text[0] = 0;
        fclose(file);
    }
    return strtoul(text, NULL, 0);
}

static uint64_t resource_size(const char *slot, const char *name)
{
    char path[320];
    struct stat st;
    snprintf(path, sizeof path, PCI_DEVICES "/%s/%s", slot, name);
    return stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
}

static int compare_slots(const void *a, const void *b)
{
    return strcmp(((const struct ivs_device *)a)->slot, ((const struct ivs_device *)b)->slot);
}

unsigned ivs_device_list(struct ivs_device *devices, unsigned limit)
{
    unsigned found = 0;
    DIR *dir = opendir(PCI_DEVICES);
    if (!dir)
        return 0;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        const char *slot = entry->d_name;
        if (slot[0] == '.' || strlen(slot) >= sizeof devices->slot ||
            read_attribute(slot, "vendor") != IVS_VENDOR ||
            read_attribute(slot, "device") != IVS_DEVICE)
            continue;
        if (found < limit) {
            struct ivs_device *d = &devices[found];
            *d = (struct ivs_device){.revision = read_attribute(slot, "revision"),
                                     .memory_size = resource_size(slot, "resource2")};
            memcpy(d->slot, slot, strlen(slot) + 1);
        }
        found++;
    }
    closedir(dir);
    qsort(devices, found < limit ? found : limit, sizeof *devices, compare_slots);
    return found;
}

/* An ivshmem function may not have been enabled by any driver. */
static void enable(const char *slot)
{
    char path[320];
    snprintf(path, sizeof path, PCI_DEVICES "/%s/enable", slot);
    if (read_attribute(slot, "enable"))
        return;
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, "1", 1) != 1)
        ivs_die("cannot enable %s: %s", slot, strerror(errno));
    close(fd);
}

/* A small BAR may start within a page, of which sysfs maps all.  The file
 * `resource` has a line for each BAR: start, end and flags. */
static unsigned offset_in_page(const char *slot, unsigned bar)
{
    char path[320], line[128] = "";
    snprintf(path, sizeof path, PCI_DEVICES "/%s/resource", slot);
    FILE *file = fopen(path, "re");
    if (!file)
        ivs_die("cannot open %s: %s", path, strerror(errno));
    for (unsigned i = 0; i <= bar; i++) {
        if (!fgets(line, sizeof line, file))
            ivs_die("%s has no line for BAR%u", path, bar);
    }
    fclose(file);
    return strtoull(line, NULL, 0) % sysconf(_SC_PAGESIZE);
}

static void *map_bar(const char *slot, unsigned bar, const char *suffix, uint64_t size)
{
    char path[320];
    snprintf(path, sizeof path, PCI_DEVICES "/%s/resource%u%s", slot, bar, suffix);
    int fd = open(path, O_RDWR | O_SYNC | O_CLOEXEC);
    if (fd < 0)
        ivs_die("cannot open %s: %s", path, strerror(errno));
    unsigned offset = offset_in_page(slot, bar);
    uint8_t *map = mmap(NULL, offset + size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED)
        ivs_die("cannot map %s: %s", path, strerror(errno));
    close(fd);
    return map + offset;
}

static void *map_memory(const struct ivs_device *device, enum ivs_map kind)
{
    if (kind == IVS_MAP_ANY || kind == IVS_MAP_CACHED) {
        void *map = ivs_uio_map_memory(device);
        if (map)
            return map;
        if (kind == IVS_MAP_CACHED)
            ivs_die("a cached map needs the driver uio_ivshmem bound to %s", device->slot);
    }
    bool combining = resource_size(device->slot, "resource2_wc") > 0;
    if (kind == IVS_MAP_COMBINING && !combining)
        ivs_die("this kernel maps no memory of %s write-combining", device->slot);
    return map_bar(device->slot, 2, combining && kind != IVS_MAP_DEVICE ? "_wc" : "",
                   device->memory_size);
}

static void choose(struct ivs_device *device, const char *slot)
{
    struct ivs_device all[64];
    unsigned limit = sizeof all / sizeof all[0];
    unsigned found = ivs_device_list(all, limit);
    if (found == 0)
        ivs_die("this guest has no ivshmem device (PCI %04x:%04x)", IVS_VENDOR, IVS_DEVICE);
    if (!slot && found > 1)
        ivs_die("there are %u ivshmem devices: choose one by --device SLOT, as in %s", found,
                all[0].slot);
    for (unsigned i = 0; i < found && i < limit; i++) {
        /* The domain is nearly always 0000 and may be left out. */
        if (!slot || strcmp(slot, all[i].slot) == 0 || strcmp(slot, all[i].slot + 5) == 0) {
            *device = all[i];
            return;
        }
    }
    ivs_die("no ivshmem device at %s: 'ivshmem list' shows those there are", slot);
}

void ivs_device_open(struct ivs_device *device, const struct ivs_options *options)
{
    choose(device, options->slot);
    enable(device->slot);
    uint64_t registers = resource_size(device->slot, "resource0");
    if (registers < IVS_REGISTERS_SIZE)
        ivs_die("BAR0 of %s has %llu bytes, not %d", device->slot, (unsigned long long)registers,
                IVS_REGISTERS_SIZE);
    if (!device->memory_size)
        ivs_die("%s has no memory in BAR2 (is its place too small? see the kernel's log)",
                device->slot);
    device->registers = map_bar(device->slot, 0, "", registers);
    device->memory = map_memory(device, options->map);
}

void ivs_copy(volatile uint8_t *to, const volatile uint8_t *from, uint64_t size)
{
    for (uint64_t i = 0; i < size; i++)
        to[i] = from[i];
}

uint32_t ivs_register_read(const struct ivs_device *device, unsigned offset)
{
    return device->registers[offset / 4];
}

void ivs_register_write(const struct ivs_device *device, unsigned offset, uint32_t value)
{
    /* What was stored in the shared memory is to be seen before the doorbell. */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
#ifdef __aarch64__
    /* A fence for the inner domain orders nothing against a device. */
    __asm__ volatile("dsb sy" ::: "memory");
#endif
    device->registers[offset / 4] = value;
}
