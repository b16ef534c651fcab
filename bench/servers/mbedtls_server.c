/* SPDX-License-Identifier: MIT
 * Mbed TLS's sample of a DTLS server, dtls_server.c, for many clients:
 * mbedtls_net_accept() connects the listening socket to whoever sent a
 * datagram, and makes another one to listen on; the SSL context sends a
 * HelloVerifyRequest and is reset, or goes on with its client.
 *
 *     bench/mbedtls_server [OPTION]... HOST PORT
 *
 * What other clients had sent stays in the socket that was connected: they
 * send it again. */
#include "options.h"
#include "serve.h"
#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/net_sockets.h>
#include <mbedtls/pk.h>
#include <mbedtls/ssl.h>
#include <mbedtls/ssl_cookie.h>
#include <mbedtls/timing.h>
#include <mbedtls/version.h>
#include <mbedtls/x509_crt.h>
#include <stdlib.h>
#include <string.h>

#ifndef MBEDTLS_PRIVATE
#define MBEDTLS_PRIVATE(member) member
#endif

enum {
    GROUPS_MAX = 8,
    CLIENT_ID_MAX = 16
};

typedef struct session {
    mbedtls_ssl_context ssl;
    mbedtls_timing_delay_context timer;
    mbedtls_net_context socket;
} session;

static mbedtls_entropy_context entropy;
static mbedtls_ctr_drbg_context drbg;
static mbedtls_ssl_config config;
static mbedtls_ssl_cookie_ctx cookies;
static mbedtls_x509_crt certificate;
static mbedtls_pk_context key;
static mbedtls_net_context listener;
static session *spare; /* of the next client */
static int mtu;

/* ---- sessions ---- */

static session *
new_session(void)
{
    session *s = calloc(1, sizeof(*s));

    if (s == NULL)
        refuse("Mbed TLS", "out of memory");
    mbedtls_ssl_init(&s->ssl);
    mbedtls_net_init(&s->socket);
    if (mbedtls_ssl_setup(&s->ssl, &config) != 0)
        refuse("Mbed TLS", "out of memory");
    mbedtls_ssl_set_timer_cb(&s->ssl, &s->timer, mbedtls_timing_set_delay,
                             mbedtls_timing_get_delay);
    mbedtls_ssl_set_mtu(&s->ssl, (uint16_t)mtu);
    return s;
}

static int
wants_more(int result)
{
    return result == MBEDTLS_ERR_SSL_WANT_READ ||
           result == MBEDTLS_ERR_SSL_WANT_WRITE;
}

static int
echo_all(session *s)
{
    static unsigned char data[SERVE_RECORD];
    int n;

    while ((n = mbedtls_ssl_read(&s->ssl, data, sizeof(data))) > 0)
        mbedtls_ssl_write(&s->ssl, data, (size_t)n);
    if (n == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY)
        mbedtls_ssl_close_notify(&s->ssl);
    return wants_more(n);
}

static int
serve_peer(peer *p)
{
    session *s = p->session;
    int result;

    if (!p->is_open) {
        result = mbedtls_ssl_handshake(&s->ssl);
        if (result != 0)
            return wants_more(result);
        serve_opened(p);
    }
    return echo_all(s);
}

static int
look_after(peer *p)
{
    session *s = p->session;

    return mbedtls_timing_get_delay(&s->timer) < 2 || serve_peer(p);
}

/* Its socket is closed as the peer's. */
static void
free_session(void *session_of_peer)
{
    session *s = session_of_peer;

    mbedtls_ssl_free(&s->ssl);
    free(s);
}

/* ---- listening ---- */

/* What was no hello with a good cookie leaves nothing behind. A client may be
 * quick enough to complete its handshake meanwhile. */
static void
shake(session *s)
{
    int result = mbedtls_ssl_handshake(&s->ssl);

    if ((result == 0 || wants_more(result)) &&
        s->ssl.MBEDTLS_PRIVATE(state) > MBEDTLS_SSL_CLIENT_HELLO) {
        spare = new_session();
        serve_call(serve_add(s->socket.fd, s), serve_peer);
        return;
    }
    mbedtls_net_free(&s->socket);
    mbedtls_ssl_session_reset(&s->ssl);
}

static int
accept_one(void)
{
    unsigned char id[CLIENT_ID_MAX];
    size_t len;
    int result =
        mbedtls_net_accept(&listener, &spare->socket, id, sizeof(id), &len);

    if (result != 0 && listener.fd < 0)
        refuse("Mbed TLS", "no socket to listen on");
    if (result != 0)
        return 0;
    mbedtls_net_set_nonblock(&listener);
    serve_listen_on(listener.fd);
    mbedtls_ssl_set_client_transport_id(&spare->ssl, id, len);
    mbedtls_ssl_set_bio(&spare->ssl, &spare->socket, mbedtls_net_send,
                        mbedtls_net_recv, NULL);
    shake(spare);
    return 1;
}

static void
listen_batch(int fd)
{
    (void)fd;
    for (int i = 0; i < SERVE_BATCH && accept_one(); i++)
        ;
}

/* ---- the start ---- */

static void
use_identity(const identity *id)
{
    const unsigned char *text = (const unsigned char *)id->key;
    size_t len = strlen(id->key) + 1;
    int result;

#if MBEDTLS_VERSION_NUMBER < 0x03000000
    result = mbedtls_pk_parse_key(&key, text, len, NULL, 0);
#else
    result = mbedtls_pk_parse_key(&key, text, len, NULL, 0,
                                  mbedtls_ctr_drbg_random, &drbg);
#endif
    text = (const unsigned char *)id->certificate;
    len = strlen(id->certificate) + 1;
    if (result != 0 || mbedtls_x509_crt_parse(&certificate, text, len) != 0 ||
        mbedtls_ssl_conf_own_cert(&config, &certificate, &key) != 0)
        refuse("Mbed TLS", "cannot use the certificate and its key");
}

#if MBEDTLS_VERSION_NUMBER < 0x03000000
static mbedtls_ecp_group_id groups[GROUPS_MAX];
static const struct {
    const char *name;
    mbedtls_ecp_group_id id;
} known_groups[] = {
    {"X25519", MBEDTLS_ECP_DP_CURVE25519},
    {"P-256", MBEDTLS_ECP_DP_SECP256R1},
    {"P-384", MBEDTLS_ECP_DP_SECP384R1},
    {"P-521", MBEDTLS_ECP_DP_SECP521R1},
};
#define CONF_GROUPS mbedtls_ssl_conf_curves
#else
static uint16_t groups[GROUPS_MAX];
static const struct {
    const char *name;
    uint16_t id;
} known_groups[] = {
    {"X25519", MBEDTLS_SSL_IANA_TLS_GROUP_X25519},
    {"P-256", MBEDTLS_SSL_IANA_TLS_GROUP_SECP256R1},
    {"P-384", MBEDTLS_SSL_IANA_TLS_GROUP_SECP384R1},
    {"P-521", MBEDTLS_SSL_IANA_TLS_GROUP_SECP521R1},
};
#define CONF_GROUPS mbedtls_ssl_conf_groups
#endif

static int
add_group(const char *name)
{
    size_t n = 0;

    while (groups[n] != 0)
        n++;
    for (size_t i = 0; i < sizeof(known_groups) / sizeof(known_groups[0]); i++)
        if (strcmp(known_groups[i].name, name) == 0 && n < GROUPS_MAX - 1) {
            groups[n] = known_groups[i].id;
            return 1;
        }
    return 0;
}

static void
init(void)
{
    mbedtls_entropy_init(&entropy);
    mbedtls_ctr_drbg_init(&drbg);
    mbedtls_ssl_config_init(&config);
    mbedtls_ssl_cookie_init(&cookies);
    mbedtls_x509_crt_init(&certificate);
    mbedtls_pk_init(&key);
    mbedtls_net_init(&listener);
}

static void
configure(const serve_settings *settings)
{
    static const int suites[] = {
        MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        MBEDTLS_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, 0};

    if (mbedtls_ctr_drbg_seed(&drbg, mbedtls_entropy_func, &entropy, NULL,
                              0) != 0 ||
        mbedtls_ssl_config_defaults(&config, MBEDTLS_SSL_IS_SERVER,
                                    MBEDTLS_SSL_TRANSPORT_DATAGRAM,
                                    MBEDTLS_SSL_PRESET_DEFAULT) != 0 ||
        mbedtls_ssl_cookie_setup(&cookies, mbedtls_ctr_drbg_random, &drbg) !=
            0)
        refuse("Mbed TLS", "cannot be set up");
#if MBEDTLS_VERSION_NUMBER < 0x03000000 /* later ones have nothing older */
    mbedtls_ssl_conf_min_version(&config, MBEDTLS_SSL_MAJOR_VERSION_3,
                                 MBEDTLS_SSL_MINOR_VERSION_3);
#endif
    mbedtls_ssl_conf_rng(&config, mbedtls_ctr_drbg_random, &drbg);
    mbedtls_ssl_conf_ciphersuites(&config, suites);
    mbedtls_ssl_conf_dtls_cookies(&config, mbedtls_ssl_cookie_write,
                                  mbedtls_ssl_cookie_check, &cookies);
    if (settings->groups == NULL)
        return;
    serve_each_group(settings->groups, add_group);
    CONF_GROUPS(&config, groups);
}

static int
start(const serve_settings *settings)
{
    init();
    configure(settings);
    use_identity(&settings->identity);
    mtu = settings->mtu;
    spare = new_session();
    if (mbedtls_net_bind(&listener, settings->host, settings->port,
                         MBEDTLS_NET_PROTO_UDP) != 0)
        return -1;
    mbedtls_net_set_nonblock(&listener);
    return listener.fd;
}

static void
stop(void)
{
    free_session(spare);
    mbedtls_x509_crt_free(&certificate);
    mbedtls_pk_free(&key);
    mbedtls_ssl_config_free(&config);
    mbedtls_ssl_cookie_free(&cookies);
    mbedtls_ctr_drbg_free(&drbg);
    mbedtls_entropy_free(&entropy);
}

int
main(int argc, char **argv)
{
    static const server mbedtls = {
        .name = "mbedtls_server",
        .options = "",
        .usage = "",
        .start = start,
        .listen = listen_batch,
        .serve = serve_peer,
        .look_after = look_after,
        .free = free_session,
        .stop = stop,
    };

    return serve(argc, argv, &mbedtls);
}
