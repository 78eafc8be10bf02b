/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_migrate_params: what QMP's migrate goes by, QEMU's parameters and capabilities
 * (qapi/migration.json), as migrate-set-parameters and migrate-set-capabilities set them.
 * The main thread's, but for the limits, which a send under way looks at.
 */
#ifndef MV_CONTROL_MIGRATE_PARAMS_H
#define MV_CONTROL_MIGRATE_PARAMS_H

#include "error.h"
#include "send.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct mv_migrate_params {
    uint64_t max_bandwidth;    /* bytes a second; 0: no limit */
    uint64_t follow_bandwidth; /* of what follows the guest, and nobody waits for */
    uint64_t downtime_ms;
    uint64_t channels;    /* under multifd */
    uint64_t compression; /* which of MultiFDCompression: 0 none, 1 zstd */
    uint64_t throttle_initial, throttle_increment, throttle_max; /* percent */
    bool auto_converge, events, multifd, return_path, postcopy;
};

void mv_migrate_params_init(struct mv_migrate_params *params);
/*
 * Take the members of an object that fits migrate-set-parameters, all of them or none: -ERANGE
 * names the one that cannot be.
 */
int mv_migrate_params_set(struct mv_migrate_params *params, const json_t *object,
                          struct mv_error *err);
void mv_migrate_params_apply(const struct mv_migrate_params *params, struct mv_send_limits *limits);

#endif
