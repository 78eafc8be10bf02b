/* SPDX-License-Identifier: Apache-2.0 */
/* base/log.c: whole lines on standard error, whatever they quote. */
#include "log.h"

#include "error.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static int pipe_fds[2];
static int saved_stderr;

static int capture_start(void **state)
{
    saved_stderr = dup(STDERR_FILENO);
    assert_return_code(pipe2(pipe_fds, O_CLOEXEC), errno);
    dup2(pipe_fds[1], STDERR_FILENO);
    close(pipe_fds[1]);
    return 0;
}

static int capture_end(void **state)
{
    dup2(saved_stderr, STDERR_FILENO);
    close(saved_stderr);
    close(pipe_fds[0]);
    return 0;
}

static void expect_line(const char *expected)
{
    char buf[8192];
    ssize_t n = read(pipe_fds[0], buf, sizeof buf - 1);
    assert_true(n > 0);
    buf[n] = '\0';
    assert_string_equal(buf, expected);
}

static void test_lines(void **state)
{
    mv_log("bank %d", 3);
    expect_line("memvisor: bank 3\n");
    mv_warn("%s", "odd");
    expect_line("memvisor: warning: odd\n");
    mv_log_set_raw(true);
    mv_log("in a raw terminal");
    mv_log_set_raw(false);
    expect_line("memvisor: in a raw terminal\r\n");
}

static void test_control_characters(void **state)
{
    mv_log("cannot open '%s'", "a\nb\x1b[2J\x7f\xc3\xa9");
    expect_line("memvisor: cannot open 'a?b?[2J?\xc3\xa9'\n");
}

static void test_errno_is_kept(void **state)
{
    errno = ENOTTY;
    mv_log("x");
    assert_int_equal(errno, ENOTTY);
    expect_line("memvisor: x\n");
}

static void test_errors_collect_context(void **state)
{
    struct mv_error err;
    assert_int_equal(mv_error_set(&err, EINVAL, "bank %s", "ram0"), -EINVAL);
    assert_string_equal(err.text, "bank ram0");
    assert_int_equal(mv_error_set_errno(&err, ENOENT, "open 'x'"), -ENOENT);
    assert_string_equal(err.text, "open 'x': No such file or directory");
    mv_error_prefix(&err, "kernel %d", 1);
    assert_string_equal(err.text, "kernel 1: open 'x': No such file or directory");
    assert_int_equal(mv_error_set(NULL, EINVAL, "x"), -EINVAL);
    mv_error_prefix(NULL, "x");
}

static void test_long_errors_are_cut(void **state)
{
    struct mv_error err;
    char text[2 * sizeof err.text];
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    mv_error_set_errno(&err, ENOENT, "%s", text);
    assert_int_equal(strlen(err.text), sizeof err.text - 1);
    mv_error_prefix(&err, "start");
    assert_int_equal(strlen(err.text), sizeof err.text - 1);
    assert_memory_equal(err.text, "start: aaa", 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_lines, capture_start, capture_end),
        cmocka_unit_test_setup_teardown(test_control_characters, capture_start, capture_end),
        cmocka_unit_test_setup_teardown(test_errno_is_kept, capture_start, capture_end),
        cmocka_unit_test(test_errors_collect_context),
        cmocka_unit_test(test_long_errors_are_cut),
    };
    return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
