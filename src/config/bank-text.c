/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The argument of -m: SIZE[@ADDR][,key=value…].  Whether the bank fits the
 * guest's space is for memory/bank.c to say.
 */
#include "run-options.h"

#include "cleanup.h"
#include "size.h"
#include "suggest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void mv_config_bank_clear(struct mv_config_bank *bank)
{
    free(bank->id);
    free(bank->text);
    *bank = (struct mv_config_bank){0};
}

/* A block's id is written path/name, and options are split at commas. */
static int set_id(struct mv_config_bank *bank, const char *value, struct mv_error *err)
{
    if (value[0] == '\0')
        return mv_error_set(err, EINVAL, "id= is empty: give a name, such as id=ram0");
    for (const char *c = value; *c != '\0'; c++) {
        if (*c == '/' || *c == '=' || (unsigned char)*c <= ' ' || *c == 0x7f)
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

const struct mv_bank_key mv_bank_keys[] = {
    {"id", "NAME", "the bank's name; default ram0, ram1 ... in address order", NULL, set_id},
    {"file", "PATH", NULL, "keep a bank's bytes in a file", NULL},
    {"share", "on|off", NULL, "share a bank's bytes with other processes", NULL},
    {"create", "on", NULL, "create a bank's file", NULL},
    {"same-file", "ok", NULL, "let two banks stand on one file", NULL},
    {"memfd", "on", NULL, "keep a bank's bytes in a memfd", NULL},
    {"fd", "N", NULL, "keep a bank's bytes in an open descriptor", NULL},
    {"hugetlb", "2M|1G", NULL, "take a bank from the host's huge pages", NULL},
    {"thp", "on|off", NULL, "choose transparent huge pages for a bank", NULL},
    {"prealloc", "on|off", NULL, "allocate a bank's pages before the guest starts", NULL},
    {"lock", "on|off", NULL, "keep a bank's pages from being swapped", NULL},
    {"merge", "on|off", NULL, "let the host merge equal pages of a bank", NULL},
    {"dump", "on|off", NULL, "choose whether core dumps hold a bank", NULL},
    {"policy", "POLICY", NULL, "choose a bank's NUMA policy", NULL},
    {"host-nodes", "NODES", NULL, "choose a bank's NUMA nodes", NULL},
    {"save", "on|off", NULL, "choose whether a saved state holds a bank", NULL},
    {0},
};

static int refuse_unknown_key(const char *key, struct mv_error *err)
{
    struct mv_suggestion near;
    mv_suggestion_init(&near, key);
    for (const struct mv_bank_key *k = mv_bank_keys; k->key != NULL; k++)
        mv_suggestion_offer(&near, k->key);
    if (near.nearest != NULL)
        return mv_error_set(err, EINVAL, "a bank has no key '%s': did you mean %s=?", key,
                            near.nearest);
    return mv_error_set(err, EINVAL,
                        "a bank has no key '%s': a bank is SIZE[@ADDR][,id=NAME], such as "
                        "256M@2G",
                        key);
}

static int parse_key(struct mv_config_bank *bank, char *word, struct mv_error *err)
{
    char *value = strchr(word, '=');
    if (value != NULL)
        *value++ = '\0';
    for (const struct mv_bank_key *k = mv_bank_keys; k->key != NULL; k++) {
        if (strcmp(k->key, word) != 0)
            continue;
        if (k->later != NULL) {
            char shown[64];
            snprintf(shown, sizeof shown, "%s=", k->key);
            return mv_later_refuse(shown, k->later, "run", err);
        }
        if (value == NULL)
            return mv_error_set(err, EINVAL, "'%s' needs a value: %s=%s", k->key, k->key,
                                k->argument);
        return k->set(bank, value, err);
    }
    return refuse_unknown_key(word, err);
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
    int r = parse_place(&bank, strsep(&rest, ","), err);
    while (r == 0 && rest != NULL)
        r = parse_key(&bank, strsep(&rest, ","), err);
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
