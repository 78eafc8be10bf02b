/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_throttle: keeps all vCPUs of a machine from running for a share of the time, by
 * short turns, while guest time goes on: for a guest that writes memory faster than it can be
 * sent.  A thread of its own does it while the share is not 0.  The main thread's.
 */
#ifndef MV_MACHINE_THROTTLE_H
#define MV_MACHINE_THROTTLE_H

#include "error.h"

struct mv_throttle;
struct mv_vcpus;

/* The vCPUs outlive it. */
int mv_throttle_create(struct mv_vcpus *vcpus, struct mv_throttle **ret, struct mv_error *err);
/* They run as they want again.  May be NULL. */
void mv_throttle_destroy(struct mv_throttle *throttle);
/* 0 to 99. */
void mv_throttle_set(struct mv_throttle *throttle, unsigned percent);

#endif
