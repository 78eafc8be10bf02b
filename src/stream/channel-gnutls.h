/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GnuTLS, loaded when TLS is first asked for: with what it needs itself it would
 * take megabytes of every process that runs a guest, and few of those send one.
 * Read-only once it is there.  Any thread.  Called by channel-tls.c,
 * channel-credentials.c.
 */
#ifndef MV_STREAM_CHANNEL_GNUTLS_H
#define MV_STREAM_CHANNEL_GNUTLS_H

#include "error.h"

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

#define MV_GNUTLS_SYMBOLS(F)                                                                       \
    F(gnutls_alert_get)                                                                            \
    F(gnutls_alert_send_appropriate)                                                               \
    F(gnutls_bye)                                                                                  \
    F(gnutls_certificate_allocate_credentials)                                                     \
    F(gnutls_certificate_free_credentials)                                                         \
    F(gnutls_certificate_server_set_request)                                                       \
    F(gnutls_certificate_set_x509_key_mem2)                                                        \
    F(gnutls_certificate_set_x509_trust_mem)                                                       \
    F(gnutls_credentials_set)                                                                      \
    F(gnutls_deinit)                                                                               \
    F(gnutls_error_is_fatal)                                                                       \
    F(gnutls_handshake)                                                                            \
    F(gnutls_init)                                                                                 \
    F(gnutls_malloc)                                                                               \
    F(gnutls_priority_set_direct)                                                                  \
    F(gnutls_psk_allocate_client_credentials)                                                      \
    F(gnutls_psk_allocate_server_credentials)                                                      \
    F(gnutls_psk_free_client_credentials)                                                          \
    F(gnutls_psk_free_server_credentials)                                                          \
    F(gnutls_psk_set_client_credentials)                                                           \
    F(gnutls_psk_set_server_credentials_function)                                                  \
    F(gnutls_record_check_pending)                                                                 \
    F(gnutls_record_recv)                                                                          \
    F(gnutls_record_send)                                                                          \
    F(gnutls_session_get_ptr)                                                                      \
    F(gnutls_session_get_verify_cert_status)                                                       \
    F(gnutls_session_set_ptr)                                                                      \
    F(gnutls_session_set_verify_cert2)                                                             \
    F(gnutls_strerror)                                                                             \
    F(gnutls_transport_set_errno)                                                                  \
    F(gnutls_transport_set_ptr)                                                                    \
    F(gnutls_transport_set_pull_function)                                                          \
    F(gnutls_transport_set_pull_timeout_function)                                                  \
    F(gnutls_transport_set_push_function)

struct mv_gnutls {
#define F(name) typeof(name) *name;
    MV_GNUTLS_SYMBOLS(F)
#undef F
};

/* -ENOPKG, with the package to install, where the library is not to be had. */
int mv_gnutls_load(const struct mv_gnutls **ret, struct mv_error *err);

#endif
