/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keys of a backing: their values, and which of them go together.  What
 * the host makes of them is for the memory room to find out.  No state;
 * called by bank-text.c and the files of devices.
 */
#include "config-text.h"

#include "size.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *field_of(const struct mv_config_backing *backing, const struct mv_backing_key *key)
{
    return (char *)(uintptr_t)backing + key->offset;
}

static int refuse_value(const struct mv_backing_key *key, const char *value, struct mv_error *err)
{
    return mv_error_set(err, EINVAL, "%s=%s is not understood: write %s=%s", key->key, value,
                        key->key, key->argument);
}

static int set_text(struct mv_config_backing *backing, const struct mv_backing_key *key,
                    const char *value, struct mv_error *err)
{
    char **field = field_of(backing, key);
    if (value[0] == '\0')
        return mv_error_set(err, EINVAL, "%s= is empty: write %s=%s", key->key, key->key,
                            key->argument);
    *field = strdup(value);
    return *field == NULL ? mv_error_set_errno(err, ENOMEM, "%s=%s", key->key, value) : 0;
}

bool mv_backing_is_nbd(const char *text)
{
    static const char *const schemes[] = {"nbd://",       "nbds://",      "nbd+unix://",
                                          "nbds+unix://", "nbd+vsock://", "nbds+vsock://"};
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        if (strncasecmp(text, schemes[i], strlen(schemes[i])) == 0)
            return true;
    }
    return false;
}

static int set_nbd(struct mv_config_backing *backing, const struct mv_backing_key *key,
                   const char *value, struct mv_error *err)
{
    if (mv_backing_is_nbd(value))
        return set_text(backing, key, value, err);
    return mv_error_set(
        err, EINVAL,
        "nbd=%s is no URI of an NBD export: write nbd://HOST[:PORT]/NAME, nbds://... "
        "for TLS, or nbd+unix:///NAME?socket=PATH",
        value);
}

/* Which of the words of the key's argument the value is. */
static int choose(const struct mv_backing_key *key, const char *value, struct mv_error *err)
{
    const char *word = key->argument;
    for (int i = 0;; i++) {
        size_t len = strcspn(word, "|");
        if (len == strlen(value) && strncmp(word, value, len) == 0)
            return i;
        if (word[len] == '\0')
            return refuse_value(key, value, err);
        word += len + 1;
    }
}

static int set_switch(struct mv_config_backing *backing, const struct mv_backing_key *key,
                      const char *value, struct mv_error *err)
{
    int r = choose(key, value, err);
    if (r >= 0)
        *(enum mv_config_switch *)field_of(backing, key) = r == 0 ? MV_SWITCH_ON : MV_SWITCH_OFF;
    return r < 0 ? r : 0;
}

/* The first word is what sets it. */
static int set_flag(struct mv_config_backing *backing, const struct mv_backing_key *key,
                    const char *value, struct mv_error *err)
{
    int r = choose(key, value, err);
    *(bool *)field_of(backing, key) = r == 0;
    return r < 0 ? r : 0;
}

static int set_word(struct mv_config_backing *backing, const struct mv_backing_key *key,
                    const char *value, struct mv_error *err)
{
    int r = choose(key, value, err);
    return r < 0 ? r : set_text(backing, key, value, err);
}

bool mv_config_number(const char *text, unsigned long max, unsigned long *ret)
{
    size_t digits = strspn(text, "0123456789");
    errno = 0;
    *ret = strtoul(text, NULL, 10);
    return digits > 0 && text[digits] == '\0' && errno == 0 && *ret <= max;
}

static int set_fd(struct mv_config_backing *backing, const struct mv_backing_key *key,
                  const char *value, struct mv_error *err)
{
    unsigned long number;
    if (!mv_config_number(value, INT_MAX, &number))
        return mv_error_set(err, EINVAL,
                            "fd=%s is no descriptor: give the number of one that the parent "
                            "process left open, such as fd=3",
                            value);
    backing->has_fd = true;
    backing->fd = (int)number;
    return 0;
}

/* A place in a file, so that a bare number counts bytes, as QEMU's offset= does. */
static int set_offset(struct mv_config_backing *backing, const struct mv_backing_key *key,
                      const char *value, struct mv_error *err)
{
    unsigned long number;
    bool bare = value[0] != '\0' && value[strspn(value, "0123456789")] == '\0';
    int r = bare ? -ERANGE : mv_address_parse(value, &backing->offset, err);
    if (bare && mv_config_number(value, ULONG_MAX, &number)) {
        backing->offset = number;
        r = 0;
    }
    backing->has_offset = r == 0;
    if (r == -ERANGE)
        return mv_error_set(err, ERANGE, "offset=%s is too large", value);
    return r < 0 ? refuse_value(key, value, err) : 0;
}

static int set_hugetlb(struct mv_config_backing *backing, const struct mv_backing_key *key,
                       const char *value, struct mv_error *err)
{
    bool large = strcasecmp(value, "1G") == 0;
    if (!large && strcasecmp(value, "2M") != 0)
        return refuse_value(key, value, err);
    backing->hugetlb = large ? MV_GIB : 2 * MV_MIB;
    return 0;
}

/* The text behind a node's number, or NULL where there is none. */
static const char *skip_node(const char *text, unsigned long *ret)
{
    char *end;
    if (text[0] < '0' || text[0] > '9')
        return NULL;
    *ret = strtoul(text, &end, 10);
    return *ret > INT_MAX ? NULL : end;
}

static const char *skip_node_range(const char *text)
{
    unsigned long first, last;
    const char *end = skip_node(text, &first);
    if (end == NULL || *end != '-')
        return end;
    end = skip_node(end + 1, &last);
    return end == NULL || last < first ? NULL : end;
}

static int set_size(struct mv_config_backing *backing, const struct mv_backing_key *key,
                    const char *value, struct mv_error *err)
{
    uint64_t *size = field_of(backing, key);
    int r = mv_size_parse(value, size, err);
    if (r < 0)
        mv_error_prefix(err, "%s=", key->key);
    return r == 0 && *size == 0 ? refuse_value(key, value, err) : r;
}

/* Which nodes there are is for the host to say; libnuma takes too much for a list. */
static int set_nodes(struct mv_config_backing *backing, const struct mv_backing_key *key,
                     const char *value, struct mv_error *err)
{
    const char *end = skip_node_range(value);
    while (end != NULL && *end == ',')
        end = skip_node_range(end + 1);
    if (end == NULL || *end != '\0')
        return mv_error_set(err, EINVAL, "host-nodes=%s is no list of nodes: write 0, 0-1 or 0,,2",
                            value);
    return set_text(backing, key, value, err);
}

/* --- and back to text */

static const char *get_text(const struct mv_config_backing *backing,
                            const struct mv_backing_key *key, char buf[MV_VALUE_TEXT])
{
    return *(char **)field_of(backing, key);
}

/* The first or the second word of the key's argument; NULL where there is no second. */
static const char *word_of(const struct mv_backing_key *key, bool first, char buf[MV_VALUE_TEXT])
{
    const char *second = strchr(key->argument, '|');
    if (!first)
        return second == NULL ? NULL : second + 1;
    snprintf(buf, MV_VALUE_TEXT, "%.*s", (int)strcspn(key->argument, "|"), key->argument);
    return buf;
}

static const char *get_switch(const struct mv_config_backing *backing,
                              const struct mv_backing_key *key, char buf[MV_VALUE_TEXT])
{
    enum mv_config_switch value = *(enum mv_config_switch *)field_of(backing, key);
    return value == MV_SWITCH_DEFAULT ? NULL : word_of(key, value == MV_SWITCH_ON, buf);
}

static const char *get_flag(const struct mv_config_backing *backing,
                            const struct mv_backing_key *key, char buf[MV_VALUE_TEXT])
{
    bool value = *(bool *)field_of(backing, key);
    return value || mv_backing_is_seen(backing, key) ? word_of(key, value, buf) : NULL;
}

static const char *get_fd(const struct mv_config_backing *backing, const struct mv_backing_key *key,
                          char buf[MV_VALUE_TEXT])
{
    snprintf(buf, MV_VALUE_TEXT, "%d", backing->fd);
    return backing->has_fd ? buf : NULL;
}

static const char *get_offset(const struct mv_config_backing *backing,
                              const struct mv_backing_key *key, char buf[MV_VALUE_TEXT])
{
    snprintf(buf, MV_VALUE_TEXT, "0x%llx", (unsigned long long)backing->offset);
    return backing->has_offset ? buf : NULL;
}

static const char *get_hugetlb(const struct mv_config_backing *backing,
                               const struct mv_backing_key *key, char buf[MV_VALUE_TEXT])
{
    return backing->hugetlb == 0 ? NULL : mv_size_word(backing->hugetlb, buf);
}

static const char *get_size(const struct mv_config_backing *backing,
                            const struct mv_backing_key *key, char buf[MV_VALUE_TEXT])
{
    uint64_t size = *(uint64_t *)field_of(backing, key);
    return size == 0 ? NULL : mv_size_word(size, buf);
}

/* --- the table */

static const struct mv_backing_kind kind_text = {set_text, get_text},
                                    kind_switch = {set_switch, get_switch},
                                    kind_flag = {set_flag, get_flag},
                                    kind_word = {set_word, get_text}, kind_fd = {set_fd, get_fd},
                                    kind_nbd = {set_nbd, get_text},
                                    kind_size = {set_size, get_size},
                                    kind_offset = {set_offset, get_offset},
                                    kind_hugetlb = {set_hugetlb, get_hugetlb},
                                    kind_nodes = {set_nodes, get_text};

#define FIELD(name) offsetof(struct mv_config_backing, name)

const struct mv_backing_key mv_backing_keys[] = {
    {"file", "PATH", "keep the bytes in this file", &kind_text, FIELD(file)},
    {"nbd", "URI", "the bytes are in this NBD export, and come when they are first needed",
     &kind_nbd, FIELD(nbd)},
    {"cache", "SIZE", "how much of the export may be in memory, what was changed aside", &kind_size,
     FIELD(cache)},
    {"offset", "BYTES",
     "the bytes are a part of the file or export, from here on: bytes, 0x..., or with a suffix",
     &kind_offset},
    {"share", "on|off",
     "whether others who map the file see what the guest writes; a file's default is on; to an "
     "export it is written back",
     &kind_switch, FIELD(share)},
    {"create", "on|off", "make the file where there is none", &kind_flag, FIELD(create)},
    {"same-file", "ok", "others may map the same file", &kind_flag, FIELD(same_file)},
    {"memfd", "on|off", "memory that others can map, without a file's name", &kind_flag,
     FIELD(memfd)},
    {"fd", "N", "what the parent process opened as descriptor N", &kind_fd},
    {"hugetlb", "2M|1G", "pages of the host's pool of huge pages", &kind_hugetlb},
    {"thp", "on|off", "have the host use transparent huge pages, or not", &kind_switch, FIELD(thp)},
    {"prealloc", "on|off", "allocate all pages before the guest starts", &kind_switch,
     FIELD(prealloc)},
    {"lock", "on|off", "keep the pages from being swapped", &kind_switch, FIELD(lock)},
    {"merge", "on|off", "let the host merge equal pages (KSM)", &kind_switch, FIELD(merge)},
    {"dump", "on|off", "whether core dumps of memvisor hold the bytes; default on", &kind_switch,
     FIELD(dump)},
    {"policy", "default|bind|interleave|preferred",
     "from which NUMA nodes of the host the pages come", &kind_word, FIELD(policy)},
    {"host-nodes", "NODES", "the nodes that policy= is about: 0, 0-1 or 0,,2", &kind_nodes,
     FIELD(host_nodes)},
    {"save", "on|off",
     "whether a saved state holds the bytes; off where they stay in a shared file", &kind_switch,
     FIELD(save)},
    {0},
};

const struct mv_backing_key *mv_backing_find_key(const char *name)
{
    for (const struct mv_backing_key *k = mv_backing_keys; k->key != NULL; k++) {
        if (strcmp(k->key, name) == 0)
            return k;
    }
    return NULL;
}

char *mv_backing_next_word(char **rest)
{
    char *word = *rest, *from = word, *to = word;
    if (word == NULL)
        return NULL;
    while (*from != '\0' && (*from != ',' || from[1] == ',')) {
        from += *from == ',';
        *to++ = *from++;
    }
    *rest = *from == '\0' ? NULL : from + 1;
    *to = '\0';
    return word;
}

char *mv_backing_split(char *word)
{
    char *value = strchr(word, '=');
    if (value != NULL)
        *value++ = '\0';
    return value;
}

static uint32_t bit_of(const struct mv_backing_key *key)
{
    return UINT32_C(1) << (key - mv_backing_keys);
}

bool mv_backing_is_seen(const struct mv_config_backing *backing, const struct mv_backing_key *key)
{
    return (backing->seen & bit_of(key)) != 0;
}

int mv_backing_set(struct mv_config_backing *backing, const struct mv_backing_key *key,
                   const char *value, struct mv_error *err)
{
    if (value == NULL)
        return mv_error_set(err, EINVAL, "'%s' needs a value: %s=%s", key->key, key->key,
                            key->argument);
    if (mv_backing_is_seen(backing, key))
        return mv_error_set(err, EINVAL, "%s= is given twice: give it once", key->key);
    backing->seen |= bit_of(key);
    return key->kind->set(backing, key, value, err);
}

int mv_backing_check(const struct mv_config_backing *b, struct mv_error *err)
{
    bool named = b->file != NULL || b->has_fd, nbd = b->nbd != NULL;
    bool nodes_needed = b->policy != NULL && strcmp(b->policy, "default") != 0;
    const struct {
        bool is_so;
        const char *refusal;
    } rules[] = {
        {b->file != NULL && b->has_fd,
         "file= and fd= exclude each other: the bytes live in one of them"},
        {b->memfd && b->has_fd,
         "memfd=on and fd= exclude each other: the bytes live in one of them"},
        {b->memfd && b->file != NULL,
         "memfd=on and file= exclude each other: the bytes live in one of them"},
        {b->memfd && b->share == MV_SWITCH_OFF,
         "memfd=on and share=off exclude each other: a memfd is there to be shared; memory of a "
         "bank without either is private"},
        {nbd && (named || b->memfd || b->hugetlb != 0),
         "nbd= excludes file=, fd=, memfd=on and hugetlb=: the bytes live in one of them"},
        {nbd && b->prealloc == MV_SWITCH_ON,
         "nbd= and prealloc=on exclude each other: its pages are allocated when they come"},
        {b->cache != 0 && !nbd, "cache= is about an NBD export: name it with nbd=URI"},
        {b->cache != 0 && b->lock == MV_SWITCH_ON,
         "cache= and lock=on exclude each other: what is locked is not dropped"},
        {b->cache != 0 && b->thp == MV_SWITCH_ON,
         "cache= and thp=on exclude each other: pages are dropped by 4 KiB"},
        {b->has_offset && !named && !nbd, "offset= is a place in a file: name it with file=PATH"},
        {b->create && b->file == NULL, "create=on makes a file: name it with file=PATH"},
        {b->same_file && !named, "same-file=ok is about a file: name it with file=PATH"},
        {b->hugetlb != 0 && b->thp != MV_SWITCH_DEFAULT,
         "hugetlb= and thp= exclude each other: pages of the pool are huge already"},
        {b->host_nodes != NULL && b->policy != NULL && !nodes_needed,
         "policy=default and host-nodes= exclude each other: the default is no choice of nodes"},
    };
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        if (rules[i].is_so)
            return mv_error_set(err, EINVAL, "%s", rules[i].refusal);
    }
    if (nodes_needed && b->host_nodes == NULL)
        return mv_error_set(err, EINVAL, "policy=%s needs nodes: add host-nodes=0, for example",
                            b->policy);
    if (b->host_nodes != NULL && !nodes_needed)
        return mv_error_set(err, EINVAL,
                            "host-nodes=%s needs a policy: add policy=bind, policy=interleave or "
                            "policy=preferred",
                            b->host_nodes);
    return 0;
}

void mv_backing_clear(struct mv_config_backing *backing)
{
    free(backing->file);
    free(backing->nbd);
    free(backing->policy);
    free(backing->host_nodes);
    *backing = (struct mv_config_backing){0};
}
