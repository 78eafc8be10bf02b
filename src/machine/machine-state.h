/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_machine, for the files that make up the machine: machine.c makes its
 * parts, machine-run.c runs it.  requests and faults are any thread's, all else is the main
 * thread's.  Within the machine room.
 */
#ifndef MV_MACHINE_MACHINE_STATE_H
#define MV_MACHINE_MACHINE_STATE_H

#include "machine.h"

#include "board.h"
#include "boot.h"
#include "device.h"
#include "guest-timer.h"
#include "hotplug.h"
#include "throttle.h"
#include "vcpu-thread.h"

#include <pthread.h>
#include <stdatomic.h>

/*
 * Accesses to guest memory that the host could not serve, from the threads that
 * made them to the main thread, which pauses the machine and says so.  One a block
 * is kept until it is taken.
 */
#define MV_FAULT_QUEUE_MAX 8
struct mv_fault_queue {
    pthread_mutex_t lock; /* of what follows */
    struct mv_fault_note {
        uint64_t generation; /* the block's */
        uint64_t offset;
    } notes[MV_FAULT_QUEUE_MAX];
    size_t count;
};

/*
 * --- power-button.c: a button on a GPIO line, held down for a moment when it is
 * pressed.  Main thread.
 */

struct mv_power_button;

/* The GPIO (a PL061; NULL: the board has none) is to outlive the button. */
int mv_power_button_create(struct mv_guest_timers *timers, struct mv_device *gpio, unsigned line,
                           struct mv_power_button **ret, struct mv_error *err);
void mv_power_button_destroy(struct mv_power_button *button);

/* Down now, up by itself a little later, of guest time. */
void mv_power_button_press(struct mv_power_button *button);
/* Whether it is down: a press that a save carries lasts on where it is loaded. */
extern const struct mv_state_table mv_power_button_state;
/* Up now. */
void mv_power_button_release(struct mv_power_button *button);

/* --- the machine */

struct mv_machine {
    const struct mv_config *config;
    struct mv_loop *loop;
    struct mv_bank_layout layout;
    struct mv_boot *boot;
    struct mv_config_back *backs; /* the configuration's, each with an id */
    struct mv_block_registry *blocks;
    struct mv_space *space;
    struct mv_device_tree devices;
    struct mv_board board;
    struct mv_guest_timers timers;
    struct mv_hotplug hotplug;
    struct mv_power_button *button;
    struct mv_engine *engine;
    struct mv_vcpus *vcpus;
    struct mv_throttle *throttle; /* NULL: the vCPUs run as they want */

    int request_fd;
    struct mv_loop_source *request_source;
    atomic_uint requests;

    struct mv_fault_queue faults;
    const char *name; /* the configuration's, for messages; may be NULL */

    bool no_reboot;
    bool paused;
    bool faulted;   /* and paused for that */
    bool reset_due; /* a reset could not be finished: it comes before the vCPUs run */
    bool launched;  /* the vCPUs were let go once */
    uint64_t stops; /* how often somebody had it stand still */
    bool ended;
    enum mv_machine_end end;
    enum mv_machine_cause end_cause;
    struct mv_machine_observer *observers;
};

/* --- machine-run.c */

/* Requests wake the loop from now on. */
int mv_machine_watch_requests(struct mv_machine *machine, struct mv_error *err);
/* Power-on values of devices and vCPUs, which are all off. */
void mv_machine_reset_parts(struct mv_machine *machine);
/* Power-on state: of devices, vCPUs and what the boot loader puts into RAM. */
int mv_machine_power_on_state(struct mv_machine *machine, struct mv_error *err);
/* What vCPUs say of themselves, each in its own thread. */
void mv_machine_guest_event(void *opaque, enum mv_vcpu_event event, const uint8_t *fault);
/* Guest memory that is not to be had, in a device's copy, the loader's or a vCPU's; any thread. */
void mv_machine_memory_fault(void *opaque, const struct mv_block *block, uint64_t offset);
/* The oldest of a block that there still is, for the main thread; false where there is none. */
bool mv_machine_take_fault(struct mv_machine *machine, const struct mv_block **ret_block,
                           uint64_t *ret_offset);
/* A device came or went: the observers are told. */
void mv_machine_tell_device(void *opaque, const char *path, const char *id, bool is_there);

#endif
