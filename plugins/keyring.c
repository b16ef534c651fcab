/* SPDX-License-Identifier: MIT
 * One secret and the keys of the hours that follow from it. */
#include "keyring.h"
#include <string.h>

enum {
    /* From here on in an epoch no cookie of the one before is in its window,
     * so that its place can take the key of the next one; and none of the
     * next one is before: the longest lifetime is 3000 s, the widest skew
     * 300 s. */
    PREPARE_MS = 3300000
};

static void *
mac_make(const dtlsl_cookie_host *host, const uint8_t *key)
{
    return host->hmac_new(host->ctx, key, 32);
}

static void
mac_drop(const dtlsl_cookie_host *host, void *context)
{
    host->hmac_free(context);
}

const dtlsl__key_use dtlsl__key_use_hmac = {DTLSL__ID_HMAC, 32, mac_make,
                                            mac_drop};
const dtlsl__key_use dtlsl__key_use_cluster = {DTLSL__ID_CLUSTER, 32, mac_make,
                                               mac_drop};

int32_t
dtlsl__key_init(dtlsl__key *key, const dtlsl_cookie_host *host,
                const uint8_t *secret, size_t len)
{
    memset(key, 0, sizeof(*key));
    key->retire_ms = UINT64_MAX;
    return dtlsl__schedule_prk(host, secret, len, key->prk);
}

void
dtlsl__key_clear(dtlsl__key *key, const dtlsl_cookie_host *host,
                 const dtlsl__key_use *use)
{
    for (int i = 0; i < 2; i++)
        if (key->slot[i].context != NULL)
            use->drop(host, key->slot[i].context);
    host->cleanse(key, sizeof(*key));
}

void *
dtlsl__key_ready(const dtlsl__key *key, uint64_t epoch)
{
    if (key->slot[epoch & 1].epoch != epoch)
        return NULL;
    return key->slot[epoch & 1].context;
}

void *
dtlsl__key_context(dtlsl__key *key, const dtlsl__base *base,
                   const dtlsl__key_use *use, uint64_t epoch)
{
    const dtlsl_cookie_host *host = base->host;
    void *context = dtlsl__key_ready(key, epoch);
    uint8_t bytes[64];

    if (context != NULL)
        return context;
    if (dtlsl__schedule_key(host, key->prk, use->id, key->kid, epoch,
                            &base->realm, bytes, use->len) >= 0)
        context = use->make(host, bytes);
    host->cleanse(bytes, sizeof(bytes));
    if (context == NULL)
        return NULL;
    if (key->slot[epoch & 1].context != NULL)
        use->drop(host, key->slot[epoch & 1].context);
    key->slot[epoch & 1].context = context;
    key->slot[epoch & 1].epoch = epoch;
    return context;
}

void
dtlsl__key_prepare(dtlsl__key *key, const dtlsl__base *base,
                   const dtlsl__key_use *use, uint64_t now_ms)
{
    uint64_t epoch = now_ms / DTLSL__EPOCH_MS;
    int late = now_ms % DTLSL__EPOCH_MS >= PREPARE_MS;

    dtlsl__key_context(key, base, use, epoch);
    if (late || epoch > 0)
        dtlsl__key_context(key, base, use, late ? epoch + 1 : epoch - 1);
}

uint64_t
dtlsl__key_prepare_next(uint64_t now_ms)
{
    uint64_t at = now_ms - now_ms % DTLSL__EPOCH_MS + PREPARE_MS;

    return at > now_ms ? at : at + DTLSL__EPOCH_MS;
}
