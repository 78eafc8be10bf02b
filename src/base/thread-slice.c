/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's scheduler lets a thread finish its slice before another one gets the processor,
 * unless that has a shorter one (sched(7), and the kernel's sched-eevdf.rst): some milliseconds
 * for each thread that a byte of a console, or a page that is waited for, passes.
 */
#include "thread-slice.h"

#include <linux/sched/types.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The longest and the shortest that there are. */
#define LONGEST_NS  UINT64_C(100000000)
#define SHORTEST_NS UINT64_C(100000)

static void set_slice(uint64_t ns)
{
    struct sched_attr attr = {.size = sizeof attr};
    if (syscall(SYS_sched_getattr, 0, &attr, sizeof attr, 0) < 0)
        return;
    attr.sched_runtime = ns;
    syscall(SYS_sched_setattr, 0, &attr, 0);
}

void mv_thread_bulk(void)
{
    set_slice(LONGEST_NS);
}

void mv_thread_prompt(void)
{
    set_slice(SHORTEST_NS);
}
