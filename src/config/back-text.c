/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The argument of --back: ID=FILE[,key=value…].  Whether there is a block of
 * this id is for the machine to say, once it is made.
 */
#include "run-options.h"

#include "backing-text.h"
#include "cleanup.h"
#include "suggest.h"

#include <stdlib.h>
#include <string.h>

void mv_config_back_clear(struct mv_config_back *back)
{
    free(back->id);
    free(back->text);
    mv_backing_clear(&back->backing);
    *back = (struct mv_config_back){0};
}

static int parse_target(struct mv_config_back *back, char *word, struct mv_error *err)
{
    const char *file = mv_backing_split(word);
    if (word[0] == '\0' || file == NULL || file[0] == '\0')
        return mv_error_set(err, EINVAL, "write ID=FILE, such as ram0=ram.img");
    back->id = strdup(word);
    back->backing.file = strdup(file);
    if (back->id == NULL || back->backing.file == NULL)
        return mv_error_set_errno(err, ENOMEM, "copying it");
    return 0;
}

static int parse_key(struct mv_config_back *back, char *word, uint32_t *seen, struct mv_error *err)
{
    const char *value = mv_backing_split(word);
    const struct mv_backing_key *key = mv_backing_find_key(word);
    if (key != NULL && key->offset != offsetof(struct mv_config_backing, file))
        return mv_backing_set(&back->backing, key, value, seen, err);
    struct mv_suggestion near;
    mv_suggestion_init(&near, word);
    for (const struct mv_backing_key *k = mv_backing_keys + 1; k->key != NULL; k++)
        mv_suggestion_offer(&near, k->key);
    if (near.nearest != NULL)
        return mv_error_set(err, EINVAL, "there is no key '%s': did you mean %s=?", word,
                            near.nearest);
    return mv_error_set(err, EINVAL,
                        "there is no key '%s': behind ID=FILE come keys such as share=off; a comma "
                        "of the file's name is written twice",
                        word);
}

int mv_config_parse_back(const char *text, struct mv_config_back *ret, struct mv_error *err)
{
    struct mv_config_back back = {.text = strdup(text)};
    CLEANUP_FREE char *words = strdup(text);
    char *rest = words;
    uint32_t seen = 0;
    int r = 0;
    if (back.text == NULL || words == NULL)
        r = mv_error_set_errno(err, ENOMEM, "copying it");
    if (r == 0)
        r = parse_target(&back, mv_backing_next_word(&rest), err);
    while (r == 0 && rest != NULL)
        r = parse_key(&back, mv_backing_next_word(&rest), &seen, err);
    if (r == 0)
        r = mv_backing_check(&back.backing, err);
    if (r < 0) {
        mv_config_back_clear(&back);
        return r;
    }
    *ret = back;
    return 0;
}

int mv_config_add_back(struct mv_config *config, struct mv_config_back *back,
                       struct mv_error *err)
{
    struct mv_config_back *backs =
        reallocarray(config->backs, config->back_count + 1, sizeof *backs);
    if (backs == NULL) {
        mv_config_back_clear(back);
        return mv_error_set_errno(err, ENOMEM, "keeping it");
    }
    config->backs = backs;
    backs[config->back_count++] = *back;
    return 0;
}
