/* SPDX-License-Identifier: Apache-2.0 */
/* memvisor version, --version, -V. */
#include "verb.h"

int mv_version_main(int argc, char **argv)
{
    printf("memvisor " MV_VERSION "\n");
    return MV_STATUS_OK;
}
