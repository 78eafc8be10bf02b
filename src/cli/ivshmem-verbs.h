/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the verbs ivshmem-client and ivshmem-server share. */
#ifndef MV_CLI_IVSHMEM_VERBS_H
#define MV_CLI_IVSHMEM_VERBS_H

#include "error.h"
#include "verb.h"

#include <stdbool.h>

/* --- ivshmem-client: the command line, and the commands */

#define WORDS_MAX 8 /* arguments of a command */

struct command;
struct mv_ivshmem;
struct mv_ivshmem_event;

extern const char mv_ivshmem_client_notes[];

struct client_options {
    char *socket, *timeout_text, *wait_text;
    struct mv_names words;
    bool json, reconnect;
    int timeout_ms, wait_ms;
    const struct command *command; /* NULL: a prompt */
};

struct client {
    const struct client_options *options;
    struct mv_ivshmem *shm;
    bool prompt; /* not a one-shot command */
    bool quit;
};

struct command {
    const char *name;
    const char *usage;
    int min, max; /* arguments */
    int (*run)(struct client *client, int argc, char **argv, struct mv_error *err);
};

/* -EINVAL where it is no command, or has not the arguments that it takes. */
int mv_ivshmem_command_find(int argc, char **argv, const struct command **ret,
                            struct mv_error *err);

/* The name of the i-th; NULL behind the last. */
const char *mv_ivshmem_command_name(void *opaque, size_t i);

/* The library's last error of r, which is negative, as ours. */
int mv_ivshmem_client_error(const struct client *client, int r, struct mv_error *err);

/* A line for what happened to the shared memory or its peers. */
void mv_ivshmem_client_print(const struct mv_ivshmem_event *event, const struct client *client);

/* --- ivshmem-server */

/*
 * Ask the status socket at control_path and print what it says, as JSON or
 * in a table; with `watch` again each second until a signal or the server's end.
 */
int mv_ivshmem_status_show(const char *control_path, bool json, bool watch, struct mv_error *err);

#endif
