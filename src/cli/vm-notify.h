/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_vm_notify: what the service manager hears of a VM: that it is there, how it is,
 * and that it ends.  Main thread.
 */
#ifndef MV_CLI_VM_NOTIFY_H
#define MV_CLI_VM_NOTIFY_H

#include "machine.h"

#define MV_VM_STATUS_MAX 256

struct mv_vm_notify {
    struct mv_machine_observer observer;
    struct mv_machine *machine;   /* NULL: nobody wants to hear of it */
    char fault[MV_VM_STATUS_MAX]; /* what the guest waits for; empty: nothing */
    bool is_told;                 /* that the VM is there */
};

/* The control socket answers, and the guest has yet to come from elsewhere. */
void mv_vm_notify_await(struct mv_vm_notify *notify);

/*
 * The machine runs, or stands still as it was asked to, and its control socket answers.
 * Nothing is told where no service manager wants to hear ($NOTIFY_SOCKET).  The machine
 * outlives `notify`, which stays where it is.
 */
void mv_vm_notify_begin(struct mv_vm_notify *notify, struct mv_machine *machine);

/* The VM is about to be destroyed.  Of one that was never there, nothing is told. */
void mv_vm_notify_end(struct mv_vm_notify *notify);

#endif
