/* SPDX-License-Identifier: Apache-2.0 */
#include "channel-credentials.h"

#include "cleanup.h"
#include "os.h"
#include "size.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define FORMS        "psk=FILE[,identity=NAME] or x509=DIR[,name=PEER]"
#define FILE_MAX     (256 * MV_KIB)
#define IDENTITY_MAX 128 /* characters */
#define KEY_MIN      16  /* bytes */
#define KEY_MAX      128

/* --- the text */

struct options {
    bool psk;
    char *path, *name;
};

static void clear_options(struct options *options)
{
    free(options->path);
    free(options->name);
}
#define CLEANUP_OPTIONS __attribute__((cleanup(clear_options)))

/* A comma in a path or a name is written twice, as in other options. */
static const char *take_value(const char *text, char **ret)
{
    char *value = malloc(strlen(text) + 1);
    size_t len = 0;
    *ret = value;
    if (value == NULL)
        return text;
    for (; *text != '\0' && (*text != ',' || text[1] == ','); text++) {
        text += *text == ',';
        value[len++] = *text;
    }
    value[len] = '\0';
    return text;
}

static int parse(const char *text, struct options *options, struct mv_error *err)
{
    static const struct {
        const char *key, *other;
    } forms[] = {{"x509=", ",name="}, {"psk=", ",identity="}};
    for (int i = 0; i < 2; i++) {
        size_t len = strlen(forms[i].key), len2 = strlen(forms[i].other);
        if (strncmp(text, forms[i].key, len) != 0)
            continue;
        options->psk = i == 1;
        const char *end = take_value(text + len, &options->path);
        bool named = strncmp(end, forms[i].other, len2) == 0;
        if (named)
            end = take_value(end + len2, &options->name);
        if (options->path == NULL || (named && options->name == NULL))
            return mv_error_set_errno(err, ENOMEM, "TLS '%s'", text);
        if (*end != '\0' || *options->path == '\0' || (named && *options->name == '\0'))
            break;
        return 0;
    }
    return mv_error_set(err, EINVAL, "TLS '%s': write " FORMS, text);
}

int mv_channel_tls_check(const char *text, struct mv_error *err)
{
    CLEANUP_OPTIONS struct options options = {0};
    return parse(text, &options, err);
}

/* --- files */

struct contents {
    char *text; /* with a zero behind it */
    size_t len;
};

static void clear_contents(struct contents *contents)
{
    if (contents->text != NULL)
        explicit_bzero(contents->text, contents->len);
    free(contents->text);
}
#define CLEANUP_CONTENTS __attribute__((cleanup(clear_contents)))

/* All of a file; one with a key in it must be nobody else's to read. */
static int read_file(const char *path, bool secret, struct contents *ret, struct mv_error *err)
{
    struct stat st;
    CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 || fstat(fd, &st) < 0)
        return mv_error_set_errno(err, errno, "TLS: '%s'", path);
    if (!S_ISREG(st.st_mode) || st.st_size > (off_t)FILE_MAX)
        return mv_error_set(err, EINVAL, "TLS: '%s' is no file of keys: it is %s", path,
                            S_ISREG(st.st_mode) ? "too large (256 KiB at most)" : "no plain file");
    if (secret && (st.st_mode & (S_IROTH | S_IWOTH)))
        return mv_error_set(err, EPERM,
                            "TLS: '%s' has a key in it that everybody here can read or change "
                            "(mode %03o): type 'chmod 600' and its path, and make another key",
                            path, st.st_mode & 0777);
    struct contents contents = {.len = (size_t)st.st_size};
    contents.text = calloc(1, contents.len + 1);
    if (contents.text == NULL)
        return mv_error_set_errno(err, ENOMEM, "TLS: '%s'", path);
    *ret = contents;
    int r = mv_pread_all(fd, contents.text, contents.len, 0);
    return r == 0 ? 0 : mv_error_set_errno(err, -r, "TLS: '%s'", path);
}

/* --- PSK */

static int hex_value(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* IDENTITY:HEX, without the end of the line; the key has `identity` once there is one to free. */
static bool parse_key(const char *line, size_t len, struct mv_psk_key *key)
{
    const char *colon = memrchr(line, ':', len);
    size_t name_len = colon == NULL ? 0 : (size_t)(colon - line);
    size_t digits = colon == NULL ? 0 : len - name_len - 1;
    if (name_len == 0 || name_len > IDENTITY_MAX || digits % 2 != 0 || digits / 2 < KEY_MIN ||
        digits / 2 > KEY_MAX)
        return false;
    for (size_t i = 0; i < name_len; i++)
        if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
            return false;
    key->identity = strndup(line, name_len);
    key->bytes = malloc(digits / 2);
    key->len = digits / 2;
    for (size_t i = 0; key->bytes != NULL && i < digits; i += 2) {
        int high = hex_value(colon[1 + i]), low = hex_value(colon[2 + i]);
        if (high < 0 || low < 0)
            return false;
        key->bytes[i / 2] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static int add_key(struct mv_channel_tls *tls, const char *line, size_t len, unsigned number,
                   struct mv_error *err)
{
    struct mv_psk_key *keys = reallocarray(tls->keys, tls->key_count + 1, sizeof *keys);
    if (keys == NULL)
        return mv_error_set_errno(err, ENOMEM, "TLS: '%s'", tls->path);
    tls->keys = keys;
    struct mv_psk_key *key = &keys[tls->key_count++];
    *key = (struct mv_psk_key){0};
    if (!parse_key(line, len, key))
        return mv_error_set(
            err, EINVAL,
            "TLS: '%s': line %u is not IDENTITY:KEY with a key of %d to %d bytes in "
            "hex: make the file by 'psktool -u NAME -p FILE'",
            tls->path, number, KEY_MIN, KEY_MAX);
    return key->identity != NULL && key->bytes != NULL
               ? 0
               : mv_error_set_errno(err, ENOMEM, "TLS: '%s'", tls->path);
}

static int read_keys(struct mv_channel_tls *tls, struct mv_error *err)
{
    CLEANUP_CONTENTS struct contents contents = {0};
    int r = read_file(tls->path, true, &contents, err);
    const char *line = contents.text;
    for (unsigned number = 1; r == 0 && *line != '\0'; number++) {
        size_t len = strcspn(line, "\r\n");
        if (len > 0 && *line != '#')
            r = add_key(tls, line, len, number, err);
        line += len;
        line += *line == '\r';
        line += *line == '\n';
    }
    if (r < 0)
        return r;
    if (tls->name != NULL && mv_tls_find_key(tls, tls->name) == NULL)
        return mv_error_set(err, ENOENT, "TLS: '%s' has no key of the identity '%s'", tls->path,
                            tls->name);
    return tls->key_count > 0
               ? 0
               : mv_error_set(err, EINVAL,
                              "TLS: '%s' has no key in it: make one by 'psktool -u NAME -p FILE'",
                              tls->path);
}

const struct mv_psk_key *mv_tls_find_key(const struct mv_channel_tls *tls, const char *identity)
{
    for (size_t i = 0; i < tls->key_count; i++)
        if (strcmp(tls->keys[i].identity, identity) == 0 &&
            (tls->name == NULL || strcmp(tls->name, identity) == 0))
            return &tls->keys[i];
    return NULL;
}

static int tell_gnutls(const struct mv_channel_tls *tls, int r, struct mv_error *err)
{
    return mv_error_set(err, r == GNUTLS_E_MEMORY_ERROR ? ENOMEM : EINVAL, "TLS: '%s': %s",
                        tls->path, tls->lib->gnutls_strerror(r));
}

static int open_psk(struct mv_channel_tls *tls, struct mv_error *err)
{
    int r = read_keys(tls, err);
    if (r < 0)
        return r;
    if (tls->listens) {
        r = tls->lib->gnutls_psk_allocate_server_credentials(&tls->psk_server);
        if (r < 0)
            return tell_gnutls(tls, r, err);
        tls->lib->gnutls_psk_set_server_credentials_function(tls->psk_server, mv_tls_give_key);
        return 0;
    }
    const struct mv_psk_key *key =
        mv_tls_find_key(tls, tls->name != NULL ? tls->name : tls->keys[0].identity);
    const gnutls_datum_t bytes = {.data = key->bytes, .size = (unsigned)key->len};
    r = tls->lib->gnutls_psk_allocate_client_credentials(&tls->psk_client);
    if (r >= 0)
        r = tls->lib->gnutls_psk_set_client_credentials(tls->psk_client, key->identity, &bytes,
                                                        GNUTLS_PSK_KEY_RAW);
    return r < 0 ? tell_gnutls(tls, r, err) : 0;
}

/* --- X.509 */

static int read_in(const struct mv_channel_tls *tls, const char *name, bool secret,
                   struct contents *ret, struct mv_error *err)
{
    CLEANUP_FREE char *path = NULL;
    if (asprintf(&path, "%s/%s", tls->path, name) < 0) {
        path = NULL;
        return mv_error_set_errno(err, ENOMEM, "TLS: '%s'", tls->path);
    }
    return read_file(path, secret, ret, err);
}

static gnutls_datum_t datum(const struct contents *contents)
{
    return (gnutls_datum_t){.data = (unsigned char *)contents->text,
                            .size = (unsigned)contents->len};
}

static int open_x509(struct mv_channel_tls *tls, struct mv_error *err)
{
    CLEANUP_CONTENTS struct contents ca = {0};
    CLEANUP_CONTENTS struct contents cert = {0};
    CLEANUP_CONTENTS struct contents key = {0};
    const char *cert_name = tls->listens ? "server-cert.pem" : "client-cert.pem";
    const char *key_name = tls->listens ? "server-key.pem" : "client-key.pem";
    int r = read_in(tls, "ca-cert.pem", false, &ca, err);
    if (r == 0)
        r = read_in(tls, cert_name, false, &cert, err);
    if (r == 0)
        r = read_in(tls, key_name, true, &key, err);
    if (r < 0)
        return r;
    const gnutls_datum_t ca_bytes = datum(&ca), cert_bytes = datum(&cert), key_bytes = datum(&key);
    r = tls->lib->gnutls_certificate_allocate_credentials(&tls->x509);
    if (r < 0)
        return tell_gnutls(tls, r, err);
    r = tls->lib->gnutls_certificate_set_x509_trust_mem(tls->x509, &ca_bytes, GNUTLS_X509_FMT_PEM);
    if (r <= 0)
        return mv_error_set(err, EINVAL, "TLS: '%s/ca-cert.pem' has no certificate in it (PEM)",
                            tls->path);
    r = tls->lib->gnutls_certificate_set_x509_key_mem2(tls->x509, &cert_bytes, &key_bytes,
                                                       GNUTLS_X509_FMT_PEM, NULL, 0);
    return r >= 0 ? 0
                  : mv_error_set(err, EINVAL, "TLS: '%s': %s and %s do not go together: %s",
                                 tls->path, cert_name, key_name, tls->lib->gnutls_strerror(r));
}

int mv_channel_tls_open(const char *text, bool listens, struct mv_channel_tls **ret,
                        struct mv_error *err)
{
    CLEANUP_OPTIONS struct options options = {0};
    const struct mv_gnutls *lib;
    int r = parse(text, &options, err);
    if (r == 0)
        r = mv_gnutls_load(&lib, err);
    if (r < 0)
        return r;
    struct mv_channel_tls *tls = calloc(1, sizeof *tls);
    if (tls == NULL)
        return mv_error_set_errno(err, ENOMEM, "TLS '%s'", text);
    *tls = (struct mv_channel_tls){.lib = lib,
                                   .listens = listens,
                                   .psk = options.psk,
                                   .path = options.path,
                                   .name = options.name};
    options = (struct options){0};
    r = tls->psk ? open_psk(tls, err) : open_x509(tls, err);
    if (r < 0) {
        mv_channel_tls_close(tls);
        return r;
    }
    *ret = tls;
    return 0;
}

void mv_channel_tls_close(struct mv_channel_tls *tls)
{
    if (tls == NULL)
        return;
    if (tls->psk_server != NULL)
        tls->lib->gnutls_psk_free_server_credentials(tls->psk_server);
    if (tls->psk_client != NULL)
        tls->lib->gnutls_psk_free_client_credentials(tls->psk_client);
    if (tls->x509 != NULL)
        tls->lib->gnutls_certificate_free_credentials(tls->x509);
    for (size_t i = 0; i < tls->key_count; i++) {
        if (tls->keys[i].bytes != NULL)
            explicit_bzero(tls->keys[i].bytes, tls->keys[i].len);
        free(tls->keys[i].bytes);
        free(tls->keys[i].identity);
    }
    free(tls->keys);
    free(tls->path);
    free(tls->name);
    free(tls);
}
