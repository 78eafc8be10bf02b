/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From structs back to the text that the parsers of this room take, for whoever
 * keeps what a machine was made of.  What was written is read once, so that what
 * no text can say is refused now and not where somebody relies on it.  No state;
 * called by the machine room and by whoever saves.
 */
#include "config-text.h"

#include "cleanup.h"
#include "size.h"

#include <stdlib.h>
#include <string.h>

void mv_text_word(FILE *out, const char *word)
{
    for (; *word != '\0'; word++) {
        if (*word == ',')
            putc(',', out);
        putc(*word, out);
    }
}

void mv_text_key(FILE *out, const char *key, const char *value)
{
    fprintf(out, ",%s=", key);
    mv_text_word(out, value);
}

void mv_backing_print(FILE *out, const struct mv_config_backing *backing)
{
    char buf[MV_VALUE_TEXT];
    for (const struct mv_backing_key *key = mv_backing_keys; key->key != NULL; key++) {
        const char *value = key->kind->get(backing, key, buf);
        if (value != NULL)
            mv_text_key(out, key->key, value);
    }
}

/* "256 MiB" to "256M"; "17 bytes" becomes "17b", which is no size. */
const char *mv_size_word(uint64_t bytes, char buf[MV_VALUE_TEXT])
{
    _Static_assert(MV_VALUE_TEXT >= MV_SIZE_TEXT, "a size is a value");
    char *space = strchr(mv_size_format(bytes, buf), ' ');
    space[0] = space[1];
    space[1] = '\0';
    return buf;
}

/* --- each struct */

static void write_bank(FILE *out, const void *what)
{
    const struct mv_config_bank *bank = what;
    char buf[MV_VALUE_TEXT];
    fputs(mv_size_word(bank->size, buf), out);
    if (bank->has_gpa)
        fprintf(out, "@0x%llx", (unsigned long long)bank->gpa);
    if (bank->id != NULL)
        mv_text_key(out, "id", bank->id);
    mv_backing_print(out, &bank->backing);
}

static int read_bank(const char *text, struct mv_error *err)
{
    struct mv_config_bank bank = {0};
    int r = mv_config_parse_bank(text, &bank, err);
    mv_config_bank_clear(&bank);
    return r;
}

static void write_back(FILE *out, const void *what)
{
    const struct mv_config_back *back = what;
    struct mv_config_backing others = back->backing;
    others.file = others.nbd = NULL;
    mv_text_word(out, back->id);
    putc('=', out);
    mv_text_word(out, back->backing.nbd != NULL ? back->backing.nbd : back->backing.file);
    mv_backing_print(out, &others);
}

static int read_back(const char *text, struct mv_error *err)
{
    struct mv_config_back back = {0};
    int r = mv_config_parse_back(text, &back, err);
    mv_config_back_clear(&back);
    return r;
}

static void write_backing(FILE *out, const void *what)
{
    mv_backing_print(out, what);
}

/* Behind the comma that the first key begins with. */
static int read_backing(const char *text, struct mv_error *err)
{
    struct mv_config_backing backing = {0};
    int r = mv_config_parse_backing(text + (text[0] == ','), &backing, err);
    mv_backing_clear(&backing);
    return r;
}

static void write_device(FILE *out, const void *what)
{
    mv_device_print(out, what);
}

static int read_device(const char *text, struct mv_error *err)
{
    struct mv_config_device device = {0};
    int r = mv_config_parse_device_add(text, &device, err);
    mv_config_device_clear(&device);
    return r;
}

/* --- text */

static int print(const void *what, void (*write)(FILE *out, const void *what),
                 int (*read)(const char *text, struct mv_error *err), char **ret,
                 struct mv_error *err)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    if (out == NULL)
        return mv_error_set_errno(err, ENOMEM, "writing options");
    write(out, what);
    bool failed = ferror(out) != 0;
    /* The last step of closing allocates, and its failure is told by the text alone. */
    failed |= fclose(out) != 0 || text == NULL;
    int r = failed ? mv_error_set_errno(err, ENOMEM, "writing options") : read(text, err);
    if (r < 0 && !failed)
        mv_error_prefix(err, "'%.80s' cannot be written as options", text);
    if (r < 0)
        free(text);
    else
        *ret = text;
    return r;
}

int mv_config_print_bank(const struct mv_config_bank *bank, char **ret, struct mv_error *err)
{
    return print(bank, write_bank, read_bank, ret, err);
}

int mv_config_print_back(const struct mv_config_back *back, char **ret, struct mv_error *err)
{
    /* Read, it would be another one. */
    if (back->id == NULL || strchr(back->id, '=') != NULL ||
        (back->backing.file == NULL && back->backing.nbd == NULL))
        return mv_error_set(err, EINVAL,
                            "'%.80s' cannot be written as options: --back names a block without "
                            "'=' in its id, and a file",
                            back->id == NULL ? "" : back->id);
    return print(back, write_back, read_back, ret, err);
}

int mv_config_print_backing(const struct mv_config_backing *backing, char **ret,
                            struct mv_error *err)
{
    int r = print(backing, write_backing, read_backing, ret, err);
    if (r == 0)
        memmove(*ret, *ret + ((*ret)[0] == ','), strlen(*ret) + ((*ret)[0] != ','));
    return r;
}

int mv_config_print_device(const struct mv_config_device *device, char **ret, struct mv_error *err)
{
    return print(device, write_device, read_device, ret, err);
}
