/* SPDX-License-Identifier: MIT
 * A second computation of hmac cookies, from dtlslisten-cookie(7) alone. */
#ifndef DTLSL_TEST_HMAC_AGAIN_H
#define DTLSL_TEST_HMAC_AGAIN_H

#include "test.h"
#include <dtlslisten/cookie.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#define LABEL "dtlslisten-cookie-v1"

enum {
    HOUR = 3600000,
    LEN = 22
};

static void
hkdf(int mode, const uint8_t *key, size_t key_len, const void *more,
     size_t more_len, uint8_t *out, size_t len)
{
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(kdf);
    const char *name = mode == EVP_KDF_HKDF_MODE_EXTRACT_ONLY
                           ? OSSL_KDF_PARAM_SALT
                           : OSSL_KDF_PARAM_INFO;
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)key,
                                          key_len),
        OSSL_PARAM_construct_octet_string(name, (void *)more, more_len),
        OSSL_PARAM_construct_end()};

    ck_assert_int_eq(EVP_KDF_derive(ctx, out, len, params), 1);
    EVP_KDF_CTX_free(ctx);
    EVP_KDF_free(kdf);
}

typedef struct expected {
    const uint8_t *secret;
    size_t secret_len;
    const char *service;
    const uint8_t *boot_id;
    uint8_t flags;
} expected;

static size_t
add(uint8_t *out, size_t at, const void *data, size_t len)
{
    memcpy(out + at, data, len);
    return at + len;
}

static size_t
add_service(uint8_t *out, size_t at, const char *service)
{
    out[at] = (uint8_t)strlen(service);
    return add(out, at + 1, service, strlen(service));
}

static void
epoch_key(const expected *x, const uint8_t prk[32], uint8_t kid,
          uint64_t epoch, uint8_t key[32])
{
    uint8_t info[400];
    size_t at = add(info, 0, LABEL, sizeof(LABEL));

    info[at++] = 0x10;
    info[at++] = kid;
    for (int i = 7; i >= 0; i--)
        info[at++] = (uint8_t)(epoch >> (8 * i));
    at = add_service(info, at, x->service);
    if (x->boot_id != NULL)
        at = add(info, at, x->boot_id, 16);
    hkdf(EVP_KDF_HKDF_MODE_EXPAND_ONLY, prk, 32, info, at, key, 32);
}

static void
recompute(const expected *x, const dtlsl_cookie_input *in, uint64_t issued_ms,
          uint8_t cookie[LEN])
{
    uint8_t prk[32], key[32], off[4], tag[32], info[400], msg[800];
    unsigned tag_len = 0;
    uint32_t issued;
    size_t at;

    hkdf(EVP_KDF_HKDF_MODE_EXTRACT_ONLY, x->secret, x->secret_len, LABEL,
         strlen(LABEL), prk, 32);
    hkdf(EVP_KDF_HKDF_MODE_EXPAND_ONLY, prk, 32, LABEL "\0kid",
         sizeof(LABEL) + 3, &cookie[1], 1);
    at = add(info, 0, LABEL "\0time", sizeof(LABEL) + 4);
    info[at++] = cookie[1];
    at = add_service(info, at, x->service);
    hkdf(EVP_KDF_HKDF_MODE_EXPAND_ONLY, prk, 32, info, at, off, 4);
    epoch_key(x, prk, cookie[1], issued_ms / HOUR, key);
    issued = (uint32_t)issued_ms + ((uint32_t)off[0] << 24 |
                                    (uint32_t)off[1] << 16 |
                                    (uint32_t)off[2] << 8 | off[3]);
    cookie[0] = 0x10 | x->flags;
    for (int i = 0; i < 4; i++)
        cookie[2 + i] = (uint8_t)(issued >> (24 - 8 * i));
    at = add(msg, 0, cookie, 6);
    at = add(msg, at, in->peer, 22);
    if (x->flags & 2)
        at = add(msg, at, in->local, 22);
    at = add(msg, at, in->core, in->core_len);
    if (x->flags & 1)
        at = add(msg, at, in->tail, in->tail_len);
    HMAC(EVP_sha256(), key, 32, msg, at, tag, &tag_len);
    memcpy(cookie + 6, tag, 16);
}

#endif
