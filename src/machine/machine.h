/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_machine: a board with its memory, devices and vCPU threads.
 * Created, started and destroyed by the main thread; the mv_machine_request_*
 * functions may be called by any thread and take effect in the main thread.
 */
#ifndef MV_MACHINE_MACHINE_H
#define MV_MACHINE_MACHINE_H

#include "config.h"
#include "device-list.h"
#include "error.h"

#include <stdbool.h>
#include <stdint.h>

struct mv_loop;
struct mv_machine;

enum mv_machine_end {
    MV_MACHINE_POWERED_OFF, /* PSCI SYSTEM_OFF */
    MV_MACHINE_RESET,       /* the guest reset itself and --no-reboot was given */
    MV_MACHINE_QUIT,        /* mv_machine_request_quit */
    MV_MACHINE_FAILED,      /* a reset could not load the guest again; it was logged */
};

/*
 * Check the configuration, lay out the banks, allocate memory, make the board
 * and load the kernel or firmware.  Nothing runs yet.  `serial` is the host's
 * end of the first UART (or NULL: output is dropped) and must outlive the machine.
 */
int mv_machine_create(const struct mv_config *config, struct mv_loop *loop,
                      struct mv_serial_backend *serial, struct mv_machine **ret,
                      struct mv_error *err);
void mv_machine_destroy(struct mv_machine *machine);

/* The first UART, for the serial backend to push input into. */
struct mv_device *mv_machine_uart(struct mv_machine *machine);

/* The flattened device tree as the guest gets it. */
const void *mv_machine_dtb(struct mv_machine *machine, uint32_t *ret_size);

/* Start the vCPU threads; paused: they wait for mv_machine_resume. */
int mv_machine_start(struct mv_machine *machine, bool paused, struct mv_error *err);

/* Stop and continue all vCPUs; main thread.  Stop returns once none runs. */
void mv_machine_pause(struct mv_machine *machine);
void mv_machine_resume(struct mv_machine *machine);

/* Press the power button; reset; end. Any thread. */
void mv_machine_request_powerdown(struct mv_machine *machine);
void mv_machine_request_reset(struct mv_machine *machine);
void mv_machine_request_quit(struct mv_machine *machine);

/*
 * Run the loop until the machine ends; main thread.
 */
enum mv_machine_end mv_machine_wait(struct mv_machine *machine);

#endif
