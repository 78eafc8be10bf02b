/* SPDX-License-Identifier: Apache-2.0 */
#include "channel-tls.h"

#include "channel-credentials.h"
#include "channel-tls-text.h"
#include "cleanup.h"

#include <stdlib.h>
#include <string.h>

#define RECORD_MAX      16384        /* bytes that one record carries (RFC 8446 section 5.1) */
#define RECORD_OVERHEAD 512          /* more than it takes beside them */
#define BUFFER          (128 * 1024) /* of records, on their way in or out */
#define GREETING        'm'
#define DRAIN_NS        UINT64_C(1000000000) /* for one who was refused, to read so and go */
#define DRAIN_MAX       (1024 * 1024)

struct buffer {
    uint8_t *bytes;
    size_t next, end; /* what is in it */
};

struct mv_tls_session {
    const struct mv_channel_tls *tls;
    const struct mv_gnutls *lib;
    struct mv_tls_peer peer;
    gnutls_typed_vdata_st checks[2];
    pthread_mutex_t lock; /* guards `session` and `out` */
    gnutls_session_t session;
    struct buffer out;   /* what GnuTLS made and nobody sends yet */
    struct buffer going; /* what the writing thread sends */
    struct buffer in;    /* the reading thread's */
    bool in_begun, in_ended;
    /* How the handshake goes on: 0, -EAGAIN, or what ended it. */
    int (*step)(struct mv_channel *channel, struct mv_error *err);
    struct mv_error refused; /* what is told of a peer that leaves */
    size_t drained;          /* bytes that it still sent */
};

/* --- what GnuTLS sees as its transport: memory */

static ssize_t pull(gnutls_transport_ptr_t opaque, void *bytes, size_t len)
{
    struct mv_tls_session *tls = opaque;
    size_t n = tls->in.end - tls->in.next;
    if (n == 0 && !tls->in_ended) {
        tls->lib->gnutls_transport_set_errno(tls->session, EAGAIN);
        return -1;
    }
    n = n < len ? n : len;
    memcpy(bytes, tls->in.bytes + tls->in.next, n);
    tls->in.next += n;
    return (ssize_t)n;
}

static int pull_timeout(gnutls_transport_ptr_t opaque, unsigned ms)
{
    struct mv_tls_session *tls = opaque;
    return tls->in.end > tls->in.next || tls->in_ended;
}

static ssize_t push(gnutls_transport_ptr_t opaque, const void *bytes, size_t len)
{
    struct mv_tls_session *tls = opaque;
    size_t n = BUFFER - tls->out.end;
    if (n == 0) {
        tls->lib->gnutls_transport_set_errno(tls->session, EAGAIN);
        return -1;
    }
    n = n < len ? n : len;
    memcpy(tls->out.bytes + tls->out.end, bytes, n);
    tls->out.end += n;
    return (ssize_t)n;
}

/* Send what is there to send, and what an earlier call left: how many bytes, or a raw error. */
static ssize_t flush(struct mv_channel *channel)
{
    struct mv_tls_session *tls = channel->tls;
    for (ssize_t sent = 0;;) {
        if (tls->going.next == tls->going.end) {
            tls->going.next = tls->going.end = 0;
            pthread_mutex_lock(&tls->lock);
            struct buffer full = tls->out;
            tls->out = tls->going;
            tls->going = full;
            pthread_mutex_unlock(&tls->lock);
        }
        if (tls->going.end == 0)
            return sent;
        const struct iovec piece = {.iov_base = tls->going.bytes + tls->going.next,
                                    .iov_len = tls->going.end - tls->going.next};
        ssize_t n = mv_channel_raw_write(channel, &piece, 1);
        if (n < 0)
            return n;
        tls->going.next += (size_t)n;
        sent += n;
    }
}

/*
 * Have something to pull, or the end: 0; -EPROTO where a stream begins with no TLS. GnuTLS
 * wants to be called again also where it took a record that is none of the caller's (a ticket,
 * new keys), and what is behind it is there already.
 */
static int fill(struct mv_channel *channel)
{
    struct mv_tls_session *tls = channel->tls;
    if (tls->in.next < tls->in.end || tls->in_ended)
        return 0;
    ssize_t n = mv_channel_raw_read(channel, tls->in.bytes, BUFFER);
    if (n < 0)
        return (int)n;
    tls->in_ended = n == 0;
    tls->in.next = 0;
    tls->in.end = (size_t)n;
    if (n >= 3 && !tls->in_begun && !mv_channel_is_tls(tls->in.bytes, (size_t)n))
        return -EPROTO;
    tls->in_begun |= n > 0;
    return 0;
}

bool mv_tls_has_bytes(struct mv_channel *channel)
{
    struct mv_tls_session *tls = channel->tls;
    MV_LOCK_SCOPE(&tls->lock);
    return tls->in.end > tls->in.next || tls->lib->gnutls_record_check_pending(tls->session) > 0;
}

/* --- bytes */

static int tell(struct mv_channel *channel, int r, struct mv_error *err)
{
    char text[MV_TLS_TEXT];
    struct mv_tls_session *tls = channel->tls;
    MV_LOCK_SCOPE(&tls->lock);
    mv_tls_explain(tls->tls, tls->session, &tls->peer, r, text);
    return mv_error_set(err, r == GNUTLS_E_PREMATURE_TERMINATION ? ECONNRESET : EPROTO,
                        "%s: TLS: %s", channel->name, text);
}

ssize_t mv_tls_read(struct mv_channel *channel, void *bytes, size_t len, struct mv_error *err)
{
    struct mv_tls_session *tls = channel->tls;
    for (;;) {
        pthread_mutex_lock(&tls->lock);
        ssize_t n = tls->lib->gnutls_record_recv(tls->session, bytes, len);
        pthread_mutex_unlock(&tls->lock);
        if (n >= 0)
            return n;
        if (tls->lib->gnutls_error_is_fatal((int)n))
            return tell(channel, (int)n, err);
        int r = n == GNUTLS_E_AGAIN ? fill(channel) : 0;
        if (r < 0)
            return mv_channel_tell(channel, r, err);
        if (atomic_load(&channel->ended))
            return mv_channel_tell(channel, -ECANCELED, err);
    }
}

/* Records of the bytes for as long as there is room: how many bytes, or an error of GnuTLS. */
static ssize_t send_records(struct mv_tls_session *tls, const uint8_t *bytes, size_t len)
{
    MV_LOCK_SCOPE(&tls->lock);
    size_t done = 0;
    while (done < len && tls->out.end + RECORD_MAX + RECORD_OVERHEAD <= BUFFER) {
        size_t now = len - done < RECORD_MAX ? len - done : RECORD_MAX;
        ssize_t n = tls->lib->gnutls_record_send(tls->session, bytes + done, now);
        if (n < 0)
            return n;
        done += (size_t)n;
    }
    return (ssize_t)done;
}

int mv_tls_write(struct mv_channel *channel, const struct iovec *pieces, size_t count,
                 struct mv_error *err)
{
    struct mv_tls_session *tls = channel->tls;
    ssize_t r = 0;
    for (size_t i = 0; i < count && r >= 0; i++)
        for (size_t done = 0; done < pieces[i].iov_len && r >= 0;) {
            ssize_t n = send_records(tls, (const uint8_t *)pieces[i].iov_base + done,
                                     pieces[i].iov_len - done);
            if (n < 0)
                return tell(channel, (int)n, err);
            done += (size_t)n;
            r = n == 0 ? flush(channel) : 0;
        }
    if (r >= 0)
        r = flush(channel);
    return r < 0 ? mv_channel_tell(channel, (int)r, err) : 0;
}

void mv_tls_bye(struct mv_channel *channel)
{
    struct mv_tls_session *tls = channel->tls;
    pthread_mutex_lock(&tls->lock);
    tls->lib->gnutls_bye(tls->session, GNUTLS_SHUT_WR);
    pthread_mutex_unlock(&tls->lock);
    flush(channel);
}

/* --- the handshake */

int mv_tls_give_key(gnutls_session_t session, const char *identity, gnutls_datum_t *ret_key)
{
    /* Static, since a session has no other way to its library. */
    const struct mv_gnutls *lib;
    if (mv_gnutls_load(&lib, NULL) < 0)
        return -1;
    struct mv_tls_session *tls = lib->gnutls_session_get_ptr(session);
    const struct mv_psk_key *key = mv_tls_find_key(tls->tls, identity);
    mv_tls_note_identity(&tls->peer, identity, key != NULL);
    if (key == NULL || (ret_key->data = (*lib->gnutls_malloc)(key->len)) == NULL)
        return -1;
    memcpy(ret_key->data, key->bytes, key->len);
    ret_key->size = (unsigned)key->len;
    return 0;
}

/* What a session needs: 0, or an error of GnuTLS. */
static int set_up(struct mv_tls_session *tls)
{
#define CIPHERS                                                                                    \
    "SECURE128:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+AES-128-GCM:+AES-256-GCM:+CHACHA20-POLY1305"
    const struct mv_channel_tls *options = tls->tls;
    const struct mv_gnutls *lib = tls->lib;
    int r = lib->gnutls_init(&tls->session, (options->listens ? GNUTLS_SERVER : GNUTLS_CLIENT) |
                                                GNUTLS_NONBLOCK | GNUTLS_NO_TICKETS);
    if (r < 0)
        return r;
    lib->gnutls_session_set_ptr(tls->session, tls);
    lib->gnutls_transport_set_ptr(tls->session, tls);
    lib->gnutls_transport_set_pull_function(tls->session, pull);
    lib->gnutls_transport_set_pull_timeout_function(tls->session, pull_timeout);
    lib->gnutls_transport_set_push_function(tls->session, push);
    r = lib->gnutls_priority_set_direct(
        tls->session, options->psk ? CIPHERS ":-KX-ALL:+ECDHE-PSK:+DHE-PSK" : CIPHERS, NULL);
    if (r < 0)
        return r;
    if (options->psk)
        return lib->gnutls_credentials_set(tls->session, GNUTLS_CRD_PSK,
                                           options->listens ? (void *)options->psk_server
                                                            : (void *)options->psk_client);
    /* Who may be a server (or a client) by its certificate, and is called as it should. */
    const char *purpose = options->listens ? GNUTLS_KP_TLS_WWW_CLIENT : GNUTLS_KP_TLS_WWW_SERVER;
    tls->checks[0] = (gnutls_typed_vdata_st){.type = GNUTLS_DT_KEY_PURPOSE_OID,
                                             .data = (unsigned char *)purpose};
    tls->checks[1] = (gnutls_typed_vdata_st){.type = GNUTLS_DT_DNS_HOSTNAME,
                                             .data = (unsigned char *)tls->peer.wanted};
    lib->gnutls_session_set_verify_cert2(tls->session, tls->checks,
                                         tls->peer.wanted != NULL ? 2 : 1, 0);
    lib->gnutls_certificate_server_set_request(tls->session, GNUTLS_CERT_REQUIRE);
    return lib->gnutls_credentials_set(tls->session, GNUTLS_CRD_CERTIFICATE, options->x509);
}

static int tell_refused(const struct mv_tls_session *tls, struct mv_error *err)
{
    return mv_error_set(err, EACCES, "%s", tls->refused.text);
}

/* One who was refused is sent so, and is waited for to read it and to go: then -EACCES. */
static int leave(struct mv_channel *channel, struct mv_error *err)
{
    struct mv_tls_session *tls = channel->tls;
    ssize_t n = flush(channel);
    if (n >= 0) {
        mv_channel_raw_shut(channel);
        n = mv_channel_raw_read(channel, tls->in.bytes, BUFFER);
    }
    if (n > 0)
        tls->drained += (size_t)n;
    return n == -EAGAIN || (n > 0 && tls->drained < DRAIN_MAX) ? -EAGAIN : tell_refused(tls, err);
}

static int refuse(struct mv_channel *channel, int r, struct mv_error *err)
{
    char text[MV_TLS_TEXT];
    struct mv_tls_session *tls = channel->tls;
    mv_tls_explain(tls->tls, tls->session, &tls->peer, r, text);
    mv_error_set(&tls->refused, EACCES, "%s: TLS: %s", channel->name, text);
    if (r == GNUTLS_E_PREMATURE_TERMINATION)
        return tell_refused(tls, err);
    uint64_t until = mv_channel_until(DRAIN_NS);
    if (until < channel->opening.until_ns)
        channel->opening.until_ns = until;
    tls->lib->gnutls_alert_send_appropriate(tls->session, r);
    tls->step = leave;
    return leave(channel, err);
}

int mv_tls_give_up(struct mv_channel *channel, int r, struct mv_error *err)
{
    if (channel->tls->step == leave)
        return tell_refused(channel->tls, err);
    if (r == -EPROTO)
        return refuse(channel, GNUTLS_E_UNSUPPORTED_VERSION_PACKET, err);
    if (r == -ECANCELED)
        return mv_error_set(err, ECANCELED, "%s: ended while TLS was set up", channel->name);
    if (r == -EBUSY)
        return mv_error_set(err, EACCES,
                            "%s: TLS: the other side had not shown who it is, and gave way to "
                            "others who connected",
                            channel->name);
    if (r == -ETIMEDOUT)
        return mv_error_set(err, channel->accepted ? EACCES : ETIMEDOUT,
                            "%s: TLS: the other side did not show in time who it is: is it given "
                            "--tls, too?",
                            channel->name);
    return refuse(channel, GNUTLS_E_PREMATURE_TERMINATION, err);
}

/* The side that accepted says that it has: what does waits for it. */
static int greet(struct mv_channel *channel, struct mv_error *err)
{
    struct mv_error said;
    char byte = 0;
    ssize_t n = flush(channel);
    if (n < 0)
        return n == -EAGAIN ? -EAGAIN : mv_tls_give_up(channel, (int)n, err);
    if (channel->tls->tls->listens)
        return 0;
    n = mv_tls_read(channel, &byte, 1, &said);
    if (n == 0 || n == -ECONNRESET || n == -EPIPE)
        return mv_tls_give_up(channel, -ECONNRESET, err);
    if (n < 0)
        return n == -EAGAIN ? -EAGAIN
                            : mv_error_set(err, n == -EPROTO ? EACCES : (int)-n, "%s", said.text);
    return byte == GREETING
               ? 0
               : mv_error_set(err, EACCES, "%s: TLS: the other side is no memvisor", channel->name);
}

static int begin_greeting(struct mv_channel *channel, struct mv_error *err)
{
    const uint8_t byte = GREETING;
    struct mv_tls_session *tls = channel->tls;
    ssize_t n = tls->tls->listens ? send_records(tls, &byte, 1) : 0;
    if (n < 0)
        return tell(channel, (int)n, err);
    tls->step = greet;
    return greet(channel, err);
}

/* Reads once at most, so that who sends without an end is not listened to without one. */
static int shake(struct mv_channel *channel, struct mv_error *err)
{
    struct mv_tls_session *tls = channel->tls;
    for (bool has_read = false;;) {
        int r = tls->lib->gnutls_handshake(tls->session);
        if (r < 0 && tls->lib->gnutls_error_is_fatal(r))
            return refuse(channel, r, err);
        if (r == 0)
            return begin_greeting(channel, err);
        ssize_t n = flush(channel);
        if (n == 0 && r == GNUTLS_E_AGAIN && tls->in.next == tls->in.end) {
            n = has_read ? -EAGAIN : fill(channel);
            has_read = true;
        }
        if (n < 0)
            return n == -EAGAIN ? -EAGAIN : mv_tls_give_up(channel, (int)n, err);
    }
}

int mv_tls_check_peer(const struct mv_channel_tls *tls, const char *uri, const char *host,
                      struct mv_error *err)
{
    if (tls->psk || tls->name != NULL || *host != '\0')
        return 0;
    return mv_error_set(err, EINVAL,
                        "%s: no host's name is in that address, and a certificate is for a name: "
                        "give --tls x509=%s,name=PEER",
                        uri, tls->path);
}

int mv_tls_begin(struct mv_channel *channel, const struct mv_channel_tls *options, const char *host,
                 struct mv_error *err)
{
    struct mv_tls_session *tls = calloc(1, sizeof *tls);
    if (tls == NULL)
        return mv_error_set_errno(err, ENOMEM, "%s", channel->name);
    pthread_mutex_init(&tls->lock, NULL);
    channel->tls = tls;
    channel->opens = true;
    tls->step = shake;
    tls->tls = options;
    tls->lib = options->lib;
    tls->in.bytes = malloc(BUFFER);
    tls->out.bytes = malloc(BUFFER);
    tls->going.bytes = malloc(BUFFER);
    const char *wanted = options->name != NULL ? options->name : host;
    tls->peer.wanted = options->psk || wanted == NULL ? NULL : strdup(wanted);
    if (tls->in.bytes == NULL || tls->out.bytes == NULL || tls->going.bytes == NULL ||
        (!options->psk && wanted != NULL && tls->peer.wanted == NULL))
        return mv_error_set_errno(err, ENOMEM, "%s", channel->name);
    int r = set_up(tls);
    if (r < 0)
        return mv_error_set(err, EIO, "%s: TLS: %s", channel->name, tls->lib->gnutls_strerror(r));
    return 0;
}

int mv_tls_step(struct mv_channel *channel, struct pollfd *ret_wait, struct mv_error *err)
{
    struct mv_tls_session *tls = channel->tls;
    int r = tls->step(channel, err);
    channel->opens = r == -EAGAIN;
    *ret_wait = tls->going.next < tls->going.end
                    ? (struct pollfd){.fd = channel->out.fd, .events = POLLOUT}
                    : (struct pollfd){.fd = channel->in.fd, .events = POLLIN};
    return r;
}

int mv_tls_open(struct mv_channel *channel, const struct mv_channel_tls *options, const char *host,
                struct mv_error *err)
{
    struct pollfd wait;
    int r = mv_tls_begin(channel, options, host, err);
    if (r < 0)
        return r;
    while ((r = mv_tls_step(channel, &wait, err)) == -EAGAIN) {
        r = mv_now_ns() >= channel->opening.until_ns
                ? -ETIMEDOUT
                : mv_channel_wait(wait.fd, wait.events, &channel->opening);
        if (r < 0)
            return mv_tls_give_up(channel, r, err);
    }
    return r;
}

void mv_tls_close(struct mv_channel *channel)
{
    struct mv_tls_session *tls = channel->tls;
    if (tls->session != NULL)
        tls->lib->gnutls_deinit(tls->session);
    pthread_mutex_destroy(&tls->lock);
    free(tls->in.bytes);
    free(tls->out.bytes);
    free(tls->going.bytes);
    free(tls->peer.wanted);
    free(tls);
    channel->tls = NULL;
}
