/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owns the process's signal handlers and the eventfd through which the first
 * signal reaches the loop.  The handlers run in any thread and touch atomics
 * and async-signal-safe functions alone.
 *
 * A handler, not a signalfd: a second signal has to work while the main
 * thread is loading a guest or waits for slow output.
 */
#include "signals.h"

#include "fault.h"
#include "log.h"
#include "loop.h"
#include "os.h"
#include "verb.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <termios.h>
#include <unistd.h>

/* --- the terminal */

static atomic_bool is_raw; /* but while the process is stopped */
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

/*
 * Nothing where it is not raw.  TCSANOW: waiting for output to drain could hang
 * on a stopped terminal.
 */
static void set_modes(const struct termios *modes)
{
    int saved_errno = errno;
    if (atomic_load(&is_raw) && !in_background()) {
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
    atomic_store(&is_raw, true);
    /* Started in the background, this stops here until it is brought forward. */
    if (tcsetattr(fd, TCSANOW, &raw) < 0) {
        int errnum = errno;
        atomic_store(&is_raw, false);
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
    set_modes(&cooked);
    atomic_store(&is_raw, false);
}

/* --- signals */

static atomic_int first_signal;
static int wake_fd = -1;
static struct mv_loop_source *wake_source;
static void (*end_fn)(void *opaque);
static void *end_opaque;

static struct sigaction former[NSIG]; /* what each signal did before */

static void handle_end(int number, siginfo_t *info, void *context)
{
    int saved_errno = errno;
    int none = 0;
    if (!atomic_compare_exchange_strong(&first_signal, &none, number)) {
        mv_terminal_leave();
        _exit(MV_STATUS_SIGNAL + number);
    }
    mv_progress_cancel();
    eventfd_write(wake_fd, 1);
    errno = saved_errno;
}

/* SIGSTOP stops every thread; the way on is behind kill(). */
static void handle_stop(int number, siginfo_t *info, void *context)
{
    int saved_errno = errno;
    set_modes(&cooked);
    kill(getpid(), SIGSTOP);
    set_modes(&raw);
    errno = saved_errno;
}

static void handle_continue(int number, siginfo_t *info, void *context)
{
    set_modes(&raw);
}

/*
 * Hand the crash on to who was there before (the default, or a sanitizer).  A
 * fault of this thread's own comes again by itself, with its address.
 */
static void handle_crash(int number, siginfo_t *info, void *context)
{
    mv_terminal_leave();
    sigaction(number, &former[number], NULL);
    if (info->si_code <= 0)
        raise(number);
}

/* Guest memory that the host has not got is no crash. */
static void handle_bus(int number, siginfo_t *info, void *context)
{
    mv_fault_catch(info, context);
    handle_crash(number, info, context);
}

static void on_wake(void *opaque, uint32_t events)
{
    mv_drain(wake_fd);
    end_fn(end_opaque);
}

static const struct signal_kind {
    int number;
    void (*handler)(int number, siginfo_t *info, void *context);
    bool unless_ignored; /* nohup's SIGHUP stays ignored */
} kinds[] = {
    {SIGINT, handle_end},        {SIGTERM, handle_end},        {SIGHUP, handle_end, true},
    {SIGQUIT, handle_end, true}, {SIGTSTP, handle_stop, true}, {SIGCONT, handle_continue},
    {SIGSEGV, handle_crash},     {SIGBUS, handle_bus},         {SIGILL, handle_crash},
    {SIGFPE, handle_crash},      {SIGABRT, handle_crash},
};

static int install(const struct signal_kind *kind, struct mv_error *err)
{
    struct sigaction action = {.sa_sigaction = kind->handler,
                               .sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK};
    struct sigaction *old = &former[kind->number];
    sigemptyset(&action.sa_mask);
    if (sigaction(kind->number, NULL, old) == 0 && kind->unless_ignored &&
        old->sa_handler == SIG_IGN)
        return 0;
    if (sigaction(kind->number, &action, NULL) < 0)
        return mv_error_set_errno(err, errno, "cannot catch SIG%s", sigabbrev_np(kind->number));
    return 0;
}

int mv_signals_catch(struct mv_loop *loop, void (*on_end)(void *opaque), void *opaque,
                     struct mv_error *err)
{
    end_fn = on_end;
    end_opaque = opaque;
    wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (wake_fd < 0)
        return mv_error_set_errno(err, errno, "cannot catch signals");
    int r = mv_loop_add(loop, wake_fd, EPOLLIN, on_wake, NULL, &wake_source, err);
    for (size_t i = 0; r == 0 && i < sizeof kinds / sizeof kinds[0]; i++)
        r = install(&kinds[i], err);
    return r;
}

/* The handlers stay: a second signal still ends a process that is on its way out. */
void mv_signals_release(void)
{
    mv_loop_remove(wake_source);
    wake_source = NULL;
}

void mv_signals_forget(void)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        sigaction(kinds[i].number, &former[kinds[i].number], NULL);
    atomic_store(&is_raw, false);
    atomic_store(&first_signal, 0);
}

int mv_signals_caught(void)
{
    return atomic_load(&first_signal);
}
