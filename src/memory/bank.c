/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Banks and the board's windows are one list, sorted by address, in which overlaps
 * are looked for first; banks without an address then take the lowest gaps.  Ends
 * are kept exclusive, and since the guest's space has fewer than 64 address bits,
 * they always fit.
 */
#include "bank.h"

#include "cleanup.h"
#include "config.h"
#include "size.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE 4096

struct placed {
    const struct mv_config_bank *wish; /* NULL: a window of the board */
    const char *window;
    uint64_t gpa;
    uint64_t size;
    size_t order; /* in which the user gave them */
    bool has_place;
    char auto_id[24];
};

struct layout_job {
    struct placed *all; /* sorted by address, those without one last */
    size_t count;
    size_t placed; /* how many have a place */
    uint64_t ram_base;
    uint64_t limit; /* bytes of guest-physical space */
    unsigned ipa_bits;
    struct mv_error *err;
};

static const char *name_of(const struct placed *p)
{
    if (p->wish == NULL)
        return p->window;
    return p->wish->id == NULL ? p->auto_id : p->wish->id;
}

static uint64_t end_of(const struct placed *p)
{
    return p->gpa + p->size;
}

/* "0x…-0x…, … MiB" */
#define RANGE_TEXT 96
static const char *range_format(uint64_t gpa, uint64_t size, char buf[RANGE_TEXT])
{
    snprintf(buf, RANGE_TEXT, "0x%" PRIx64 "-0x%" PRIx64 ", %s", gpa, gpa + size - 1,
             mv_size_text(size));
    return buf;
}
#define range_text(p) range_format((p)->gpa, (p)->size, (char[RANGE_TEXT]){""})

static int compare_places(const void *a, const void *b)
{
    const struct placed *x = a, *y = b;
    if (x->has_place != y->has_place)
        return x->has_place ? -1 : 1;
    if (x->has_place && x->gpa != y->gpa)
        return x->gpa < y->gpa ? -1 : 1;
    return x->order < y->order ? -1 : 1;
}

/* Windows last. */
static int compare_ids(const void *a, const void *b)
{
    const struct placed *x = a, *y = b;
    if ((x->wish == NULL) != (y->wish == NULL))
        return x->wish == NULL ? 1 : -1;
    return strcmp(name_of(x), name_of(y));
}

/* Sort by address, and name those banks that the user did not. */
static void sort_and_name(struct layout_job *job)
{
    size_t banks = 0;
    qsort(job->all, job->count, sizeof *job->all, compare_places);
    for (size_t i = 0; i < job->count; i++) {
        if (job->all[i].wish != NULL)
            snprintf(job->all[i].auto_id, sizeof job->all[i].auto_id, "ram%zu", banks++);
    }
}

static int check_size(const struct layout_job *job, const struct placed *p)
{
    const char *text = p->wish->text;
    uint64_t down = p->size < PAGE ? PAGE : p->size - p->size % PAGE;
    char at[32] = "";
    if (p->has_place)
        snprintf(at, sizeof at, " at 0x%" PRIx64, p->gpa);
    if (p->size == 0)
        return mv_error_set(job->err, EINVAL,
                            "bank '%s': a size of zero (0 bytes%s): a bank has at least 4 KiB",
                            text, at);
    if (p->size % PAGE != 0)
        return mv_error_set(job->err, EINVAL,
                            "bank '%s': its size of %s%s is unaligned: write a multiple of 4 KiB, "
                            "such as %s or %s",
                            text, mv_size_text(p->size), at, mv_size_text(down),
                            mv_size_text(down + PAGE));
    return 0;
}

static int check_place(const struct layout_job *job, const struct placed *p)
{
    const char *text = p->wish->text;
    uint64_t end;
    if (p->gpa % PAGE != 0)
        return mv_error_set(job->err, EINVAL,
                            "bank '%s': its address 0x%" PRIx64 " (%s) is unaligned: write a "
                            "multiple of 4 KiB, such as 0x%" PRIx64,
                            text, p->gpa, mv_size_text(p->size), p->gpa - p->gpa % PAGE);
    const char *most = p->gpa < job->limit ? mv_size_text(job->limit - p->gpa) : "none";
    if (mv_add_overflows(p->gpa, p->size, &end))
        return mv_error_set(job->err, ERANGE,
                            "bank '%s': %s at 0x%" PRIx64 " is too large: its end does not fit 64 "
                            "bits, and guest-physical space has %u bits and ends at 0x%" PRIx64
                            "; the largest size that fits there is %s",
                            text, mv_size_text(p->size), p->gpa, job->ipa_bits, job->limit - 1,
                            most);
    if (end > job->limit)
        return mv_error_set(job->err, ERANGE,
                            "bank '%s' (%s) reaches beyond the guest-physical space, which has %u "
                            "bits and ends at 0x%" PRIx64 "; the largest size that fits there is "
                            "%s",
                            text, range_text(p), job->ipa_bits, job->limit - 1, most);
    return 0;
}

static int check_each(const struct layout_job *job)
{
    int r = 0;
    for (size_t i = 0; i < job->count && r == 0; i++) {
        const struct placed *p = &job->all[i];
        if (p->wish != NULL)
            r = check_size(job, p);
        if (r == 0 && p->wish != NULL && p->has_place)
            r = check_place(job, p);
    }
    return r;
}

static int refuse_overlap(const struct layout_job *job, const struct placed *a,
                          const struct placed *b)
{
    const struct placed *bank = a->wish != NULL ? a : b, *other = bank == a ? b : a;
    if (other->wish != NULL)
        return mv_error_set(job->err, EEXIST,
                            "banks %s ('%s': %s) and %s ('%s': %s) overlap: give each its own "
                            "addresses",
                            name_of(a), a->wish->text, range_text(a), name_of(b), b->wish->text,
                            range_text(b));
    return mv_error_set(job->err, EEXIST,
                        "bank %s ('%s': %s) overlaps the device window '%s' (%s): give it other "
                        "addresses, such as from 0x%" PRIx64 " up",
                        name_of(bank), bank->wish->text, range_text(bank), other->window,
                        range_text(other), job->ram_base);
}

/* In sorted order a bank's overlap shows with what reaches furthest of all before it. */
static int check_overlaps(const struct layout_job *job)
{
    const struct placed *furthest = job->all;
    for (size_t i = 1; i < job->placed; i++) {
        const struct placed *p = &job->all[i];
        if (end_of(furthest) > p->gpa && (furthest->wish != NULL || p->wish != NULL))
            return refuse_overlap(job, furthest, p);
        if (end_of(p) > end_of(furthest))
            furthest = p;
    }
    return 0;
}

/* The index of what is behind the lowest gap that p fits, whose start becomes its address. */
static int find_gap(const struct layout_job *job, struct placed *p, size_t *ret)
{
    struct placed most = {.size = 0};
    uint64_t from = job->ram_base;
    for (size_t i = 0; i <= job->placed; i++) {
        bool behind = i == job->placed || job->all[i].gpa > job->limit;
        uint64_t to = behind ? job->limit : job->all[i].gpa;
        uint64_t start = mv_align_up(from, PAGE), end = to - to % PAGE;
        uint64_t size = start < end ? end - start : 0;
        if (size >= p->size) {
            p->gpa = start;
            *ret = i;
            return 0;
        }
        if (size > most.size)
            most = (struct placed){.gpa = start, .size = size};
        if (i < job->placed && end_of(&job->all[i]) > from)
            from = end_of(&job->all[i]);
    }
    char range[RANGE_TEXT] = "none";
    if (most.size > 0)
        snprintf(range, sizeof range, "%s, at 0x%" PRIx64 "-0x%" PRIx64, mv_size_text(most.size),
                 most.gpa, end_of(&most) - 1);
    return mv_error_set(job->err, ENOSPC,
                        "bank '%s': %s is too large for every free place from 0x%" PRIx64 " up in "
                        "the guest-physical space, which has %u bits and ends at 0x%" PRIx64
                        "; the largest size that fits is %s",
                        p->wish->text, mv_size_text(p->size), job->ram_base, job->ipa_bits,
                        job->limit - 1, range);
}

/* Those without an address take the lowest gaps, in the order given. */
static int place_rest(struct layout_job *job)
{
    for (; job->placed < job->count; job->placed++) {
        struct placed p = job->all[job->placed];
        size_t at = 0;
        int r = find_gap(job, &p, &at);
        if (r < 0)
            return r;
        p.has_place = true;
        memmove(&job->all[at + 1], &job->all[at], (job->placed - at) * sizeof p);
        job->all[at] = p;
    }
    return 0;
}

/* Leaves them sorted by id. */
static int check_ids(const struct layout_job *job)
{
    qsort(job->all, job->count, sizeof *job->all, compare_ids);
    for (size_t i = 1; i < job->count && job->all[i].wish != NULL; i++) {
        const struct placed *a = &job->all[i - 1], *b = &job->all[i];
        if (strcmp(name_of(a), name_of(b)) != 0)
            continue;
        const struct placed *named = a->wish->id != NULL ? a : b, *other = named == a ? b : a;
        if (other->wish->id != NULL)
            return mv_error_set(job->err, EEXIST,
                                "two banks have the id '%s': '%s' (%s) and '%s' (%s): give each "
                                "its own",
                                name_of(a), named->wish->text, range_text(named), other->wish->text,
                                range_text(other));
        return mv_error_set(job->err, EEXIST,
                            "bank '%s' (%s) has the id '%s', which is also the automatic id of "
                            "bank '%s' (%s): choose another id, or give that bank one too",
                            named->wish->text, range_text(named), name_of(named), other->wish->text,
                            range_text(other));
    }
    return 0;
}

static int lay_out(struct layout_job *job)
{
    sort_and_name(job);
    int r = check_each(job);
    if (r == 0)
        r = check_overlaps(job);
    if (r == 0)
        r = place_rest(job);
    if (r < 0)
        return r;
    sort_and_name(job);
    r = check_ids(job);
    qsort(job->all, job->count, sizeof *job->all, compare_places);
    return r;
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
    for (size_t i = 0; layout.banks != NULL && i < job->count; i++) {
        const struct placed *p = &job->all[i];
        if (p->wish == NULL)
            continue;
        struct mv_bank *bank = &layout.banks[layout.count++];
        *bank = (struct mv_bank){strdup(name_of(p)), p->gpa, p->size, p->wish};
        if (bank->id == NULL)
            mv_bank_layout_free(&layout);
    }
    if (layout.banks == NULL)
        return mv_error_set_errno(job->err, ENOMEM, "bank layout");
    *ret = layout;
    return 0;
}

int mv_bank_layout_make(const struct mv_config_bank *wishes, size_t wish_count,
                        const struct mv_window *windows, size_t window_count, uint64_t ram_base,
                        unsigned ipa_bits, struct mv_bank_layout *ret, struct mv_error *err)
{
    size_t count = wish_count + window_count;
    CLEANUP_FREE struct placed *all = calloc(count + 1, sizeof *all);
    if (all == NULL)
        return mv_error_set_errno(err, ENOMEM, "bank layout");
    struct layout_job job = {all,      count, window_count, ram_base, UINT64_C(1) << ipa_bits,
                             ipa_bits, err};
    for (size_t i = 0; i < wish_count; i++) {
        all[i] = (struct placed){.wish = &wishes[i],
                                 .gpa = wishes[i].gpa,
                                 .size = wishes[i].size,
                                 .order = i,
                                 .has_place = wishes[i].has_gpa};
        job.placed += wishes[i].has_gpa;
    }
    for (size_t i = 0; i < window_count; i++)
        all[wish_count + i] = (struct placed){.window = windows[i].name,
                                              .gpa = windows[i].gpa,
                                              .size = windows[i].size,
                                              .order = wish_count + i,
                                              .has_place = true};
    int r = lay_out(&job);
    return r < 0 ? r : take_result(&job, ret);
}
