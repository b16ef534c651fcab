/* SPDX-License-Identifier: MIT
 * A client and a server SSL in memory, certificates and files for them. */
#ifndef DTLSL_TLS_PAIR_H
#define DTLSL_TLS_PAIR_H

#include "test.h"
#include "tls.h"

#include <dirent.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <unistd.h>

/* ---- files ---- */

static char dir[64];

static inline const char *
path_of(const char *name)
{
    static char paths[8][512];
    static unsigned next;
    char *path = paths[next++ % 8];

    if (dir[0] == '\0') {
        strcpy(dir, "/tmp/dtlsl_tls_XXXXXX");
        ck_assert_ptr_nonnull(mkdtemp(dir));
    }
    snprintf(path, sizeof(paths[0]), "%s/%s", dir, name);
    return path;
}

static inline const char *
write_file(const char *name, const void *data, size_t len)
{
    const char *path = path_of(name);
    FILE *file = fopen(path, "wb");

    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(data, 1, len, file), len);
    fclose(file);
    return path;
}

static inline const char *
write_text(const char *name, const char *text)
{
    return write_file(name, text, strlen(text));
}

static inline void
remove_dir(void)
{
    DIR *entries = dir[0] == '\0' ? NULL : opendir(dir);
    struct dirent *entry;

    if (entries == NULL)
        return;
    while ((entry = readdir(entries)) != NULL)
        if (entry->d_name[0] != '.')
            unlink(path_of(entry->d_name));
    closedir(entries);
    rmdir(dir);
    dir[0] = '\0';
}

/* ---- certificates ---- */

typedef struct identity {
    X509 *cert;
    EVP_PKEY *key;
} identity;

/* NULL as issuer: signed by itself, and a CA. */
static inline identity
make_identity(const char *name, const identity *issuer)
{
    identity made = {X509_new(), EVP_EC_gen("P-256")};
    X509_NAME *subject = X509_NAME_new();
    X509V3_CTX v3;
    X509_EXTENSION *ext;

    X509_set_version(made.cert, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(made.cert), 7);
    X509_gmtime_adj(X509_getm_notBefore(made.cert), -3600);
    X509_gmtime_adj(X509_getm_notAfter(made.cert), 3600);
    X509_set_pubkey(made.cert, made.key);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                               (const unsigned char *)name, -1, -1, 0);
    X509_set_subject_name(made.cert, subject);
    X509_set_issuer_name(made.cert, issuer == NULL
                                        ? subject
                                        : X509_get_subject_name(issuer->cert));
    X509_NAME_free(subject);
    X509V3_set_ctx(&v3, made.cert, made.cert, NULL, NULL, 0);
    ext = X509V3_EXT_conf_nid(NULL, &v3, NID_basic_constraints,
                              issuer == NULL ? "critical,CA:TRUE"
                                             : "critical,CA:FALSE");
    X509_add_ext(made.cert, ext, -1);
    X509_EXTENSION_free(ext);
    ck_assert_int_gt(X509_sign(made.cert,
                               issuer == NULL ? made.key : issuer->key,
                               EVP_sha256()),
                     0);
    return made;
}

static inline void
free_identity(identity *made)
{
    X509_free(made->cert);
    EVP_PKEY_free(made->key);
}

static inline const char *
write_cert(const char *name, const identity *of)
{
    const char *path = path_of(name);
    FILE *file = fopen(path, "wb");

    ck_assert_int_eq(PEM_write_X509(file, of->cert), 1);
    fclose(file);
    return path;
}

static inline const char *
write_key(const char *name, const identity *of, const char *passphrase)
{
    const char *path = path_of(name);
    FILE *file = fopen(path, "wb");

    ck_assert_int_eq(
        PEM_write_PrivateKey(
            file, of->key, passphrase == NULL ? NULL : EVP_aes_128_cbc(),
            (const unsigned char *)passphrase,
            passphrase == NULL ? 0 : (int)strlen(passphrase), NULL, NULL),
        1);
    fclose(file);
    return path;
}

/* ---- a pair of endpoints in memory ---- */

enum {
    QUEUE = 32,
    DATAGRAM = 4096
};

typedef struct end {
    SSL *ssl;
    dtlsl__tls_io io;
    size_t count; /* datagrams written and not yet taken */
    size_t len[QUEUE];
    uint8_t data[QUEUE][DATAGRAM];
    size_t longest;
} end;

typedef struct pair {
    SSL_CTX *client_ctx;
    end client;
    end server;
} pair;

static inline int32_t
enqueue(void *ctx, const uint8_t *data, size_t len)
{
    end *e = ctx;

    ck_assert_uint_lt(e->count, QUEUE);
    ck_assert_uint_le(len, DATAGRAM);
    memcpy(e->data[e->count], data, len);
    e->len[e->count++] = len;
    if (len > e->longest)
        e->longest = len;
    return 1;
}

static inline void
open_end(end *e, SSL_CTX *ctx, uint32_t mtu)
{
    BIO *bio;

    e->io.write = enqueue;
    e->io.ctx = e;
    e->io.mtu = mtu;
    e->io.overhead = 28;
    e->ssl = SSL_new(ctx);
    bio = dtlsl__tls_bio_new(&e->io);
    ck_assert_ptr_nonnull(e->ssl);
    ck_assert_ptr_nonnull(bio);
    SSL_set_bio(e->ssl, bio, bio);
}

static inline pair *
pair_new(SSL_CTX *server_ctx, uint32_t mtu)
{
    pair *p = calloc(1, sizeof(*p));

    p->client_ctx = SSL_CTX_new(DTLS_client_method());
    ck_assert_ptr_nonnull(p->client_ctx);
    open_end(&p->client, p->client_ctx, 1400);
    open_end(&p->server, server_ctx, mtu);
    return p;
}

static inline void
pair_free(pair *p)
{
    SSL_free(p->client.ssl);
    SSL_free(p->server.ssl);
    SSL_CTX_free(p->client_ctx);
    free(p);
    ERR_clear_error();
}

/* Hands all of from's datagrams to 'to'. */
static inline void
deliver(end *from, end *to)
{
    size_t count = from->count;
    char buf[256];

    from->count = 0;
    for (size_t i = 0; i < count; i++) {
        uint8_t copy[DATAGRAM];

        memcpy(copy, from->data[i], from->len[i]);
        to->io.in = copy;
        to->io.in_len = from->len[i];
        if (SSL_is_init_finished(to->ssl))
            SSL_read(to->ssl, buf, sizeof(buf));
        else
            SSL_do_handshake(to->ssl);
        to->io.in = NULL;
    }
}

/* The client's second ClientHello is then in its queue. */
static inline void
second_hello(pair *p)
{
    uint8_t verify[36] = {22, 0xfe, 0xff, 0, 0,  0, 0, 0, 0, 0, 0, 0,
                          23, 3,    0,    0, 11, 0, 0, 0, 0, 0, 0, 0,
                          11, 0xfe, 0xff, 8, 1,  2, 3, 4, 5, 6, 7, 8};

    ck_assert_int_le(SSL_connect(p->client.ssl), 0);
    ck_assert_uint_eq(p->client.count, 1);
    memcpy(verify + 5, p->client.data[0] + 5, 6);
    p->client.count = 0;
    p->client.io.in = verify;
    p->client.io.in_len = sizeof(verify);
    ck_assert_int_le(SSL_connect(p->client.ssl), 0);
    ck_assert_uint_eq(p->client.count, 1);
}

static inline int32_t
listen_step(pair *p)
{
    second_hello(p);
    p->client.count = 0;
    return dtlsl__tls_listen(p->server.ssl, p->client.data[0],
                             p->client.len[0]);
}

static inline void
pump(pair *p)
{
    for (int i = 0; i < 6; i++) {
        deliver(&p->server, &p->client);
        deliver(&p->client, &p->server);
    }
}

static inline int
handshake(pair *p)
{
    ck_assert_int_eq(listen_step(p), 1);
    SSL_accept(p->server.ssl);
    pump(p);
    return SSL_is_init_finished(p->server.ssl) &&
           SSL_is_init_finished(p->client.ssl);
}

static inline SSL_CTX *
ctx_of(const dtlsl__tls_options *options)
{
    char err[512] = "";
    SSL_CTX *ctx = NULL;

    ck_assert_msg(dtlsl__tls_ctx_new(&ctx, options, err, sizeof(err)) == 0,
                  "%s", err);
    return ctx;
}

static inline SSL_CTX *
self_signed_ctx(void)
{
    const dtlsl__tls_options options = {.self_signed = 1};

    return ctx_of(&options);
}

static inline void
refused(const dtlsl__tls_options *options, int32_t code, const char *a,
        const char *b)
{
    char err[512] = "";
    SSL_CTX *ctx = NULL;

    ck_assert_int_eq(dtlsl__tls_ctx_new(&ctx, options, err, sizeof(err)),
                     code);
    ck_assert_ptr_null(ctx);
    ck_assert_msg(strstr(err, a) != NULL, "no \"%s\" in: %s", a, err);
    ck_assert_msg(strstr(err, b) != NULL, "no \"%s\" in: %s", b, err);
    ck_assert_uint_eq(ERR_peek_error(), 0);
}

/* ---- a client with a pre-shared key ---- */

static const char *client_psk_identity = "device";
static uint8_t client_psk_byte = 7;

static inline unsigned int
client_psk(SSL *ssl, const char *hint, char *who, unsigned int who_max,
           unsigned char *key, unsigned int max)
{
    (void)ssl;
    (void)hint;
    snprintf(who, who_max, "%s", client_psk_identity);
    ck_assert_uint_ge(max, 16);
    memset(key, client_psk_byte, 16);
    return 16;
}

#endif
