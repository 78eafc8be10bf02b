/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the machine room: struct mv_machine, and what its files offer one
 * another.  `lock` guards the vCPUs' run states; the rest is the main thread's.
 */
#ifndef MV_MACHINE_BOARD_H
#define MV_MACHINE_BOARD_H

#include "bank.h"
#include "block.h"
#include "boot.h"
#include "device.h"
#include "engine.h"
#include "machine.h"
#include "space.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* A vCPU's thread; its fields are guarded by the machine's lock. */
struct mv_vcpu_thread {
    struct mv_machine *machine;
    struct mv_vcpu *vcpu;
    pthread_t thread;
    bool started;
    bool powered; /* PSCI: on */
    bool running; /* in the engine */
};

struct mv_machine {
    const struct mv_config *config;
    struct mv_loop *loop;
    struct mv_space *space;
    struct mv_block_registry *blocks;
    struct mv_bank_layout layout;
    struct mv_device_tree devices;
    struct mv_device *gic, *uart, *rtc, *gpio;
    struct mv_engine *engine;
    struct mv_boot boot;
    void *dtb;
    uint32_t dtb_size;

    pthread_mutex_t lock;
    pthread_cond_t changed; /* a vCPU's state, paused, quitting */
    bool paused;
    bool quitting;
    struct mv_vcpu_thread vcpus[MV_VCPU_MAX];

    int button_fd; /* timerfd: releases the power button */
    struct mv_loop_source *button_source;
    bool reset_wanted;
    enum mv_machine_end end;
    bool failed; /* a reset could not load the guest again */
};

/* --- board-arm64.c: the guest-physical map and the devices on it. */
#define MV_ARM64_RAM_BASE UINT64_C(0x80000000)
#define MV_ARM64_IPA_BITS 48
extern const struct mv_window mv_arm64_windows[];
extern const size_t mv_arm64_window_count;
/* Make the devices and map them; the machine's space and loop exist. */
int mv_board_arm64_create(struct mv_machine *machine, struct mv_serial_backend *serial,
                          struct mv_error *err);

/* --- fdt.c */
#define MV_FDT_MAX_SIZE (2u << 20)
/*
 * Build the device tree for this machine into a malloc'ed buffer.  The initrd
 * is where machine->boot says.
 */
int mv_fdt_build(const struct mv_machine *machine, void **ret_fdt, uint32_t *ret_size,
                 struct mv_error *err);

/* --- vcpu-thread.c */
int mv_vcpu_threads_start(struct mv_machine *machine, struct mv_error *err);
/* Have every thread out of its engine and waiting; or let them go on. */
void mv_vcpu_threads_pause(struct mv_machine *machine);
void mv_vcpu_threads_resume(struct mv_machine *machine);
/* End and join the threads. */
void mv_vcpu_threads_join(struct mv_machine *machine);

/* --- psci.c: a hypercall of vCPU `thread`, under the machine's lock. */
void mv_psci_call(struct mv_vcpu_thread *thread);

/* The guest wants power off or reset; any thread. */
void mv_machine_guest_off(struct mv_machine *machine);
void mv_machine_guest_reset(struct mv_machine *machine);

#endif
