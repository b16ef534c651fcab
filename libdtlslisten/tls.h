/* SPDX-License-Identifier: MIT
 * SSL_CTX from options, and a fresh SSL into the state that DTLSv1_listen()
 * leaves. Every quirk of a libssl version that matters lives here. */
#ifndef DTLSL_TLS_H
#define DTLSL_TLS_H

#include <dtlslisten/base.h>

struct ssl_st;
struct ssl_ctx_st;
struct ssl_session_st;
struct bio_st;

/* NULL or 0 for what was not given. */
typedef struct dtlsl__tls_options {
    const char *cert_file;       /* PEM, a chain is allowed */
    const char *key_file;        /* PEM; NULL: in cert_file */
    const char *ca_file;         /* PEM; asks for client certificates */
    const char *psk_file;        /* lines "identity:hexkey", # comments */
    const char *alpn;            /* "coap,http/1.1" in order of preference */
    const char *ciphers;         /* OpenSSL's TLS 1.2 cipher list */
    int32_t self_signed;         /* ephemeral P-256 certificate */
    const char *ticket_key_file; /* 80 random bytes for a fleet */
    uint32_t session_cache;      /* most sessions of who takes no tickets */
} dtlsl__tls_options;

/* DTLSL_ERR_CREDENTIALS, DTLSL_ERR_FILE, DTLSL_ERR_ARGUMENT, DTLSL_ERR_TLS
 * with a text (what, where, remedy) at err. */
int32_t dtlsl__tls_ctx_new(struct ssl_ctx_st **out,
                           const dtlsl__tls_options *options, char *err,
                           size_t err_len);
/* For a reload: what no file holds is taken over from the one before, ticket
 * keys and self-signed certificate, so that sessions can be resumed. */
int32_t dtlsl__tls_ctx_keep(struct ssl_ctx_st *fresh, struct ssl_ctx_st *old,
                            const dtlsl__tls_options *options, char *err,
                            size_t err_len);
/* A reference; NULL is allowed for free. */
void dtlsl__tls_ctx_ref(struct ssl_ctx_st *ctx);
void dtlsl__tls_ctx_free(struct ssl_ctx_st *ctx);
/* Is a user's SSL_CTX usable: DTLS, with a certificate or a PSK callback? */
int32_t dtlsl__tls_ctx_check(struct ssl_ctx_st *ctx, char *err,
                             size_t err_len);
/* 1 if dtlsl__tls_ctx_new made it. */
int dtlsl__tls_ctx_is_ours(const struct ssl_ctx_st *ctx);

/* OpenSSL's error queue, given back as found: enter before and leave after
 * each stretch of calls that clear or fill it. Cheap when it is empty. */
typedef struct dtlsl__tls_errors {
    uint32_t count;
    struct {
        unsigned long code;
        int line;
        int flags;
        char *file; /* owned, as are func and data; or NULL */
        char *func;
        char *data;
    } entry[16];
} dtlsl__tls_errors;
void dtlsl__tls_enter(dtlsl__tls_errors *saved);
void dtlsl__tls_leave(dtlsl__tls_errors *saved);

/* What the datagram BIO stands on: reads give 'in' once, whole, then "would
 * block"; each write is one datagram to 'write', which returns 1 when taken
 * and 0 to have it tried again. It answers the MTU queries. */
typedef struct dtlsl__tls_io {
    const uint8_t *in; /* the datagram to read next, NULL: none */
    size_t in_len;
    int32_t (*write)(void *ctx, const uint8_t *data, size_t len);
    void *ctx;
    uint32_t mtu;      /* largest UDP payload */
    uint32_t overhead; /* of IP and UDP: 28 or 48 */
} dtlsl__tls_io;
/* NULL without memory. 'io' must outlive the BIO. */
struct bio_st *dtlsl__tls_bio_new(dtlsl__tls_io *io);

/* Brings a fresh 'ssl' (any BIOs; kept) into the post-listen state with
 * exactly the record at 'record': 1, or DTLSL_ERR_TLS. SSL_CTX, options and
 * BIOs are as before; the second cookie verify of SSL_accept is switched off.
 * The caller calls SSL_accept at once. */
int32_t dtlsl__tls_listen(struct ssl_st *ssl, const uint8_t *record,
                          size_t len);

/* What our own connections need on a fresh SSL, also of a user's SSL_CTX:
 * DTLS 1.2 at most, no renegotiation, no encrypt-then-MAC unless it is
 * allowed, a session id context if there is none, a small max_cert_list
 * without client certificates. */
void dtlsl__tls_prepare(struct ssl_st *ssl, int encrypt_then_mac);

/* dtlsl_libssl_outdated for the OpenSSL_version_num() of any libssl. */
int32_t dtlsl__tls_outdated(unsigned long version, const char **text);

/* When a session was made, in seconds since 1970. */
int64_t dtlsl__tls_session_time(const struct ssl_session_st *session);

/* The text of the oldest error in the queue, or 'otherwise'. */
void dtlsl__tls_error_text(char *buf, size_t buf_len, const char *otherwise);

#endif
