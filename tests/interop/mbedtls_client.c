/* SPDX-License-Identifier: MIT
 * A DTLS 1.2 client on Mbed TLS: sends one datagram, prints the echo. */
#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/error.h>
#include <mbedtls/net_sockets.h>
#include <mbedtls/ssl.h>
#include <mbedtls/timing.h>
#include <mbedtls/version.h>
#include <stdio.h>
#include <string.h>

enum {
    FIRST_TIMEOUT_MS = 1000,
    LAST_TIMEOUT_MS = 4000, /* 1 + 2 + 4 s, then the handshake fails */
    ECHO_TIMEOUT_MS = 10000
};

typedef struct client {
    mbedtls_net_context net;
    mbedtls_entropy_context entropy;
    mbedtls_ctr_drbg_context drbg;
    mbedtls_ssl_config config;
    mbedtls_ssl_context ssl;
    mbedtls_timing_delay_context timer;
} client;

static int
fail(const char *what, int code)
{
    char text[128];

    mbedtls_strerror(code, text, sizeof(text));
    fprintf(stderr, "mbedtls_client: %s: %s (-0x%04x)\n", what, text,
            (unsigned int)-code);
    return 1;
}

static void
client_init(client *c)
{
    mbedtls_net_init(&c->net);
    mbedtls_entropy_init(&c->entropy);
    mbedtls_ctr_drbg_init(&c->drbg);
    mbedtls_ssl_config_init(&c->config);
    mbedtls_ssl_init(&c->ssl);
}

static void
client_free(client *c)
{
    mbedtls_net_free(&c->net);
    mbedtls_ssl_free(&c->ssl);
    mbedtls_ssl_config_free(&c->config);
    mbedtls_ctr_drbg_free(&c->drbg);
    mbedtls_entropy_free(&c->entropy);
}

static int
configure(client *c)
{
    int rc;

    rc = mbedtls_ctr_drbg_seed(&c->drbg, mbedtls_entropy_func, &c->entropy,
                               NULL, 0);
    if (rc == 0)
        rc = mbedtls_ssl_config_defaults(&c->config, MBEDTLS_SSL_IS_CLIENT,
                                         MBEDTLS_SSL_TRANSPORT_DATAGRAM,
                                         MBEDTLS_SSL_PRESET_DEFAULT);
    if (rc != 0)
        return rc;
#if MBEDTLS_VERSION_NUMBER < 0x03000000 /* later ones have nothing older */
    mbedtls_ssl_conf_min_version(&c->config, MBEDTLS_SSL_MAJOR_VERSION_3,
                                 MBEDTLS_SSL_MINOR_VERSION_3);
#endif
    mbedtls_ssl_conf_authmode(&c->config, MBEDTLS_SSL_VERIFY_NONE);
    mbedtls_ssl_conf_rng(&c->config, mbedtls_ctr_drbg_random, &c->drbg);
    mbedtls_ssl_conf_handshake_timeout(&c->config, FIRST_TIMEOUT_MS,
                                       LAST_TIMEOUT_MS);
    mbedtls_ssl_conf_read_timeout(&c->config, ECHO_TIMEOUT_MS);
    rc = mbedtls_ssl_setup(&c->ssl, &c->config);
    if (rc != 0)
        return rc;
    mbedtls_ssl_set_bio(&c->ssl, &c->net, mbedtls_net_send, mbedtls_net_recv,
                        mbedtls_net_recv_timeout);
    mbedtls_ssl_set_timer_cb(&c->ssl, &c->timer, mbedtls_timing_set_delay,
                             mbedtls_timing_get_delay);
    return 0;
}

static int
handshake(client *c)
{
    int rc;

    do {
        rc = mbedtls_ssl_handshake(&c->ssl);
    } while (rc == MBEDTLS_ERR_SSL_WANT_READ ||
             rc == MBEDTLS_ERR_SSL_WANT_WRITE);
    return rc;
}

static int
echo(client *c, const char *text)
{
    unsigned char buf[2048];
    size_t len = strlen(text);
    int rc;

    do {
        rc = mbedtls_ssl_write(&c->ssl, (const unsigned char *)text, len);
    } while (rc == MBEDTLS_ERR_SSL_WANT_READ ||
             rc == MBEDTLS_ERR_SSL_WANT_WRITE);
    if (rc < 0)
        return fail("write", rc);
    do {
        rc = mbedtls_ssl_read(&c->ssl, buf, sizeof(buf));
    } while (rc == MBEDTLS_ERR_SSL_WANT_READ ||
             rc == MBEDTLS_ERR_SSL_WANT_WRITE);
    if (rc < 0)
        return fail("read", rc);
    if ((size_t)rc != len || memcmp(buf, text, len) != 0) {
        fprintf(stderr, "mbedtls_client: the echo differs\n");
        return 1;
    }
    printf("%s\n", text);
    return 0;
}

int
main(int argc, char **argv)
{
    client c;
    int rc;
    int status = 1;

    if (argc != 4) {
        fprintf(stderr, "usage: mbedtls_client HOST PORT TEXT\n");
        return 2;
    }
    client_init(&c);
    rc = mbedtls_net_connect(&c.net, argv[1], argv[2], MBEDTLS_NET_PROTO_UDP);
    if (rc != 0) {
        fail("connect", rc);
        goto done;
    }
    rc = configure(&c);
    if (rc != 0) {
        fail("set-up", rc);
        goto done;
    }
    rc = handshake(&c);
    if (rc != 0) {
        fail("handshake", rc);
        goto done;
    }
    status = echo(&c, argv[3]);
    mbedtls_ssl_close_notify(&c.ssl);
done:
    client_free(&c);
    return status;
}
