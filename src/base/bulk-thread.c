/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's scheduler lets a thread finish its slice before another one gets the processor,
 * unless that has a shorter one (sched(7), and the kernel's sched-eevdf.rst): some milliseconds
 * for each thread that a byte of a console passes.  So the slice of such threads is the longest
 * that there is.
 */
#include "bulk-thread.h"

#include <linux/sched/types.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SLICE_NS UINT64_C(100000000)

void mv_bulk_thread(void)
{
    struct sched_attr attr = {.size = sizeof attr};
    if (syscall(SYS_sched_getattr, 0, &attr, sizeof attr, 0) < 0)
        return;
    attr.sched_runtime = SLICE_NS;
    syscall(SYS_sched_setattr, 0, &attr, 0);
}
