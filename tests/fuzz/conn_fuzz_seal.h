/* SPDX-License-Identifier: MIT
 * Encrypts DTLS 1.2 records of any kind as a client with AES-128-GCM would
 * (RFC 5288, RFC 6347 section 4.1.2). */
#ifndef DTLSL_CONN_FUZZ_SEAL_H
#define DTLSL_CONN_FUZZ_SEAL_H

#include "fuzz.h"
#include "record.h"
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/ssl.h>
#include <string.h>

enum {
    SEAL_KEY = 16,
    SEAL_SALT = 4,
    SEAL_NONCE = 8,
    SEAL_TAG = 16,
    SEAL_OVERHEAD = DTLSL__RECORD_HEADER + SEAL_NONCE + SEAL_TAG
};

/* client_write_key, server_write_key, client_write_IV. */
static inline void
seal_keys(const SSL *ssl, uint8_t keys[2 * SEAL_KEY + SEAL_SALT])
{
    static EVP_KDF *kdf;
    uint8_t secret[48], seed[64];
    char digest[] = "SHA256", label[] = "key expansion";
    EVP_KDF_CTX *ctx;
    size_t len = SSL_SESSION_get_master_key(SSL_get_session(ssl), secret,
                                            sizeof(secret));
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SECRET, secret, len),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SEED, label,
                                          sizeof(label) - 1),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SEED, seed,
                                          sizeof(seed)),
        OSSL_PARAM_construct_end()};

    SSL_get_server_random(ssl, seed, 32);
    SSL_get_client_random(ssl, seed + 32, 32);
    if (kdf == NULL)
        kdf = EVP_KDF_fetch(NULL, "TLS1-PRF", NULL);
    ctx = EVP_KDF_CTX_new(kdf);
    fuzz_check(EVP_KDF_derive(ctx, keys, 2 * SEAL_KEY + SEAL_SALT, params) ==
               1);
    EVP_KDF_CTX_free(ctx);
}

/* The record's header gives type, version, epoch and number; its length is
 * set. Returns the bytes of the record. */
static inline size_t
seal(const SSL *ssl, uint8_t *record, const uint8_t *plain, size_t len)
{
    uint8_t keys[2 * SEAL_KEY + SEAL_SALT], nonce[SEAL_SALT + SEAL_NONCE];
    uint8_t aad[DTLSL__RECORD_HEADER], *out = record + DTLSL__RECORD_HEADER;
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int n = 0;

    seal_keys(ssl, keys);
    memcpy(nonce, keys + sizeof(keys) - SEAL_SALT, SEAL_SALT);
    memcpy(nonce + SEAL_SALT, record + 3, SEAL_NONCE);
    memcpy(aad, record + 3, SEAL_NONCE);
    memcpy(aad + SEAL_NONCE, record, 3);
    dtlsl__put16(aad + 11, (uint32_t)len);
    memcpy(out, record + 3, SEAL_NONCE);
    out += SEAL_NONCE;
    fuzz_check(EVP_EncryptInit_ex(ctx, EVP_aes_128_gcm(), NULL, keys, nonce) ==
               1);
    fuzz_check(EVP_EncryptUpdate(ctx, NULL, &n, aad, sizeof(aad)) == 1);
    fuzz_check(EVP_EncryptUpdate(ctx, out, &n, plain, (int)len) == 1);
    fuzz_check(EVP_EncryptFinal_ex(ctx, out + n, &n) == 1);
    fuzz_check(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, SEAL_TAG,
                                   out + len) == 1);
    EVP_CIPHER_CTX_free(ctx);
    dtlsl__put16(record + 11, (uint32_t)(SEAL_NONCE + len + SEAL_TAG));
    return SEAL_OVERHEAD + len;
}

#endif
