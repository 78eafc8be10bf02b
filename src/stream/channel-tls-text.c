/* SPDX-License-Identifier: Apache-2.0 */
#include "channel-tls-text.h"

#include <stdio.h>
#include <string.h>

#define ITS_CERTIFICATE "the other side's certificate "

void mv_tls_note_identity(struct mv_tls_peer *peer, const char *identity, bool known)
{
    size_t i = 0;
    for (; i < MV_TLS_IDENTITY && identity[i] != '\0'; i++) {
        unsigned char c = (unsigned char)identity[i];
        peer->identity[i] = c < ' ' || c >= 0x7f ? '?' : (char)c;
    }
    peer->identity[i] = '\0';
    peer->identity_known = known;
}

/* The most telling first. */
static const char *explain_certificate(unsigned status)
{
    static const struct {
        unsigned flags;
        const char *text;
    } known[] = {
        {GNUTLS_CERT_UNEXPECTED_OWNER, "is not for the name"},
        {GNUTLS_CERT_SIGNER_NOT_FOUND | GNUTLS_CERT_SIGNER_NOT_CA,
         "is not signed by the CA of this side"},
        {GNUTLS_CERT_EXPIRED, "has expired: make a new one, or look at the clocks"},
        {GNUTLS_CERT_NOT_ACTIVATED, "is not valid yet: look at the clocks of both hosts"},
        {GNUTLS_CERT_REVOKED, "was revoked"},
        {GNUTLS_CERT_INSECURE_ALGORITHM, "is signed by a way that is not safe any more"},
        {GNUTLS_CERT_PURPOSE_MISMATCH,
         "is for another purpose: what listens needs one for servers, what connects one for "
         "clients"},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (status & known[i].flags)
            return known[i].text;
    return "is not to be trusted";
}

static const char *explain_alert(gnutls_alert_description_t alert, bool psk)
{
    static const struct {
        gnutls_alert_description_t alert;
        const char *text;
    } known[] = {
        {GNUTLS_A_CERTIFICATE_REQUIRED, "it wants a certificate of this side, which has none"},
        {GNUTLS_A_BAD_CERTIFICATE, "it does not take this side's certificate"},
        {GNUTLS_A_UNSUPPORTED_CERTIFICATE,
         "it does not take this side's certificate: it is for another purpose"},
        {GNUTLS_A_CERTIFICATE_EXPIRED, "it says that this side's certificate has expired"},
        {GNUTLS_A_CERTIFICATE_REVOKED, "it says that this side's certificate was revoked"},
        {GNUTLS_A_CERTIFICATE_UNKNOWN, "it does not take this side's certificate"},
        {GNUTLS_A_UNKNOWN_CA, "it does not know the CA of this side's certificate"},
        {GNUTLS_A_UNKNOWN_PSK_IDENTITY, "it does not know this side's identity"},
        {GNUTLS_A_DECRYPT_ERROR, "its key is another than this side's"},
        {GNUTLS_A_HANDSHAKE_FAILURE, "both have to be given psk=, or both x509="},
        {GNUTLS_A_INSUFFICIENT_SECURITY, "both have to be given psk=, or both x509="},
        {GNUTLS_A_PROTOCOL_VERSION, "it speaks no TLS 1.3"},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i].alert == alert)
            return known[i].text;
    return psk ? "it does not take this side's identity and key: its own message says which"
               : "its own message says why";
}

static void explain_psk(const struct mv_channel_tls *tls, const struct mv_tls_peer *peer,
                        char ret[MV_TLS_TEXT])
{
    if (!peer->identity_known)
        snprintf(ret, MV_TLS_TEXT, "the other side shows the identity '%s', which %s%s",
                 peer->identity,
                 tls->name != NULL ? "is not the one that was named with " : "has no key in ",
                 tls->path);
    else
        snprintf(ret, MV_TLS_TEXT, "the other side's key of '%s' is another than that in %s",
                 peer->identity, tls->path);
}

static const char *explain_other(int r)
{
    static const struct {
        int r;
        const char *text;
    } known[] = {
        {GNUTLS_E_PREMATURE_TERMINATION, "the other side closed the connection"},
        {GNUTLS_E_UNSUPPORTED_VERSION_PACKET, "the other side speaks no TLS: give it --tls, too"},
        {GNUTLS_E_NO_CERTIFICATE_FOUND, "the other side shows no certificate"},
        {GNUTLS_E_CERTIFICATE_REQUIRED, "the other side shows no certificate"},
        {GNUTLS_E_INSUFFICIENT_CREDENTIALS, "both have to be given psk=, or both x509="},
        {GNUTLS_E_NO_CIPHER_SUITES, "both have to be given psk=, or both x509="},
        {GNUTLS_E_NO_COMMON_KEY_SHARE, "the other side has no way to agree on keys in common"},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i].r == r)
            return known[i].text;
    return NULL;
}

void mv_tls_explain(const struct mv_channel_tls *tls, gnutls_session_t session,
                    const struct mv_tls_peer *peer, int r, char ret[MV_TLS_TEXT])
{
    const char *other = explain_other(r);
    if (r == GNUTLS_E_FATAL_ALERT_RECEIVED) {
        snprintf(ret, MV_TLS_TEXT, "the other side refuses: %s",
                 explain_alert(tls->lib->gnutls_alert_get(session), tls->psk));
    } else if (r == GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR) {
        unsigned status = tls->lib->gnutls_session_get_verify_cert_status(session);
        const char *text = explain_certificate(status);
        if (status & GNUTLS_CERT_UNEXPECTED_OWNER)
            snprintf(ret, MV_TLS_TEXT, ITS_CERTIFICATE "%s '%s': give --tls x509=%s,name=PEER",
                     text, peer->wanted, tls->path);
        else
            snprintf(ret, MV_TLS_TEXT, ITS_CERTIFICATE "%s (%s)", text, tls->path);
    } else if (other != NULL) {
        snprintf(ret, MV_TLS_TEXT, "%s", other);
    } else if (tls->psk && peer->identity[0] != '\0') {
        explain_psk(tls, peer, ret);
    } else {
        snprintf(ret, MV_TLS_TEXT, "%s", tls->lib->gnutls_strerror(r));
    }
}
