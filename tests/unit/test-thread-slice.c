/* SPDX-License-Identifier: Apache-2.0 */
/* base/thread-slice.c: slices of another length, and nothing else that changes. */
#include "thread-slice.h"

#include <linux/sched/types.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

static struct sched_attr get(void)
{
    struct sched_attr attr = {.size = sizeof attr};
    assert_int_equal(syscall(SYS_sched_getattr, 0, &attr, sizeof attr, 0), 0);
    return attr;
}

static void test_the_slice_and_nothing_else(void **state)
{
    (void)state;
    assert_int_equal(setpriority(PRIO_PROCESS, 0, 5), 0);
    struct sched_attr before = get();
    mv_thread_bulk();
    struct sched_attr after = get();
    assert_int_equal(after.sched_policy, before.sched_policy);
    assert_int_equal(after.sched_nice, 5);
    assert_int_equal(after.sched_flags, before.sched_flags);
    if (before.sched_runtime == 0) {
        puts("this host's kernel has no slices (Linux 6.12 has)");
        skip();
    }
    assert_true(after.sched_runtime > before.sched_runtime);
    assert_int_equal(after.sched_runtime, 100000000);
    mv_thread_prompt();
    assert_true(get().sched_runtime < before.sched_runtime);
    assert_int_equal(get().sched_nice, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_slice_and_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
