/* SPDX-License-Identifier: MIT
 * wolfSSL's sample of a DTLS server for many clients, server-dtls13-event.c,
 * with DTLS 1.2: an SSL is pending on the listening socket, without a state
 * until a ClientHello brings a good cookie; then a callback gives it a
 * connected socket of its own, and another one is pending.
 *
 *     bench/wolfssl_server [OPTION]... HOST PORT
 *
 * Only the first of the GROUPS counts, and X25519 there means the client's
 * choice. -m has no effect: Debian builds wolfSSL without WOLFSSL_DTLS_MTU. */
#include <wolfssl/options.h>
#include <wolfssl/ssl.h>
#include <wolfssl/error-ssl.h>
#include <wolfssl/openssl/ec.h>
#include <wolfssl/wolfcrypt/random.h>
#include "options.h"
#include "serve.h"
#include <stdlib.h>
#include <string.h>

enum {
    SECRET = 32,
    NO_SOCKET = -1000 /* beyond wolfSSL's own errors */
};

typedef struct session {
    WOLFSSL *ssl;
    uint64_t heard_ms; /* when its timer started anew */
} session;

static WOLFSSL_CTX *ctx;
static WOLFSSL *pending;
static peer *accepted; /* the one that was pending, or NULL */
static int listening_fd;
static unsigned char secret[SECRET]; /* of the cookies of all pending ones */

static WOLFSSL *new_pending(void);

/* ---- sessions ---- */

static int
wants_more(WOLFSSL *ssl, int result)
{
    int error = wolfSSL_get_error(ssl, result);

    if (error == WOLFSSL_ERROR_ZERO_RETURN)
        wolfSSL_shutdown(ssl);
    return error == WOLFSSL_ERROR_WANT_READ ||
           error == WOLFSSL_ERROR_WANT_WRITE;
}

static int
echo_all(WOLFSSL *ssl)
{
    static unsigned char data[SERVE_RECORD];
    int n;

    while ((n = wolfSSL_read(ssl, data, sizeof(data))) > 0)
        wolfSSL_write(ssl, data, n);
    return wants_more(ssl, n);
}

static int
serve_peer(peer *p)
{
    session *s = p->session;
    int result;

    s->heard_ms = serve_now_ms();
    if (!p->is_open) {
        result = wolfSSL_accept(s->ssl);
        if (result != WOLFSSL_SUCCESS)
            return wants_more(s->ssl, result);
        serve_opened(p);
    }
    return echo_all(s->ssl);
}

static int
look_after(peer *p)
{
    session *s = p->session;
    int timeout_s = wolfSSL_dtls_get_current_timeout(s->ssl);
    uint64_t now = serve_now_ms();

    if (now - s->heard_ms < (uint64_t)timeout_s * 1000)
        return 1;
    s->heard_ms = now;
    return wolfSSL_dtls_got_timeout(s->ssl) == WOLFSSL_SUCCESS;
}

static void
free_session(void *session_of_peer)
{
    session *s = session_of_peer;

    wolfSSL_free(s->ssl);
    free(s);
}

/* ---- listening ---- */

/* Called within wolfSSL_accept(), which goes on with the new socket. */
static int
on_good_hello(WOLFSSL *ssl, void *arg)
{
    struct sockaddr_in address;
    unsigned len = sizeof(address);
    session *s;
    int fd;

    (void)arg;
    if (wolfSSL_dtls_get_peer(ssl, &address, &len) != WOLFSSL_SUCCESS)
        return NO_SOCKET;
    fd = serve_socket(&address);
    if (fd < 0)
        return NO_SOCKET;
    s = calloc(1, sizeof(*s));
    if (s == NULL || wolfSSL_set_dtls_fd_connected(ssl, fd) != WOLFSSL_SUCCESS)
        refuse("wolfSSL", "out of memory");
    s->ssl = ssl;
    s->heard_ms = serve_now_ms();
    accepted = serve_add(fd, s);
    pending = new_pending();
    return 0;
}

static WOLFSSL *
new_pending(void)
{
    WOLFSSL *ssl = wolfSSL_new(ctx);

    if (ssl == NULL)
        refuse("wolfSSL", "out of memory");
    wolfSSL_dtls_set_using_nonblock(ssl, 1);
    if (wolfDTLS_SetChGoodCb(ssl, on_good_hello, NULL) != WOLFSSL_SUCCESS ||
        wolfSSL_DTLS_SetCookieSecret(ssl, secret, sizeof(secret)) != 0 ||
        wolfSSL_set_fd(ssl, listening_fd) != WOLFSSL_SUCCESS)
        refuse("wolfSSL", "cannot listen");
    return ssl;
}

/* One that failed while it was pending leaves nothing to go on with. */
static void
listen_once(int fd)
{
    int result;

    (void)fd;
    accepted = NULL;
    result = wolfSSL_accept(pending);
    if (accepted != NULL) {
        serve_call(accepted, serve_peer);
        return;
    }
    if (wants_more(pending, result))
        return;
    wolfSSL_free(pending);
    pending = new_pending();
}

/* ---- the start ---- */

static void
use_identity(const identity *id)
{
    const unsigned char *certificate = (const void *)id->certificate;
    const unsigned char *key = (const void *)id->key;

    if (wolfSSL_CTX_use_certificate_buffer(
            ctx, certificate, (long)strlen(id->certificate),
            WOLFSSL_FILETYPE_PEM) != WOLFSSL_SUCCESS ||
        wolfSSL_CTX_use_PrivateKey_buffer(ctx, key, (long)strlen(id->key),
                                          WOLFSSL_FILETYPE_PEM) !=
            WOLFSSL_SUCCESS)
        refuse("wolfSSL", "cannot use the certificate and its key");
}

/* The only way to a group that a server of DTLS 1.2 heeds: a temporary key, of
 * which it takes the curve. X25519 is what it takes without. */
static int
use_group(const char *name)
{
    static const struct {
        const char *name, *curve;
    } groups[] = {
        {"X25519", NULL},
        {"P-256", "prime256v1"},
        {"P-384", "secp384r1"},
        {"P-521", "secp521r1"},
    };
    static int is_first = 1;
    WOLFSSL_EC_KEY *temporary = NULL;
    size_t i = 0;
    int used = 1;

    while (i < sizeof(groups) / sizeof(groups[0]) &&
           strcmp(groups[i].name, name) != 0)
        i++;
    if (i == sizeof(groups) / sizeof(groups[0]))
        return 0;
    if (is_first && groups[i].curve != NULL) {
        temporary = wolfSSL_EC_KEY_new_by_curve_name(
            wolfSSL_OBJ_sn2nid(groups[i].curve));
        used = wolfSSL_SSL_CTX_set_tmp_ecdh(ctx, temporary) == WOLFSSL_SUCCESS;
        wolfSSL_EC_KEY_free(temporary);
    }
    is_first = 0;
    return used;
}

static void
make_secret(void)
{
    WC_RNG rng;

    if (wc_InitRng(&rng) != 0 ||
        wc_RNG_GenerateBlock(&rng, secret, sizeof(secret)) != 0)
        refuse("wolfSSL", "no random numbers");
    wc_FreeRng(&rng);
}

static int
start(const serve_settings *settings)
{
    wolfSSL_Init();
    ctx = wolfSSL_CTX_new(wolfDTLSv1_2_server_method());
    if (ctx == NULL ||
        wolfSSL_CTX_set_cipher_list(ctx, "ECDHE-ECDSA-AES128-GCM-SHA256:"
                                         "ECDHE-RSA-AES128-GCM-SHA256") !=
            WOLFSSL_SUCCESS)
        refuse("wolfSSL", "no context");
    wolfSSL_CTX_set_verify(ctx, WOLFSSL_VERIFY_NONE, NULL);
    wolfSSL_CTX_set_session_cache_mode(ctx, WOLFSSL_SESS_CACHE_OFF);
    wolfSSL_CTX_NoTicketTLSv12(ctx);
    if (settings->groups != NULL)
        serve_each_group(settings->groups, use_group);
    use_identity(&settings->identity);
    make_secret();
    listening_fd = serve_socket(NULL);
    pending = new_pending();
    return listening_fd;
}

static void
stop(void)
{
    wolfSSL_free(pending);
    wolfSSL_CTX_free(ctx);
    wolfSSL_Cleanup();
}

int
main(int argc, char **argv)
{
    static const server wolfssl = {
        .name = "wolfssl_server",
        .options = "",
        .usage = "",
        .start = start,
        .listen = listen_once,
        .serve = serve_peer,
        .look_after = look_after,
        .free = free_session,
        .stop = stop,
    };

    return serve(argc, argv, &wolfssl);
}
