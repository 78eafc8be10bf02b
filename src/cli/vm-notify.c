/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A VM's words to the service manager (sd_notify(3)), as its machine tells of itself.  Called
 * by vm.c in the main thread.
 */
#include "vm-notify.h"

#include "block.h"
#include "process.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static const char *const words[] = {
    [MV_MACHINE_PRELAUNCH] = "the guest waits to be started",
    [MV_MACHINE_RUNNING] = "the guest runs",
    [MV_MACHINE_PAUSED] = "the guest is paused",
    [MV_MACHINE_IO_ERROR] = "the guest is paused and waits for its files",
    [MV_MACHINE_ENDED] = "the guest has ended",
};

static void tell(struct mv_vm_notify *notify, const char *before)
{
    char text[MV_VM_STATUS_MAX + 32];
    enum mv_machine_state state = mv_machine_state(notify->machine);
    bool waits = state == MV_MACHINE_IO_ERROR && notify->fault[0] != '\0';
    snprintf(text, sizeof text, "%sSTATUS=%s", before, waits ? notify->fault : words[state]);
    mv_service_notify(text);
}

static void take_event(void *opaque, enum mv_machine_event event, enum mv_machine_cause cause)
{
    struct mv_vm_notify *notify = opaque;
    if (event == MV_MACHINE_EVENT_RESUME)
        notify->fault[0] = '\0';
    if (event == MV_MACHINE_EVENT_POWERDOWN)
        mv_service_notify("STATUS=the power button was pressed");
    else
        tell(notify, "");
}

/* The machine pauses next, which tells it. */
static void take_fault(void *opaque, const struct mv_block *block, uint64_t offset,
                       const struct mv_block_fault *why)
{
    struct mv_vm_notify *notify = opaque;
    snprintf(notify->fault, sizeof notify->fault,
             "the guest is paused: the host has not got byte 0x%" PRIx64 " of block %s", offset,
             block->id);
}

void mv_vm_notify_await(struct mv_vm_notify *notify)
{
    notify->is_told = true;
    mv_service_notify("READY=1\nSTATUS=a guest is awaited");
}

void mv_vm_notify_begin(struct mv_vm_notify *notify, struct mv_machine *machine)
{
    if (getenv("NOTIFY_SOCKET") == NULL)
        return;
    notify->is_told = true;
    notify->machine = machine;
    notify->observer =
        (struct mv_machine_observer){.event = take_event, .fault = take_fault, .opaque = notify};
    mv_machine_observe(machine, &notify->observer);
    tell(notify, "READY=1\n");
}

void mv_vm_notify_end(struct mv_vm_notify *notify)
{
    if (notify->machine != NULL)
        mv_machine_unobserve(notify->machine, &notify->observer);
    if (notify->is_told)
        mv_service_notify("STOPPING=1");
    *notify = (struct mv_vm_notify){0};
}
