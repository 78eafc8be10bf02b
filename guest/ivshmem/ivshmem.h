/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ivshmem: a tool for the guest's side of inter-VM shared memory.
 *
 * device.c finds the PCI function and maps its BARs, uio.c waits for its
 * interrupts, and each command of main.c's table stands in commands.c,
 * extension.c or measure.c.  One thread, no state but struct ivs_device.  It runs as root in a
 * guest of any architecture, under memvisor or QEMU.
 */
#ifndef GUEST_IVSHMEM_H
#define GUEST_IVSHMEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* QEMU's docs/specs/ivshmem-spec.rst, "PCI device registers". */
enum {
    IVS_VENDOR = 0x1af4,
    IVS_DEVICE = 0x1110,
    IVS_INTR_MASK = 0x0,
    IVS_INTR_STATUS = 0x4,
    IVS_POSITION = 0x8,
    IVS_DOORBELL = 0xc,
    IVS_REGISTERS_SIZE = 256,
};

/* One ivshmem function of the guest. */
struct ivs_device {
    char slot[32];                /* as in sysfs: 0000:00:03.0 */
    unsigned revision;            /* PCI revision: 1 for today's device */
    uint64_t memory_size;         /* bytes behind BAR2 */
    volatile uint32_t *registers; /* BAR0; NULL until ivs_device_open() */
    uint8_t *memory;              /* BAR2, likewise */
};

/* The guest's memory type for BAR2: what pages of RAM have, through uio_ivshmem
 * alone; write-combining; or what registers have.  Else the first that there is. */
enum ivs_map { IVS_MAP_ANY, IVS_MAP_CACHED, IVS_MAP_COMBINING, IVS_MAP_DEVICE };

/* How to choose and map a device, from the command line. */
struct ivs_options {
    const char *slot; /* NULL: the only one there is */
    enum ivs_map map;
    unsigned vector;
    uint64_t count;
    uint64_t offset;
    uint64_t size;
    double timeout; /* seconds; 0: for ever */
    bool poll;      /* watch the memory instead of waiting for interrupts */
};

/* Fills devices[0..limit) with the functions that sysfs has, in slot order.
 * Returns how many there are, which may be more than limit. */
unsigned ivs_device_list(struct ivs_device *devices, unsigned limit);

/* Opens the device that options name and maps its BARs.  Ends the program with
 * a message where there is none, or more than one to choose from. */
void ivs_device_open(struct ivs_device *device, const struct ivs_options *options);

/* Copies by single bytes, which is right for any kind of mapping: unaligned
 * accesses to device memory fault on arm64. */
void ivs_copy(volatile uint8_t *to, const volatile uint8_t *from, uint64_t size);

/* The number of BAR0's register at a byte offset, read or written at once. */
uint32_t ivs_register_read(const struct ivs_device *device, unsigned offset);
void ivs_register_write(const struct ivs_device *device, unsigned offset, uint32_t value);

/* The interrupts of one vector, through UIO. */
struct ivs_uio {
    int fd;
    int config_fd;  /* of the function, where there is INTx */
    bool intx;      /* uio_pci_generic: one interrupt, disabled at each event */
    uint32_t total; /* events that UIO has counted, as of the last wait */
    char name[32];  /* uio0 */
};

/* Finds the UIO device of a vector: that of the driver uio_ivshmem for this
 * vector or, for vector 0 and where that driver is not bound, that of
 * uio_pci_generic.  Returns false where there is none; `why` then says so. */
bool ivs_uio_find(const struct ivs_device *device, unsigned vector, char name[32],
                  const char **why);

/* Opens it and lets interrupts through.  Ends the program where it cannot. */
void ivs_uio_open(struct ivs_uio *uio, const struct ivs_device *device, unsigned vector);

/* Maps the memory cached through uio_ivshmem.  NULL where that is not bound. */
void *ivs_uio_map_memory(const struct ivs_device *device);

/* Waits for an event that came after the last call, up to `timeout` seconds (0:
 * for ever).  Returns how many there were, 0 after the timeout. */
uint32_t ivs_uio_wait(struct ivs_uio *uio, const struct ivs_device *device, double timeout);

/* Prints "ivshmem: " and the message on standard error and exits with 1. */
__attribute__((noreturn, format(printf, 1, 2))) void ivs_die(const char *format, ...);

/* Ends the program unless [offset, offset + size) lies in the device's memory. */
void ivs_check_range(const struct ivs_device *device, uint64_t offset, uint64_t size);

/* Ends the program unless text is a number up to max; `what` names it. */
uint64_t ivs_number(const char *text, uint64_t max, const char *what);

/* Seconds of the monotonic clock. */
double ivs_now(void);

/* The commands: arguments behind the command's name, without options. */
void ivs_list(const struct ivs_options *options, char **arguments);
void ivs_read(const struct ivs_options *options, char **arguments);
void ivs_write(const struct ivs_options *options, char **arguments);
void ivs_ring(const struct ivs_options *options, char **arguments);
void ivs_wait(const struct ivs_options *options, char **arguments);
void ivs_ping(const struct ivs_options *options, char **arguments);
void ivs_answer(const struct ivs_options *options, char **arguments);
void ivs_echo(const struct ivs_options *options, char **arguments);
void ivs_bandwidth(const struct ivs_options *options, char **arguments);
void ivs_peers(const struct ivs_options *options, char **arguments);
void ivs_changes(const struct ivs_options *options, char **arguments);
void ivs_add(const struct ivs_options *options, char **arguments);

#endif
