/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bank layout.  Pure functions on arrays: no state, no lock; called by the
 * machine before anything is allocated for the guest.
 *
 * Banks with an address are sorted and checked first; those without one then
 * take the lowest gaps.  Ends are kept exclusive, and since the guest's space
 * has fewer than 64 address bits, they always fit.
 */
#include "bank.h"

#include "config.h"
#include "cleanup.h"
#include "size.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE 4096

/* Enough for "0x…-0x… (… MiB)". */
#define RANGE_TEXT 96

struct placed {
    const struct mv_config_bank *wish;
    uint64_t gpa;
    uint64_t size;
    size_t order; /* in which the user gave them */
    bool has_place;
    const char *id; /* wish->id or auto_id */
    char auto_id[24];
};

struct gap {
    uint64_t start;
    uint64_t end;
};

struct layout_job {
    struct placed *placed;
    size_t count;
    struct mv_window *windows; /* sorted */
    size_t window_count;
    uint64_t ram_base;
    uint64_t limit; /* bytes of guest-physical space */
    unsigned ipa_bits;
    struct mv_error *err;
};

static const char *range_text(uint64_t gpa, uint64_t size, char buf[RANGE_TEXT])
{
    char words[MV_SIZE_TEXT];
    snprintf(buf, RANGE_TEXT, "0x%" PRIx64 "-0x%" PRIx64 ", %s", gpa, gpa + size - 1,
             mv_size_format(size, words));
    return buf;
}

static int compare_placed(const void *a, const void *b)
{
    const struct placed *x = a, *y = b;
    if (x->has_place != y->has_place)
        return x->has_place ? -1 : 1;
    if (x->has_place && x->gpa != y->gpa)
        return x->gpa < y->gpa ? -1 : 1;
    return x->order < y->order ? -1 : 1;
}

static int compare_windows(const void *a, const void *b)
{
    const struct mv_window *x = a, *y = b;
    return x->gpa < y->gpa ? -1 : x->gpa > y->gpa;
}

static int compare_ids(const void *a, const void *b)
{
    const struct placed *const *x = a, *const *y = b;
    return strcmp((*x)->id, (*y)->id);
}

/* Sort by address, those without one last, and name those the user did not. */
static void sort_and_name(struct layout_job *job)
{
    qsort(job->placed, job->count, sizeof *job->placed, compare_placed);
    for (size_t i = 0; i < job->count; i++) {
        struct placed *p = &job->placed[i];
        snprintf(p->auto_id, sizeof p->auto_id, "ram%zu", i);
        p->id = p->wish->id == NULL ? p->auto_id : p->wish->id;
    }
}

static int check_size(const struct layout_job *job, const struct placed *p)
{
    char words[MV_SIZE_TEXT], down[MV_SIZE_TEXT], up[MV_SIZE_TEXT];
    const char *text = p->wish->text;
    char at[32] = "";
    if (p->has_place)
        snprintf(at, sizeof at, " at 0x%" PRIx64, p->gpa);

    if (p->size == 0)
        return mv_error_set(job->err, EINVAL,
                            "bank '%s': a size of zero (0 bytes%s): a bank has at least 4 KiB",
                            text, at);
    if (p->size % PAGE != 0)
        return mv_error_set(
            job->err, EINVAL,
            "bank '%s': its size of %s%s is unaligned: write a multiple of 4 KiB, "
            "such as %s or %s",
            text, mv_size_format(p->size, words), at,
            mv_size_format(p->size < PAGE ? PAGE : p->size - p->size % PAGE, down),
            mv_size_format(p->size < PAGE ? 2 * PAGE : mv_align_up(p->size, PAGE), up));
    return 0;
}

static int check_place(const struct layout_job *job, const struct placed *p)
{
    char words[MV_SIZE_TEXT], most[MV_SIZE_TEXT], range[RANGE_TEXT];
    const char *text = p->wish->text;
    uint64_t end;

    if (p->gpa % PAGE != 0)
        return mv_error_set(job->err, EINVAL,
                            "bank '%s': its address 0x%" PRIx64 " (%s) is unaligned: write a "
                            "multiple of 4 KiB, such as 0x%" PRIx64,
                            text, p->gpa, mv_size_format(p->size, words), p->gpa - p->gpa % PAGE);
    uint64_t largest = p->gpa < job->limit ? job->limit - p->gpa : 0;
    if (largest == 0)
        strcpy(most, "none");
    else
        mv_size_format(largest, most);
    if (mv_add_overflows(p->gpa, p->size, &end))
        return mv_error_set(job->err, ERANGE,
                            "bank '%s': %s at 0x%" PRIx64 " is too large: its end does not fit 64 "
                            "bits, and guest-physical space has %u bits and ends at 0x%" PRIx64
                            "; the largest size that fits there is %s",
                            text, mv_size_format(p->size, words), p->gpa, job->ipa_bits,
                            job->limit - 1, most);
    if (end > job->limit)
        return mv_error_set(job->err, ERANGE,
                            "bank '%s' (%s) reaches beyond the guest-physical space, which has %u "
                            "bits and ends at 0x%" PRIx64 "; the largest size that fits there is "
                            "%s",
                            text, range_text(p->gpa, p->size, range), job->ipa_bits, job->limit - 1,
                            most);
    return 0;
}

static int check_each(const struct layout_job *job)
{
    for (size_t i = 0; i < job->count; i++) {
        const struct placed *p = &job->placed[i];
        int r = check_size(job, p);
        if (r == 0 && p->has_place)
            r = check_place(job, p);
        if (r < 0)
            return r;
    }
    return 0;
}

/* In sorted order any overlap shows between neighbours. */
static int check_overlaps(const struct layout_job *job, size_t placed_count)
{
    for (size_t i = 1; i < placed_count; i++) {
        const struct placed *a = &job->placed[i - 1], *b = &job->placed[i];
        char a_range[RANGE_TEXT], b_range[RANGE_TEXT];
        if (a->gpa + a->size > b->gpa)
            return mv_error_set(job->err, EEXIST,
                                "banks %s ('%s': %s) and %s ('%s': %s) overlap: give each its "
                                "own addresses",
                                a->id, a->wish->text, range_text(a->gpa, a->size, a_range), b->id,
                                b->wish->text, range_text(b->gpa, b->size, b_range));
    }
    return 0;
}

static int check_windows(const struct layout_job *job, size_t placed_count)
{
    size_t first = 0; /* window that may still reach the bank at hand */
    for (size_t i = 0; i < placed_count; i++) {
        const struct placed *p = &job->placed[i];
        while (first < job->window_count &&
               job->windows[first].gpa + job->windows[first].size <= p->gpa)
            first++;
        if (first == job->window_count)
            break;
        const struct mv_window *w = &job->windows[first];
        char bank_range[RANGE_TEXT], window_range[RANGE_TEXT];
        if (w->gpa < p->gpa + p->size)
            return mv_error_set(job->err, EEXIST,
                                "bank %s ('%s': %s) overlaps the device window '%s' (%s): give it "
                                "other addresses, such as from 0x%" PRIx64 " up",
                                p->id, p->wish->text, range_text(p->gpa, p->size, bank_range),
                                w->name, range_text(w->gpa, w->size, window_range), job->ram_base);
    }
    return 0;
}

static void add_gap(struct gap *gaps, size_t *count, uint64_t start, uint64_t end)
{
    start = mv_align_up(start, PAGE);
    end -= end % PAGE;
    if (start < end)
        gaps[(*count)++] = (struct gap){start, end};
}

/* What is free from ram_base up; gaps has room for banks + windows + 1. */
static size_t find_gaps(const struct layout_job *job, size_t placed_count, struct gap *gaps)
{
    size_t count = 0, bank = 0, window = 0;
    uint64_t free_from = job->ram_base;
    while (bank < placed_count || window < job->window_count) {
        bool take_bank = window == job->window_count ||
                         (bank < placed_count && job->placed[bank].gpa < job->windows[window].gpa);
        uint64_t gpa = take_bank ? job->placed[bank].gpa : job->windows[window].gpa;
        uint64_t size = take_bank ? job->placed[bank].size : job->windows[window].size;
        if (take_bank)
            bank++;
        else
            window++;
        if (gpa >= job->limit)
            break;
        if (gpa > free_from)
            add_gap(gaps, &count, free_from, gpa);
        if (gpa + size > free_from)
            free_from = gpa + size;
    }
    if (free_from < job->limit)
        add_gap(gaps, &count, free_from, job->limit);
    return count;
}

static int refuse_no_gap(const struct layout_job *job, const struct placed *p,
                         const struct gap *gaps, size_t gap_count)
{
    const struct gap *largest = NULL;
    for (size_t i = 0; i < gap_count; i++) {
        uint64_t size = gaps[i].end - gaps[i].start;
        if (size > 0 && (largest == NULL || size > largest->end - largest->start))
            largest = &gaps[i];
    }
    char words[MV_SIZE_TEXT], most[MV_SIZE_TEXT], range[RANGE_TEXT] = "none";
    if (largest != NULL)
        snprintf(range, sizeof range, "%s, at 0x%" PRIx64 "-0x%" PRIx64,
                 mv_size_format(largest->end - largest->start, most), largest->start,
                 largest->end - 1);
    return mv_error_set(job->err, ENOSPC,
                        "bank '%s': %s is too large for every free place from 0x%" PRIx64 " up in "
                        "the guest-physical space, which has %u bits and ends at 0x%" PRIx64
                        "; the largest size that fits is %s",
                        p->wish->text, mv_size_format(p->size, words), job->ram_base, job->ipa_bits,
                        job->limit - 1, range);
}

/* The banks behind placed_count take the lowest gaps, in the order given. */
static int place_rest(struct layout_job *job, size_t placed_count)
{
    CLEANUP_FREE struct gap *gaps = calloc(placed_count + job->window_count + 1, sizeof *gaps);
    if (gaps == NULL)
        return mv_error_set_errno(job->err, ENOMEM, "bank layout");
    size_t gap_count = find_gaps(job, placed_count, gaps);

    for (size_t i = placed_count; i < job->count; i++) {
        struct placed *p = &job->placed[i];
        size_t g = 0;
        while (g < gap_count && gaps[g].end - gaps[g].start < p->size)
            g++;
        if (g == gap_count)
            return refuse_no_gap(job, p, gaps, gap_count);
        p->gpa = gaps[g].start;
        p->has_place = true;
        gaps[g].start += p->size;
    }
    return 0;
}

static int check_ids(const struct layout_job *job)
{
    CLEANUP_FREE const struct placed **by_id = calloc(job->count, sizeof *by_id);
    if (by_id == NULL)
        return mv_error_set_errno(job->err, ENOMEM, "bank layout");
    for (size_t i = 0; i < job->count; i++)
        by_id[i] = &job->placed[i];
    qsort(by_id, job->count, sizeof *by_id, compare_ids);

    for (size_t i = 1; i < job->count; i++) {
        const struct placed *a = by_id[i - 1], *b = by_id[i];
        if (strcmp(a->id, b->id) != 0)
            continue;
        const struct placed *named = a->wish->id != NULL ? a : b;
        const struct placed *other = named == a ? b : a;
        char named_range[RANGE_TEXT], other_range[RANGE_TEXT];
        range_text(named->gpa, named->size, named_range);
        range_text(other->gpa, other->size, other_range);
        if (other->wish->id != NULL)
            return mv_error_set(job->err, EEXIST,
                                "two banks have the id '%s': '%s' (%s) and '%s' (%s): give each "
                                "its own",
                                a->id, named->wish->text, named_range, other->wish->text,
                                other_range);
        return mv_error_set(job->err, EEXIST,
                            "bank '%s' (%s) has the id '%s', which is also the automatic id of "
                            "bank '%s' (%s): choose another id, or give that bank one too",
                            named->wish->text, named_range, named->id, other->wish->text,
                            other_range);
    }
    return 0;
}

static int lay_out(struct layout_job *job)
{
    size_t placed_count = 0;
    for (size_t i = 0; i < job->count; i++)
        placed_count += job->placed[i].has_place;
    qsort(job->windows, job->window_count, sizeof *job->windows, compare_windows);

    sort_and_name(job);
    int r = check_each(job);
    if (r == 0)
        r = check_overlaps(job, placed_count);
    if (r == 0)
        r = check_windows(job, placed_count);
    if (r == 0)
        r = place_rest(job, placed_count);
    if (r < 0)
        return r;
    sort_and_name(job);
    return check_ids(job);
}

void mv_bank_layout_free(struct mv_bank_layout *layout)
{
    for (size_t i = 0; i < layout->count; i++)
        free(layout->banks[i].id);
    free(layout->banks);
    *layout = (struct mv_bank_layout){0};
}

static int take_result(const struct layout_job *job, struct mv_bank_layout *ret)
{
    struct mv_bank_layout layout = {.banks = calloc(job->count + 1, sizeof *layout.banks)};
    if (layout.banks == NULL)
        return mv_error_set_errno(job->err, ENOMEM, "bank layout");
    for (size_t i = 0; i < job->count; i++) {
        const struct placed *p = &job->placed[i];
        layout.banks[i] = (struct mv_bank){strdup(p->id), p->gpa, p->size, p->wish};
        layout.count++;
        if (layout.banks[i].id == NULL) {
            mv_bank_layout_free(&layout);
            return mv_error_set_errno(job->err, ENOMEM, "bank layout");
        }
    }
    *ret = layout;
    return 0;
}

int mv_bank_layout_make(const struct mv_config_bank *wishes, size_t wish_count,
                        const struct mv_window *windows, size_t window_count, uint64_t ram_base,
                        unsigned ipa_bits, struct mv_bank_layout *ret, struct mv_error *err)
{
    CLEANUP_FREE struct placed *placed = calloc(wish_count + 1, sizeof *placed);
    CLEANUP_FREE struct mv_window *sorted = calloc(window_count + 1, sizeof *sorted);
    if (placed == NULL || sorted == NULL)
        return mv_error_set_errno(err, ENOMEM, "bank layout");
    for (size_t i = 0; i < wish_count; i++)
        placed[i] = (struct placed){.wish = &wishes[i],
                                    .gpa = wishes[i].gpa,
                                    .size = wishes[i].size,
                                    .order = i,
                                    .has_place = wishes[i].has_gpa};
    for (size_t i = 0; i < window_count; i++)
        sorted[i] = windows[i];

    struct layout_job job = {.placed = placed,
                             .count = wish_count,
                             .windows = sorted,
                             .window_count = window_count,
                             .ram_base = ram_base,
                             .limit = UINT64_C(1) << ipa_bits,
                             .ipa_bits = ipa_bits,
                             .err = err};
    int r = lay_out(&job);
    return r < 0 ? r : take_result(&job, ret);
}
