/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owns the terminal's second screen while something is watched, and what it
 * shows.  One thread; signals that end or stop the process are blocked while
 * `last` and `entered` change, so that their handler finds both whole.  Called
 * by mem.c and ivshmem-status.c.
 */
#include "screen.h"

#include "cleanup.h"
#include "os.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The second screen, without a cursor; and back. */
#define ENTER "\033[?1049h\033[?25l"
#define LEAVE "\033[0m\033[?25h\033[?1049l"

static struct {
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
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP};
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        struct sigaction action = {.sa_handler = on_signal}, old;
        /* What the parent had ignored stays so. */
        if (sigaction(signals[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
            sigaction(signals[i], &action, NULL);
    }
}

static void block_signals(sigset_t *ret_old)
{
    sigset_t set;
    sigfillset(&set);
    sigprocmask(SIG_BLOCK, &set, ret_old);
}

/*
 * The frame as the window has room for it.  Each line wipes what is left of the
 * one before it, so that nothing flickers; none ends the last row, which would
 * roll all of it.
 */
static void draw(FILE *out, const struct mv_screen *screen, const char *frame, const char *line_end)
{
    size_t lines = 0;
    for (const char *at = frame; *at != '\0'; at++)
        lines += *at == '\n';
    size_t shown = screen->rows > 0 && lines > screen->rows ? screen->rows - 1 : lines;
    for (size_t i = 0; i < shown; i++) {
        size_t len = strcspn(frame, "\n");
        fputs(i == 0 ? "" : line_end, out);
        mv_screen_print_cut(out, frame, len, screen->columns);
        frame += len + 1;
    }
    if (shown < lines) {
        char text[64];
        int len =
            snprintf(text, sizeof text, "%zu more lines: the window is too short", lines - shown);
        fputs(shown == 0 ? "" : line_end, out);
        mv_screen_print_cut(out, text, (size_t)len, screen->columns);
    }
}

/* What draw() makes of it, or NULL where memory is out. */
static char *make(const struct mv_screen *screen, const char *frame, const char *head,
                  const char *line_end, const char *tail, size_t *ret_len)
{
    char *text = NULL;
    FILE *out = open_memstream(&text, ret_len);
    if (out == NULL)
        return NULL;
    fputs(head, out);
    draw(out, screen, frame, line_end);
    fputs(tail, out);
    if (fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}

static int show(const struct mv_screen *screen, const char *frame, struct mv_error *err)
{
    size_t len, last_len;
    CLEANUP_FREE char *text = make(screen, frame, "\033[H", "\033[K\n", "\033[K\033[J", &len);
    char *last = make(screen, frame, "", "\n", "\n", &last_len);
    if (text == NULL || last == NULL) {
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
    return 0;
}

static int make_frame(mv_frame_fn *print, void *opaque, struct mv_error *err)
{
    struct mv_screen screen = mv_screen_look();
    CLEANUP_FREE char *frame = NULL;
    size_t len;
    FILE *out = open_memstream(&frame, &len);
    if (out == NULL)
        return mv_error_set_errno(err, ENOMEM, "--watch");
    int waited = print(opaque, out, &screen, err);
    int r = waited < 0 ? waited : 0;
    if (fclose(out) != 0 && r == 0)
        r = mv_error_set_errno(err, ENOMEM, "--watch");
    if (r == 0 && screen.steered)
        r = show(&screen, frame, err);
    else if (r == 0 && (fwrite(frame, 1, len, stdout) != len || fflush(stdout) != 0))
        r = mv_error_set_errno(err, errno, "standard output");
    return r < 0 ? r : waited;
}

int mv_watch(bool again, mv_frame_fn *print, void *opaque, struct mv_error *err)
{
    struct mv_screen screen = mv_screen_look();
    int r = again ? 0 : print(opaque, stdout, &screen, err);
    if (!again)
        return r < 0 ? r : 0;
    catch_signals();
    while ((r = make_frame(print, opaque, err)) >= 0) {
        if (r == 0)
            usleep(MV_WATCH_MS * 1000);
    }
    sigset_t old;
    block_signals(&old);
    leave();
    free(watch.last);
    watch.last = NULL;
    watch.last_len = 0;
    sigprocmask(SIG_SETMASK, &old, NULL);
    return r;
}
