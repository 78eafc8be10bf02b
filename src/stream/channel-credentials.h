/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_channel_tls: keys and certificates of one side, as its files have
 * them.  Read-only once it is open; any thread.  Called by channel-tls.c.
 */
#ifndef MV_STREAM_CHANNEL_CREDENTIALS_H
#define MV_STREAM_CHANNEL_CREDENTIALS_H

#include "channel-gnutls.h"
#include "channel.h"

struct mv_psk_key {
    char *identity;
    uint8_t *bytes;
    size_t len;
};

struct mv_channel_tls {
    const struct mv_gnutls *lib;
    bool listens;
    bool psk;   /* else x509 */
    char *path; /* of the file or the folder */
    char *name; /* the identity, or the other side's name; or NULL */
    struct mv_psk_key *keys;
    size_t key_count;
    gnutls_psk_server_credentials_t psk_server;
    gnutls_psk_client_credentials_t psk_client;
    gnutls_certificate_credentials_t x509;
};

/* The key of an identity that a peer showed, or NULL. */
const struct mv_psk_key *mv_tls_find_key(const struct mv_channel_tls *tls, const char *identity);
/* GnuTLS asks for the key of an identity; in channel-tls.c, whose session it is. */
int mv_tls_give_key(gnutls_session_t session, const char *identity, gnutls_datum_t *ret_key);

#endif
