/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What blocks ask of the host, checked before anything is mapped for them:
 * more than it can ever give is told, or refused where it is needed at once.
 */
#ifndef MV_MEMORY_HOST_LIMITS_H
#define MV_MEMORY_HOST_LIMITS_H

#include "error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mv_backing_request;

/* Host memory that a block may come to take, in bytes. */
struct mv_limits_use {
    uint64_t memory; /* in all; 0 where its bytes are in a file on a disk */
    uint64_t early;  /* of it before the guest starts */
    uint64_t locked;
};

/*
 * Check blocks that are to be made, all together and besides what `there` says
 * of those that exist; `quiet` leaves warnings out.  The requests' wishes are
 * what --back has made of them.  Stores one use a request in ret_uses.
 * -ENOMEM or -ENOSPC where the host cannot give what is to be there before the
 * guest starts; the message names the blocks and what to type.
 */
int mv_limits_check(const struct mv_backing_request *requests, size_t count,
                    const struct mv_limits_use *there, bool quiet, struct mv_limits_use *ret_uses,
                    struct mv_error *err);

#endif
