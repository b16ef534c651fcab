/* SPDX-License-Identifier: MIT
 * The DTLS server of OpenSSL's documentation, DTLSv1_listen(3): an SSL listens
 * on the socket; when it has a verified client, it gets a socket of its own,
 * bound to the same address and connected to the client, goes on with
 * SSL_accept(), and a new SSL listens. Cookies are made as s_server makes
 * them.
 *
 *     bench/openssl_server [-H] [-D N] [OPTION]... HOST PORT
 *     bench/openssl_one_server (the same options)
 *
 * -H keeps the context of the HMAC, which is otherwise made anew for each
 * cookie. -D lets a call of DTLSv1_listen() read at most N datagrams: it reads
 * on as long as there are hellos to refuse. With KEEP_LISTENER (the second
 * program) the listening SSL stays, and a new one gets the client: the hello
 * goes through DTLSv1_listen() there once more, as nothing else starts it. */
#include "openssl_side.h"
#include "options.h"
#include "serve.h"
#include "tap_bio.h"
#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef KEEP_LISTENER
#define KEEP_LISTENER 0
#endif

enum {
    SECRET = 16,
    COOKIE = 32,
    ADDRESS_MAX = 16 + 2
};

static SSL_CTX *ctx;
static SSL *listener;
static BIO_ADDR *client;
static int listening_fd, mtu;
static int keeps_hmac;
static size_t reads = SIZE_MAX;
static tap listener_tap;
static unsigned char secret[SECRET];
static EVP_MAC_CTX *hmac;

static void
option(int c, const char *value)
{
    char *end = NULL;

    if (c == 'H')
        keeps_hmac = 1;
    if (c == 'D')
        reads = strtoul(value, &end, 10);
    if (reads == 0 || (end != NULL && *end != '\0'))
        refuse("-D", "takes a number of datagrams");
}

/* ---- cookies ---- */

static int
kept_hmac(const unsigned char *data, size_t len, unsigned char *cookie)
{
    size_t cookie_len;

    return EVP_MAC_init(hmac, NULL, 0, NULL) &&
           EVP_MAC_update(hmac, data, len) &&
           EVP_MAC_final(hmac, cookie, &cookie_len, COOKIE);
}

static int
fresh_hmac(const unsigned char *data, size_t len, unsigned char *cookie)
{
    return EVP_Q_mac(NULL, "HMAC", NULL, "SHA2-256", NULL, secret,
                     sizeof(secret), data, len, cookie, COOKIE, NULL) != NULL;
}

/* Of the client's address and port. */
static int
make_cookie(SSL *ssl, unsigned char *cookie)
{
    BIO_ADDR *from = BIO_ADDR_new();
    unsigned char data[ADDRESS_MAX];
    size_t len = 0;
    unsigned short port;
    int made;

    if (from == NULL)
        return 0;
    (void)BIO_dgram_get_peer(SSL_get_rbio(ssl), from);
    BIO_ADDR_rawaddress(from, NULL, &len);
    made = len > 0 && len <= sizeof(data) - sizeof(port) &&
           BIO_ADDR_rawaddress(from, data, &len);
    if (made) {
        port = BIO_ADDR_rawport(from);
        memcpy(data + len, &port, sizeof(port));
        len += sizeof(port);
        made = keeps_hmac ? kept_hmac(data, len, cookie)
                          : fresh_hmac(data, len, cookie);
    }
    BIO_ADDR_free(from);
    return made;
}

static int
generate_cookie(SSL *ssl, unsigned char *cookie, unsigned *len)
{
    *len = COOKIE;
    return make_cookie(ssl, cookie);
}

static int
verify_cookie(SSL *ssl, const unsigned char *cookie, unsigned len)
{
    unsigned char ours[COOKIE];

    return len == COOKIE && make_cookie(ssl, ours) &&
           CRYPTO_memcmp(ours, cookie, COOKIE) == 0;
}

static void
prepare_hmac(void)
{
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    char digest[] = "SHA2-256";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string("digest", digest, 0),
        OSSL_PARAM_construct_end(),
    };

    hmac = EVP_MAC_CTX_new(mac);
    EVP_MAC_free(mac);
    if (RAND_bytes(secret, sizeof(secret)) != 1 ||
        !EVP_MAC_init(hmac, secret, sizeof(secret), params))
        refuse("OpenSSL", "no HMAC");
}

/* ---- sessions ---- */

/* With the documented BIO on a socket, for reading and writing. */
static SSL *
new_ssl(int fd)
{
    SSL *ssl = SSL_new(ctx);
    BIO *bio = BIO_new_dgram(fd, BIO_NOCLOSE);

    if (ssl == NULL || bio == NULL)
        refuse("OpenSSL", "out of memory");
    SSL_set_bio(ssl, bio, bio);
    SSL_set_mtu(ssl, mtu);
    return ssl;
}

static void
put_tap(SSL *ssl)
{
    BIO *bio = SSL_get_wbio(ssl);

    BIO_up_ref(bio);
    SSL_set0_rbio(ssl, tap_new(&listener_tap, bio));
}

static void
remove_tap(SSL *ssl)
{
    BIO *bio = SSL_get_wbio(ssl);

    BIO_up_ref(bio);
    SSL_set0_rbio(ssl, bio);
}

static SSL *
new_listener(void)
{
    SSL *ssl = new_ssl(listening_fd);

    if (KEEP_LISTENER || reads != SIZE_MAX)
        put_tap(ssl);
    return ssl;
}

/* Whether it goes on. */
static int
wants_more(SSL *ssl, int result)
{
    int error = SSL_get_error(ssl, result);

    if (error == SSL_ERROR_ZERO_RETURN)
        SSL_shutdown(ssl);
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
}

static int
echo_all(SSL *ssl)
{
    static unsigned char data[SERVE_RECORD];
    int n;

    /* What the socket does not take is lost, as on the way. */
    while ((n = SSL_read(ssl, data, sizeof(data))) > 0)
        SSL_write(ssl, data, n);
    return wants_more(ssl, n);
}

static int
serve_peer(peer *p)
{
    SSL *ssl = p->session;
    int result;

    ERR_clear_error();
    if (!p->is_open) {
        result = SSL_accept(ssl);
        if (result != 1)
            return wants_more(ssl, result);
        serve_opened(p);
    }
    return echo_all(ssl);
}

static int
look_after(peer *p)
{
    return DTLSv1_handle_timeout(p->session) >= 0;
}

static void
free_session(void *session)
{
    SSL_free(session);
}

/* ---- listening ---- */

static void
connect_bio(SSL *ssl, int fd)
{
    BIO *bio = SSL_get_wbio(ssl);

    BIO_set_fd(bio, fd, BIO_NOCLOSE);
    BIO_ctrl_set_connected(bio, client);
}

/* The one that listened goes on with the client. */
static SSL *
hand_over_listener(int fd)
{
    SSL *ssl = listener;

    connect_bio(ssl, fd);
    remove_tap(ssl);
    listener = new_listener();
    return ssl;
}

/* A new one hears the hello again. */
static SSL *
hand_over_hello(int fd)
{
    SSL *ssl = new_ssl(fd);

    connect_bio(ssl, fd);
    put_tap(ssl);
    listener_tap.replays = 1;
    if (DTLSv1_listen(ssl, client) != 1) {
        SSL_free(ssl);
        return NULL;
    }
    remove_tap(ssl);
    return ssl;
}

static void
accept_client(void)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = BIO_ADDR_rawport(client)};
    size_t len = sizeof(to.sin_addr);
    SSL *ssl;
    int fd;

    BIO_ADDR_rawaddress(client, &to.sin_addr, &len);
    fd = serve_socket(&to);
    if (fd < 0)
        return; /* it forgets this client when it listens again */
    ssl = KEEP_LISTENER ? hand_over_hello(fd) : hand_over_listener(fd);
    if (ssl == NULL)
        close(fd);
    else
        serve_call(serve_add(fd, ssl), serve_peer);
}

/* A call ends when there is nothing to read, but also behind a datagram that
 * is no hello. */
static void
listen_once(int fd)
{
    int result;

    (void)fd;
    listener_tap.left = reads;
    for (int i = 0; i < SERVE_BATCH; i++) {
        result = DTLSv1_listen(listener, client);
        if (result >= 1)
            accept_client();
        else if (BIO_should_retry(SSL_get_rbio(listener)))
            break;
    }
}

/* ---- the start ---- */

static int
start(const serve_settings *settings)
{
    ctx = openssl_context(DTLS_server_method(), settings->groups);
    client = BIO_ADDR_new();
    if (client == NULL)
        refuse("OpenSSL", "out of memory");
    SSL_CTX_set_cookie_generate_cb(ctx, generate_cookie);
    SSL_CTX_set_cookie_verify_cb(ctx, verify_cookie);
    openssl_use_identity(ctx, &settings->identity);
    prepare_hmac();
    mtu = settings->mtu;
    listening_fd = serve_socket(NULL);
    listener = new_listener();
    return listening_fd;
}

static void
stop(void)
{
    SSL_free(listener);
    SSL_CTX_free(ctx);
    BIO_ADDR_free(client);
    EVP_MAC_CTX_free(hmac);
    tap_stop();
}

int
main(int argc, char **argv)
{
    static const server openssl = {
        .name = KEEP_LISTENER ? "openssl_one_server" : "openssl_server",
        .options = "HD:",
        .usage = " [-H] [-D DATAGRAMS]",
        .option = option,
        .start = start,
        .listen = listen_once,
        .serve = serve_peer,
        .look_after = look_after,
        .free = free_session,
        .stop = stop,
    };

    return serve(argc, argv, &openssl);
}
