/* SPDX-License-Identifier: Apache-2.0 */
#include "move-view.h"

#include "cleanup.h"
#include "work.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define BAR_WIDTH 10

/* --- the bar */

/* In a window that is narrower its end is left out: a line that breaks could not be wiped. */
static int columns(void)
{
    struct winsize size;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
        return 79;
    return size.ws_col - 1;
}

void mv_move_view_draw(const char *status, const struct mv_move_progress *p)
{
    char bar[BAR_WIDTH + 1], line[256];
    double done = p->passes == 0 || p->memory == 0 || p->remaining > p->memory
                      ? 0
                      : 1 - (double)p->remaining / (double)p->memory;
    memset(bar, '.', BAR_WIDTH);
    memset(bar, '#', (size_t)(done * BAR_WIDTH));
    bar[BAR_WIDTH] = '\0';
    if (strncmp(status, "postcopy", 8) == 0)
        snprintf(line, sizeof line, "[%s] %3.0f %% is there, %s/s", bar, done * 100,
                 MV_AMOUNT((double)p->rate));
    else if (p->passes == 0)
        snprintf(line, sizeof line, "[%s] %s", bar, status);
    else
        snprintf(line, sizeof line, "[%s] %3.0f %% of pass %u, %s/s", bar, done * 100, p->passes,
                 MV_AMOUNT((double)p->rate));
    size_t used = strlen(line);
    if (p->dirty_rate > 0)
        snprintf(line + used, sizeof line - used, ", written %s/s",
                 MV_AMOUNT((double)p->dirty_rate));
    used = strlen(line);
    if (p->expected_downtime_ns > 0)
        snprintf(line + used, sizeof line - used, ", stop %.0f ms",
                 (double)p->expected_downtime_ns / 1e6);
    used = strlen(line);
    if (p->throttle > 0)
        snprintf(line + used, sizeof line - used, ", slowed by %u %%", p->throttle);
    fprintf(stderr, "\r%.*s\033[K", columns(), line);
}

void mv_move_view_wipe(void)
{
    fputs("\r\033[K", stderr);
}

/* --- JSON */

int mv_move_view_print(FILE *out, json_t *line)
{
    /* More digits than a clock has would be noise. */
    const size_t flags = JSON_ENSURE_ASCII | JSON_REAL_PRECISION(7);
    CLEANUP_FREE char *text = line == NULL ? NULL : json_dumps(line, flags);
    json_decref(line);
    if (text == NULL)
        return -ENOMEM;
    fprintf(out, "%s\n", text);
    return 0;
}

json_t *mv_move_view_progress(const char *status, const struct mv_move_progress *p)
{
    return json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:I}", "status", status, "pass",
                     (json_int_t)p->passes, "transferred", (json_int_t)p->transferred, "remaining",
                     (json_int_t)p->remaining, "total", (json_int_t)p->memory, "rate",
                     (json_int_t)p->rate, "dirty-rate", (json_int_t)p->dirty_rate,
                     "expected-downtime-ms", (double)p->expected_downtime_ns / 1e6, "throttle",
                     (json_int_t)p->throttle);
}

json_t *mv_move_view_end(const struct mv_move_progress *p, const char *uri)
{
    json_t *end = json_pack(
        "{s:s, s:s, s:f, s:f, s:f, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "status",
        "completed", "uri", uri, "seconds", (double)p->total_ns / 1e9, "setup-ms",
        (double)p->setup_ns / 1e6, "downtime-ms", (double)p->downtime_ns / 1e6, "memory",
        (json_int_t)p->memory, "transferred", (json_int_t)p->transferred, "passes",
        (json_int_t)p->passes, "normal", (json_int_t)p->data_pages, "zero",
        (json_int_t)p->zero_pages, "repeated", (json_int_t)p->fill_pages, "compressed",
        (json_int_t)p->compressed_pages, "postcopy-bytes", (json_int_t)p->followed,
        "postcopy-requests", (json_int_t)p->requests);
    if (end != NULL && p->waits.count > 0)
        json_object_set_new(end, "waits",
                            json_pack("{s:I, s:f, s:f, s:f}", "count", (json_int_t)p->waits.count,
                                      "total-ms", (double)p->waits.total_ns / 1e6, "median-ms",
                                      (double)mv_wait_times_median(&p->waits) / 1e6, "longest-ms",
                                      (double)p->waits.worst_ns / 1e6));
    return end;
}

/* --- a sentence */

/* Of memory that followed; what the guest waited for it the receiver alone knows. */
static void tell_followed(FILE *out, const struct mv_move_progress *p)
{
    if (p->followed == 0)
        return;
    fprintf(out, "; %s of it followed the guest", MV_AMOUNT((double)p->followed));
    if (p->waits.count > 0)
        fprintf(out, ", which waited %llu times, for %.2f ms at most and %.2f ms as a rule",
                (unsigned long long)p->waits.count, (double)p->waits.worst_ns / 1e6,
                (double)mv_wait_times_median(&p->waits) / 1e6);
}

char *mv_move_view_sentence(const struct mv_move_progress *p)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (out == NULL)
        return NULL;
    fprintf(out,
            "%s of memory in %.2f s, %s over the line in %u pass%s (pages: %llu of data, %llu of "
            "zeros, %llu of one value); it stood still for %.1f ms",
            MV_AMOUNT((double)p->memory), (double)p->total_ns / 1e9,
            MV_AMOUNT((double)p->transferred), p->passes, p->passes == 1 ? "" : "es",
            (unsigned long long)p->data_pages, (unsigned long long)p->zero_pages,
            (unsigned long long)p->fill_pages, (double)p->downtime_ns / 1e6);
    tell_followed(out, p);
    if (fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}
