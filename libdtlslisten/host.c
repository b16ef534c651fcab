/* SPDX-License-Identifier: MIT
 * What the library lends to cookie strategies. */
#include "host.h"
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const dtlsl_cookie_plugin *dtlsl__cookie_hmac(void);
#ifdef DTLSL_BUILTIN_CLUSTER
const dtlsl_cookie_plugin *dtlsl__cookie_cluster(void);
#endif
#ifdef DTLSL_BUILTIN_AEAD
const dtlsl_cookie_plugin *dtlsl__cookie_aead(void);
#endif

static void
host_log(void *ctx, int32_t level, const char *text)
{
    dtlsl__host *host = ctx;
    char *copy;

    if (host->log != NULL) {
        host->log(host->log_ctx, level, text);
        return;
    }
    if (host->n_lines == DTLSL__HOST_LINES)
        return;
    copy = strdup(text);
    if (copy == NULL)
        return;
    host->levels[host->n_lines] = level;
    host->lines[host->n_lines++] = copy;
}

void
dtlsl__host_say(dtlsl__host *host, int32_t level, const char *text)
{
    host_log(host, level, text);
}

void
dtlsl__host_set_log(dtlsl__host *host,
                    void (*log)(void *ctx, int32_t level, const char *text),
                    void *ctx)
{
    host->log = log;
    host->log_ctx = ctx;
    if (log == NULL)
        return;
    for (size_t i = 0; i < host->n_lines; i++) {
        log(ctx, host->levels[i], host->lines[i]);
        free(host->lines[i]);
    }
    host->n_lines = 0;
}

static int32_t
host_random(void *ctx, uint8_t *buf, size_t len)
{
    int ok = 1;

    (void)ctx;
    ERR_set_mark();
    while (ok == 1 && len > 0) {
        int part = len < 65536 ? (int)len : 65536;

        ok = RAND_bytes(buf, part);
        buf += part;
        len -= (size_t)part;
    }
    ERR_pop_to_mark();
    return ok == 1 ? DTLSL_OK : DTLSL_ERR_RANDOM;
}

static void
host_cleanse(void *buf, size_t len)
{
    OPENSSL_cleanse(buf, len);
}

static int32_t
host_ct_equal(const uint8_t *a, const uint8_t *b, size_t len)
{
    return CRYPTO_memcmp(a, b, len) == 0;
}

typedef struct mac_context {
    EVP_MAC_CTX *evp;
    size_t rekey_len; /* bytes at key; 0: the context remembers it */
    uint8_t key[];
} mac_context;

static void
host_hmac_free(void *mac)
{
    mac_context *m = mac;

    if (m == NULL)
        return;
    EVP_MAC_CTX_free(m->evp);
    OPENSSL_cleanse(m->key, m->rekey_len);
    free(m);
}

static void *
host_hmac_new(void *ctx, const uint8_t *key, size_t key_len)
{
    dtlsl__host *host = ctx;
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end()};
    mac_context *m = calloc(1, sizeof(*m) + key_len);

    if (m == NULL)
        return NULL;
    ERR_set_mark();
    if (host->rekey) {
        m->rekey_len = key_len;
        memcpy(m->key, key, key_len);
    }
    m->evp = EVP_MAC_CTX_new(host->mac);
    if (m->evp == NULL || EVP_MAC_init(m->evp, key, key_len, params) != 1) {
        host_hmac_free(m);
        m = NULL;
    }
    ERR_pop_to_mark();
    return m;
}

static int32_t
host_hmac_sha256(void *mac, const uint8_t *data, size_t len, uint8_t *tag)
{
    mac_context *m = mac;
    const uint8_t *key = NULL;
    size_t tag_len = 0;
    int ok;

    if (m == NULL)
        return DTLSL_ERR_ARGUMENT;
    if (m->rekey_len > 0)
        key = m->key;
    ERR_set_mark();
    ok = EVP_MAC_init(m->evp, key, m->rekey_len, NULL) == 1 &&
         EVP_MAC_update(m->evp, data, len) == 1 &&
         EVP_MAC_final(m->evp, tag, &tag_len, 32) == 1 && tag_len == 32;
    ERR_pop_to_mark();
    return ok ? DTLSL_OK : DTLSL_ERR_TLS;
}

const dtlsl_cookie_plugin *
dtlsl__cookie_builtin(const char *name)
{
    if (strcmp(name, "hmac") == 0)
        return dtlsl__cookie_hmac();
#ifdef DTLSL_BUILTIN_CLUSTER
    if (strcmp(name, "cluster") == 0)
        return dtlsl__cookie_cluster();
#endif
#ifdef DTLSL_BUILTIN_AEAD
    if (strcmp(name, "aead") == 0)
        return dtlsl__cookie_aead();
#endif
    return NULL;
}

const dtlsl__strategy *
dtlsl__host_registered(const dtlsl__host *host, const char *name)
{
    for (size_t i = 0; i < host->n_strategies; i++)
        if (strcmp(host->strategies[i].plugin->name, name) == 0)
            return &host->strategies[i];
    return NULL;
}

static const dtlsl_cookie_plugin *
host_strategy(void *ctx, const char *name)
{
    const dtlsl__strategy *own = dtlsl__host_registered(ctx, name);

    return own != NULL ? own->plugin : dtlsl__cookie_builtin(name);
}

/* RFC 4231, test case 2; twice, because the second use of a context is what
 * fails on OpenSSL 3.0.0 to 3.0.2. */
static int
known_answer(dtlsl__host *host)
{
    static const uint8_t want[32] = {
        0x5b, 0xdc, 0xc1, 0x46, 0xbf, 0x60, 0x75, 0x4e, 0x6a, 0x04, 0x24,
        0x26, 0x08, 0x95, 0x75, 0xc7, 0x5a, 0x00, 0x3f, 0x08, 0x9d, 0x27,
        0x39, 0x83, 0x9d, 0xec, 0x58, 0xb9, 0x64, 0xec, 0x38, 0x43};
    static const char text[] = "what do ya want for nothing?";
    void *mac = host_hmac_new(host, (const uint8_t *)"Jefe", 4);
    int ok = mac != NULL;

    for (int i = 0; ok && i < 2; i++) {
        uint8_t tag[32] = {0};

        ok = host_hmac_sha256(mac, (const uint8_t *)text, sizeof(text) - 1,
                              tag) == DTLSL_OK &&
             memcmp(tag, want, sizeof(want)) == 0;
    }
    host_hmac_free(mac);
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
dtlsl__host_init(dtlsl__host *host, const uint8_t *default_secret, char *err,
                 size_t err_len)
{
    ERR_set_mark();
    host->mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    ERR_pop_to_mark();
    if (host->mac == NULL)
        return fail(err, err_len,
                    "cookie: OpenSSL has no HMAC; load its default or fips "
                    "provider in openssl.cnf");
    if (!known_answer(host)) {
        host->rekey = 1;
        if (!known_answer(host))
            return fail(err, err_len,
                        "cookie: OpenSSL's HMAC-SHA-256 fails its known "
                        "answer; repair or update libcrypto");
    }
    host->table = (dtlsl_cookie_host){.size = sizeof(host->table),
                                      .abi = DTLSL_COOKIE_ABI,
                                      .ctx = host,
                                      .default_secret = default_secret,
                                      .log = host_log,
                                      .random = host_random,
                                      .cleanse = host_cleanse,
                                      .ct_equal = host_ct_equal,
                                      .hmac_new = host_hmac_new,
                                      .hmac_sha256 = host_hmac_sha256,
                                      .hmac_free = host_hmac_free,
                                      .strategy = host_strategy};
    return DTLSL_OK;
}

void
dtlsl__host_clear(dtlsl__host *host)
{
    for (size_t i = 0; i < host->n_lines; i++)
        free(host->lines[i]);
    EVP_MAC_free(host->mac);
}
