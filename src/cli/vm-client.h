/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_vm_client: a verb's connection to a VM that runs: a QMP client
 * that waits for each answer.
 */
#ifndef MV_CLI_VM_CLIENT_H
#define MV_CLI_VM_CLIENT_H

#include "error.h"

#include <jansson.h>
#include <stdbool.h>

struct mv_vm_client;

/* Without an answer for so long, and no greeting to another client either, a VM counts as hung. */
#define MV_VM_CLIENT_TIMEOUT_MS 10000

/*
 * The folder of the VM of this name, to be freed, and its process, 0 where that
 * is not known.  -ENOENT where none runs; the message then lists those that do.
 */
int mv_vm_client_find(const char *name, char **ret_path, int *ret_pid, struct mv_error *err);

/* Find it, connect and negotiate.  -ETIMEDOUT with what to look at where it does not answer. */
int mv_vm_client_open(const char *name, struct mv_vm_client **ret, struct mv_error *err);
/* The same by its folder. */
int mv_vm_client_open_at(const char *path, unsigned timeout_ms, struct mv_vm_client **ret,
                         struct mv_error *err);
void mv_vm_client_close(struct mv_vm_client *client);

int mv_vm_client_fd(const struct mv_vm_client *client);

/*
 * Run a command with `arguments` (given away; NULL for none).  *ret (may be
 * NULL) is what it returned, to be json_decref'ed.  -EREMOTEIO with the VM's
 * words where it refused.
 */
int mv_vm_client_execute(struct mv_vm_client *client, const char *command, json_t *arguments,
                         json_t **ret, struct mv_error *err);

/* Hand over a descriptor, of which the VM gets a copy, under this name (QMP's getfd). */
int mv_vm_client_give_fd(struct mv_vm_client *client, const char *name, int fd,
                         struct mv_error *err);

/* Whether mv_vm_client_receive would return without waiting. */
bool mv_vm_client_has_line(const struct mv_vm_client *client);
/* The next line the VM sends, parsed; -ESHUTDOWN where it hung up. */
int mv_vm_client_receive(struct mv_vm_client *client, json_t **ret, struct mv_error *err);

/* Send text as it is. */
int mv_vm_client_send(struct mv_vm_client *client, const char *text, size_t len,
                      struct mv_error *err);

#endif
