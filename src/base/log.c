/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What memvisor itself writes to standard error.  Owns two flags (is the terminal
 * raw, is long work to end), which are atomic, and a ring of lines with the thread that
 * writes them.  The ring's lock guards all of it but the line that is just being written,
 * which leaves it only after that; the thread holds no lock while it writes.  Called from
 * everywhere, with any lock held, and calls nobody.
 */
#include "log.h"

#include "cleanup.h"
#include "error.h"
#include "os.h"
#include "size.h"

#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* --- lines */

static atomic_bool raw_terminal;

void mv_log_set_raw(bool raw)
{
    atomic_store(&raw_terminal, raw);
}

static char subject[64]; /* "name: ", or nothing */

void mv_log_set_name(const char *name)
{
    snprintf(subject, sizeof subject - 2, "%s", name);
    strcat(subject, ": ");
}

/*
 * Control characters, which a quoted file name or option may hold, would
 * break the line or drive the terminal: they are shown as '?'.
 */
static void make_printable(char *text)
{
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        if (c < 0x20 || c == 0x7f)
            *text = '?';
    }
}

#define TEXT_SIZE (sizeof((struct mv_error *)0)->text + 256)
#define LINE_SIZE (TEXT_SIZE + 64)

/* The line's length. */
static size_t make_line(char line[LINE_SIZE], const char *kind, const char *fmt, va_list ap)
{
    char text[TEXT_SIZE];
    int used = snprintf(text, sizeof text, "%s%s", subject, kind);
    vsnprintf(text + used, sizeof text - (size_t)used, fmt, ap);
    make_printable(text);
    int len = snprintf(line, LINE_SIZE, "memvisor: %s%s", text,
                       atomic_load(&raw_terminal) ? "\r\n" : "\n");
    return len > 0 ? (size_t)len : 0;
}

/* --- the thread that writes them */

#define WAIT_NS (MV_LOG_WAIT_MS * UINT64_C(1000000))
#define END_NS  UINT64_C(1000000000)

static struct {
    pthread_t thread;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t filled;
    pthread_cond_t changed; /* a line is written, or the thread ends */
    struct line {
        size_t len;
        char text[LINE_SIZE];
    } ring[MV_LOG_LINES];
    unsigned first, count;
    uint64_t added, written; /* lines, since ever */
    uint64_t lost;           /* for want of room, which nobody knows yet */
    bool begun;
    bool running, stopping; /* the thread */
    bool stuck;             /* somebody waited in vain: nobody else does before all is written */
} queue = {.lock = PTHREAD_MUTEX_INITIALIZER,
           .filled = PTHREAD_COND_INITIALIZER,
           .changed = PTHREAD_COND_INITIALIZER};

static struct line *next_place(void)
{
    queue.added++;
    return &queue.ring[(queue.first + queue.count++) % MV_LOG_LINES];
}

static void add_warning(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void add_warning(const char *fmt, ...)
{
    struct line *line = next_place();
    va_list ap;
    va_start(ap, fmt);
    line->len = make_line(line->text, "warning: ", fmt, ap);
    va_end(ap);
}

/* The first line has been written. */
static void take_off(void)
{
    queue.first = (queue.first + 1) % MV_LOG_LINES;
    queue.count--;
    queue.written++;
    if (queue.count == 0 && queue.lost > 0) {
        add_warning("standard error took nothing for a while: lines lost: %" PRIu64, queue.lost);
        queue.lost = 0;
    }
    queue.stuck = queue.stuck && queue.count > 0;
    pthread_cond_broadcast(&queue.changed);
}

static void *write_lines(void *opaque)
{
    MV_LOCK_SCOPE(&queue.lock);
    while (queue.count > 0 || !queue.stopping) {
        if (queue.count == 0) {
            pthread_cond_wait(&queue.filled, &queue.lock);
            continue;
        }
        const struct line *line = &queue.ring[queue.first];
        pthread_mutex_unlock(&queue.lock);
        (void)mv_write_all(STDERR_FILENO, line->text, line->len);
        pthread_mutex_lock(&queue.lock);
        take_off();
    }
    queue.running = false;
    pthread_cond_broadcast(&queue.changed);
    return NULL;
}

/* Wait for a change until `ns` of mv_now_ns: false where that is over; the lock is held. */
static bool await_change(uint64_t ns)
{
    struct timespec until = {(time_t)(ns / 1000000000), (long)(ns % 1000000000)};
    return pthread_cond_clockwait(&queue.changed, &queue.lock, CLOCK_MONOTONIC, &until) !=
           ETIMEDOUT;
}

/* False where there is no thread for it. */
static bool hand_over(const char *text, size_t len)
{
    MV_LOCK_SCOPE(&queue.lock);
    if (!queue.running)
        return false;
    if (queue.count == MV_LOG_LINES) {
        queue.lost++;
        return true;
    }
    struct line *line = next_place();
    memcpy(line->text, text, len);
    line->len = len;
    pthread_cond_signal(&queue.filled);
    uint64_t place = queue.added, until = mv_now_ns() + WAIT_NS;
    while (queue.written < place && !queue.stuck) {
        if (!await_change(until) && queue.written < place)
            queue.stuck = true;
    }
    return true;
}

static bool lines_wait(void)
{
    MV_LOCK_SCOPE(&queue.lock);
    return queue.stuck;
}

static void before_fork(void)
{
    pthread_mutex_lock(&queue.lock);
}

static void after_fork(void)
{
    pthread_mutex_unlock(&queue.lock);
}

/* It has no such thread, and what waits is the other process's to be written. */
static void after_fork_in_child(void)
{
    queue.begun = queue.running = queue.stopping = queue.stuck = false;
    queue.first = queue.count = 0;
    queue.added = queue.written = queue.lost = 0;
    pthread_cond_init(&queue.filled, NULL);
    pthread_cond_init(&queue.changed, NULL);
    pthread_mutex_unlock(&queue.lock);
}

/* Signals are for the main thread; threads inherit the mask. */
static int start_thread(void)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int errnum = pthread_create(&queue.thread, NULL, write_lines, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return errnum;
}

int mv_log_begin(struct mv_error *err)
{
    static bool follows_forks; /* and goes on to, in the new processes too */
    int errnum = follows_forks ? 0 : pthread_atfork(before_fork, after_fork, after_fork_in_child);
    follows_forks = errnum == 0;
    MV_LOCK_SCOPE(&queue.lock);
    queue.stopping = false;
    if (errnum == 0)
        errnum = start_thread();
    queue.begun = queue.running = errnum == 0;
    return errnum == 0 ? 0 : mv_error_set_errno(err, errnum, "messages: cannot start a thread");
}

void mv_log_end(void)
{
    uint64_t until = mv_now_ns() + END_NS;
    {
        MV_LOCK_SCOPE(&queue.lock);
        if (!queue.begun)
            return;
        queue.stopping = true;
        pthread_cond_signal(&queue.filled);
        while (queue.running && await_change(until))
            ;
        if (queue.running)
            return;
        queue.begun = false;
    }
    pthread_join(queue.thread, NULL);
}

static void log_line(const char *kind, const char *fmt, va_list ap)
{
    int saved_errno = errno;
    char line[LINE_SIZE];
    size_t len = make_line(line, kind, fmt, ap);
    if (!hand_over(line, len))
        (void)mv_write_all(STDERR_FILENO, line, len);
    errno = saved_errno;
}

void mv_log(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    log_line("", fmt, ap);
    va_end(ap);
}

void mv_warn(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    log_line("warning: ", fmt, ap);
    va_end(ap);
}

/* --- bars */

#define SECOND     UINT64_C(1000000000)
#define SHOW_AFTER (SECOND / 2)
#define SHOW_EVERY (SECOND / 10)
#define BAR_MIN    10
#define BAR_MAX    40
#define LINE       256

static atomic_bool cancelled;

void mv_progress_begin(struct mv_progress *progress, const char *what, uint64_t total)
{
    progress->what = what;
    progress->total = total;
    progress->start_ns = mv_now_ns();
    progress->on_terminal = isatty(STDERR_FILENO) == 1;
    atomic_init(&progress->done, 0);
    atomic_init(&progress->next_ns, progress->start_ns + SHOW_AFTER);
    atomic_init(&progress->shown, false);
}

/* The columns of a line, less what a terminal shows of Ctrl-C (^C), so that it does not wrap. */
static int columns(void)
{
    struct winsize size;
    int all = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
    return all > 3 ? all - 3 : 0;
}

/*
 * One write, so that threads that draw one after the other don't mix.  Behind lines that
 * wait a bar is not worth its place.
 */
static void put(const char *line, size_t len)
{
    if (lines_wait() || hand_over(line, len))
        return;
    ssize_t n = write(STDERR_FILENO, line, len);
    (void)n;
}

static void draw(const struct mv_progress *progress, uint64_t done, uint64_t elapsed)
{
    char all[MV_SIZE_TEXT], part[MV_SIZE_TEXT], rate[MV_SIZE_TEXT], bar[BAR_MAX + 1];
    char right[LINE], line[2 * LINE];
    double speed = (double)done * SECOND / (double)elapsed;
    uint64_t left = (uint64_t)((double)(progress->total - done) / (speed < 1 ? 1 : speed)) + 1;
    int r = snprintf(right, sizeof right, " %3u %%  %s of %s  %s/s  %" PRIu64 " s left",
                     (unsigned)(100 * (double)done / (double)progress->total),
                     mv_size_format(done, part), mv_size_format(progress->total, all),
                     mv_size_format((uint64_t)speed & ~(MV_MIB - 1), rate), left);
    int room = columns() - r - (int)strlen(progress->what) - 3;
    int width = room > BAR_MAX ? BAR_MAX : room;
    if (width < BAR_MIN) {
        r = snprintf(line, sizeof line, "\r%.*s\033[K", columns(), right + 1);
    } else {
        int filled = (int)((double)width * (double)done / (double)progress->total);
        memset(bar, '#', (size_t)filled);
        memset(bar + filled, '.', (size_t)(width - filled));
        bar[width] = '\0';
        r = snprintf(line, sizeof line, "\r%s [%s]%s\033[K", progress->what, bar, right);
    }
    put(line, (size_t)r < sizeof line ? (size_t)r : sizeof line - 1);
}

void mv_progress_add(struct mv_progress *progress, uint64_t bytes)
{
    uint64_t done = atomic_fetch_add(&progress->done, bytes) + bytes;
    uint64_t now, next = atomic_load(&progress->next_ns);
    if (!progress->on_terminal || done >= progress->total || (now = mv_now_ns()) < next)
        return;
    if (!atomic_compare_exchange_strong(&progress->next_ns, &next, now + SHOW_EVERY))
        return;
    atomic_store(&progress->shown, true);
    draw(progress, done, now - progress->start_ns);
}

void mv_progress_end(struct mv_progress *progress)
{
    if (atomic_load(&progress->shown))
        put("\r\033[K", 4);
}

void mv_progress_cancel(void)
{
    atomic_store(&cancelled, true);
}

bool mv_progress_cancelled(void)
{
    return atomic_load(&cancelled);
}
