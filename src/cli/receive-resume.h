/* SPDX-License-Identifier: Apache-2.0 */
/* memvisor receive --resume: one of receive.c's ways. */
#ifndef MV_CLI_RECEIVE_RESUME_H
#define MV_CLI_RECEIVE_RESUME_H

#include "config.h"
#include "error.h"

/* Have the VM wait for the rest of its guest's memory; -EINVAL for options that do not fit. */
int mv_receive_resume(const struct mv_config_receive *wish, struct mv_error *err);

#endif
