/* SPDX-License-Identifier: MIT
 * OpenSSL as all measured programs on it set it up. */
#include "openssl_side.h"
#include "options.h"
#include <openssl/pem.h>

SSL_CTX *
openssl_context(const SSL_METHOD *method, const char *groups)
{
    SSL_CTX *ctx = SSL_CTX_new(method);

    if (ctx == NULL || !SSL_CTX_set_cipher_list(ctx, "ECDHE+AES128+AESGCM"))
        refuse("OpenSSL", "no context");
    SSL_CTX_set_min_proto_version(ctx, DTLS1_2_VERSION);
    SSL_CTX_set_options(ctx, SSL_OP_NO_QUERY_MTU | SSL_OP_NO_TICKET);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    if (groups != NULL && !SSL_CTX_set1_groups_list(ctx, groups))
        refuse(groups, "OpenSSL has not all these groups");
    return ctx;
}

void
openssl_use_identity(SSL_CTX *ctx, const identity *id)
{
    BIO *certificate = BIO_new_mem_buf(id->certificate, -1);
    BIO *private = BIO_new_mem_buf(id->key, -1);
    X509 *x = PEM_read_bio_X509(certificate, NULL, NULL, NULL);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(private, NULL, NULL, NULL);

    if (SSL_CTX_use_certificate(ctx, x) != 1 ||
        SSL_CTX_use_PrivateKey(ctx, key) != 1)
        refuse("OpenSSL", "cannot use the certificate and its key");
    X509_free(x);
    EVP_PKEY_free(key);
    BIO_free(certificate);
    BIO_free(private);
}
