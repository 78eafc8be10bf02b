/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memvisor's own words on standard error.  Owns one flag (is the terminal
 * raw?), which is atomic; no lock, since each line is one write.  Called from
 * everywhere.
 */
#include "log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "error.h"
#include "os.h"

static atomic_bool raw_terminal;

void mv_log_set_raw(bool raw)
{
    atomic_store(&raw_terminal, raw);
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

    vsnprintf(text, sizeof text, fmt, ap);
    make_printable(text);
    int len = snprintf(line, sizeof line, "memvisor: %s%s%s", kind, text,
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
