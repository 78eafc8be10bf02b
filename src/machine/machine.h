/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_machine: a board with its memory, devices and vCPU threads.
 * Created, started and destroyed by the main thread; the mv_machine_request_*
 * functions may be called by any thread and take effect in the main thread.
 */
#ifndef MV_MACHINE_MACHINE_H
#define MV_MACHINE_MACHINE_H

#include "error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mv_block;
struct mv_block_fault;
struct mv_block_place;
struct mv_block_registry;
struct mv_config;
struct mv_config_device;
struct mv_device;
struct mv_engine;
struct mv_ivshmem_hello;
struct mv_ivshmem_link;
struct mv_loop;
struct mv_machine;
struct mv_pci_bus;
struct mv_serial_backend;
struct mv_space;
struct mv_state_table;
struct mv_vcpu;
struct mv_window;

enum mv_machine_end {
    MV_MACHINE_POWERED_OFF, /* by the guest */
    MV_MACHINE_RESET,       /* the guest reset itself and --no-reboot was given */
    MV_MACHINE_QUIT,        /* mv_machine_request_quit */
    MV_MACHINE_FAILED, /* it cannot go on, which was logged: a reset, a guest on its way here */
};

/* Who wanted a machine to end or to be reset. */
enum mv_machine_cause {
    MV_CAUSE_GUEST_SHUTDOWN, /* by a hypercall */
    MV_CAUSE_GUEST_RESET,
    MV_CAUSE_HOST_SIGNAL,
    MV_CAUSE_HOST_UI,  /* a key of the console */
    MV_CAUSE_HOST_QMP, /* a command of the control socket */
    MV_CAUSE_HOST_DEBUGGER,
    MV_CAUSE_HOST_MOVE, /* the guest runs elsewhere */
    MV_CAUSE_HOST_ERROR,
};

/* What becomes of a machine; each is told once it has happened. */
enum mv_machine_event {
    MV_MACHINE_EVENT_STOP,
    MV_MACHINE_EVENT_RESUME,
    MV_MACHINE_EVENT_RESET,
    MV_MACHINE_EVENT_POWERDOWN, /* the power button was pressed */
    MV_MACHINE_EVENT_SHUTDOWN,  /* it ends */
};

enum mv_machine_state {
    MV_MACHINE_PRELAUNCH, /* the vCPUs have not been let go yet */
    MV_MACHINE_RUNNING,
    MV_MACHINE_PAUSED,
    MV_MACHINE_IO_ERROR, /* paused, since the host has not got guest memory that was accessed */
    MV_MACHINE_ENDED,
};

/*
 * Check the configuration, lay out the banks, allocate memory, make the board
 * and load the kernel or firmware.  Nothing runs yet.  `serial` is the host's
 * end of the first UART (or NULL: output is dropped); it and `config` must outlive the machine.
 */
int mv_machine_create(const struct mv_config *config, struct mv_loop *loop,
                      struct mv_serial_backend *serial, struct mv_machine **ret,
                      struct mv_error *err);
void mv_machine_destroy(struct mv_machine *machine);

/* Bytes that a reset boots: a part of an open file. */
struct mv_machine_image {
    int fd;
    uint64_t offset;
    uint64_t size; /* bytes; 0: there are none */
};
/* As a saved state carries them, kernels unpacked; nothing under --reload on. */
struct mv_machine_boot {
    bool firmware; /* the kernel is a bare-metal binary */
    struct mv_machine_image kernel;
    struct mv_machine_image initrd;
};

struct mv_machine_places {
    const struct mv_block_place *list;
    size_t count;
    struct mv_block_registry *inherited; /* NULL: none; mv_block_registry_inherit */
    const char *const *unclaimed;        /* ids of blocks: mv_block_claims_leave */
    size_t unclaimed_count;
};

/*
 * As mv_machine_create, for a state to be loaded into: nothing is put into RAM, and
 * kernel and initrd of the configuration are not looked at, unless it says that they
 * are to be read anew at each reset.  Its command line counts.  The descriptors stay
 * the caller's, and the bytes have to stay as they are.  `places`: where blocks have
 * their bytes already (mv_block_registry_set_places), or that a
 * fork brought them.
 */
int mv_machine_create_saved(const struct mv_config *config, const struct mv_machine_boot *boot,
                            const struct mv_machine_places *places, struct mv_loop *loop,
                            struct mv_serial_backend *serial, struct mv_machine **ret,
                            struct mv_error *err);
/* What there is to carry; the descriptors are the machine's. */
void mv_machine_boot(const struct mv_machine *machine, struct mv_machine_boot *ret);
/* What it was made of, which has its command line, and what becomes of a reset. */
const struct mv_config *mv_machine_config(const struct mv_machine *machine);

/* The first UART, for the serial backend to push input into; NULL where there is none. */
struct mv_device *mv_machine_uart(struct mv_machine *machine);

/*
 * The VM's generation ID, as in the guest's memory, and a new one for a machine that is a
 * copy of another: after its state was loaded, before it runs, or while it does.  -ENODEV
 * where the board has none.  Main thread.
 */
#define MV_GENERATION_SIZE 16
int mv_machine_generation(struct mv_machine *machine, uint8_t ret_id[MV_GENERATION_SIZE],
                          struct mv_error *err);
int mv_machine_renew_generation(struct mv_machine *machine, struct mv_error *err);

/* Call fn for each device, in the order of their addition.  Main thread. */
void mv_machine_for_each_device(struct mv_machine *machine,
                                void (*fn)(void *opaque, struct mv_device *device), void *opaque);

/*
 * The block that an ivshmem device shows, and its link to a server (NULL: it has
 * none); false where the device is no ivshmem device.
 */
bool mv_machine_ivshmem(struct mv_device *device, const struct mv_block **ret_block,
                        struct mv_ivshmem_link **ret_link);

/* The host bridge's bus; NULL where the board has none. */
struct mv_pci_bus *mv_machine_pci_bus(struct mv_machine *machine);

/* The flattened device tree as the guest gets it. */
const void *mv_machine_dtb(struct mv_machine *machine, uint32_t *ret_size);

/* Start the vCPU threads; paused: they wait for mv_machine_resume. */
int mv_machine_start(struct mv_machine *machine, bool paused, struct mv_error *err);

/* Stop and continue all vCPUs; main thread.  Stop returns once none runs. */
void mv_machine_pause(struct mv_machine *machine);
/*
 * How often somebody had the guest stand still: who paused it for a while lets it go on only
 * where nobody else wanted it to stand meanwhile.
 */
uint64_t mv_machine_stops(const struct mv_machine *machine);
void mv_machine_resume(struct mv_machine *machine);
/* Let the vCPUs of a mask alone run: a debugger's wish. */
void mv_machine_resume_only(struct mv_machine *machine, uint64_t mask);

/*
 * Keep the vCPUs from running for so many percent of the time (0 to 99), while they may run:
 * throttle.h.
 */
int mv_machine_throttle(struct mv_machine *machine, unsigned percent, struct mv_error *err);

/*
 * Before a resume that somebody asked for: whether it would come to run the guest.  A reset
 * of the guest's own may be due for which the files cannot be read (--reload on), or an
 * observer may be against it; `err` says why.
 */
int mv_machine_check_resume(struct mv_machine *machine, struct mv_error *err);
/* Before memory of a guest that may stand still is changed by other means. */
int mv_machine_check_change(struct mv_machine *machine, struct mv_error *err);

/* Press the power button.  Main thread. */
void mv_machine_powerdown(struct mv_machine *machine);
/*
 * Reset, and go on unless it is paused.  Main thread.  Where the files cannot be
 * read anew (--reload on), what is wrong with them; the guest is as it was then.
 */
int mv_machine_reset(struct mv_machine *machine, enum mv_machine_cause cause, struct mv_error *err);

/*
 * The same, and an end, at the next turn of the loop; any thread.  A reset is
 * asked for by MV_CAUSE_HOST_UI, an end by a cause of the host's.
 */
void mv_machine_request_powerdown(struct mv_machine *machine);
void mv_machine_request_reset(struct mv_machine *machine, enum mv_machine_cause cause);
void mv_machine_request_quit(struct mv_machine *machine, enum mv_machine_cause cause);

/* Why it ended; known once mv_machine_wait has returned. */
enum mv_machine_cause mv_machine_end_cause(const struct mv_machine *machine);

/*
 * Who hears of events, of vCPUs that left for the debugger, where `debug` is
 * set, of bytes of guest memory that the host could not access, and of devices.
 */
struct mv_machine_observer {
    /* NULL, or: `cause` means something for RESET and SHUTDOWN. */
    void (*event)(void *opaque, enum mv_machine_event event, enum mv_machine_cause cause);
    void (*debug)(void *opaque, unsigned cpu);
    /* NULL, or: the machine pauses for that. */
    void (*fault)(void *opaque, const struct mv_block *block, uint64_t offset,
                  const struct mv_block_fault *why);
    /*
     * NULL, or: a device came while the guest runs, with its blocks, or went,
     * with them.  id is NULL where it has none.
     */
    void (*device)(void *opaque, const char *path, const char *id, bool is_there);
    /*
     * NULL, or: the guest is about to go on, or its memory to be changed while it stands
     * still, by a reset, a debugger or a clone.  A negative errno keeps it from that.
     */
    int (*resuming)(void *opaque, struct mv_error *err);
    void *opaque;
    struct mv_machine_observer *next; /* the machine's */
};
/* Observers stay the caller's.  Main thread. */
void mv_machine_observe(struct mv_machine *machine, struct mv_machine_observer *observer);
void mv_machine_unobserve(struct mv_machine *machine, struct mv_machine_observer *observer);

enum mv_machine_state mv_machine_state(const struct mv_machine *machine);

/*
 * Put a device into a root port's slot while the guest runs, or ask the guest
 * to let go of one (by its id or path), which goes once it has, or at a reset.
 * `hello` is its server's, or NULL.  Errors as of mv_board_plug and mv_hotplug_remove.
 * Main thread.
 */
int mv_machine_device_add(struct mv_machine *machine, const struct mv_config_device *wish,
                          struct mv_ivshmem_hello *hello, struct mv_error *err);
/* Whether there is a place for it, before mv_ivshmem_hello_create, which takes long. */
int mv_machine_device_check(struct mv_machine *machine, const struct mv_config_device *wish,
                            struct mv_error *err);
int mv_machine_device_remove(struct mv_machine *machine, const char *name, struct mv_error *err);

/*
 * --- objects.c: a machine's state beside its memory.  Main thread.
 */

/*
 * One of its parts: a device by its path, "vcpus" (guest time, and who is powered
 * on), "vcpu/0" and so on, "power-button".  `object` is there until it returns.
 */
typedef int mv_machine_object_fn(void *opaque, const char *path, const struct mv_state_table *table,
                                 void *object, struct mv_error *err);
/*
 * While it is paused: finish what no state carries, which may change memory, so that
 * this comes before the last look at that.  A guest may turn out to have ended or to
 * want a reset.  -EBUSY where it runs, or where I/O into memory that was unplugged
 * goes on; -ESHUTDOWN where it has ended; -EAGAIN where it waits for files to reset
 * with.
 */
int mv_machine_quiesce(struct mv_machine *machine, struct mv_error *err);
/*
 * The same, and then call fn for each part, in the order in which they are to be
 * loaded, until one fails.
 */
int mv_machine_save_objects(struct mv_machine *machine, mv_machine_object_fn *fn, void *opaque,
                            struct mv_error *err);

/* A part as it was saved. */
struct mv_machine_saved {
    const char *path;
    const char *type; /* the table's */
    uint32_t version;
    const uint8_t *bytes;
    size_t len;
};
/*
 * Load all parts, given in any order, of a machine that has not run, before it does.
 * -ENODEV where one is missing or unknown, -EEXIST where one is there twice, -EINVAL
 * where it is of another type, -ENOTSUP where it is newer: nothing has changed then.
 * Where one's bytes are refused, as mv_state_load has it, the machine is to be destroyed.
 */
int mv_machine_load_objects(struct mv_machine *machine, const struct mv_machine_saved *saved,
                            size_t count, struct mv_error *err);

/* The machine's parts; they live as long as it does. */
struct mv_space *mv_machine_space(struct mv_machine *machine);
struct mv_block_registry *mv_machine_blocks(struct mv_machine *machine);
/* What the board keeps for devices: the window of this index, by address; false behind the last. */
bool mv_machine_window(const struct mv_machine *machine, size_t index, struct mv_window *ret);
unsigned mv_machine_cpu_count(const struct mv_machine *machine);
struct mv_engine *mv_machine_engine(struct mv_machine *machine);
/* What the engine translates, as struct mv_engine_jit has it (engine.h); false: nothing. */
struct mv_machine_jit {
    uint64_t size, used, units, refused, evictions, strays, entries, interpreted, elsewhere, left;
    uint64_t checked, unchecked;
};
bool mv_machine_jit(struct mv_machine *machine, struct mv_machine_jit *ret);
struct mv_vcpu *mv_machine_vcpu(struct mv_machine *machine, unsigned index);
/* Whether the guest has it powered on. */
bool mv_machine_cpu_is_on(struct mv_machine *machine, unsigned index);
/* The host's number of a vCPU's thread; 0 while there is none. */
int mv_machine_cpu_thread_id(const struct mv_machine *machine, unsigned index);

/*
 * Run the loop until the machine ends; main thread.
 */
enum mv_machine_end mv_machine_wait(struct mv_machine *machine);

#endif
