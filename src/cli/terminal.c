/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owns the terminal's settings.  They are written before `state` says that
 * they are there, and never again, so that signal handlers can read them
 * without a lock.
 */
#include "terminal.h"

#include "log.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

enum state { STATE_COOKED, STATE_RAW };

static _Atomic enum state state = STATE_COOKED;
static int terminal_fd;
static bool shares_stderr; /* or it is a file, whose lines end as ever */
static struct termios cooked;
static struct termios raw;

/*
 * A process in the background that sets its terminal is stopped by SIGTTOU,
 * and the settings then belong to whoever is in the foreground.
 */
static bool in_background(void)
{
    pid_t foreground = tcgetpgrp(terminal_fd);
    return foreground >= 0 && foreground != getpgrp();
}

/* TCSANOW: waiting for output to drain could hang on a stopped terminal. */
static void set_modes(const struct termios *modes)
{
    int saved_errno = errno;
    if (!in_background()) {
        sigset_t ttou, old;
        sigemptyset(&ttou);
        sigaddset(&ttou, SIGTTOU);
        pthread_sigmask(SIG_BLOCK, &ttou, &old);
        while (tcsetattr(terminal_fd, TCSANOW, modes) < 0 && errno == EINTR)
            ;
        pthread_sigmask(SIG_SETMASK, &old, NULL);
        mv_log_set_raw(modes == &raw && shares_stderr);
    }
    errno = saved_errno;
}

int mv_terminal_enter(int fd, struct mv_error *err)
{
    static bool at_exit;
    if (tcgetattr(fd, &cooked) < 0)
        return mv_error_set_errno(err, errno, "cannot read the terminal's settings");
    terminal_fd = fd;
    shares_stderr = isatty(STDERR_FILENO);
    raw = cooked;
    cfmakeraw(&raw);
    /* First, so that a signal between the two finds something to restore. */
    atomic_store(&state, STATE_RAW);
    /* Started in the background, this stops here until it is brought forward. */
    if (tcsetattr(fd, TCSANOW, &raw) < 0) {
        int errnum = errno;
        atomic_store(&state, STATE_COOKED);
        return mv_error_set_errno(err, errnum, "cannot set the terminal");
    }
    mv_log_set_raw(shares_stderr);
    if (!at_exit)
        atexit(mv_terminal_leave);
    at_exit = true;
    return 0;
}

void mv_terminal_leave(void)
{
    if (atomic_load(&state) == STATE_RAW)
        set_modes(&cooked);
    atomic_store(&state, STATE_COOKED);
}

void mv_terminal_suspend(void)
{
    if (atomic_load(&state) == STATE_RAW)
        set_modes(&cooked);
}

void mv_terminal_resume(void)
{
    if (atomic_load(&state) == STATE_RAW)
        set_modes(&raw);
}
