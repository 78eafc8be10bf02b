/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What memvisor itself writes to standard error.  Owns two flags (is the terminal
 * raw, is long work to end), which are atomic; no lock, since each line is one
 * write.  Called from everywhere.
 */
#include "log.h"

#include "error.h"
#include "os.h"
#include "size.h"

#include <inttypes.h>
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

static void log_line(const char *kind, const char *fmt, va_list ap)
{
    int saved_errno = errno;
    char text[sizeof((struct mv_error *)0)->text + 256];
    char line[sizeof text + 64];

    int used = snprintf(text, sizeof text, "%s%s", subject, kind);
    vsnprintf(text + used, sizeof text - (size_t)used, fmt, ap);
    make_printable(text);
    int len = snprintf(line, sizeof line, "memvisor: %s%s", text,
                       atomic_load(&raw_terminal) ? "\r\n" : "\n");
    if (len > 0)
        (void)mv_write_all(STDERR_FILENO, line, (size_t)len);
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

/* One write, so that threads that draw one after the other don't mix. */
static void put(const char *line, size_t len)
{
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
