/* SPDX-License-Identifier: Apache-2.0 */
/* --serial: picks the kind.  Called by run.c. */
#include "serial.h"

int mv_serial_create(const struct mv_config *config, struct mv_loop *loop,
                     const struct mv_serial_keys *keys, struct mv_serial **ret,
                     struct mv_error *err)
{
    switch (config->serial) {
    case MV_SERIAL_STDIO:
        return mv_console_create(config->name, loop, keys, ret, err);
    case MV_SERIAL_FILE:
        return mv_serial_file_create(config->serial_path, ret, err);
    case MV_SERIAL_UNIX:
        return mv_serial_socket_create(config->serial_path, loop, ret, err);
    case MV_SERIAL_NONE:
        break;
    }
    *ret = NULL;
    return 0;
}
