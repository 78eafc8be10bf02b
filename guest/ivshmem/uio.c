/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interrupts through the kernel's UIO: see ivshmem.h.
 *
 * uio_ivshmem (guest/uio-ivshmem) makes a UIO device for each MSI-X vector, named
 * ivshmem-VECTOR, whose events need no acknowledgement.  uio_pci_generic makes
 * one for INTx, and disables INTx in the command register at each event; it is
 * for user space to enable it there again (Documentation/driver-api/uio-howto.rst,
 * "Userspace driver using uio_pci_generic").
 */
#include "ivshmem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* The upper half of the command register (PCI 3.0, 6.2.2). */
#define COMMAND_HIGH              5
#define COMMAND_HIGH_INTX_DISABLE 0x4

/* An attribute of a UIO device without its line end; empty where it has none. */
static void read_attribute(const char *uio, const char *attribute, char *ret_text, size_t size)
{
    char path[320];
    snprintf(path, sizeof path, "/sys/class/uio/%s/%s", uio, attribute);
    ret_text[0] = 0;
    FILE *file = fopen(path, "re");
    if (!file)
        return;
    if (fgets(ret_text, size, file))
        ret_text[strcspn(ret_text, "\n")] = 0;
    fclose(file);
}

/* Finds the UIO device of the function that has the name `wanted`.  Whatever the
 * last one is called that is not wanted stands in ret_other, "" without any. */
static bool find_named(const struct ivs_device *device, const char *wanted, char ret_uio[32],
                       char ret_other[64])
{
    char directory[128], name[64];
    bool found = false;
    ret_other[0] = 0;
    snprintf(directory, sizeof directory, "/sys/bus/pci/devices/%s/uio", device->slot);
    DIR *dir = opendir(directory);
    if (!dir)
        return false;
    for (struct dirent *entry; !found && (entry = readdir(dir)) != NULL;) {
        if (strncmp(entry->d_name, "uio", 3) != 0)
            continue;
        read_attribute(entry->d_name, "name", name, sizeof name);
        found = strcmp(name, wanted) == 0;
        if (found)
            snprintf(ret_uio, 32, "%.31s", entry->d_name);
        else
            snprintf(ret_other, 64, "%s", name);
    }
    closedir(dir);
    return found;
}

bool ivs_uio_find(const struct ivs_device *device, unsigned vector, char name[32], const char **why)
{
    char own[32], other[64];
    snprintf(own, sizeof own, "ivshmem-%u", vector);
    if (find_named(device, own, name, other) ||
        (vector == 0 && find_named(device, "uio_pci_generic", name, other)))
        return true;
    *why = !other[0] ? "no UIO driver is bound to it (uio_ivshmem, or uio_pci_generic for INTx)"
           : strcmp(other, "ivshmem") == 0 ? "it has memory alone"
           : strncmp(other, "ivshmem-", 8) == 0
               ? "the guest was given fewer vectors"
               : "uio_pci_generic gives vector 0 alone: bind uio_ivshmem for the others";
    return false;
}

void *ivs_uio_map_memory(const struct ivs_device *device)
{
    char name[32], path[64], other[64];
    if (!find_named(device, "ivshmem-0", name, other) &&
        !find_named(device, "ivshmem", name, other))
        return NULL;
    snprintf(path, sizeof path, "/dev/%s", name);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        ivs_die("cannot open %s: %s", path, strerror(errno));
    /* UIO takes the map's number as a page offset. */
    void *map = mmap(NULL, device->memory_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
                     sysconf(_SC_PAGESIZE));
    if (map == MAP_FAILED)
        ivs_die("cannot map the memory by %s: %s", path, strerror(errno));
    close(fd);
    return map;
}

static void enable_intx(const struct ivs_uio *uio)
{
    uint8_t high;
    if (pread(uio->config_fd, &high, 1, COMMAND_HIGH) == 1) {
        high &= (uint8_t)~COMMAND_HIGH_INTX_DISABLE;
        if (pwrite(uio->config_fd, &high, 1, COMMAND_HIGH) == 1)
            return;
    }
    ivs_die("cannot enable the interrupt of %s: %s", uio->name, strerror(errno));
}

static void open_intx(struct ivs_uio *uio, const struct ivs_device *device)
{
    char path[128];
    snprintf(path, sizeof path, "/sys/bus/pci/devices/%s/config", device->slot);
    uio->config_fd = open(path, O_RDWR | O_CLOEXEC);
    if (uio->config_fd < 0)
        ivs_die("cannot open %s: %s", path, strerror(errno));
    ivs_register_write(device, IVS_INTR_MASK, 0xffffffff);
    enable_intx(uio);
}

void ivs_uio_open(struct ivs_uio *uio, const struct ivs_device *device, unsigned vector)
{
    const char *why;
    char path[64], text[64];
    *uio = (struct ivs_uio){.fd = -1};
    if (!ivs_uio_find(device, vector, uio->name, &why))
        ivs_die("no interrupt for vector %u of %s: %s", vector, device->slot, why);
    read_attribute(uio->name, "name", text, sizeof text);
    uio->intx = strcmp(text, "uio_pci_generic") == 0;
    /* Reading gives all events since the driver was bound, those before the
     * open too: what is new counts from here. */
    read_attribute(uio->name, "event", text, sizeof text);
    uio->total = strtoul(text, NULL, 10);

    snprintf(path, sizeof path, "/dev/%s", uio->name);
    uio->fd = open(path, O_RDWR | O_CLOEXEC);
    if (uio->fd < 0)
        ivs_die("cannot open %s: %s", path, strerror(errno));
    if (uio->intx)
        open_intx(uio, device);
}

uint32_t ivs_uio_wait(struct ivs_uio *uio, const struct ivs_device *device, double timeout)
{
    struct pollfd ready = {.fd = uio->fd, .events = POLLIN};
    int n = poll(&ready, 1, timeout > 0 ? (int)(timeout * 1000) : -1);
    if (n < 0)
        ivs_die("cannot wait for %s: %s", uio->name, strerror(errno));
    if (n == 0)
        return 0;
    uint32_t total;
    if (read(uio->fd, &total, sizeof total) != sizeof total)
        ivs_die("cannot read %s: %s", uio->name, strerror(errno));
    /* Reading the status lowers INTx; only then may it come through again. */
    if (uio->intx) {
        ivs_register_read(device, IVS_INTR_STATUS);
        enable_intx(uio);
    }
    uint32_t events = total - uio->total;
    uio->total = total;
    return events;
}
