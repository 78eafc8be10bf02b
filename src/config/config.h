/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_config: what the user asked for, as validated plain values.  The
 * config room turns text into it and opens nothing.
 */
#ifndef MV_CONFIG_CONFIG_H
#define MV_CONFIG_CONFIG_H

#include "error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mv_config_bank {
    uint64_t size; /* bytes, not checked for alignment here */
    bool has_gpa;
    uint64_t gpa;
    char *id;   /* NULL: by address order */
    char *text; /* as the user wrote it, for messages */
};

enum mv_config_serial { MV_SERIAL_STDIO, MV_SERIAL_NONE, MV_SERIAL_FILE, MV_SERIAL_UNIX };

struct mv_config {
    char *name;     /* NULL: vm-PID */
    char *kernel;   /* one of kernel and firmware is set */
    char *firmware; /* flat bare-metal binary */
    char *initrd;   /* or NULL */
    char *cmdline;  /* never NULL */
    unsigned cpus;
    struct mv_config_bank *banks; /* at least one */
    size_t bank_count;
    char *engine;  /* "auto", "emulator", "kvm" */
    char *machine; /* "arm64", "pc" */
    enum mv_config_serial serial;
    char *serial_path; /* file:, unix: */
    char *qmp_path;    /* of a control socket besides the VM's own; or NULL */
    char *dump_dtb;    /* or NULL */
    bool paused;
    bool no_reboot;
};

/*
 * Parse one -m argument: SIZE[@ADDR][,key=value…].  -EINVAL or -ERANGE with a
 * message that says what is wrong with which part.  Free with mv_config_free,
 * or mv_config_bank_clear for one bank alone.
 */
int mv_config_parse_bank(const char *text, struct mv_config_bank *ret, struct mv_error *err);
void mv_config_bank_clear(struct mv_config_bank *bank);

/*
 * Parse the words behind `memvisor run` and fill in the defaults: 0,
 * MV_OPTIONS_HELP (options.h) where help was asked for, or a negative errno.
 * On 0 *ret is to be freed with mv_config_free; else it is untouched.
 */
int mv_config_parse_run(int argc, char *const *argv, struct mv_config *ret, struct mv_error *err);
/* Frees what config holds, not config itself. */
void mv_config_free(struct mv_config *config);

#endif
