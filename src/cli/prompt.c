/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owns libedit's state.  Signals are blocked while a line is edited and come
 * through a descriptor, so that nothing is done in a handler and the terminal is
 * put back before one takes effect; between lines they are as the process has
 * them.  One thread; called by qmp.c and ivshmem-client.c.
 */
#include "prompt.h"

#include "cleanup.h"
#include "screen.h"

#include <ctype.h>
#include <dlfcn.h>
#include <errno.h>
#include <histedit.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include <wchar.h>

#define HISTORY 1000 /* lines */

/*
 * libedit is loaded by the first prompt: with what it needs itself it would take
 * 0.4 MiB of each process that runs a guest, and none of those has a prompt.
 */
#define LIBEDIT_FUNCTIONS(F)                                                                       \
    F(el_init) F(el_end) F(el_set) F(el_gets) F(el_line) F(el_insertstr) F(el_beep) F(el_resize)   \
    F(el_source) F(history) F(history_init) F(history_end)

struct libedit {
#define F(name) typeof(name) *name;
    LIBEDIT_FUNCTIONS(F)
#undef F
};

static const struct libedit *lib; /* NULL: not looked for, or not to be had */

static const struct libedit *load_libedit(void)
{
    static struct libedit loaded;
    void *handle = dlopen("libedit.so.2", RTLD_NOW | RTLD_LOCAL);
    if (handle == NULL)
        return NULL;
#define F(name)                                                                                    \
    if ((loaded.name = (typeof(name) *)dlsym(handle, #name)) == NULL)                              \
        return NULL;
    LIBEDIT_FUNCTIONS(F)
#undef F
    return &loaded;
}

static struct {
    const struct mv_prompt_params *params;
    EditLine *edit;
    History *history;
    HistEvent event;
    int signal_fd;
    sigset_t signals, outside; /* those that are blocked while a line is edited; the mask else */
    mbstate_t partial;         /* of a character */
    /* Why no character came, where none did. */
    bool interrupted;
    int result;
    struct mv_error *err;
} p;

bool mv_prompt_possible(void)
{
    if (!isatty(STDIN_FILENO) || !mv_screen_look().steered)
        return false;
    if (lib == NULL)
        lib = load_libedit();
    return lib != NULL;
}

static char *tell_prompt(EditLine *edit)
{
    return (char *)p.params->text;
}

/* Wipe the line, which may go over several rows; EL_REFRESH draws it where the cursor is then. */
static void wipe_line(void)
{
    const LineInfo *line = lib->el_line(p.edit);
    size_t width = mv_screen_width(p.params->text);
    for (const char *at = line->buffer; at < line->cursor; at++)
        width += ((unsigned char)*at & 0xc0) != 0x80;
    size_t rows = width / mv_screen_look().columns;
    if (rows > 0)
        printf("\033[%zuA", rows);
    fputs("\r\033[J", stdout);
}

/* --- completion */

static bool is_of_word(char c)
{
    return isalnum((unsigned char)c) || c == '-' || c == '_';
}

/* The words that start so, and how much of them they have in common. */
static size_t find_words(const char *start, size_t len, const char **ret_first, size_t *ret_common)
{
    const char *word;
    size_t count = 0;
    for (size_t i = 0; (word = p.params->word(p.params->opaque, i)) != NULL; i++) {
        if (strncmp(word, start, len) != 0)
            continue;
        if (count++ == 0) {
            *ret_first = word;
            *ret_common = strlen(word);
        }
        size_t same = len;
        while (same < *ret_common && word[same] == (*ret_first)[same])
            same++;
        *ret_common = same;
    }
    return count;
}

static void list_words(const char *start, size_t len)
{
    const char *word;
    putchar('\n');
    for (size_t i = 0; (word = p.params->word(p.params->opaque, i)) != NULL; i++) {
        if (strncmp(word, start, len) == 0)
            printf("%s  ", word);
    }
    putchar('\n');
}

/* Tab is taken here: libedit never frees the name of a function of ours (EL_ADDFN). */
static void complete(void)
{
    const LineInfo *line = lib->el_line(p.edit);
    const char *start = line->cursor, *first = NULL;
    size_t common = 0;
    char rest[128];
    while (start > line->buffer && is_of_word(start[-1]))
        start--;
    size_t len = (size_t)(line->cursor - start);
    size_t count = find_words(start, len, &first, &common);
    if (count == 0) {
        lib->el_beep(p.edit);
        return;
    }
    /* Behind a quote, the user closes it. */
    bool done = count == 1 && (start == line->buffer || start[-1] == ' ');
    snprintf(rest, sizeof rest, "%.*s%s", (int)(common - len), first + len, done ? " " : "");
    if (count > 1 && common == len) {
        list_words(start, len);
    } else {
        wipe_line();
        if (rest[0] == '\0' || lib->el_insertstr(p.edit, rest) < 0)
            lib->el_beep(p.edit);
    }
    lib->el_set(p.edit, EL_REFRESH);
}

/* --- what comes while a line is edited */

/* Let the signal do what it does elsewhere, the terminal as the process found it. */
static void suffer(int number)
{
    sigset_t one;
    lib->el_set(p.edit, EL_PREP_TERM, 0);
    sigemptyset(&one);
    sigaddset(&one, number);
    raise(number);
    sigprocmask(SIG_UNBLOCK, &one, NULL);
    /* Reached only where the signal stopped the process, or is ignored. */
    sigprocmask(SIG_BLOCK, &one, NULL);
    lib->el_set(p.edit, EL_PREP_TERM, 1);
    lib->el_set(p.edit, EL_REFRESH);
}

static void take_signal(void)
{
    struct signalfd_siginfo info;
    if (read(p.signal_fd, &info, sizeof info) != sizeof info)
        return;
    const LineInfo *line = lib->el_line(p.edit);
    if (info.ssi_signo == SIGWINCH)
        lib->el_resize(p.edit);
    else if (info.ssi_signo == SIGINT && line->lastchar > line->buffer)
        p.interrupted = true;
    else
        suffer((int)info.ssi_signo);
}

/* In place of the line, which comes again below it. */
static void show(void)
{
    wipe_line();
    p.result = p.params->show(p.params->opaque, p.err);
    fflush(stdout);
    if (p.result == 0)
        lib->el_set(p.edit, EL_REFRESH);
}

/* 1 with the character that the byte completes, 0 where it completes none. */
static int take_byte(char byte, wchar_t *ret)
{
    size_t n = mbrtowc(ret, &byte, 1, &p.partial);
    if (n == (size_t)-2)
        return 0;
    if (n == (size_t)-1) { /* no character of this locale */
        memset(&p.partial, 0, sizeof p.partial);
        *ret = L'?';
    }
    return 1;
}

/* libedit's source of characters: 1 with one, 0 at the end, -1 where there is to be none. */
static int get_character(EditLine *edit, wchar_t *ret)
{
    struct pollfd ready[] = {
        {STDIN_FILENO, POLLIN, 0}, {p.signal_fd, POLLIN, 0}, {p.params->fd, POLLIN, 0}};
    for (;;) {
        char byte;
        if (poll(ready, 3, -1) < 0 && errno != EINTR)
            return -1;
        if (ready[1].revents != 0)
            take_signal();
        if (ready[2].revents != 0)
            show();
        if (p.interrupted || p.result < 0)
            return -1;
        if (ready[0].revents == 0)
            continue;
        ssize_t n = read(STDIN_FILENO, &byte, 1);
        if (n <= 0)
            return 0;
        if (byte == '\t')
            complete();
        else if (take_byte(byte, ret) == 1)
            return 1;
    }
}

/* --- the prompt */

/* One line of libedit's, NULL where it made none. */
static const char *edit_line(void)
{
    int len;
    p.interrupted = false;
    p.result = 0;
    sigprocmask(SIG_BLOCK, &p.signals, &p.outside);
    /* Before the prompt is seen: a Ctrl-D that the terminal takes for its own is lost. */
    lib->el_set(p.edit, EL_PREP_TERM, 1);
    const char *text = lib->el_gets(p.edit, &len);
    sigprocmask(SIG_SETMASK, &p.outside, NULL);
    return text;
}

static int read_lines(struct mv_error *err)
{
    const struct mv_prompt_params *params = p.params;
    int r = 0;
    while (r == 0) {
        const char *text = edit_line();
        if (text == NULL && p.interrupted) {
            puts("^C");
            continue;
        }
        if (text == NULL) {
            /* The prompt is left on a line of its own, unless `show` took its place. */
            fputs(p.result < 0 ? "" : "\n", stdout);
            return p.result;
        }
        CLEANUP_FREE char *line = strndup(text, strcspn(text, "\r\n"));
        if (line == NULL)
            return mv_error_set_errno(err, ENOMEM, "a line");
        if (line[0] != '\0')
            lib->history(p.history, &p.event, H_ENTER, line);
        r = params->take(params->opaque, line, err);
    }
    return r < 0 ? r : 0;
}

static void set_up(void)
{
    lib->history(p.history, &p.event, H_SETSIZE, HISTORY);
    lib->history(p.history, &p.event, H_SETUNIQUE, 1);
    lib->el_set(p.edit, EL_PROMPT, tell_prompt);
    lib->el_set(p.edit, EL_SIGNAL, 0);
    lib->el_set(p.edit, EL_EDITOR, "emacs");
    lib->el_set(p.edit, EL_HIST, lib->history, p.history);
    lib->el_set(p.edit, EL_GETCFN, get_character);
    lib->el_set(p.edit, EL_BIND, "^R", "em-inc-search-prev", NULL);
    lib->el_source(p.edit, NULL); /* the user's ~/.editrc */
}

int mv_prompt_run(const struct mv_prompt_params *params, struct mv_error *err)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGWINCH};
    p.params = params;
    p.err = err;
    sigemptyset(&p.signals);
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
        sigaddset(&p.signals, signals[i]);
    setlocale(LC_CTYPE, "");
    p.signal_fd = signalfd(-1, &p.signals, SFD_CLOEXEC | SFD_NONBLOCK);
    p.history = lib->history_init();
    p.edit = lib->el_init("memvisor", stdin, stdout, stderr);
    int r = 0;
    if (p.signal_fd < 0 || p.history == NULL || p.edit == NULL)
        r = mv_error_set_errno(err, ENOMEM, "the prompt");
    if (r == 0) {
        set_up();
        r = read_lines(err);
    }
    if (p.edit != NULL)
        lib->el_end(p.edit);
    if (p.history != NULL)
        lib->history_end(p.history);
    mv_cleanup_close(&p.signal_fd);
    return r;
}
