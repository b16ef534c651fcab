/* SPDX-License-Identifier: MIT
 * HMAC-SHA-256 with a context that is keyed once.
 *
 * OpenSSL's EVP_MAC copies two digests for each MAC, with an allocation each;
 * an EVP_MD_CTX that is started again is made anew, with as many, and hashes
 * the padded key again. SHA256_CTX, which is what the default provider hashes
 * with, is copied as it is. So RFC 2104 is done here on that, for the default
 * provider alone: whoever chose another, as for FIPS 140, gets its HMAC, and so
 * does who has a libcrypto without what is deprecated since 3.0. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "mac.h"
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/provider.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    BLOCK = 64, /* of SHA-256 */
    TAG = 32
};

#ifndef OPENSSL_NO_DEPRECATED_3_0

/* Behind the padded key: RFC 2104 section 2. */
typedef struct sha_pair {
    SHA256_CTX inner, outer;
} sha_pair;

static int
start(SHA256_CTX *sha, const uint8_t block[BLOCK], uint8_t pad)
{
    uint8_t padded[BLOCK];
    int ok;

    for (int i = 0; i < BLOCK; i++)
        padded[i] = block[i] ^ pad;
    ok = SHA256_Init(sha) == 1 && SHA256_Update(sha, padded, BLOCK) == 1;
    OPENSSL_cleanse(padded, sizeof(padded));
    return ok;
}

static int
key_sha256(sha_pair *pair, const uint8_t *key, size_t key_len)
{
    uint8_t block[BLOCK] = {0};
    int ok = 1;

    if (key_len <= BLOCK)
        memcpy(block, key, key_len);
    else
        ok = SHA256(key, key_len, block) != NULL;
    ok = ok && start(&pair->inner, block, 0x36) &&
         start(&pair->outer, block, 0x5c);
    OPENSSL_cleanse(block, sizeof(block));
    return ok;
}

static int
compute_sha256(const sha_pair *pair, const uint8_t *data, size_t len,
               uint8_t *tag)
{
    SHA256_CTX sha = pair->inner;

    if (SHA256_Update(&sha, data, len) != 1 || SHA256_Final(tag, &sha) != 1)
        return 0;
    sha = pair->outer; /* what is left of it at the end is the tag */
    return SHA256_Update(&sha, tag, TAG) == 1 && SHA256_Final(tag, &sha) == 1;
}

static int
is_default(const dtlsl__macs *macs)
{
    const OSSL_PROVIDER *provider = EVP_MAC_get0_provider(macs->mac);

    return strcmp(OSSL_PROVIDER_get0_name(provider), "default") == 0;
}

#else

typedef struct sha_pair {
    int unused;
} sha_pair;

static int
key_sha256(sha_pair *pair, const uint8_t *key, size_t key_len)
{
    (void)pair;
    (void)key;
    (void)key_len;
    return 0;
}

static int
compute_sha256(const sha_pair *pair, const uint8_t *data, size_t len,
               uint8_t *tag)
{
    (void)pair;
    (void)data;
    (void)len;
    (void)tag;
    return 0;
}

static int
is_default(const dtlsl__macs *macs)
{
    (void)macs;
    return 0;
}

#endif

typedef struct mac_context {
    const dtlsl__macs *macs;
    sha_pair pair;
    EVP_MAC_CTX *evp; /* where macs are not by_sha256 */
    size_t rekey_len; /* bytes at key; 0: the context remembers it */
    uint8_t key[];
} mac_context;

static int
key_evp(mac_context *m, const uint8_t *key, size_t key_len)
{
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end()};

    if (m->macs->rekey) {
        m->rekey_len = key_len;
        memcpy(m->key, key, key_len);
    }
    m->evp = EVP_MAC_CTX_new(m->macs->mac);
    return m->evp != NULL && EVP_MAC_init(m->evp, key, key_len, params) == 1;
}

static int
compute_evp(const mac_context *m, const uint8_t *data, size_t len,
            uint8_t *tag)
{
    const uint8_t *key = m->rekey_len > 0 ? m->key : NULL;
    size_t tag_len = 0;
    int ok;

    ERR_set_mark();
    ok = EVP_MAC_init(m->evp, key, m->rekey_len, NULL) == 1 &&
         EVP_MAC_update(m->evp, data, len) == 1 &&
         EVP_MAC_final(m->evp, tag, &tag_len, TAG) == 1 && tag_len == TAG;
    ERR_pop_to_mark();
    return ok;
}

/* ---- a context ---- */

void
dtlsl__mac_free(void *mac)
{
    mac_context *m = mac;

    if (m == NULL)
        return;
    EVP_MAC_CTX_free(m->evp);
    OPENSSL_cleanse(m, sizeof(*m) + m->rekey_len);
    free(m);
}

void *
dtlsl__mac_new(const dtlsl__macs *macs, const uint8_t *key, size_t key_len)
{
    mac_context *m = calloc(1, sizeof(*m) + key_len);
    int ok;

    if (m == NULL)
        return NULL;
    m->macs = macs;
    ERR_set_mark();
    ok = macs->by_sha256 ? key_sha256(&m->pair, key, key_len)
                         : key_evp(m, key, key_len);
    if (!ok) {
        dtlsl__mac_free(m);
        m = NULL;
    }
    ERR_pop_to_mark();
    return m;
}

int32_t
dtlsl__mac_sha256(void *mac, const uint8_t *data, size_t len, uint8_t *tag)
{
    const mac_context *m = mac;
    int ok;

    if (m == NULL)
        return DTLSL_ERR_ARGUMENT;
    ok = m->macs->by_sha256 ? compute_sha256(&m->pair, data, len, tag)
                            : compute_evp(m, data, len, tag);
    return ok ? DTLSL_OK : DTLSL_ERR_TLS;
}

/* ---- where they come from ---- */

/* RFC 4231, test case 2; twice, because the second use of a context is what
 * fails on OpenSSL 3.0.0 to 3.0.2. */
static int
known_answer(const dtlsl__macs *macs)
{
    static const uint8_t want[TAG] = {
        0x5b, 0xdc, 0xc1, 0x46, 0xbf, 0x60, 0x75, 0x4e, 0x6a, 0x04, 0x24,
        0x26, 0x08, 0x95, 0x75, 0xc7, 0x5a, 0x00, 0x3f, 0x08, 0x9d, 0x27,
        0x39, 0x83, 0x9d, 0xec, 0x58, 0xb9, 0x64, 0xec, 0x38, 0x43};
    static const char text[] = "what do ya want for nothing?";
    void *mac = dtlsl__mac_new(macs, (const uint8_t *)"Jefe", 4);
    int ok = mac != NULL;

    for (int i = 0; ok && i < 2; i++) {
        uint8_t tag[TAG] = {0};

        ok = dtlsl__mac_sha256(mac, (const uint8_t *)text, sizeof(text) - 1,
                               tag) == DTLSL_OK &&
             memcmp(tag, want, sizeof(want)) == 0;
    }
    dtlsl__mac_free(mac);
    return ok;
}

static int32_t
fail(char *err, size_t err_len, const char *text)
{
    if (err != NULL && err_len > 0)
        snprintf(err, err_len, "%s", text);
    return DTLSL_ERR_TLS;
}

int32_t
dtlsl__macs_init(dtlsl__macs *macs, char *err, size_t err_len)
{
    ERR_set_mark();
    macs->mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    ERR_pop_to_mark();
    if (macs->mac == NULL)
        return fail(err, err_len,
                    "cookie: OpenSSL has no HMAC; load its default or fips "
                    "provider in openssl.cnf");
    macs->by_sha256 = is_default(macs);
    if (known_answer(macs))
        return DTLSL_OK;
    macs->by_sha256 = 0;
    if (known_answer(macs))
        return DTLSL_OK;
    macs->rekey = 1;
    if (known_answer(macs))
        return DTLSL_OK;
    return fail(err, err_len,
                "cookie: OpenSSL's HMAC-SHA-256 fails its known answer; "
                "repair or update libcrypto");
}

void
dtlsl__macs_clear(dtlsl__macs *macs)
{
    EVP_MAC_free(macs->mac);
}
