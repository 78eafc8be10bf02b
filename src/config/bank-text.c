/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The arguments of -m, SIZE[@ADDR][,key=value…], and of --back,
 * ID=FILE[,key=value…].  Whether the bank fits the guest's space is for
 * memory/bank.c to say, and whether there is a block of this id for the machine,
 * once it is made.
 */
#include "config-text.h"

#include "cleanup.h"
#include "options.h"
#include "size.h"

#include <stdlib.h>
#include <string.h>

/* --- -m */

void mv_config_bank_clear(struct mv_config_bank *bank)
{
    free(bank->id);
    free(bank->text);
    mv_backing_clear(&bank->backing);
    *bank = (struct mv_config_bank){0};
}

/* A block's id is written path/name, and it becomes the name of a link. */
static int set_id(struct mv_config_bank *bank, const char *value, struct mv_error *err)
{
    if (value == NULL)
        return mv_error_set(err, EINVAL, "'id' needs a value: id=NAME");
    if (value[0] == '\0')
        return mv_error_set(err, EINVAL, "id= is empty: give a name, such as id=ram0");
    if (strcmp(value, ".") == 0 || strcmp(value, "..") == 0)
        return mv_error_set(err, EINVAL, "id '%s' cannot be a bank's name: use letters and digits",
                            value);
    for (const char *c = value; *c != '\0'; c++) {
        if (*c == '/' || *c == '=' || *c == ',' || (unsigned char)*c <= ' ' || *c == 0x7f)
            return mv_error_set(err, EINVAL,
                                "id '%s' cannot be a bank's name: use characters other than "
                                "'/', '=', ',' and spaces",
                                value);
    }
    if (bank->id != NULL)
        return mv_error_set(err, EINVAL, "id= is given twice, '%s' and '%s': give it once",
                            bank->id, value);
    bank->id = strdup(value);
    return bank->id == NULL ? mv_error_set_errno(err, ENOMEM, "id '%s'", value) : 0;
}

static int refuse_unknown_key(const char *key, struct mv_error *err)
{
    struct mv_suggestion near;
    if (key[0] != '\0' && key[strspn(key, "0123456789-")] == '\0')
        return mv_error_set(err, EINVAL,
                            "a bank has no key '%s': in a value, a comma is written twice, as in "
                            "host-nodes=0,,2",
                            key);
    mv_suggestion_init(&near, key);
    mv_suggestion_offer(&near, "id");
    for (const struct mv_backing_key *k = mv_backing_keys; k->key != NULL; k++)
        mv_suggestion_offer(&near, k->key);
    if (near.nearest != NULL)
        return mv_error_set(err, EINVAL, "a bank has no key '%s': did you mean %s=?", key,
                            near.nearest);
    return mv_error_set(err, EINVAL,
                        "a bank has no key '%s': a bank is SIZE[@ADDR][,key=value...], such as "
                        "256M@2G,file=ram.img",
                        key);
}

static int parse_bank_key(struct mv_config_bank *bank, char *word, uint32_t *seen, struct mv_error *err)
{
    const char *value = mv_backing_split(word);
    if (strcmp(word, "id") == 0)
        return set_id(bank, value, err);
    const struct mv_backing_key *key = mv_backing_find_key(word);
    if (key == NULL)
        return refuse_unknown_key(word, err);
    return mv_backing_set(&bank->backing, key, value, seen, err);
}

static int parse_place(struct mv_config_bank *bank, char *text, struct mv_error *err)
{
    char *address = strchr(text, '@');
    if (address != NULL)
        *address++ = '\0';
    int r = mv_size_parse(text, &bank->size, err);
    if (r == 0 && address != NULL) {
        bank->has_gpa = true;
        r = mv_address_parse(address, &bank->gpa, err);
    }
    return r;
}

int mv_config_parse_bank(const char *text, struct mv_config_bank *ret, struct mv_error *err)
{
    struct mv_config_bank bank = {.text = strdup(text)};
    CLEANUP_FREE char *words = strdup(text);
    if (bank.text == NULL || words == NULL) {
        mv_config_bank_clear(&bank);
        return mv_error_set_errno(err, ENOMEM, "bank '%s'", text);
    }
    char *rest = words;
    uint32_t seen = 0;
    int r = parse_place(&bank, mv_backing_next_word(&rest), err);
    while (r == 0 && rest != NULL)
        r = parse_bank_key(&bank, mv_backing_next_word(&rest), &seen, err);
    if (r == 0)
        r = mv_backing_check(&bank.backing, err);
    if (r < 0) {
        mv_config_bank_clear(&bank);
        return r;
    }
    *ret = bank;
    return 0;
}

int mv_config_add_bank(struct mv_config *config, const char *text, struct mv_error *err)
{
    struct mv_config_bank bank;
    int r = mv_config_parse_bank(text, &bank, err);
    if (r < 0)
        return r;
    struct mv_config_bank *banks =
        reallocarray(config->banks, config->bank_count + 1, sizeof *banks);
    if (banks == NULL) {
        mv_config_bank_clear(&bank);
        return mv_error_set_errno(err, ENOMEM, "bank '%s'", text);
    }
    config->banks = banks;
    banks[config->bank_count++] = bank;
    return 0;
}

/* --- --back */

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

static int parse_back_key(struct mv_config_back *back, char *word, uint32_t *seen, struct mv_error *err)
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
        r = parse_back_key(&back, mv_backing_next_word(&rest), &seen, err);
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
