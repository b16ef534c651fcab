/* SPDX-License-Identifier: MIT
 * HMAC-SHA-256 with a context that is keyed once.
 *
 * OpenSSL's own, EVP_MAC, copies digests, two allocations for each MAC; a
 * digest of EVP that is started again is made anew, with as many. Only the
 * provider's functions start one again where it is, so RFC 2104 is done here
 * on them. That is for the default provider alone: whoever chose another, as
 * for FIPS 140, gets its HMAC. */
#include "mac.h"
#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/provider.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    BLOCK = 64, /* of SHA-256 */
    TAG = 32
};

typedef struct mac_context {
    const dtlsl__macs *macs;
    EVP_MAC_CTX *evp; /* NULL: digest, inner and outer are used */
    void *digest;
    uint8_t inner[BLOCK]; /* the key, padded: RFC 2104 section 2 */
    uint8_t outer[BLOCK];
    size_t rekey_len; /* bytes at key; 0: the context remembers it */
    uint8_t key[];
} mac_context;

/* ---- by the digest ---- */

static int
hash(const mac_context *m, const uint8_t pad[BLOCK], const uint8_t *data,
     size_t len, uint8_t tag[TAG])
{
    const dtlsl__macs *macs = m->macs;
    size_t tag_len = 0;

    return macs->digest_init(m->digest, NULL) == 1 &&
           macs->digest_update(m->digest, pad, BLOCK) == 1 &&
           macs->digest_update(m->digest, data, len) == 1 &&
           macs->digest_final(m->digest, tag, &tag_len, TAG) == 1 &&
           tag_len == TAG;
}

static int
key_digest(mac_context *m, const uint8_t *key, size_t key_len)
{
    uint8_t block[BLOCK] = {0};
    int ok = 1;

    m->digest = m->macs->digest_new(m->macs->provider);
    if (m->digest == NULL)
        return 0;
    if (key_len <= BLOCK)
        memcpy(block, key, key_len);
    else
        ok = EVP_Digest(key, key_len, block, NULL, m->macs->digest, NULL) == 1;
    for (int i = 0; i < BLOCK; i++) {
        m->inner[i] = block[i] ^ 0x36;
        m->outer[i] = block[i] ^ 0x5c;
    }
    OPENSSL_cleanse(block, sizeof(block));
    return ok;
}

/* ---- by EVP_MAC ---- */

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
    if (m->digest != NULL)
        m->macs->digest_free(m->digest);
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
    ok = macs->digest != NULL ? key_digest(m, key, key_len)
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
    if (m->digest != NULL)
        ok = hash(m, m->inner, data, len, tag) &&
             hash(m, m->outer, tag, TAG, tag);
    else
        ok = compute_evp(m, data, len, tag);
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

static int
take_functions(dtlsl__macs *macs, const OSSL_DISPATCH *list)
{
    for (; list->function_id != 0; list++) {
        switch (list->function_id) {
        case OSSL_FUNC_DIGEST_NEWCTX:
            macs->digest_new = OSSL_FUNC_digest_newctx(list);
            break;
        case OSSL_FUNC_DIGEST_FREECTX:
            macs->digest_free = OSSL_FUNC_digest_freectx(list);
            break;
        case OSSL_FUNC_DIGEST_INIT:
            macs->digest_init = OSSL_FUNC_digest_init(list);
            break;
        case OSSL_FUNC_DIGEST_UPDATE:
            macs->digest_update = OSSL_FUNC_digest_update(list);
            break;
        case OSSL_FUNC_DIGEST_FINAL:
            macs->digest_final = OSSL_FUNC_digest_final(list);
            break;
        default:
            break;
        }
    }
    return macs->digest_new != NULL && macs->digest_free != NULL &&
           macs->digest_init != NULL && macs->digest_update != NULL &&
           macs->digest_final != NULL;
}

/* The digest's own reference keeps its provider, and so its functions. */
static int
find_functions(dtlsl__macs *macs)
{
    const OSSL_PROVIDER *theirs = EVP_MD_get0_provider(macs->digest);
    OSSL_PROVIDER *provider = (OSSL_PROVIDER *)(uintptr_t)theirs;
    const OSSL_ALGORITHM *list;
    int no_cache = 0;

    if (strcmp(OSSL_PROVIDER_get0_name(theirs), "default") != 0 ||
        EVP_MAC_get0_provider(macs->mac) != theirs)
        return 0;
    macs->provider = OSSL_PROVIDER_get0_provider_ctx(theirs);
    list = OSSL_PROVIDER_query_operation(provider, OSSL_OP_DIGEST, &no_cache);
    for (; list != NULL && list->algorithm_names != NULL; list++)
        if (strncmp(list->algorithm_names, "SHA2-256:", 9) == 0)
            return take_functions(macs, list->implementation);
    return 0;
}

static void
find_digest(dtlsl__macs *macs)
{
    macs->digest = EVP_MD_fetch(NULL, "SHA2-256", NULL);
    if (macs->digest != NULL && find_functions(macs) && known_answer(macs))
        return;
    EVP_MD_free(macs->digest);
    macs->digest = NULL;
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
    if (macs->mac != NULL)
        find_digest(macs);
    ERR_pop_to_mark();
    if (macs->mac == NULL)
        return fail(err, err_len,
                    "cookie: OpenSSL has no HMAC; load its default or fips "
                    "provider in openssl.cnf");
    if (macs->digest != NULL || known_answer(macs))
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
    EVP_MD_free(macs->digest);
    EVP_MAC_free(macs->mac);
}
