/* SPDX-License-Identifier: MIT
 * What the library lends to cookie strategies. */
#include "host.h"
#include <openssl/crypto.h>
#include <openssl/err.h>
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

static void *
host_hmac_new(void *ctx, const uint8_t *key, size_t key_len)
{
    return dtlsl__mac_new(&((dtlsl__host *)ctx)->macs, key, key_len);
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

int32_t
dtlsl__host_init(dtlsl__host *host, const uint8_t *default_secret, char *err,
                 size_t err_len)
{
    int32_t status = dtlsl__macs_init(&host->macs, err, err_len);

    if (status != DTLSL_OK)
        return status;
    host->table = (dtlsl_cookie_host){.size = sizeof(host->table),
                                      .abi = DTLSL_COOKIE_ABI,
                                      .ctx = host,
                                      .default_secret = default_secret,
                                      .log = host_log,
                                      .random = host_random,
                                      .cleanse = host_cleanse,
                                      .ct_equal = host_ct_equal,
                                      .hmac_new = host_hmac_new,
                                      .hmac_sha256 = dtlsl__mac_sha256,
                                      .hmac_free = dtlsl__mac_free,
                                      .strategy = host_strategy};
    return DTLSL_OK;
}

void
dtlsl__host_clear(dtlsl__host *host)
{
    for (size_t i = 0; i < host->n_lines; i++)
        free(host->lines[i]);
    dtlsl__macs_clear(&host->macs);
}
