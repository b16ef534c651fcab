/* SPDX-License-Identifier: MIT
 * One secret, the keys of the hours that follow from it, and when it mints and
 * verifies. */
#ifndef DTLSL_KEYRING_H
#define DTLSL_KEYRING_H

#include "strategy.h"

/* How a key is put to use: a MAC's context, or a cipher's. */
typedef struct dtlsl__key_use {
    uint8_t id;  /* DTLSL__ID_* */
    uint8_t len; /* of the key, 32 or 64 */
    void *(*make)(const dtlsl_cookie_host *host, const uint8_t *key);
    void (*drop)(const dtlsl_cookie_host *host, void *context);
} dtlsl__key_use;

extern const dtlsl__key_use dtlsl__key_use_hmac;
extern const dtlsl__key_use dtlsl__key_use_cluster;

/* Times are in the strategy's clock, milliseconds. */
typedef struct dtlsl__key {
    uint8_t kid;
    uint8_t prk[32];
    uint32_t offset;    /* hides the uptime in hmac's cookies, else 0 */
    uint64_t retire_ms; /* of minting; hmac: of verifying. UINT64_MAX: never */
    struct {
        uint64_t epoch;
        void *context; /* NULL: none yet */
    } slot[2];         /* by epoch & 1 */
} dtlsl__key;

/* Sets the PRK; kid and times are the caller's. Nothing is left on failure. */
int32_t dtlsl__key_init(dtlsl__key *key, const dtlsl_cookie_host *host,
                        const uint8_t *secret, size_t len);
void dtlsl__key_clear(dtlsl__key *key, const dtlsl_cookie_host *host,
                      const dtlsl__key_use *use);

/* The context of an epoch, made if need be, else NULL. Does not allocate when
 * it is there. */
void *dtlsl__key_context(dtlsl__key *key, const dtlsl__base *base,
                         const dtlsl__key_use *use, uint64_t epoch);
/* The same, or NULL if it is not there. */
void *dtlsl__key_ready(const dtlsl__key *key, uint64_t epoch);

/* Makes the contexts that cookies may need until dtlsl__key_prepare_next. */
void dtlsl__key_prepare(dtlsl__key *key, const dtlsl__base *base,
                        const dtlsl__key_use *use, uint64_t now_ms);
uint64_t dtlsl__key_prepare_next(uint64_t now_ms);

#endif
