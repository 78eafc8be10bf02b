/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owns the terminal's second screen while something is watched, and what it
 * shows.  One thread; signals that end or stop the process are blocked while
 * `last` and `entered` change, so that their handler finds both whole.  Called
 * by mem.c and ivshmem-status.c.
 */
#include "screen.h"

#include "os.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The second screen, without a cursor; and back. */
#define ENTER "\033[?1049h\033[?25l"
#define LEAVE "\033[0m\033[?25h\033[?1049l"

static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP};
#define SIGNALS (sizeof signals / sizeof signals[0])

static struct {
    FILE *stream; /* of the frame that is being made */
    char *text;   /* what it has */
    size_t len;
    char *last; /* what is on the screen */
    size_t last_len;
    bool entered;
} watch;

/* Called by signal handlers too. */
static void put(const char *text, size_t len)
{
    (void)mv_write_all(STDOUT_FILENO, text, len);
}

static void leave(void)
{
    if (watch.entered) {
        put(LEAVE, sizeof LEAVE - 1);
        put(watch.last, watch.last_len);
    }
    watch.entered = false;
}

static void on_signal(int number)
{
    bool entered = watch.entered;
    int saved_errno = errno;
    leave();
    signal(number, SIG_DFL);
    sigset_t mask, old;
    sigemptyset(&mask);
    sigaddset(&mask, number);
    raise(number);
    /* Only what stops comes back from here, with SIGCONT. */
    sigprocmask(SIG_UNBLOCK, &mask, &old);
    sigprocmask(SIG_SETMASK, &old, NULL);
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(number, &action, NULL);
    if (entered)
        put(ENTER, sizeof ENTER - 1);
    watch.entered = entered;
    errno = saved_errno;
}

static void catch_signals(void)
{
    for (size_t i = 0; i < SIGNALS; i++) {
        struct sigaction action = {.sa_handler = on_signal}, old;
        /* What the parent had ignored stays so. */
        if (sigaction(signals[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
            sigaction(signals[i], &action, NULL);
    }
}

static void block_signals(sigset_t *ret_old)
{
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < SIGNALS; i++)
        sigaddset(&set, signals[i]);
    sigprocmask(SIG_BLOCK, &set, ret_old);
}

void mv_watch_begin(void)
{
    catch_signals();
}

FILE *mv_watch_frame(struct mv_error *err)
{
    watch.stream = open_memstream(&watch.text, &watch.len);
    if (watch.stream == NULL)
        mv_error_set_errno(err, ENOMEM, "--watch");
    return watch.stream;
}

static size_t count_lines(const char *text, size_t len)
{
    size_t lines = 0;
    for (size_t i = 0; i < len; i++)
        lines += text[i] == '\n';
    return lines;
}

/*
 * The frame as the window has room for it.  Each line wipes what is left of the
 * one before it, so that nothing flickers; none ends the last row, which would
 * roll all of it.
 */
static void draw(FILE *out, const struct mv_screen *screen, const char *line_end)
{
    size_t lines = count_lines(watch.text, watch.len), shown = lines;
    const char *at = watch.text;
    if (screen->rows > 0 && lines > screen->rows)
        shown = screen->rows - 1;
    for (size_t i = 0; i < shown; i++) {
        size_t len = strcspn(at, "\n");
        fputs(i == 0 ? "" : line_end, out);
        mv_screen_print_cut(out, at, len, screen->columns);
        at += len + 1;
    }
    if (shown < lines) {
        char text[64];
        int len = snprintf(text, sizeof text, "%zu more lines: the window is too short",
                           lines - shown);
        fputs(shown == 0 ? "" : line_end, out);
        mv_screen_print_cut(out, text, (size_t)len, screen->columns);
    }
}

/* What draw() makes of it, or NULL where memory is out. */
static char *make(const struct mv_screen *screen, const char *head, const char *line_end,
                  const char *tail, size_t *ret_len)
{
    char *text = NULL;
    FILE *out = open_memstream(&text, ret_len);
    if (out == NULL)
        return NULL;
    fputs(head, out);
    draw(out, screen, line_end);
    fputs(tail, out);
    if (fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}

static int show_frame(const struct mv_screen *screen, struct mv_error *err)
{
    size_t len, last_len;
    char *text = make(screen, "\033[H", "\033[K\n", "\033[K\033[J", &len);
    char *last = make(screen, "", "\n", "\n", &last_len);
    if (text == NULL || last == NULL) {
        free(text);
        free(last);
        return mv_error_set_errno(err, ENOMEM, "--watch");
    }
    sigset_t old;
    block_signals(&old);
    free(watch.last);
    watch.last = last;
    watch.last_len = last_len;
    if (!watch.entered)
        put(ENTER, sizeof ENTER - 1);
    watch.entered = true;
    put(text, len);
    sigprocmask(SIG_SETMASK, &old, NULL);
    free(text);
    return 0;
}

int mv_watch_show(const struct mv_screen *screen, struct mv_error *err)
{
    int r = fclose(watch.stream) == 0 ? 0 : mv_error_set_errno(err, ENOMEM, "--watch");
    if (r == 0 && screen->steered)
        r = show_frame(screen, err);
    else if (r == 0 && (fwrite(watch.text, 1, watch.len, stdout) != watch.len || fflush(stdout)))
        r = mv_error_set_errno(err, errno, "standard output");
    free(watch.text);
    return r;
}

void mv_watch_end(void)
{
    sigset_t old;
    block_signals(&old);
    leave();
    free(watch.last);
    watch.last = NULL;
    watch.last_len = 0;
    sigprocmask(SIG_SETMASK, &old, NULL);
}
