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

/* --back has the place for the bytes in front of its keys. */
static bool is_place(const struct mv_backing_key *key)
{
    return key == mv_backing_find_key("file") || key == mv_backing_find_key("nbd");
}

/* The text where `key` is none of theirs: "did you mean share=?" or `otherwise`. */
static int refuse_key(const char *start, const char *key, const char *otherwise, bool is_bank,
                      struct mv_error *err)
{
    struct mv_suggestion near;
    mv_suggestion_init(&near, key);
    mv_suggestion_offer(&near, is_bank ? "id" : NULL);
    for (const struct mv_backing_key *k = mv_backing_keys; k->key != NULL; k++)
        mv_suggestion_offer(&near, is_bank || !is_place(k) ? k->key : NULL);
    if (near.nearest != NULL)
        return mv_error_set(err, EINVAL, "%s '%s': did you mean %s=?", start, key, near.nearest);
    return mv_error_set(err, EINVAL, "%s '%s': %s", start, key, otherwise);
}

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

static int parse_bank_key(struct mv_config_bank *bank, char *word, struct mv_error *err)
{
    const char *value = mv_backing_split(word);
    const struct mv_backing_key *key = mv_backing_find_key(word);
    if (strcmp(word, "id") == 0)
        return set_id(bank, value, err);
    if (key != NULL)
        return mv_backing_set(&bank->backing, key, value, err);
    if (word[0] != '\0' && word[strspn(word, "0123456789-")] == '\0')
        return mv_error_set(err, EINVAL,
                            "a bank has no key '%s': in a value, a comma is written twice, as in "
                            "host-nodes=0,,2",
                            word);
    return refuse_key("a bank has no key", word,
                      "a bank is SIZE[@ADDR][,key=value...], such as 256M@2G,file=ram.img", true,
                      err);
}

static int parse_place(struct mv_config_bank *bank, char *text, struct mv_error *err)
{
    char *address = strchr(text, '@');
    if (address != NULL)
        *address++ = '\0';
    bank->has_gpa = address != NULL;
    int r = mv_size_parse(text, &bank->size, err);
    return r < 0 || address == NULL ? r : mv_address_parse(address, &bank->gpa, err);
}

int mv_config_parse_bank(const char *text, struct mv_config_bank *ret, struct mv_error *err)
{
    struct mv_config_bank bank = {.text = strdup(text)};
    CLEANUP_FREE char *words = strdup(text);
    char *rest = words;
    int r = bank.text == NULL || words == NULL
                ? mv_error_set_errno(err, ENOMEM, "bank '%s'", text)
                : parse_place(&bank, mv_backing_next_word(&rest), err);
    while (r == 0 && rest != NULL)
        r = parse_bank_key(&bank, mv_backing_next_word(&rest), err);
    if (r == 0)
        r = mv_backing_check(&bank.backing, err);
    if (r < 0)
        mv_config_bank_clear(&bank);
    else
        *ret = bank;
    return r;
}

/* --- the keys of either alone */

int mv_config_parse_backing(const char *text, struct mv_config_backing *ret, struct mv_error *err)
{
    struct mv_config_backing backing = {0};
    CLEANUP_FREE char *words = strdup(text);
    char *rest = text[0] == '\0' ? NULL : words;
    int r = words == NULL ? mv_error_set_errno(err, ENOMEM, "copying it") : 0;
    while (r == 0 && rest != NULL) {
        char *word = mv_backing_next_word(&rest);
        const char *value = mv_backing_split(word);
        const struct mv_backing_key *key = mv_backing_find_key(word);
        r = key == NULL ? refuse_key("a block has no key", word,
                                     "write key=value, such as share=off", true, err)
                        : mv_backing_set(&backing, key, value, err);
    }
    if (r == 0)
        r = mv_backing_check(&backing, err);
    if (r < 0)
        mv_backing_clear(&backing);
    else
        *ret = backing;
    return r;
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
    char **place = mv_backing_is_nbd(file) ? &back->backing.nbd : &back->backing.file;
    back->id = strdup(word);
    *place = strdup(file);
    if (back->id == NULL || *place == NULL)
        return mv_error_set_errno(err, ENOMEM, "copying it");
    return 0;
}

static int parse_back_key(struct mv_config_back *back, char *word, struct mv_error *err)
{
    const char *value = mv_backing_split(word);
    const struct mv_backing_key *key = mv_backing_find_key(word);
    if (key != NULL && !is_place(key))
        return mv_backing_set(&back->backing, key, value, err);
    return refuse_key("there is no key", word,
                      "behind ID=FILE come keys such as share=off; a comma of the file's name is "
                      "written twice",
                      false, err);
}

int mv_config_parse_back(const char *text, struct mv_config_back *ret, struct mv_error *err)
{
    struct mv_config_back back = {.text = strdup(text)};
    CLEANUP_FREE char *words = strdup(text);
    char *rest = words;
    int r = back.text == NULL || words == NULL
                ? mv_error_set_errno(err, ENOMEM, "copying it")
                : parse_target(&back, mv_backing_next_word(&rest), err);
    while (r == 0 && rest != NULL)
        r = parse_back_key(&back, mv_backing_next_word(&rest), err);
    if (r == 0)
        r = mv_backing_check(&back.backing, err);
    if (r < 0)
        mv_config_back_clear(&back);
    else
        *ret = back;
    return r;
}
