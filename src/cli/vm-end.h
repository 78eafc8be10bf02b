/* SPDX-License-Identifier: Apache-2.0 */
/* The plug of a VM: what ends its process, whatever state that is in. */
#ifndef MV_CLI_VM_END_H
#define MV_CLI_VM_END_H

#include "error.h"

/*
 * End the VM of this name: by its control socket, else by SIGTERM, else by
 * SIGKILL, each with a grace; what it took is said.  Returns once it is gone,
 * so that its name and its files are free.
 */
int mv_vm_end(const char *name, struct mv_error *err);

#endif
