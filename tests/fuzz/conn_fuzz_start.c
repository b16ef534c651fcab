/* SPDX-License-Identifier: MIT
 * How the connection and its client meet: cipher suites, and a handshake that
 * is a full one or resumes a session by its ticket. */
#include "conn_fuzz.h"
#include "hello.h"
#include <openssl/err.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

enum {
    SESSION_SECONDS = 100000000,
    HELLO_MTU = 256
};

/* The first byte. */
enum {
    STAGE = 0x03, /* how far the handshake goes before the orders */
    SUITE = 0x1c, /* which of suites, shifted by 2 */
    OWN_ERROR = 0x20,
    LOSSY = 0x40, /* every other datagram of the connection finds no room */
    RESUMED = 0x80
};

enum {
    ESTABLISHED = 0,
    FLIGHT_WRITTEN = 1,
    HELLO_INCOMPLETE = 2
};

static suite suites[] = {
    {"PSK-AES128-GCM-SHA256", 1, 0, 1, NULL, NULL},
    {"PSK-CHACHA20-POLY1305", 1, 0, 0, NULL, NULL},
    {"PSK-AES128-CCM8:@SECLEVEL=0", 1, 0, 0, NULL, NULL},
    {"PSK-AES128-CBC-SHA256", 1, 0, 0, NULL, NULL},
    {"ECDHE-ECDSA-AES128-GCM-SHA256", 0, 1, 1, NULL, NULL},
    {"ECDHE-ECDSA-AES128-GCM-SHA256", 0, 0, 1, NULL, NULL},
};

enum {
    N_SUITES = sizeof(suites) / sizeof(suites[0])
};

static const uint8_t psk[16] = {1, 2, 3};
static identity server_identity, client_identity;
static SSL_CTX *client_ctx, *resuming_ctx;

static unsigned int
find_psk(SSL *ssl, const char *identity_text, unsigned char *key,
         unsigned int max)
{
    (void)ssl;
    if (strcmp(identity_text, "device") != 0 || max < sizeof(psk))
        return 0;
    memcpy(key, psk, sizeof(psk));
    return sizeof(psk);
}

static int
accept_any(int ok, X509_STORE_CTX *store)
{
    (void)ok;
    (void)store;
    return 1;
}

static SSL_CTX *
server_ctx(const suite *s)
{
    SSL_CTX *ctx = SSL_CTX_new(DTLS_server_method());

    fuzz_check(ctx != NULL);
    fuzz_check(SSL_CTX_set_cipher_list(ctx, s->ciphers) == 1);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    fuzz_check(SSL_CTX_set_session_id_context(ctx, (const uint8_t *)fuzz_name,
                                              4) == 1);
    SSL_CTX_set_timeout(ctx, SESSION_SECONDS);
    if (s->psk) {
        SSL_CTX_set_psk_server_callback(ctx, find_psk);
        return ctx;
    }
    fuzz_check(SSL_CTX_use_certificate(ctx, server_identity.cert) == 1);
    fuzz_check(SSL_CTX_use_PrivateKey(ctx, server_identity.key) == 1);
    if (s->asks)
        SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, accept_any);
    return ctx;
}

/* With dates of its own each run would sign something else. */
static void
make_identity(identity *id, const char *name)
{
    identity_make(id, name);
    ASN1_TIME_set_string(X509_getm_notBefore(id->cert), "20260101000000Z");
    ASN1_TIME_set_string(X509_getm_notAfter(id->cert), "20460101000000Z");
    fuzz_check(X509_sign(id->cert, id->key, EVP_sha256()) > 0);
}

static void
make_contexts(void)
{
    fuzz_seed(0);
    make_identity(&server_identity, "server");
    make_identity(&client_identity, "client");
    client_ctx = SSL_CTX_new(DTLS_client_method());
    resuming_ctx = SSL_CTX_new(DTLS_client_method());
    fuzz_check(client_ctx != NULL && resuming_ctx != NULL);
    SSL_CTX_set_options(client_ctx, SSL_OP_NO_TICKET);
    for (size_t i = 0; i < N_SUITES; i++)
        suites[i].ctx = server_ctx(&suites[i]);
}

/* A copy: a handshake that fails spoils its session. */
static SSL_SESSION *
copy_session(void)
{
    SSL_SESSION *copy = pair.suite->session == NULL
                            ? NULL
                            : SSL_SESSION_dup(pair.suite->session);

    fuzz_check((copy == NULL) == (pair.suite->session == NULL));
    return copy;
}

static void
start_client(int stage)
{
    client_options options = {.ctx = pair.resumed ? resuming_ctx : client_ctx,
                              .ciphers = pair.suite->ciphers,
                              .session = pair.resumed ? copy_session() : NULL};

    if (pair.suite->psk) {
        options.psk_identity = "device";
        options.psk = psk;
        options.psk_len = sizeof(psk);
    }
    if (pair.suite->asks)
        options.identity = &client_identity;
    if (stage == HELLO_INCOMPLETE) {
        options.mtu = HELLO_MTU;
        options.alpn_padding = 300;
    }
    pair.client = client_new(&options);
    SSL_SESSION_free(options.session);
    client_step(pair.client);
    pair_hold();
}

/* The first fragment of the second ClientHello makes the connection. */
static void
start_conn(void)
{
    static const uint8_t cookie[16] = {9};
    const dtlsl__conn_host host = {.reserve = pair_reserve,
                                   .counters = &pair.counters,
                                   .scratch = pair.scratch,
                                   .id = 1};
    uint8_t reply[DTLSL_REPLY_MAX];
    dtlsl__hello hello;
    datagram d = pair_next_held();
    int32_t err;
    size_t len;

    fuzz_check(dtlsl__hello_read(&hello, d.data, d.len) == 0);
    len = dtlsl__hello_verify_request(&hello, cookie, sizeof(cookie), reply,
                                      sizeof(reply));
    free(d.data);
    while (pair.n_held > 0)
        free(pair_next_held().data);
    client_feed(pair.client, reply, len);
    pair_hold();
    d = pair_next_held();
    pair_enter();
    err = dtlsl__conn_new(&pair.conn, &host, pair.suite->ctx, MTU, 28, d.data,
                          d.len);
    pair_leave();
    fuzz_check(err == DTLSL_OK);
    free(d.data);
    pair_flush();
}

void
pair_begin(uint8_t first)
{
    int stage = first & STAGE;

    memset(&pair, 0, sizeof(pair));
    pair.suite = &suites[((first & SUITE) >> 2) % N_SUITES];
    pair.resumed = (first & RESUMED) != 0;
    pair.clock = CLIENT_CLOCK_START;
    client_clock(pair.clock);
    start_client(stage);
    start_conn();
    fuzz_check(dtlsl__conn_hello_incomplete(pair.conn) ==
               (stage == HELLO_INCOMPLETE));
    fuzz_check(SSL_session_reused(dtlsl__conn_ssl(pair.conn)) ==
               (stage != HELLO_INCOMPLETE && pair.resumed &&
                pair.suite->session != NULL));
    if (stage == FLIGHT_WRITTEN || stage == HELLO_INCOMPLETE) {
        pair.lossy = (first & LOSSY) != 0;
        pair.own_error = (first & OWN_ERROR) != 0;
        return;
    }
    pair_settle();
    fuzz_check(dtlsl__conn_is_open(pair.conn) && client_is_open(pair.client));
    pair.lossy = (first & LOSSY) != 0;
    pair.own_error = (first & OWN_ERROR) != 0;
}

void
pair_finish(void)
{
    client_free(pair.client);
    pair_enter();
    dtlsl__conn_free(pair.conn);
    pair_leave();
    for (size_t i = 0; i < pair.n_held; i++)
        free(pair.held[i].data);
    for (size_t i = 0; i < pair.n_out; i++)
        free(pair.out[i].data);
    for (size_t i = 0; i < pair.n_written; i++)
        free(pair.written[i].data);
    ERR_clear_error();
}

/* A first handshake, for its ticket. */
static void
make_session(suite *s)
{
    fuzz_seed(0);
    pair_begin((uint8_t)(RESUMED | (s - suites) << 2));
    s->session = SSL_get1_session(client_ssl(pair.client));
    fuzz_check(SSL_SESSION_has_ticket(s->session));
    pair_finish();
}

void
pair_prepare(void)
{
    if (client_ctx != NULL)
        return;
    make_contexts();
    for (size_t i = 0; i < N_SUITES; i++)
        make_session(&suites[i]);
}
