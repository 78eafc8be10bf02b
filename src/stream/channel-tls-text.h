/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why TLS did not come to be, in words for who has to change something.  No
 * state.  Called by channel-tls.c.
 */
#ifndef MV_STREAM_CHANNEL_TLS_TEXT_H
#define MV_STREAM_CHANNEL_TLS_TEXT_H

#include "channel-credentials.h"

#include <stdbool.h>

#define MV_TLS_TEXT     600
#define MV_TLS_IDENTITY 64

/* What is known of the other side. */
struct mv_tls_peer {
    char *wanted;                       /* what its certificate must be for, or NULL */
    char identity[MV_TLS_IDENTITY + 1]; /* that it showed (PSK), or "" */
    bool identity_known;
};

/* Shown later, so cut and cleared of what a terminal would obey. */
void mv_tls_note_identity(struct mv_tls_peer *peer, const char *identity, bool known);

/* r: an error of GnuTLS that the session had. */
void mv_tls_explain(const struct mv_channel_tls *tls, gnutls_session_t session,
                    const struct mv_tls_peer *peer, int r, char ret[MV_TLS_TEXT]);

#endif
