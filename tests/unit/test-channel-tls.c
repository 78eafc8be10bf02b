/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream/channel-tls.c and its kin: who is let in, who is not and what is said of
 * it.  The certificates are made here.
 */
#include "channel-fixture.h"

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <sys/random.h>
#include <time.h>

#define MEGABYTES (3 * 1024 * 1024 + 17)
#define DAY       (24 * 60 * 60)
#define LOCAL     "tcp:127.0.0.1:0"

/* --- files */

static void write_file(const char *dir, const char *name, const void *bytes, size_t len, int mode)
{
    char path[300];
    snprintf(path, sizeof path, "%s/%s", in_folder(dir), name);
    unlink(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, mode);
    assert_true(fd >= 0);
    fchmod(fd, (mode_t)mode);
    assert_int_equal(write(fd, bytes, len), (ssize_t)len);
    close(fd);
}

static const char *option(const char *key, const char *name, const char *more)
{
    static char texts[32][300];
    static unsigned next;
    char *text = texts[next++ % 32];
    snprintf(text, sizeof *texts, "%s=%s%s", key, in_folder(name), more);
    return text;
}

struct identity {
    gnutls_x509_privkey_t key;
    gnutls_x509_crt_t crt;
};

static void check(int r)
{
    if (r < 0)
        fail_msg("%s", gnutls_strerror(r));
}

/* Valid from `from` to `to`, in days from now; for a host's name or address, or a CA. */
static struct identity make_identity(const struct identity *ca, const char *host,
                                     const char *purpose, int from, int to)
{
    struct identity made;
    unsigned char serial[8], address[4] = {127, 0, 0, 1};
    assert_int_equal(getrandom(serial, sizeof serial, 0), sizeof serial);
    serial[0] &= 0x7f;
    check(gnutls_x509_privkey_init(&made.key));
    check(gnutls_x509_privkey_generate(made.key, GNUTLS_PK_ECDSA,
                                       GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0));
    check(gnutls_x509_crt_init(&made.crt));
    check(gnutls_x509_crt_set_version(made.crt, 3));
    check(gnutls_x509_crt_set_serial(made.crt, serial, sizeof serial));
    check(gnutls_x509_crt_set_activation_time(made.crt, time(NULL) + from * DAY));
    check(gnutls_x509_crt_set_expiration_time(made.crt, time(NULL) + to * DAY));
    check(gnutls_x509_crt_set_dn_by_oid(made.crt, GNUTLS_OID_X520_COMMON_NAME, 0, host,
                                        (unsigned)strlen(host)));
    check(gnutls_x509_crt_set_key(made.crt, made.key));
    check(gnutls_x509_crt_set_basic_constraints(made.crt, ca == NULL, -1));
    check(gnutls_x509_crt_set_key_usage(made.crt, ca == NULL ? GNUTLS_KEY_KEY_CERT_SIGN
                                                             : GNUTLS_KEY_DIGITAL_SIGNATURE));
    if (strcmp(host, "127.0.0.1") == 0)
        check(gnutls_x509_crt_set_subject_alt_name(made.crt, GNUTLS_SAN_IPADDRESS, address,
                                                   sizeof address, GNUTLS_FSAN_SET));
    else
        check(gnutls_x509_crt_set_subject_alt_name(made.crt, GNUTLS_SAN_DNSNAME, host,
                                                   (unsigned)strlen(host), GNUTLS_FSAN_SET));
    if (purpose != NULL)
        check(gnutls_x509_crt_set_key_purpose_oid(made.crt, purpose, 0));
    check(gnutls_x509_crt_sign2(made.crt, ca == NULL ? made.crt : ca->crt,
                                ca == NULL ? made.key : ca->key, GNUTLS_DIG_SHA256, 0));
    return made;
}

static void drop_identity(struct identity *identity)
{
    gnutls_x509_crt_deinit(identity->crt);
    gnutls_x509_privkey_deinit(identity->key);
}

static void write_crt(const char *dir, const char *name, const struct identity *identity)
{
    char pem[8192];
    size_t len = sizeof pem;
    check(gnutls_x509_crt_export(identity->crt, GNUTLS_X509_FMT_PEM, pem, &len));
    write_file(dir, name, pem, len, 0644);
}

/* The files of one side, by the CA; from a day on that has been or will come. */
static void write_side(const char *dir, const struct identity *ca, const char *side,
                       const char *host, const char *purpose, int from, int to)
{
    char name[40], pem[8192];
    size_t len = sizeof pem;
    struct identity made = make_identity(ca, host, purpose, from, to);
    snprintf(name, sizeof name, "%s-cert.pem", side);
    write_crt(dir, name, &made);
    check(gnutls_x509_privkey_export(made.key, GNUTLS_X509_FMT_PEM, pem, &len));
    snprintf(name, sizeof name, "%s-key.pem", side);
    write_file(dir, name, pem, len, 0600);
    drop_identity(&made);
}

static void write_folder(const char *dir, const struct identity *ca, const char *host,
                         const char *client_purpose, int from, int to)
{
    mkdir(in_folder(dir), 0700);
    write_crt(dir, "ca-cert.pem", ca);
    write_side(dir, ca, "server", host, GNUTLS_KP_TLS_WWW_SERVER, from, to);
    write_side(dir, ca, "client", host, client_purpose, from, to);
}

#define KEY1 "000102030405060708090a0b0c0d0e0f"
#define KEY2 "ffeeddccbbaa99887766554433221100"

static void write_psk(const char *name, const char *text)
{
    write_file(".", name, text, strlen(text), 0600);
}

static int make_files(void **state)
{
    if (make_folder(state) != 0)
        return -1;
    struct identity ca = make_identity(NULL, "ours", NULL, -10, 100);
    struct identity other = make_identity(NULL, "theirs", NULL, -10, 100);
    write_folder("good", &ca, "127.0.0.1", GNUTLS_KP_TLS_WWW_CLIENT, -1, 100);
    write_folder("named", &ca, "vm.example", GNUTLS_KP_TLS_WWW_CLIENT, -1, 100);
    write_folder("expired", &ca, "127.0.0.1", GNUTLS_KP_TLS_WWW_CLIENT, -5, -1);
    write_folder("early", &ca, "127.0.0.1", GNUTLS_KP_TLS_WWW_CLIENT, 5, 100);
    write_folder("purpose", &ca, "127.0.0.1", GNUTLS_KP_TLS_WWW_SERVER, -1, 100);
    write_folder("other", &other, "127.0.0.1", GNUTLS_KP_TLS_WWW_CLIENT, -1, 100);
    drop_identity(&ca);
    drop_identity(&other);
    write_psk("one", "alice:" KEY1 "\n");
    write_psk("two", "# both\r\nbob:" KEY2 "\r\n\nalice:" KEY1);
    write_psk("wrong", "alice:" KEY2 "\n");
    write_psk("eve", "eve:" KEY2 "\n");
    write_psk("odd", "e\x1b[31mve\n:" KEY2 "\n");
    return 0;
}

/* --- both sides */

struct sides {
    struct mv_channel_tls *client, *server;
};

static struct sides open_sides(const char *client, const char *server)
{
    struct sides sides;
    assert_done(mv_channel_tls_open(client, false, &sides.client, &err));
    assert_done(mv_channel_tls_open(server, true, &sides.server, &err));
    return sides;
}

static void close_sides(struct sides *sides)
{
    mv_channel_tls_close(sides->client);
    mv_channel_tls_close(sides->server);
}

static void test_bytes_go_both_ways_at_once(void **state)
{
    const struct {
        const char *uri, *client, *server;
    } pairs[] = {
        {LOCAL, option("psk", "one", ""), option("psk", "two", "")},
        {LOCAL, option("psk", "two", ",identity=alice"), option("psk", "one", "")},
        {LOCAL, option("x509", "good", ""), option("x509", "good", "")},
        {LOCAL, option("x509", "good", ",name=vm.example"),
         option("x509", "named", ",name=127.0.0.1")},
        {uri_of("unix:", in_folder("tls")), option("psk", "one", ""), option("psk", "two", "")},
        {uri_of("unix:", in_folder("tls")), option("x509", "good", ",name=127.0.0.1"),
         option("x509", "good", "")},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        struct mv_channel *ends[2];
        struct sides sides = open_sides(pairs[i].client, pairs[i].server);
        connect_both(pairs[i].uri, sides.client, sides.server, ends);
        exchange(ends, MEGABYTES);
        close_both(ends);
        close_sides(&sides);
    }
}

static void test_the_end_is_told_and_cannot_be_forged(void **state)
{
    struct mv_channel *ends[2];
    char byte = 0;
    struct sides sides = open_sides(option("psk", "one", ""), option("psk", "two", ""));
    connect_both(LOCAL, sides.client, sides.server, ends);
    assert_int_equal(mv_channel_wait_readable(ends[1], 1000000, &err), 0);
    assert_done(mv_channel_write(ends[0], &byte, 1, &err));
    assert_int_equal(mv_channel_wait_readable(ends[1], AGES, &err), 1);
    assert_done(mv_channel_read(ends[1], &byte, 1, &err));
    assert_int_equal(mv_channel_finish(ends[0], 0, &err), -ETIMEDOUT);
    assert_int_equal(mv_channel_read(ends[1], &byte, 1, &err), -ENODATA);
    assert_done(mv_channel_finish(ends[1], AGES, &err));
    close_both(ends);

    connect_both(LOCAL, sides.client, sides.server, ends);
    mv_channel_raw_shut(ends[0]); /* as one could who is on the line */
    assert_int_equal(mv_channel_read(ends[1], &byte, 1, &err), -ECONNRESET);
    close_both(ends);

    connect_both(LOCAL, sides.client, sides.server, ends);
    const struct iovec forged = {.iov_base = (char *)"\x17\x03\x03\0\x20" KEY1, .iov_len = 37};
    assert_int_equal(mv_channel_raw_write(ends[0], &forged, 1), 37);
    assert_int_equal(mv_channel_read(ends[1], &byte, 1, &err), -EPROTO);
    assert_says("TLS: ");
    assert_int_equal(mv_channel_read(ends[1], &byte, 1, &err), -EPROTO);
    close_both(ends);
    close_sides(&sides);
}

static void test_an_end_is_heard_in_reading_and_writing(void **state)
{
    struct mv_channel *ends[2];
    struct flow reading, writing;
    struct sides sides = open_sides(option("psk", "one", ""), option("psk", "two", ""));
    connect_both(LOCAL, sides.client, sides.server, ends);
    start_flow(&reading, read_flow, ends[0], 3, UINT64_C(1) << 40);
    start_flow(&writing, write_flow, ends[0], 3, UINT64_C(1) << 40);
    assert_int_equal(mv_channel_wait_readable(ends[1], AGES, &err), 1);
    mv_channel_end(ends[0]);
    pthread_join(reading.thread, NULL);
    pthread_join(writing.thread, NULL);
    assert_int_equal(reading.result, -ECANCELED);
    assert_int_equal(writing.result, -ECANCELED);
    close_both(ends);
    close_sides(&sides);
}

/* --- who is refused */

static void test_who_is_refused_and_what_both_are_told(void **state)
{
    const struct {
        const char *client, *server, *client_says, *server_says;
    } pairs[] = {
        {option("psk", "wrong", ""), option("psk", "one", ""),
         "it does not take this side's identity and key",
         "the other side's key of 'alice' is another than that in "},
        {option("psk", "eve", ""), option("psk", "one", ""),
         "it does not take this side's identity and key",
         "the other side shows the identity 'eve', which has no key in "},
        {option("psk", "two", ",identity=bob"), option("psk", "two", ",identity=alice"),
         "the other side refuses", "the identity 'bob', which is not the one that was named"},
        {option("x509", "good", ""), option("psk", "one", ""),
         "both have to be given psk=", "both have to be given psk="},
        {option("psk", "one", ""), option("x509", "good", ""),
         "both have to be given psk=", "both have to be given psk="},
        {option("x509", "good", ""), option("x509", "other", ""),
         "the other side's certificate is not signed by the CA of this side",
         "the other side refuses"},
        {option("x509", "good", ""), option("x509", "named", ""),
         "the other side's certificate is not for the name '127.0.0.1': give --tls x509=",
         "the other side refuses"},
        {option("x509", "good", ""), option("x509", "expired", ""),
         "the other side's certificate has expired", "the other side refuses"},
        {option("x509", "good", ""), option("x509", "early", ""),
         "the other side's certificate is not valid yet", "the other side refuses"},
        {option("x509", "other", ",name=127.0.0.1"), option("x509", "good", ""),
         "the other side's certificate is not signed by the CA of this side",
         "the other side refuses: it does not take this side's certificate"},
        {option("x509", "expired", ""), option("x509", "good", ""), "the other side refuses",
         "the other side's certificate has expired"},
        {option("x509", "purpose", ""), option("x509", "good", ""), "the other side refuses",
         "the other side's certificate is for another purpose"},
        {option("x509", "good", ""), option("x509", "good", ",name=vm.example"),
         "the other side refuses", "is not for the name 'vm.example'"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        struct sides sides = open_sides(pairs[i].client, pairs[i].server);
        struct mv_channel_listener *listener;
        struct accepting accepting;
        struct mv_channel *channel = NULL;
        assert_done(mv_channel_listen(LOCAL, sides.server, false, &listener, &err));
        start_accepting(&accepting, listener);
        int r = mv_channel_connect(mv_channel_listener_uri(listener), sides.client, AGES, NULL,
                                   &channel, &err);
        pthread_join(accepting.thread, NULL);
        assert_int_equal(r, -EACCES);
        assert_int_equal(accepting.result, -EACCES);
        assert_null(channel);
        assert_null(accepting.channel);
        assert_says(pairs[i].client_says);
        err = accepting.err;
        assert_says(pairs[i].server_says);
        mv_channel_listener_close(listener);
        close_sides(&sides);
    }
}

/* A client of GnuTLS with no certificate: who connects by our code must have one. */
static void *connect_without_certificate(void *opaque)
{
    int *result = opaque, fd = *result;
    gnutls_session_t session;
    gnutls_certificate_credentials_t none;
    char byte;
    gnutls_certificate_allocate_credentials(&none);
    gnutls_init(&session, GNUTLS_CLIENT);
    gnutls_set_default_priority(session);
    gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, none);
    gnutls_transport_set_int(session, fd);
    fcntl(fd, F_SETFL, 0); /* it waits, as GnuTLS expects */
    *result = gnutls_handshake(session);
    if (*result == 0)
        *result = (int)gnutls_record_recv(session, &byte, 1);
    gnutls_deinit(session);
    gnutls_certificate_free_credentials(none);
    return NULL;
}

static int connect_plainly(struct mv_channel_listener *listener, struct mv_channel **ret)
{
    assert_done(mv_channel_connect(mv_channel_listener_uri(listener), NULL, AGES, NULL, ret, &err));
    return (*ret)->in.fd;
}

static void test_a_client_without_a_certificate_is_refused(void **state)
{
    struct mv_channel_tls *server;
    struct mv_channel_listener *listener;
    struct mv_channel *client, *channel = NULL;
    pthread_t thread;
    assert_done(mv_channel_tls_open(option("x509", "good", ""), true, &server, &err));
    assert_done(mv_channel_listen(LOCAL, server, false, &listener, &err));
    int result = connect_plainly(listener, &client);
    pthread_create(&thread, NULL, connect_without_certificate, &result);
    assert_int_equal(mv_channel_accept(listener, NULL, &channel, &err), -EACCES);
    assert_says("the other side shows no certificate");
    pthread_join(thread, NULL);
    assert_true(result < 0);
    mv_channel_close(client);
    mv_channel_listener_close(listener);
    mv_channel_tls_close(server);
}

/* What connects plainly and sends so, a byte at a time; gone once the other side is. */
static void *send_slowly(void *opaque)
{
    struct mv_channel *channel = opaque;
    static const char hello[] = "\x16\x03\x01\x3f\xff";
    size_t i = 0;
    while (mv_channel_write(channel, &hello[i], 1, NULL) == 0) {
        i += i < 4;
        usleep(1000);
    }
    return NULL;
}

static void test_who_shows_nothing_in_time_is_cut_off(void **state)
{
    struct mv_channel_tls *server;
    struct mv_channel_listener *listener;
    struct mv_channel *silent, *slow, *channel = NULL;
    pthread_t thread;
    assert_done(mv_channel_tls_open(option("psk", "one", ""), true, &server, &err));
    assert_done(mv_channel_listen(LOCAL, server, false, &listener, &err));
    mv_channel_listener_set_handshake(listener, SECOND / 10);
    connect_plainly(listener, &silent);
    assert_int_equal(mv_channel_accept(listener, NULL, &channel, &err), -EACCES);
    assert_says("did not show in time who it is");
    connect_plainly(listener, &slow);
    pthread_create(&thread, NULL, send_slowly, slow);
    assert_int_equal(mv_channel_accept(listener, NULL, &channel, &err), -EACCES);
    assert_says("did not show in time who it is");
    pthread_join(thread, NULL);
    mv_channel_close(silent);
    mv_channel_close(slow);
    mv_channel_listener_close(listener);
    mv_channel_tls_close(server);
}

static void test_a_plain_client_is_refused(void **state)
{
    static const char hello[] = "memvisor stream, and all that it has to say";
    struct mv_channel_tls *server;
    struct mv_channel_listener *listener;
    struct mv_channel *client, *channel = NULL;
    char bytes[7];
    assert_done(mv_channel_tls_open(option("psk", "one", ""), true, &server, &err));
    assert_done(mv_channel_listen(LOCAL, server, false, &listener, &err));
    connect_plainly(listener, &client);
    assert_done(mv_channel_write(client, hello, sizeof hello, &err));
    struct accepting accepting;
    start_accepting(&accepting, listener);
    assert_int_equal(mv_channel_read(client, bytes, sizeof bytes, &err), -EPROTO);
    assert_says("the other side speaks TLS: give --tls");
    mv_channel_close(client);
    pthread_join(accepting.thread, NULL);
    err = accepting.err;
    assert_int_equal(accepting.result, -EACCES);
    assert_null(channel);
    assert_says("the other side speaks no TLS: give it --tls");
    mv_channel_listener_close(listener);
    mv_channel_tls_close(server);
}

struct connecting {
    pthread_t thread;
    const char *uri;
    struct mv_channel_tls *tls;
    atomic_bool cancelled;
    struct mv_channel *channel;
    int result;
    struct mv_error err;
};

static void *connect_in_thread(void *opaque)
{
    struct connecting *connecting = opaque;
    connecting->result =
        mv_channel_connect(connecting->uri, connecting->tls, AGES, &connecting->cancelled,
                           &connecting->channel, &connecting->err);
    return NULL;
}

/* What a plain server does with one who speaks TLS, and what that one is told. */
static void try_plain_server(void (*serve)(struct mv_channel *, struct connecting *), int result,
                             const char *says)
{
    struct mv_channel_listener *listener;
    struct mv_channel *channel;
    struct connecting connecting = {0};
    assert_done(mv_channel_tls_open(option("psk", "one", ""), false, &connecting.tls, &err));
    assert_done(mv_channel_listen(LOCAL, NULL, false, &listener, &err));
    connecting.uri = mv_channel_listener_uri(listener);
    pthread_create(&connecting.thread, NULL, connect_in_thread, &connecting);
    assert_done(mv_channel_accept(listener, NULL, &channel, &err));
    serve(channel, &connecting);
    pthread_join(connecting.thread, NULL);
    mv_channel_close(channel);
    assert_int_equal(connecting.result, result);
    err = connecting.err;
    assert_says(says);
    mv_channel_listener_close(listener);
    mv_channel_tls_close(connecting.tls);
}

static void serve_plainly(struct mv_channel *channel, struct connecting *connecting)
{
    char bytes[16];
    assert_int_equal(mv_channel_read(channel, bytes, sizeof bytes, &err), -EPROTO);
    assert_says("the other side speaks TLS: give --tls");
    assert_done(mv_channel_write(channel, "memvisor stream", 15, &err));
}

static void serve_nothing(struct mv_channel *channel, struct connecting *connecting)
{
    mv_channel_finish(channel, 0, NULL);
}

static void serve_until_cancelled(struct mv_channel *channel, struct connecting *connecting)
{
    assert_int_equal(mv_channel_wait_readable(channel, AGES, &err), 1);
    atomic_store(&connecting->cancelled, true);
}

static void test_a_plain_server_is_refused(void **state)
{
    try_plain_server(serve_plainly, -EACCES, "the other side speaks no TLS: give it --tls");
    try_plain_server(serve_nothing, -EACCES, "the other side closed the connection");
    try_plain_server(serve_until_cancelled, -ECANCELED, "ended while TLS was set up");
}

/* --- what is no credentials */

static void test_options_that_are_none(void **state)
{
    static const char *const bad[] = {
        "",        "psk",          "psk=", "psk=a,identity=", "psk=a,b",          "x509=",
        "x509=a,", "x509=a,name=", "on",   "psk=a,,",         "x509=a,identity=b"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct mv_channel_tls *tls = NULL;
        int r = mv_channel_tls_check(bad[i], &err);
        if (strcmp(bad[i], "psk=a,,") == 0) { /* a comma that is part of the path */
            assert_int_equal(r, 0);
            continue;
        }
        assert_int_equal(r, -EINVAL);
        assert_says("write psk=FILE[,identity=NAME] or x509=DIR[,name=PEER]");
        assert_int_equal(mv_channel_tls_open(bad[i], true, &tls, &err), -EINVAL);
    }
}

static void refuse_tls(const char *text, bool listens, int error, const char *says)
{
    struct mv_channel_tls *tls = NULL;
    assert_int_equal(mv_channel_tls_open(text, listens, &tls, &err), error);
    assert_says(says);
    assert_null(tls);
}

static void test_files_that_are_none(void **state)
{
    static const char key[] = "alice:" KEY1 "\n";
    static const char *const lines[] = {"alice",    "alice:",          ":" KEY1,
                                        "alice:00", "alice:" KEY1 "0", "alice:x" KEY1 "0"};
    refuse_tls(option("psk", "missing", ""), true, -ENOENT, "missing': No such file");
    refuse_tls(option("psk", "good", ""), true, -EINVAL, "no plain file");
    write_psk("empty", "\n# nothing\n");
    refuse_tls(option("psk", "empty", ""), true, -EINVAL, "has no key in it");
    refuse_tls(option("psk", "one", ",identity=bob"), true, -ENOENT,
               "has no key of the identity 'bob'");
    refuse_tls(option("psk", "odd", ""), true, -EINVAL, "line 1 is not IDENTITY:KEY");
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        write_psk("line", lines[i]);
        refuse_tls(option("psk", "line", ""), false, -EINVAL, "make the file by 'psktool");
    }
    write_file(".", "open", key, sizeof key - 1, 0604);
    refuse_tls(option("psk", "open", ""), true, -EPERM, "chmod 600");
    refuse_tls(option("x509", "one", ""), true, -ENOTDIR, "ca-cert.pem");
    refuse_tls(option("x509", "missing", ""), true, -ENOENT, "missing/ca-cert.pem");

    struct identity ca = make_identity(NULL, "ours", NULL, -10, 100);
    write_folder("spoilt", &ca, "127.0.0.1", GNUTLS_KP_TLS_WWW_CLIENT, -1, 100);
    write_file("spoilt", "client-cert.pem", key, sizeof key, 0600);
    refuse_tls(option("x509", "spoilt", ""), false, -EINVAL,
               "client-cert.pem and client-key.pem do not go together");
    write_file("spoilt", "ca-cert.pem", key, sizeof key, 0600);
    refuse_tls(option("x509", "spoilt", ""), true, -EINVAL, "ca-cert.pem' has no certificate");
    drop_identity(&ca);
}

static void test_a_certificate_needs_a_name(void **state)
{
    struct mv_channel_tls *tls;
    struct mv_channel *channel = NULL;
    assert_done(mv_channel_tls_open(option("x509", "good", ""), false, &tls, &err));
    assert_int_equal(mv_channel_connect("unix:/nowhere", tls, AGES, NULL, &channel, &err), -EINVAL);
    assert_says(",name=PEER");
    mv_channel_tls_close(tls);
}

static void test_with_tls_anybody_may_connect(void **state)
{
    struct mv_channel_tls *tls;
    struct mv_channel_listener *listener;
    assert_done(mv_channel_tls_open(option("psk", "one", ""), true, &tls, &err));
    assert_done(mv_channel_listen("tcp:0.0.0.0:0", tls, false, &listener, &err));
    mv_channel_listener_close(listener);
    mv_channel_tls_close(tls);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes_go_both_ways_at_once),
        cmocka_unit_test(test_the_end_is_told_and_cannot_be_forged),
        cmocka_unit_test(test_an_end_is_heard_in_reading_and_writing),
        cmocka_unit_test(test_who_is_refused_and_what_both_are_told),
        cmocka_unit_test(test_a_client_without_a_certificate_is_refused),
        cmocka_unit_test(test_who_shows_nothing_in_time_is_cut_off),
        cmocka_unit_test(test_a_plain_client_is_refused),
        cmocka_unit_test(test_a_plain_server_is_refused),
        cmocka_unit_test(test_options_that_are_none),
        cmocka_unit_test(test_files_that_are_none),
        cmocka_unit_test(test_a_certificate_needs_a_name),
        cmocka_unit_test(test_with_tls_anybody_may_connect),
    };
    return cmocka_run_group_tests(tests, make_files, remove_folder);
}
