/* SPDX-License-Identifier: Apache-2.0 */
/* The nearest spelling of a mistyped word, for "did you mean" in messages. */
#ifndef MV_CONFIG_SUGGEST_H
#define MV_CONFIG_SUGGEST_H

#include <stddef.h>

struct mv_suggestion {
    const char *word;
    const char *nearest; /* NULL while nothing is near enough */
    size_t distance;
};

/* Start looking for what is near `word`, which stays the caller's. */
void mv_suggestion_init(struct mv_suggestion *suggestion, const char *word);

/*
 * Offer a candidate (NULL is ignored); kept where it is nearer than those
 * before it.  Near enough means that about a third of the letters are wrong at
 * most, or that one word starts with the other.
 */
void mv_suggestion_offer(struct mv_suggestion *suggestion, const char *candidate);

#endif
