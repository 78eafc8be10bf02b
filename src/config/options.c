/* SPDX-License-Identifier: Apache-2.0 */
#include "options.h"

#include "cleanup.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct parse {
    const struct mv_option_table *table;
    char *const *argv;
    int argc;
    int next; /* index of the next word */
    void *target;
    const char **seen; /* the value that each option of the table got */
    size_t words;      /* how many words that are no options there were */
    struct mv_error *err;
};

int mv_later_refuse(const char *what, const char *purpose, const char *help_verb,
                    struct mv_error *err)
{
    return mv_error_set(err, EINVAL,
                        "%s is not in this version (" MV_VERSION ") of memvisor; it will %s; "
                        "'memvisor help%s%s' lists what there is",
                        what, purpose, help_verb[0] == '\0' ? "" : " ", help_verb);
}

int mv_option_set_string(void *target, const struct mv_option *option, const char *value,
                         struct mv_error *err)
{
    char **field = (char **)((char *)target + option->offset);
    if (value[0] == '\0')
        return mv_error_set(err, EINVAL, "the %s is empty", option->argument);
    free(*field);
    *field = strdup(value);
    return *field == NULL ? mv_error_set_errno(err, ENOMEM, "copying '%s'", value) : 0;
}

int mv_option_set_flag(void *target, const struct mv_option *option, const char *value,
                       struct mv_error *err)
{
    *(bool *)((char *)target + option->offset) = true;
    return 0;
}

const struct mv_option *mv_option_at(const struct mv_option_table *table, size_t index)
{
    if (index < table->count)
        return &table->options[index];
    const struct mv_option *option = table->shared;
    for (size_t i = table->count; option != NULL && option->name != NULL && i < index; i++)
        option++;
    return option == NULL || option->name == NULL ? NULL : option;
}

static const struct mv_option *find_long(const struct mv_option_table *table, const char *name)
{
    const struct mv_option *option;
    for (size_t i = 0; (option = mv_option_at(table, i)) != NULL; i++) {
        if (strcmp(option->name, name) == 0 ||
            (option->alias != NULL && strcmp(option->alias, name) == 0))
            break;
    }
    return option;
}

static const struct mv_option *find_letter(const struct mv_option_table *table, char letter)
{
    const struct mv_option *option;
    for (size_t i = 0; (option = mv_option_at(table, i)) != NULL && option->letter != letter;)
        i++;
    return option;
}

static size_t index_of(const struct mv_option_table *table, const struct mv_option *option)
{
    size_t i = 0;
    while (mv_option_at(table, i) != option)
        i++;
    return i;
}

static const struct mv_foreign_option *find_foreign(const struct mv_option_table *table,
                                                    const char *name)
{
    for (size_t i = 0; i < table->foreign_count; i++) {
        if (strcmp(table->foreign[i].name, name) == 0)
            return &table->foreign[i];
    }
    return NULL;
}

static int refuse_unknown(struct parse *p, const char *name)
{
    const char *bare = name + strspn(name, "-");
    const struct mv_foreign_option *foreign = find_foreign(p->table, bare);
    struct mv_suggestion near;
    if (foreign != NULL)
        return mv_error_set(p->err, EINVAL, "unknown option '%s': %s", name, foreign->hint);
    mv_suggestion_init(&near, bare);
    const struct mv_option *option;
    for (size_t i = 0; (option = mv_option_at(p->table, i)) != NULL; i++) {
        mv_suggestion_offer(&near, option->name);
        mv_suggestion_offer(&near, option->alias);
    }
    if (near.nearest != NULL)
        return mv_error_set(p->err, EINVAL,
                            "unknown option '%s': did you mean --%s? 'memvisor help %s' lists "
                            "all options",
                            name, near.nearest, p->table->verb);
    return mv_error_set(p->err, EINVAL, "unknown option '%s': 'memvisor help %s' lists all options",
                        name, p->table->verb);
}

/* A separate word that starts with a dash is the next option, not a value. */
static bool next_is_value(const struct parse *p, const struct mv_option *option)
{
    if (p->next >= p->argc)
        return false;
    const char *word = p->argv[p->next];
    return option->dash_value || word[0] != '-' || word[1] == '\0';
}

/* `shown` is the option as the user wrote it, `attached` its value or NULL. */
static int apply(struct parse *p, const struct mv_option *option, const char *shown,
                 const char *attached)
{
    const char **seen = &p->seen[index_of(p->table, option)];
    const char *value = attached;

    if (option->later != NULL)
        return mv_later_refuse(shown, option->later, p->table->verb, p->err);
    if (option->argument == NULL && attached != NULL)
        return mv_error_set(p->err, EINVAL, "%s takes no value, but '%s' was given", shown,
                            attached);
    if (option->argument != NULL && attached == NULL) {
        if (!next_is_value(p, option))
            return mv_error_set(p->err, EINVAL, "%s needs a value: %s %s", shown, shown,
                                option->argument);
        value = p->argv[p->next++];
    }
    if (value != NULL && *seen != NULL && !option->repeatable)
        return mv_error_set(p->err, EINVAL,
                            "%s is given twice, with '%s' and with '%s': give it once", shown,
                            *seen, value);
    if (value != NULL)
        *seen = value;
    int r = option->set(p->target, option, value, p->err);
    if (r < 0)
        mv_error_prefix(p->err, "%s%s%s", shown, value == NULL ? "" : " ",
                        value == NULL ? "" : value);
    return r;
}

static int parse_long(struct parse *p, const char *word)
{
    size_t len = strcspn(word, "=");
    CLEANUP_FREE char *shown = strndup(word, len);
    if (shown == NULL)
        return mv_error_set_errno(p->err, ENOMEM, "option %s", word);
    const struct mv_option *option = find_long(p->table, shown + 2);
    return option == NULL ? refuse_unknown(p, shown)
                          : apply(p, option, shown, word[len] == '=' ? word + len + 1 : NULL);
}

static int parse_short(struct parse *p, const char *word)
{
    /* -kernel, as QEMU spells it, would else become -k with the value "ernel". */
    const struct mv_option *by_name = find_long(p->table, word + 1);
    if (word[2] != '\0' && by_name != NULL)
        return mv_error_set(p->err, EINVAL, "unknown option '%s': write --%s, with two dashes",
                            word, by_name->name);
    /* Nor -nographic -n with the name "ographic". */
    const struct mv_option *option = find_letter(p->table, word[1]);
    if (option == NULL || find_foreign(p->table, word + 1) != NULL)
        return refuse_unknown(p, word);
    char shown[3] = {'-', word[1], '\0'};
    return apply(p, option, shown, word[2] == '\0' ? NULL : word + 2);
}

/* A word that is no option. */
static int take_word(struct parse *p, const char *word)
{
    const struct mv_option_table *table = p->table;
    if (table->word_count == 0)
        return mv_error_set(p->err, EINVAL,
                            "unexpected argument '%s': everything 'memvisor %s' takes is an "
                            "option; 'memvisor help %s' lists them",
                            word, table->verb, table->verb);
    size_t last = table->word_count - 1;
    if (p->words > last && !table->words[last].repeatable)
        return mv_error_set(p->err, EINVAL,
                            "unexpected argument '%s': see 'memvisor help %s' for what 'memvisor "
                            "%s' takes",
                            word, table->verb, table->verb);
    const struct mv_option *option = &table->words[p->words > last ? last : p->words];
    p->words++;
    int r = option->set(p->target, option, word, p->err);
    if (r < 0)
        mv_error_prefix(p->err, "%s '%s'", option->argument, word);
    return r;
}

static int parse_words(struct parse *p)
{
    bool options = true;
    while (p->next < p->argc) {
        const char *word = p->argv[p->next++];
        int r = 0;
        if (options && (strcmp(word, "-h") == 0 || strcmp(word, "--help") == 0))
            return MV_OPTIONS_HELP;
        if (options && strcmp(word, "--") == 0 && p->table->word_count > 0)
            options = false;
        else if (!options || word[0] != '-' || word[1] == '\0' || strcmp(word, "--") == 0)
            r = take_word(p, word);
        else
            r = word[1] == '-' ? parse_long(p, word) : parse_short(p, word);
        if (r < 0)
            return r;
    }
    if (p->words >= p->table->words_needed)
        return 0;
    const char *missing = p->table->words[p->words].argument;
    return mv_error_set(p->err, EINVAL, "%s is missing: see 'memvisor help %s'%s", missing,
                        p->table->verb,
                        strcmp(missing, "NAME") == 0 ? "; 'memvisor ps' lists the VMs" : "");
}

int mv_options_parse(const struct mv_option_table *table, int argc, char *const *argv, void *target,
                     struct mv_error *err)
{
    CLEANUP_FREE const char **seen = calloc(index_of(table, NULL) + 1, sizeof *seen);
    if (seen == NULL)
        return mv_error_set_errno(err, ENOMEM, "options");
    struct parse p = {
        .table = table, .argv = argv, .argc = argc, .target = target, .seen = seen, .err = err};
    return parse_words(&p);
}

/*
 * --- the nearest spelling, by optimal string alignment: insertions, deletions,
 * substitutions and swaps of neighbours count one each
 */

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
