/* SPDX-License-Identifier: Apache-2.0 */
/* base/log.c: whole lines on standard error, whatever they quote, and whoever reads them. */
#include "log.h"

#include "error.h"
#include "os.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
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

/* --- with a thread that writes them */

#define SECOND UINT64_C(1000000000)

static void begin(void)
{
    struct mv_error err;
    assert_int_equal(mv_log_begin(&err), 0);
}

/* Until the pipe takes nothing: how many bytes that was. */
static size_t fill(void)
{
    static const char zeros[512];
    size_t filled = 0;
    ssize_t n;
    fcntl(STDERR_FILENO, F_SETPIPE_SZ, 4096);
    fcntl(STDERR_FILENO, F_SETFL, O_NONBLOCK);
    while ((n = write(STDERR_FILENO, zeros, sizeof zeros)) > 0)
        filled += (size_t)n;
    fcntl(STDERR_FILENO, F_SETFL, 0);
    return filled;
}

static void drop(size_t len)
{
    char buf[512];
    while (len > 0) {
        ssize_t n = read(pipe_fds[0], buf, len < sizeof buf ? len : sizeof buf);
        assert_true(n > 0);
        len -= (size_t)n;
    }
}

/* The next line, by single bytes: others may stand behind it. */
static void read_next(char line[256])
{
    size_t len = 0;
    do
        assert_int_equal(read(pipe_fds[0], &line[len], 1), 1);
    while (line[len++] != '\n' && len < 255);
    line[len] = '\0';
}

static void expect_next(const char *expected)
{
    char line[256];
    read_next(line);
    assert_string_equal(line, expected);
}

static void test_a_thread_writes_as_its_callers_would(void **state)
{
    begin();
    test_lines(state);
    test_errno_is_kept(state);
    mv_log_end();
    mv_log("by itself again");
    expect_line("memvisor: by itself again\n");
}

/* One call waits a little, the next ones not at all; all of it comes once there is room. */
static void test_nobody_waits_for_a_reader(void **state)
{
    enum { MORE = 6 };
    char line[64];
    begin();
    size_t filled = fill();
    uint64_t start = mv_now_ns();
    for (int i = 0; i < MV_LOG_LINES + MORE; i++)
        mv_log("line %d", i);
    assert_true(mv_now_ns() - start < 20 * SECOND);
    drop(filled);
    for (int i = 0; i < MV_LOG_LINES; i++) {
        snprintf(line, sizeof line, "memvisor: line %d\n", i);
        expect_next(line);
    }
    expect_next("memvisor: warning: standard error took nothing for a while: lines lost: 6\n");
    mv_log("and on");
    expect_next("memvisor: and on\n");
    mv_log_end();
}

/* The thread stays in its write. */
static void test_an_end_that_nobody_reads(void **state)
{
    begin();
    size_t filled = fill();
    uint64_t start = mv_now_ns();
    mv_log("the last");
    mv_log_end();
    assert_true(mv_now_ns() - start < 20 * SECOND);
    drop(filled);
    expect_next("memvisor: the last\n");
    mv_log_end();
}

/* It writes its own line, and not the one that waits. */
static void test_a_fork_has_no_thread(void **state)
{
    static const char ours[] = "memvisor: the first process's\n",
                      new[] = "memvisor: the new one's\n";
    char line[256];
    int status;
    begin();
    size_t filled = fill();
    mv_log("the first process's");
    pid_t pid = fork();
    if (pid == 0) {
        mv_log("the new one's");
        _exit(0);
    }
    assert_true(pid > 0);
    drop(filled);
    read_next(line);
    bool is_new = strcmp(line, new) == 0; /* both waited for room */
    assert_string_equal(line, is_new ? new : ours);
    expect_next(is_new ? ours : new);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    mv_log_end();
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
        cmocka_unit_test_setup_teardown(test_a_thread_writes_as_its_callers_would, capture_start,
                                        capture_end),
        cmocka_unit_test_setup_teardown(test_nobody_waits_for_a_reader, capture_start, capture_end),
        cmocka_unit_test_setup_teardown(test_an_end_that_nobody_reads, capture_start, capture_end),
        cmocka_unit_test_setup_teardown(test_a_fork_has_no_thread, capture_start, capture_end),
        cmocka_unit_test(test_errors_collect_context),
        cmocka_unit_test(test_long_errors_are_cut),
    };
    return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
