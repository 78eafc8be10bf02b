/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nearest spelling by optimal string alignment: insertions, deletions,
 * substitutions and swaps of neighbours count one each.  Pure; called where a
 * verb, an option, a key or a value is refused.
 */
#include "suggest.h"

#include <stdint.h>
#include <string.h>

/* Words of an option's length; longer input is nobody's misspelling. */
#define WORD_MAX 32

void mv_suggestion_init(struct mv_suggestion *suggestion, const char *word)
{
    *suggestion = (struct mv_suggestion){.word = word, .distance = SIZE_MAX};
}

static size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t edit_distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
    size_t rows[WORD_MAX + 1][WORD_MAX + 1];
    for (size_t i = 0; i <= a_len; i++) {
        for (size_t j = 0; j <= b_len; j++) {
            if (i == 0 || j == 0) {
                rows[i][j] = i + j;
                continue;
            }
            size_t best = rows[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            best = min_size(best, rows[i - 1][j] + 1);
            best = min_size(best, rows[i][j - 1] + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                best = min_size(best, rows[i - 2][j - 2] + 1);
            rows[i][j] = best;
        }
    }
    return rows[a_len][b_len];
}

void mv_suggestion_offer(struct mv_suggestion *suggestion, const char *candidate)
{
    if (candidate == NULL)
        return;
    size_t word_len = strlen(suggestion->word);
    size_t candidate_len = strlen(candidate);
    if (word_len == 0 || word_len > WORD_MAX || candidate_len > WORD_MAX)
        return;

    size_t distance = edit_distance(suggestion->word, word_len, candidate, candidate_len);
    size_t shorter = min_size(word_len, candidate_len);
    size_t longer = word_len + candidate_len - shorter;
    /* An abbreviation, or a name with something behind it, is one mistake. */
    if (shorter >= 3 && strncmp(suggestion->word, candidate, shorter) == 0)
        distance = 1;
    if (distance <= (longer + 1) / 3 && distance < suggestion->distance) {
        suggestion->nearest = candidate;
        suggestion->distance = distance;
    }
}
