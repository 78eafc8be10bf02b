/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_gdb: a server of GDB's remote protocol for a machine.  It listens
 * in the main thread's loop and serves one debugger at a time; while one is
 * connected and has not said to continue, the machine is paused.
 */
#ifndef MV_GDB_GDB_H
#define MV_GDB_GDB_H

#include "error.h"

struct mv_gdb;
struct mv_loop;
struct mv_machine;

/*
 * Listen at `address`: [HOST]:PORT, a PORT, or the path of a Unix socket (which
 * has a '/').  Without a HOST it is the loopback interface.  The machine must
 * outlive it.  Main thread.
 */
int mv_gdb_create(struct mv_loop *loop, struct mv_machine *machine, const char *address,
                  struct mv_gdb **ret, struct mv_error *err);
void mv_gdb_destroy(struct mv_gdb *gdb);

#endif
