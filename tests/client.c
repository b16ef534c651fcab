/* SPDX-License-Identifier: MIT
 * A DTLS client over memory that keeps the borders of datagrams. */
#include "client.h"
#include "test.h"
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <sys/time.h>

enum {
    QUEUE = 256,
    DATAGRAM = 17000,
    EPOCH_S = 1795600000
};

struct client {
    SSL_CTX *ctx;
    SSL *ssl;
    client_options options;
    const uint8_t *in;
    size_t in_len;
    packet out[QUEUE];
    size_t head, tail;
    uint32_t mtu;
    int open, closed, dead;
    size_t received;
    uint8_t last[DATAGRAM];
    size_t last_len;
};

static uint64_t clock_ms = CLIENT_CLOCK_START;
static int64_t off_ms;

void
client_clock(uint64_t ms)
{
    clock_ms = ms;
}

void
client_clock_off(int64_t ms)
{
    off_ms = ms;
}

/* libssl's timers end up here instead of in the C library. */
int
gettimeofday(struct timeval *restrict tv, void *restrict zone)
{
    int64_t ms = EPOCH_S * INT64_C(1000) + (int64_t)clock_ms + off_ms;

    (void)zone;
    tv->tv_sec = (time_t)(ms / 1000);
    tv->tv_usec = (suseconds_t)(ms % 1000 * 1000);
    return 0;
}

void
identity_make(identity *id, const char *common_name)
{
    X509_NAME *name;

    id->key = EVP_EC_gen("P-256");
    id->cert = X509_new();
    ck_assert_ptr_nonnull(id->key);
    ck_assert_ptr_nonnull(id->cert);
    ck_assert_int_eq(X509_set_version(id->cert, 2), 1);
    ASN1_INTEGER_set(X509_get_serialNumber(id->cert), 1);
    X509_gmtime_adj(X509_getm_notBefore(id->cert), -86400);
    X509_gmtime_adj(X509_getm_notAfter(id->cert), 86400);
    name = X509_NAME_new();
    ck_assert_int_eq(X509_NAME_add_entry_by_txt(
                         name, "CN", MBSTRING_ASC,
                         (const unsigned char *)common_name, -1, -1, 0),
                     1);
    ck_assert_int_eq(X509_set_subject_name(id->cert, name), 1);
    ck_assert_int_eq(X509_set_issuer_name(id->cert, name), 1);
    X509_NAME_free(name);
    ck_assert_int_eq(X509_set_pubkey(id->cert, id->key), 1);
    ck_assert_int_gt(X509_sign(id->cert, id->key, EVP_sha256()), 0);
}

void
identity_free(identity *id)
{
    X509_free(id->cert);
    EVP_PKEY_free(id->key);
}

void
identity_save(const identity *id, const char *file)
{
    FILE *f = fopen(file, "w");

    ck_assert_ptr_nonnull(f);
    ck_assert_int_eq(
        PEM_write_PrivateKey(f, id->key, NULL, NULL, 0, NULL, NULL), 1);
    ck_assert_int_eq(PEM_write_X509(f, id->cert), 1);
    ck_assert_int_eq(fclose(f), 0);
}

/* The BIO */

static int
bio_read(BIO *bio, char *buf, int len)
{
    client *c = BIO_get_data(bio);
    size_t n = c->in_len;

    BIO_clear_retry_flags(bio);
    if (c->in == NULL) {
        BIO_set_retry_read(bio);
        return -1;
    }
    if (n > (size_t)len)
        n = (size_t)len;
    memcpy(buf, c->in, n);
    c->in = NULL;
    return (int)n;
}

static int
bio_write(BIO *bio, const char *buf, int len)
{
    client *c = BIO_get_data(bio);
    packet *p = &c->out[c->tail++ % QUEUE];

    ck_assert_uint_lt(c->tail - c->head, QUEUE);
    p->data = malloc((size_t)len);
    ck_assert_ptr_nonnull(p->data);
    memcpy(p->data, buf, (size_t)len);
    p->len = (size_t)len;
    return len;
}

static long
bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
    client *c = BIO_get_data(bio);

    (void)number;
    (void)pointer;
    switch (command) {
    case BIO_CTRL_FLUSH:
    case BIO_CTRL_DGRAM_SET_NEXT_TIMEOUT:
        return 1;
    case BIO_CTRL_DGRAM_QUERY_MTU:
    case BIO_CTRL_DGRAM_GET_FALLBACK_MTU:
        return c->mtu;
    case BIO_CTRL_DGRAM_GET_MTU_OVERHEAD:
        return 28;
    default:
        return 0;
    }
}

static BIO_METHOD *
bio_method(void)
{
    static BIO_METHOD *method;

    if (method == NULL) {
        method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK,
                              "test client");
        ck_assert_ptr_nonnull(method);
        BIO_meth_set_read(method, bio_read);
        BIO_meth_set_write(method, bio_write);
        BIO_meth_set_ctrl(method, bio_ctrl);
    }
    return method;
}

/* Life */

static unsigned int
give_psk(SSL *ssl, const char *hint, char *identity_text,
         unsigned int max_identity, unsigned char *psk, unsigned int max_psk)
{
    client *c = SSL_get_app_data(ssl);

    (void)hint;
    ck_assert_uint_lt(strlen(c->options.psk_identity), max_identity);
    ck_assert_uint_le(c->options.psk_len, max_psk);
    strcpy(identity_text, c->options.psk_identity);
    memcpy(psk, c->options.psk, c->options.psk_len);
    return (unsigned int)c->options.psk_len;
}

/* "a,b" to what the extension has; the padding comes first. */
static void
set_alpn(client *c)
{
    uint8_t wire[16384];
    size_t len = 0, padding = c->options.alpn_padding;
    const char *at = c->options.alpn;

    while (padding > 1) {
        size_t n = padding > 101 ? 101 : padding;
        wire[len] = (uint8_t)(n - 1);
        memset(wire + len + 1, 'x', n - 1);
        len += n;
        padding -= n;
    }
    while (at != NULL && *at != '\0') {
        size_t n = strcspn(at, ",");
        wire[len] = (uint8_t)n;
        memcpy(wire + len + 1, at, n);
        len += n + 1;
        at += at[n] == ',' ? n + 1 : n;
    }
    if (len > 0)
        ck_assert_int_eq(SSL_set_alpn_protos(c->ssl, wire, (unsigned)len), 0);
}

static void
configure(client *c)
{
    const client_options *o = &c->options;

    if (o->dtls1) {
        SSL_set_security_level(c->ssl, 0);
        SSL_set_min_proto_version(c->ssl, DTLS1_VERSION);
        SSL_set_max_proto_version(c->ssl, DTLS1_VERSION);
    }
    if (o->ciphers != NULL)
        ck_assert_int_eq(SSL_set_cipher_list(c->ssl, o->ciphers), 1);
    if (o->server_name != NULL)
        ck_assert_int_eq(SSL_set_tlsext_host_name(c->ssl, o->server_name), 1);
    if (o->psk_identity != NULL)
        SSL_set_psk_client_callback(c->ssl, give_psk);
    if (o->identity != NULL) {
        ck_assert_int_eq(SSL_use_certificate(c->ssl, o->identity->cert), 1);
        ck_assert_int_eq(SSL_use_PrivateKey(c->ssl, o->identity->key), 1);
    }
    if (o->session != NULL)
        ck_assert_int_eq(SSL_set_session(c->ssl, o->session), 1);
    set_alpn(c);
}

client *
client_new(const client_options *options)
{
    client *c = calloc(1, sizeof(*c));
    BIO *bio = BIO_new(bio_method());

    ck_assert_ptr_nonnull(c);
    ck_assert_ptr_nonnull(bio);
    if (options != NULL)
        c->options = *options;
    c->mtu = c->options.mtu != 0 ? c->options.mtu : 1232;
    c->ctx = c->options.ctx;
    if (c->ctx == NULL)
        c->ctx = SSL_CTX_new(DTLS_client_method());
    else
        SSL_CTX_up_ref(c->ctx);
    ck_assert_ptr_nonnull(c->ctx);
    c->ssl = SSL_new(c->ctx);
    ck_assert_ptr_nonnull(c->ssl);
    SSL_set_app_data(c->ssl, c);
    BIO_set_data(bio, c);
    BIO_set_init(bio, 1);
    SSL_set_bio(c->ssl, bio, bio);
    SSL_set_verify(
        c->ssl, c->options.verifies ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
    SSL_set_connect_state(c->ssl);
    SSL_set_options(c->ssl, SSL_OP_NO_QUERY_MTU);
    ck_assert_int_ne(SSL_set_mtu(c->ssl, c->mtu), 0);
    configure(c);
    return c;
}

void
client_free(client *c)
{
    if (c == NULL)
        return;
    client_discard(c);
    if (c->open)
        SSL_set_shutdown(c->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(c->ssl);
    SSL_CTX_free(c->ctx);
    ERR_clear_error();
    free(c);
}

/* Moving on */

static void
examine(client *c, int result)
{
    int error = SSL_get_error(c->ssl, result);

    c->closed |= error == SSL_ERROR_ZERO_RETURN;
    c->dead |= error == SSL_ERROR_SSL || error == SSL_ERROR_SYSCALL;
    ERR_clear_error();
}

void
client_step(client *c)
{
    int result;

    ERR_clear_error();
    if (!c->open && !c->dead) {
        result = SSL_do_handshake(c->ssl);
        c->open = result == 1;
        if (!c->open)
            examine(c, result);
    }
    while (c->open && !c->dead && !c->closed) {
        result = SSL_read(c->ssl, c->last, (int)sizeof(c->last));
        if (result <= 0) {
            examine(c, result);
            break;
        }
        c->last_len = (size_t)result;
        c->received++;
        if (c->options.on_data != NULL)
            c->options.on_data(c, c->options.user, c->last, c->last_len);
    }
}

void
client_feed(client *c, const uint8_t *data, size_t len)
{
    c->in = data;
    c->in_len = len;
    client_step(c);
    c->in = NULL;
}

void
client_timer(client *c)
{
    if (!c->dead && DTLSv1_handle_timeout(c->ssl) < 0)
        c->dead = 1;
    ERR_clear_error();
}

int
client_take(client *c, packet *p)
{
    if (c->head == c->tail)
        return 0;
    *p = c->out[c->head++ % QUEUE];
    return 1;
}

size_t
client_waiting(const client *c)
{
    return c->tail - c->head;
}

void
client_discard(client *c)
{
    packet p;

    while (client_take(c, &p))
        packet_free(&p);
}

void
packet_free(packet *p)
{
    free(p->data);
    p->data = NULL;
}

int
client_write(client *c, const void *data, size_t len)
{
    int result = SSL_write(c->ssl, data, (int)len);

    ERR_clear_error();
    return result;
}

void
client_shutdown(client *c)
{
    SSL_shutdown(c->ssl);
    ERR_clear_error();
}

int
client_is_open(const client *c)
{
    return c->open;
}

int
client_is_closed(const client *c)
{
    return c->closed;
}

int
client_is_dead(const client *c)
{
    return c->dead;
}

size_t
client_received(const client *c)
{
    return c->received;
}

const uint8_t *
client_last(const client *c, size_t *len)
{
    *len = c->last_len;
    return c->last;
}

SSL *
client_ssl(client *c)
{
    return c->ssl;
}
