/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_output: console text on its way from the guest to a descriptor
 * that may be slow.  A thread of its own does blocking writes, so that the
 * descriptor need not be made non-blocking: standard output often shares its
 * file description with the user's shell.
 */
#ifndef MV_CLI_OUTPUT_H
#define MV_CLI_OUTPUT_H

#include "error.h"

#include <stdbool.h>
#include <stdint.h>

struct mv_device;
struct mv_output;

/* `what` names fd in messages; both stay the caller's. */
int mv_output_create(int fd, const char *what, struct mv_output **ret, struct mv_error *err);
/* What was not written yet is lost. */
void mv_output_destroy(struct mv_output *output);

/*
 * Take up to len bytes: how many there was room for.  Once the descriptor has
 * failed everything is taken and dropped.  Any thread.
 */
unsigned mv_output_write(struct mv_output *output, const uint8_t *buf, unsigned len);

/*
 * Whom to tell, from the output's thread, that there is room again after
 * mv_output_write took less than all.  NULL: nobody; returns once no call is
 * under way.
 */
void mv_output_set_uart(struct mv_output *output, struct mv_device *uart);

/* Wait until all is written: false where timeout_ms was not enough. */
bool mv_output_drain(struct mv_output *output, unsigned timeout_ms);

/* Whether the last byte ended a line; also true before the first. */
bool mv_output_at_line_start(struct mv_output *output);

#endif
