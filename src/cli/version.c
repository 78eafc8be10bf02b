/* SPDX-License-Identifier: Apache-2.0 */
/* memvisor version, --version, -V. */
#include "verb.h"

#include "log.h"

int mv_version_main(int argc, char **argv)
{
    if (argc > 0) {
        mv_log("unexpected argument '%s': 'memvisor version' takes none", argv[0]);
        return MV_STATUS_USAGE;
    }
    printf("memvisor " MV_VERSION "\n");
    return MV_STATUS_OK;
}
