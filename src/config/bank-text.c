/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The argument of -m: SIZE[@ADDR][,key=value…].  Whether the bank fits the
 * guest's space is for memory/bank.c to say.
 */
#include "run-options.h"

#include "backing-text.h"
#include "cleanup.h"
#include "size.h"
#include "suggest.h"

#include <stdlib.h>
#include <string.h>

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

static int parse_key(struct mv_config_bank *bank, char *word, uint32_t *seen, struct mv_error *err)
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
        r = parse_key(&bank, mv_backing_next_word(&rest), &seen, err);
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
